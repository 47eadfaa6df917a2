import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict

from rag_pipeline.database.connection import connect, open_session
from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.database.migrate import migrate, prepare
from rag_pipeline.database.objects import apply_objects, generation_search_path
from rag_pipeline.database.requirements import ensure_roles
from rag_pipeline.errors import ConfigurationError, PermanentError
from rag_pipeline.settings import Settings


@pytest.fixture
def blank(server: EmbeddedServer, administrator: Connection[Any], worker_id: str) -> Iterator[Connection[Any]]:
    """The superuser's session on a database that has roles, schema and extension, and no migration."""
    name = f"blank_{worker_id}"
    administrator.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
    administrator.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    with open_session(server.url(name), role=None) as connection:
        ensure_roles(connection)
        yield connection


def _rows(connection: Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def _write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text)
    return folder


# Migrations


def test_migrations_apply_once_in_order_as_the_owner(blank: Connection[Any], tmp_path: Path) -> None:
    folder = _write(tmp_path, **{"0001_a": "create table rag.a (v halfvec); insert into rag.a values ('[1]');"})
    assert migrate(blank, folder) == ["0001_a.sql"]
    _write(tmp_path, **{"0002_b": "alter table rag.a add b int", "0003_c": "update rag.a set b = 3"})
    assert migrate(blank, folder) == ["0002_b.sql", "0003_c.sql"]
    assert migrate(blank, folder) == []
    assert _rows(blank, "select b from rag.a") == [(3,)]
    assert _rows(blank, "select number, name from rag.migrations order by 1") == [(1, "a"), (2, "b"), (3, "c")]
    assert _rows(blank, "select distinct tableowner::text from pg_tables where schemaname = 'rag'") == [("rag_owner",)]
    assert _rows(blank, "select current_user::text") == [("postgres",)]


def test_a_rejected_migration_leaves_those_before_it(blank: Connection[Any], tmp_path: Path) -> None:
    second = "create table rag.b (); insert into rag.b values (1)"
    folder = _write(tmp_path, **{"0001_a": "create table rag.a ()", "0002_b": second})
    with pytest.raises(PermanentError, match=r"0002_b.sql cannot be applied: .*INSERT has more"):
        migrate(blank, folder)
    assert _rows(blank, "select to_regclass('rag.a') is null, to_regclass('rag.b') is null") == [(False, True)]
    _write(tmp_path, **{"0002_b": "create table rag.b ()"})
    assert migrate(blank, folder) == ["0002_b.sql"]


def test_an_edited_migration_is_refused(blank: Connection[Any], tmp_path: Path) -> None:
    folder = _write(tmp_path, **{"0001_a": "create table rag.a ()"})
    migrate(blank, folder)
    _write(tmp_path, **{"0001_a": "create table rag.a (b int)"})
    with pytest.raises(ConfigurationError, match=r"0001_a.sql has changed"):
        migrate(blank, folder)


def test_two_migrators_at_once_share_the_work(blank: Connection[Any], server: EmbeddedServer, tmp_path: Path) -> None:
    texts = {f"{n:04}_m{n}": f"create table rag.t{n} (); select pg_sleep(0.02)" for n in range(1, 7)}
    folder = _write(tmp_path, **texts)

    def run(_: int) -> list[str]:
        with open_session(server.url(blank.info.dbname), role=None) as connection:
            return migrate(connection, folder)

    with ThreadPoolExecutor(3) as pool:
        done = [name for names in pool.map(run, range(3)) for name in names]
    assert sorted(done) == [f"{name}.sql" for name in texts]


# Functions and views


@pytest.fixture
def objects(blank: Connection[Any], tmp_path: Path) -> Path:
    """A folder of SQL over two generations of one table."""
    migrate(blank, _write(tmp_path / "migrations"))
    for generation in (1, 2):
        blank.execute(f"create schema rag_g{generation} authorization rag_owner".encode())
        blank.execute(f"create table rag_g{generation}.chunks as select {generation} as g, 'x' as text".encode())
        blank.execute(f"alter table rag_g{generation}.chunks owner to rag_owner".encode())
    _write(tmp_path / "functions", find="create or replace function rag.find() returns int language sql\n"
           "set search_path from current as 'select g from chunks'")  # fmt: skip
    _write(tmp_path / "views", a="create or replace view rag.a as select g from chunks",
           b="create or replace view rag.b as select g from rag.a")  # fmt: skip
    return tmp_path


def _seen(connection: Connection[Any]) -> tuple[Any, ...]:
    return _rows(connection, "select rag.find(), (select g from rag.a), (select g from rag.b)")[0]


def test_objects_follow_the_generation(blank: Connection[Any], objects: Path) -> None:
    assert apply_objects(blank, 1, objects)
    assert _seen(blank) == (1, 1, 1)
    assert not apply_objects(blank, 1, objects)
    assert apply_objects(blank, 2, objects)
    assert _seen(blank) == (2, 2, 2)
    assert _rows(blank, "select distinct generation from rag.applied_objects") == [(2,)]


def test_objects_change_their_shape(blank: Connection[Any], objects: Path) -> None:
    apply_objects(blank, 1, objects)
    _write(objects / "views", a="create or replace view rag.a as select text, g from chunks")
    assert apply_objects(blank, 1, objects)
    assert _rows(blank, "select * from rag.a") == [("x", 1)]
    _write(objects / "functions", find="create or replace function rag.find() returns bigint language sql\n"
           "set search_path from current as 'select 10 + g from chunks'")  # fmt: skip
    assert apply_objects(blank, 1, objects)
    assert _seen(blank) == (11, 1, 1)


def test_no_earlier_signature_stays_callable(blank: Connection[Any], objects: Path) -> None:
    apply_objects(blank, 1, objects)
    text = "create or replace function rag.find(principals text[]) returns int language sql as 'select 7'"
    _write(objects / "functions", find=text)
    assert apply_objects(blank, 1, objects)
    assert _rows(blank, "select rag.find(array['public'])") == [(7,)]
    with pytest.raises(psycopg.errors.UndefinedFunction):
        blank.execute("select rag.find()")


def test_what_no_file_defines_any_more_is_dropped(blank: Connection[Any], objects: Path) -> None:
    apply_objects(blank, 1, objects)
    (objects / "views" / "b.sql").unlink()
    (objects / "functions" / "find.sql").unlink()
    assert apply_objects(blank, 1, objects)
    names = "select to_regclass('rag.a') is null, to_regclass('rag.b') is null, to_regproc('rag.find') is null"
    assert _rows(blank, names) == [(False, True, True)]


def test_a_rejected_file_changes_nothing(blank: Connection[Any], objects: Path) -> None:
    apply_objects(blank, 1, objects)
    _write(objects / "views", a="create or replace view rag.a as select g + 1 as g from chunks", b="select nonsense")
    with pytest.raises(PermanentError, match=r"views/b.sql cannot be applied"):
        apply_objects(blank, 1, objects)
    assert _seen(blank) == (1, 1, 1)


def test_objects_apply_inside_a_transaction_of_the_caller(blank: Connection[Any], objects: Path) -> None:
    apply_objects(blank, 1, objects)
    before = _rows(blank, "select current_user, current_setting('search_path')")
    with blank.transaction(force_rollback=True):
        apply_objects(blank, 2, objects)
        assert _rows(blank, "select current_user, current_setting('search_path')") == before
        assert _seen(blank) == (2, 2, 2)
    assert _seen(blank) == (1, 1, 1)


def test_the_search_path_of_a_generation(blank: Connection[Any]) -> None:
    assert generation_search_path(blank, 3) == "rag_g3, rag, extensions, pg_temp"


# The whole


def test_prepare_on_a_fresh_server_from_many_places_at_once(home: Path) -> None:
    server = EmbeddedServer(home)
    server.ensure()
    urls = [server.url(name) for name in ("one", "other")] * 2
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda url: prepare(Settings.model_validate({"database": {"url": url}})), urls))
    for url in urls[:2]:
        with connect(Settings.model_validate({"database": {"url": url}})) as connection:
            assert _rows(connection, "select count(*) from pg_database where datname = 'dagster'") == [(1,)]


def test_prepare_asks_one_question_when_nothing_is_to_do(
    server: EmbeddedServer, administrator: Connection[Any], settings: Settings
) -> None:
    database = str(conninfo_to_dict(settings.database.url)["dbname"])
    administrator.execute(sql.SQL("alter database {} set log_statement = 'all'").format(sql.Identifier(database)))
    log = server.home / "data" / "server.log"
    before = log.stat().st_size
    prepare(settings)
    logged = log.read_bytes()[before:].decode()
    assert len(re.findall(r" LOG:  (?:statement|execute)", logged)) == 1
    assert "rag.migrations" in logged


def test_a_schema_of_pgvector_that_is_open_to_everybody_is_refused(server: EmbeddedServer, settings: Settings) -> None:
    database = str(conninfo_to_dict(settings.database.url)["dbname"])
    with open_session(server.url(database), role=None) as connection:
        connection.execute("grant create on schema extensions to public")
        with pytest.raises(
            ConfigurationError, match="everybody may create objects in the schema extensions"
        ) as refused:
            prepare(settings)
        remedy = re.search(r"revoke create on schema extensions from public;", str(refused.value))
        assert remedy
        connection.execute(remedy[0].encode())
        prepare(settings)
        # In older databases that is `public`, and pgvector is in it.
        connection.execute("create schema open_to_all; grant create on schema open_to_all to public")
        connection.execute("alter extension vector set schema open_to_all")
        with pytest.raises(ConfigurationError, match="schema open_to_all"):
            prepare(settings)


def test_an_administrator_is_told_exactly_what_to_run(
    server: EmbeddedServer, administrator: Connection[Any], worker_id: str
) -> None:
    database, user = f"kb_{worker_id}", f"app_{worker_id}"
    name, login = sql.Identifier(database), sql.Identifier(user)
    administrator.execute(sql.SQL("drop database if exists {} with (force)").format(name))
    administrator.execute(sql.SQL("drop role if exists {}").format(login))
    administrator.execute(sql.SQL("create role {} login nosuperuser nocreatedb nocreaterole").format(login))
    url = server.url(database).replace("postgres@", f"{user}@")
    settings = Settings.model_validate({"database": {"url": url}})
    told: list[str] = []
    for _ in range(4):
        try:
            prepare(settings)
            break
        except ConfigurationError as refused:
            where = re.search(r"Let an administrator run this in the database '(\w+)'", str(refused))
            if where is None:
                raise
            statements = re.findall(r"^  (.*;)$", str(refused), re.MULTILINE)
            with psycopg.connect(server.url(where[1]), autocommit=True) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
            told += statements
    assert told[0].startswith(f"create database {database} owner {user}")
    assert f"grant rag_writer to {user};" in told
    assert "create extension vector schema extensions;" in told
    with connect(settings) as connection:
        assert _rows(connection, "select current_user::text, session_user::text") == [("rag_writer", user)]
