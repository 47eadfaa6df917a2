"""The `sql` source on a real server: one snapshot, nothing but tokens in a listing, no ghost and no silence."""

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import Access, DocumentRef, ListingEnd
from rag_pipeline.settings import Settings, SqlSettings
from rag_pipeline.sources.contract import assert_source_contract
from rag_pipeline.sources.sql import FETCHED_ONE_BY_ONE, SqlSource
from rag_pipeline.sources.ticket import Ticket
from rag_pipeline_tests.unit.sources.listings import PUBLIC, listing

QUERY = "select * from help.tickets order by id"
Execute = Callable[..., Any]


@pytest.fixture
def url(settings: Settings) -> str:
    return settings.database.url


@pytest.fixture
def execute(url: str) -> Iterator[Execute]:
    """Write to the database that the source reads, beside it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema help")
        connection.execute(
            "create table help.tickets (id bigint primary key, title text, body text, views int default 0, "
            "updated_at timestamptz default '2024-05-01 12:00+02', readers text[] default '{public}', data jsonb)"
        )
        yield connection.execute


@pytest.fixture
def three(execute: Execute) -> None:
    execute("insert into help.tickets (id, title, body) select n, 'T' || n, 'text ' || n from generate_series(1, 3) n")


def source(url: str | None, query: str = QUERY, **more: Any) -> SqlSource:
    return SqlSource(
        SqlSettings.model_validate({"name": "x", "type": "sql", "url": url, "query": query, **PUBLIC, **more})
    )


def problem(url: str | None, query: str = QUERY, **more: Any) -> str:
    with closing(source(url, query, **more)) as rows, pytest.raises(ConfigurationError) as caught:
        rows.check()
    return str(caught.value)


def fetched(rows: SqlSource, ref: DocumentRef) -> Ticket:
    return Ticket.from_bytes(rows.fetch(ref))


@pytest.mark.usefixtures("three")
def test_it_keeps_the_contract(url: str, execute: Execute) -> None:
    assert_source_contract(
        lambda: source(url), remove=lambda name: execute("delete from help.tickets where id = %s", [int(name)])
    )


def test_a_row_becomes_a_ticket_of_what_is_mapped(url: str, execute: Execute) -> None:
    execute(
        "insert into help.tickets (id, title, body, readers, data) values (7, '100%% {sure}', 'b', '{group:a}', %s)",
        ['{"state": "open", "tags": ["x", "y"], "said": [{"author": "ana", "body": "hm", "created_at": "2024"}]}'],
    )
    fields = {
        "state": "data.state",
        "labels": "data.tags",
        "comments": "data.said",
        "updated_at": "updated_at",
        "access": "readers",
        "metadata": {"title_again": "title"},
    }
    with closing(source(url, QUERY + ";", fields=fields)) as rows:
        ref = listing(rows).documents["7"]
        ticket = fetched(rows, ref)
    assert (ref.uri, ref.modified_at) == ("sql:x#7", datetime(2024, 5, 1, 10, tzinfo=UTC))
    assert ref.access == Access(("group:a",))
    assert (ticket.title, ticket.body, ticket.state, ticket.labels) == ("100% {sure}", "b", "open", ("x", "y"))
    assert [comment.body for comment in ticket.comments] == ["hm"]
    assert ticket.updated_at == "2024-05-01T10:00:00+00:00"
    assert ticket.metadata == {"title_again": "100% {sure}"}


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    "query",
    [
        "select id, title, body from help.tickets where body like '%text%' and id % 2 = 1 -- odd ones",
        "with t as (select * from help.tickets) select id, title, body from t where id <> 2 ;\n",
        "select id, title, body as \"100% {body} %s\", body from help.tickets where title ~ '[13]'",
    ],
)
def test_any_select_will_do(url: str, query: str) -> None:
    with closing(source(url, query, fields={"body": "100% {body} %s"} if "{body}" in query else {})) as rows:
        rows.check()
        found = listing(rows)
        assert set(found.documents) == {"1", "3"}
        assert fetched(rows, found.documents["3"]).body == "text 3"


@pytest.mark.usefixtures("three")
def test_a_version_changes_with_what_is_mapped_and_with_nothing_else(url: str, execute: Execute) -> None:
    def versions(**more: Any) -> dict[str, Any]:
        with closing(source(url, **more)) as rows:
            return {name: ref.version for name, ref in listing(rows).documents.items()}

    before = versions()
    execute("update help.tickets set views = 99")
    assert versions() == before
    execute("update help.tickets set body = 'new' where id = 2")
    after = versions()
    assert {name for name in before if before[name] != after[name]} == {"2"}
    swapped = versions(fields={"title": "body", "body": "title"})
    assert not set(swapped.values()) & set(after.values())


@pytest.mark.usefixtures("three")
def test_the_spelling_of_values_is_the_same_whatever_the_server_is_set_to(url: str, execute: Execute) -> None:
    query = "select *, interval '1 day 2 hours' as age, '\\x00ff'::bytea as raw from help.tickets"
    fields = {"updated_at": "updated_at", "metadata": {"age": "age", "raw": "raw"}}

    def found() -> Any:
        with closing(source(url, query, fields=fields)) as rows:
            return listing(rows)

    before = found()
    (database,) = execute("select current_database()").fetchone()
    for setting in ("timezone = 'Asia/Tokyo'", "intervalstyle = sql_standard", "bytea_output = escape"):
        execute(f'alter database "{database}" set {setting}')
    assert found() == before


@pytest.mark.usefixtures("three")
def test_a_listing_is_one_snapshot(url: str, execute: Execute) -> None:
    """A writer that moves rows about while they are listed changes nothing of what is listed."""
    execute("insert into help.tickets (id, title) select n, 'T' from generate_series(4, 5000) n")
    with closing(source(url)) as rows:
        items = rows.list()
        first = next(items)
        execute("delete from help.tickets where id > 4000")
        execute("insert into help.tickets (id, title) values (9999, 'late')")
        execute("update help.tickets set id = id + 100000 where id between 2000 and 3000")
        rest = list(items)
    assert isinstance(first, DocumentRef)
    assert rest[-1] == ListingEnd(complete=True)
    assert [first.document_id, *(ref.document_id for ref in rest if isinstance(ref, DocumentRef))] == [
        str(n) for n in range(1, 5001)
    ]


def test_no_listing_mixes_two_commits(url: str, execute: Execute) -> None:
    """While each commit rewrites all rows."""
    execute("insert into help.tickets (id, title) select n, '0' from generate_series(1, 300) n")
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for turn in range(10_000):
                connection.execute("update help.tickets set title = %s", [str(turn)])
                if stop.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        query = "select id, title, timestamptz '2024-01-01 00:00Z' + title::int * interval '1s' as at from help.tickets"
        for _ in range(10):
            with closing(source(url, query, fields={"updated_at": "at"})) as rows:
                assert len({ref.modified_at for ref in listing(rows).documents.values()}) == 1
    finally:
        stop.set()
        writer.join()


def test_ids_of_every_kind(url: str, execute: Execute) -> None:
    odd = ["", " ", "a'b\"c", "../x", "%s", "é e\u0301", "x" * 3000, "A", "a", "new\nline", "1 "]
    execute("create table help.odd (id text, title text)")
    for id_ in [*odd, None]:
        execute("insert into help.odd values (%s, %s)", [id_, f"title of {id_}"])
    with closing(source(url, "select * from help.odd")) as rows:
        found = listing(rows)
        assert found.end.complete
        assert set(found.documents) == {id_ for id_ in odd if id_.strip()}
        assert len(found.failures) == 3
        assert all("has no id" in reason for reason in found.failures.values())
        for name, ref in found.documents.items():
            assert fetched(rows, ref).title == f"title of {name}"


@pytest.mark.parametrize(
    ("column", "id_"),
    [
        ("gen_random_uuid()", None),
        ("'2024-01-01 10:00'::timestamp", "2024-01-01T10:00:00"),
        ("'ab'::char(5)", "ab   "),
        ("'\"j\"'::json", "j"),
        ("12::numeric", "12"),
        ("'{\"a\": 5}'::jsonb", "5"),
    ],
)
def test_ids_of_every_type_can_be_fetched(url: str, execute: Execute, column: str, id_: str | None) -> None:
    execute(f"create table help.typed as select {column} as id, 'T' as title")
    fields = {"id": "id.a"} if "jsonb" in column else {}
    with closing(source(url, "select * from help.typed", fields=fields)) as rows:
        ((name, ref),) = listing(rows).documents.items()
        assert id_ in (name, None)
        assert fetched(rows, ref).title == "T"


def test_twins_are_left_to_the_framework(url: str) -> None:
    query = "select 1 as id, 'a' as title union all select 1, 'b'"
    with closing(source(url, query)) as rows:
        *twins, end = rows.list()
    assert end == ListingEnd(complete=True)
    assert [twin.document_id for twin in twins if isinstance(twin, DocumentRef)] == ["1", "1"]


def test_many_rows_are_listed_and_fetched_in_flat_memory(url: str, execute: Execute) -> None:
    """20,000 rows of 4 kB are 80 MB; neither a listing nor the fetching of some of them holds a quarter of it."""
    execute(
        "insert into help.tickets (id, title, body) select n, 'T', repeat('text ' || n % 7, 650) "
        "from generate_series(1, 20000) n"
    )
    tracemalloc.start()
    try:
        with closing(source(url)) as rows:
            refs = [ref for ref in rows.list() if isinstance(ref, DocumentRef) and int(ref.document_id) <= 50]
            assert tracemalloc.get_traced_memory()[1] < 8_000_000
            assert all(len(rows.fetch(ref)) > 3900 for ref in refs)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("three")
def test_after_the_first_few_all_rows_are_read_at_once(url: str, execute: Execute) -> None:
    """Seen from outside: the rows that are deleted after that are still at hand."""
    execute("insert into help.tickets (id, title) select n, 'T' || n from generate_series(4, 200) n")
    with closing(source(url)) as rows:
        refs = list(listing(rows).documents.values())
        assert len(refs) == 200
        few, next_one, others = refs[:FETCHED_ONE_BY_ONE], refs[FETCHED_ONE_BY_ONE], refs[FETCHED_ONE_BY_ONE + 1 :]
        for ref in few:
            rows.fetch(ref)
        execute("delete from help.tickets where id = %s", [others[-1].document_id])
        rows.fetch(next_one)
        execute("delete from help.tickets")
        for ref in others[:-1]:
            assert fetched(rows, ref).title == f"T{ref.document_id}"
        with pytest.raises(DocumentError, match="no longer returns"):
            rows.fetch(others[-1])
        assert listing(rows).documents == {}
        with pytest.raises(DocumentError, match="no longer returns"):
            rows.fetch(few[0])


@pytest.mark.usefixtures("three")
def test_what_changed_after_the_listing_is_not_passed_off_as_what_was_listed(url: str, execute: Execute) -> None:
    with closing(source(url)) as rows:
        ref = listing(rows).documents["2"]
        execute("update help.tickets set body = 'new' where id = 2")
        with pytest.raises(DocumentError, match="'2': changed since it was listed"):
            rows.fetch(ref)
        execute("delete from help.tickets where id = 2")
        with pytest.raises(DocumentError, match="'2': the query no longer returns this row"):
            rows.fetch(ref)
        with pytest.raises(DocumentError, match="no longer returns"):
            rows.fetch(replace(ref, document_id="no number"))


def test_a_row_that_is_too_large_or_says_nothing_is_a_failure_of_its_own(url: str, execute: Execute) -> None:
    execute("insert into help.tickets (id, title, body) values (2, '', null), (3, 'T', '')")
    execute("insert into help.tickets (id, title, body) values (1, 'T', repeat('x', 50000001))")
    with closing(source(url)) as rows:
        found = listing(rows)
        assert found.end.complete
        assert list(found.failures) == ["1"]
        assert "more than the 50,000,000 allowed" in found.failures["1"]
        with pytest.raises(DocumentError, match="'2': says nothing"):
            rows.fetch(found.documents["2"])
        assert fetched(rows, found.documents["3"]).title == "T"


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("readers", "granted", "expected"),
    [
        ("{group:a,user:b}", {"access": []}, Access(("group:a", "user:b"))),
        ("{group:a,user:b}", {"access": [], "deny": ["user:b"]}, Access(("group:a", "user:b"), ("user:b",))),
        ("{group:a,user:b}", {"access": ["group:a"]}, Access(("group:a",))),
        ("{public}", {"access": ["group:a"]}, Access(("group:a",))),
        ("{nonsense}", {"access": ["public"]}, Access()),
        (None, {"access": ["public"]}, Access()),
    ],
)
def test_who_may_read(url: str, execute: Execute, readers: str, granted: dict[str, Any], expected: Access) -> None:
    execute("update help.tickets set readers = %s", [readers])
    with closing(source(url, fields={"access": "readers"}, **granted)) as rows:
        assert {ref.access for ref in listing(rows).documents.values()} == {expected}


def test_a_connection_that_is_killed_ends_the_listing_incomplete(url: str, execute: Execute) -> None:
    execute("insert into help.tickets (id, title) select n, 'T' from generate_series(1, 5000) n")
    with closing(source(url)) as rows:
        items = rows.list()
        next(items)
        execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'rag-pipeline' and datname = current_database()"
        )
        *_, end = items
        assert isinstance(end, ListingEnd)
        assert not end.complete
        assert "Postgres says: " in str(end.reason)
        assert len(listing(rows).documents) == 5000, "the source connects again"


def test_a_query_that_fails_on_the_way_ends_the_listing_incomplete(url: str, execute: Execute) -> None:
    execute("insert into help.tickets (id, title) select n, 'T' from generate_series(1, 5000) n")
    with closing(source(url, "select id, (10 / (4000 - id))::text as title from help.tickets order by id")) as rows:
        found = listing(rows)
        assert (found.end.complete, len(found.documents)) == (False, 3000)
        assert "division by zero" in str(found.end.reason)
        for ref in list(found.documents.values())[:FETCHED_ONE_BY_ONE]:
            rows.fetch(ref)
        with pytest.raises(TransientError, match="division by zero"):
            rows.fetch(found.documents["3000"])


@pytest.mark.parametrize(
    ("query", "more", "message"),
    [
        ("selec 1", {}, "query: Postgres says: syntax error"),
        ("select * from help.nowhere", {}, 'query: Postgres says: relation "help.nowhere" does not exist'),
        ("select title from help.tickets", {}, "fields.id: the query has no column 'id'; it has: title"),
        (QUERY, {"fields": {"state": "stat"}}, "fields.state: the query has no column 'stat'"),
        (QUERY, {"fields": {"metadata": {"a": "b.c"}}}, "fields.metadata.a: the query has no column 'b'"),
        ("select id, views from help.tickets", {}, "fields: neither title nor body nor comments"),
        ("select id, id, title from help.tickets", {}, "query: two columns are named 'id'"),
        ("delete from help.tickets returning *", {}, "query: Postgres says: syntax error"),
    ],
)
@pytest.mark.usefixtures("three")
def test_check_names_the_setting_and_the_remedy(url: str, query: str, more: dict[str, Any], message: str) -> None:
    assert problem(url, query, **more).startswith(f"rag.toml: sources[x].{message}")


@pytest.mark.usefixtures("three")
def test_it_cannot_write(url: str, execute: Execute) -> None:
    execute("create function help.wipe() returns int language sql as 'delete from help.tickets returning 1'")
    with closing(source(url, "select id, title, help.wipe() as body from help.tickets")) as rows:
        end = listing(rows).end
    assert not end.complete
    assert "read-only transaction" in str(end.reason)


def test_a_server_that_is_away_is_an_outage(url: str) -> None:
    with closing(source("postgresql://nobody@127.0.0.1:1/none")) as rows:
        with pytest.raises(TransientError, match="does not take the connection now"):
            rows.check()
        assert not listing(rows).end.complete
    assert "correct the url or its rights" in problem(url.replace("@", "_nobody@"))


def test_a_password_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    for secret in ("postgresql://u:hun@ter2@127.0.0.1:1/x", "postgresql://u:hun/ter2@127.0.0.1:1/x", "hunter2 = x"):
        monkeypatch.setenv("PLACE", secret)
        message = problem(None, url_env="PLACE")
        assert message.startswith("rag.toml: sources[x].url_env: is no URL")
        assert "ter2" not in message
    monkeypatch.setenv("PLACE", "postgresql://u:hunter2@127.0.0.1:1/x")
    with closing(source(None, url_env="PLACE")) as rows:
        assert "hunter2" not in str(listing(rows).end.reason)
    monkeypatch.delenv("PLACE")
    assert "the environment variable PLACE is not set" in problem(None, url_env="PLACE")


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ({}, "exactly one"),
        ({"url": "postgresql://a@b/c", "url_env": "X"}, "exactly one"),
        ({"url": "postgresql://a:secret@b/c"}, "no password"),
        ({"url": "postgresql://a@b/c?password=secret"}, "no password"),
    ],
)
def test_settings_say_where_once_and_without_a_password(urls: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SqlSettings.model_validate({"name": "x", "type": "sql", "query": "q", **urls})
