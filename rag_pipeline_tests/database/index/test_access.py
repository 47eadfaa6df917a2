"""P5 at the level of SQL: what each role may do, and what a caller is shown."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pgvector import HalfVector
from psycopg import Connection, sql

from rag_pipeline.database.connection import connect, open_session, server_url
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.index.generations import use_generation
from rag_pipeline.model import Access
from rag_pipeline.settings import Settings
from rag_pipeline_tests.scripted import Entry, scripted

PRINCIPALS = ["user:ana", "user:bo", "group:eng", "group:hr", "public"]
ACCESSES = {
    f"{number}.md": Access.of(allow, deny)
    for number, (allow, deny) in enumerate(
        (allow, deny)
        for allow in ([], ["public"], ["group:eng"], ["group:hr", "user:ana"], ["user:bo"])
        for deny in ([], ["user:bo"], ["group:eng"])
    )
}
SEARCH = "select document_id from rag.search('secret words', %s, 100, %s, 'hashed/64')"
EVERY_TABLE = """
    select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'rag' or schemaname like 'rag\\_g%'
    union all select format('%I.%I', schemaname, viewname) from pg_views where schemaname = 'rag'
"""


@pytest.fixture
def filled(settings: Settings) -> Settings:
    pipeline, world = scripted(settings, "wiki")
    for name, access in ACCESSES.items():
        world.documents[name] = Entry(f"# Page {name}\n\nsecret words of {name}\n", access)
    pipeline.refresh("wiki")
    return pipeline.settings


@pytest.fixture
def reader(filled: Settings) -> Iterator[Connection[Any]]:
    with connect(filled, role="rag_reader") as connection:
        yield connection


def may_read(caller: set[str]) -> set[str]:
    """The rule, in plain Python."""
    everyone = caller | {"public"}
    return {name for name, a in ACCESSES.items() if everyone & set(a.allow) and not everyone & set(a.deny)}


def found(reader: Connection[Any], principals: list[str] | None) -> set[str]:
    question = HalfVector(HashedEmbedder().embed_query("secret words"))
    return {row[0] for row in reader.execute(SEARCH, [principals, question])}


def test_a_caller_finds_exactly_what_it_may_read(reader: Connection[Any]) -> None:
    @hypothesis_settings(max_examples=60, deadline=None)
    @given(st.sets(st.sampled_from(PRINCIPALS), min_size=1))
    def check(caller: set[str]) -> None:
        assert found(reader, sorted(caller)) == may_read(caller)

    check()


def test_no_principals_see_nothing_not_even_what_is_public(reader: Connection[Any]) -> None:
    assert found(reader, []) == set()
    assert found(reader, None) == set()


def test_principals_are_values_not_text(reader: Connection[Any]) -> None:
    assert found(reader, ["user:x,public,group:hr"]) == may_read({"user:x"})
    assert found(reader, ["{group:hr}"]) == may_read({"user:x"})


def test_a_reader_may_only_call_the_search_functions(reader: Connection[Any], connection: Connection[Any]) -> None:
    tables = [row[0] for row in connection.execute(EVERY_TABLE)]
    assert len(tables) > 15
    for table in tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(sql.SQL("select count(*) from {}").format(sql.SQL(table)))  # pyright: ignore
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("select rag.visible_acl_ids(array['group:hr'])")


def test_a_reader_cannot_put_tables_in_the_way(reader: Connection[Any]) -> None:
    before = found(reader, ["user:ana"])
    for statement in (
        "create temp table generations as select 'hashed/64' as model, 'live' as state",
        "create temp table access_lists as select 1 as acl_id, array['public'] as allow, array[]::text[] as deny",
    ):
        try:
            reader.execute(statement)  # pyright: ignore[reportArgumentType]
        except psycopg.errors.InsufficientPrivilege:
            continue
    assert found(reader, ["user:ana"]) == before


def test_another_model_is_refused(reader: Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="embedded with other/64, the index with hashed/64"):
        reader.execute("select rag.search('x', array['public'], 9, %s, 'other/64')", [HalfVector([0.1] * 64)])
    with pytest.raises(psycopg.errors.DataException, match="different halfvec dimensions"):
        reader.execute("select rag.search('x', array['public'], 9, %s, 'hashed/64')", [HalfVector([0.1] * 32)])


def test_a_vector_of_another_size_cannot_enter_the_index(filled: Settings) -> None:
    with connect(filled) as writer:
        use_generation(writer, 1)
        with pytest.raises(psycopg.errors.DataException, match="expected 64 dimensions, not 3"):
            writer.execute("update chunk_vectors set embedding = '[1,2,3]'")


def test_an_analyst_sees_what_the_table_of_principals_says(filled: Settings, administrator: Connection[Any]) -> None:
    user = "analyst_of_the_tests"
    name = sql.Identifier(user)
    administrator.execute(sql.SQL("drop role if exists {}").format(name))
    administrator.execute(sql.SQL("create role {} login in role rag_analyst").format(name))
    try:
        with open_session(server_url(filled, "rag"), role=None) as owner:
            owner.execute("insert into rag.analyst_principals values (%s, 'group:hr'), (%s, 'user:bo')", [user, user])
            owner.execute(sql.SQL("set session authorization {}").format(name))
            expected = may_read({"group:hr", "user:bo"})
            for view in ("rag.documents", "rag.sections", "rag.chunks"):
                rows = owner.execute(sql.SQL("select document_id from {}").format(sql.SQL(view)))  # pyright: ignore
                assert {row[0] for row in rows} == expected, view
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute("insert into rag.analyst_principals values (current_user, 'group:eng')")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute("select * from rag_g1.chunk_vectors")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute("select * from rag.access_lists")
            owner.execute("reset session authorization")
            owner.execute("delete from rag.analyst_principals where database_user = %s", [user])
            owner.execute(sql.SQL("set session authorization {}").format(name))
            assert owner.execute("select count(*) from rag.chunks").fetchone() == (0,)
    finally:
        administrator.execute(sql.SQL("drop role {}").format(name))


def test_no_role_of_the_pipeline_is_above_the_rules(connection: Connection[Any]) -> None:
    rows = connection.execute(
        "select rolname, rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname like 'rag\\_%' order by 1"
    ).fetchall()
    assert rows == [(f"rag_{role}", False, False, False) for role in ("analyst", "owner", "reader", "writer")]


@pytest.mark.parametrize("vector", ["[0,0,0]", "[2,0,0]", "[0.1,0.1,0.1]"])
def test_a_vector_that_is_not_of_unit_length_cannot_be_stored(connection: Connection[Any], vector: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("insert into rag.embedding_store values ('m', '\\x00', %s::halfvec, 1)", [vector])
