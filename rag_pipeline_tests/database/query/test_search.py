"""Search against an oracle in Python: who may read what, and what the filters admit."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import psycopg
import pytest

from rag_pipeline.database.connection import connect
from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Filters, Hits, Index
from rag_pipeline.settings import Embedding, Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.scripted import Entry, scripted

DAY = timedelta(days=1)
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
CALLERS = [
    Caller("public"),
    Caller("user:ana", "group:eng"),
    Caller("user:eve", "group:eng", "group:hr"),
    Caller("group:hr"),
    Caller("user:stranger"),
]
TEAMS = ("core", "web", "data")


@dataclass(frozen=True)
class Page:
    """What the oracle knows of a document."""

    source: str
    name: str
    words: str
    modified_at: datetime
    metadata: Mapping[str, Any]
    allow: frozenset[str]
    deny: frozenset[str] = field(default=frozenset())

    def readable_by(self, caller: Caller) -> bool:
        return bool(self.allow & set(caller.principals)) and not self.deny & set(caller.principals)

    def admitted_by(self, filters: Filters) -> bool:
        return (
            (filters.sources is None or self.source in filters.sources)
            and (filters.modified_since is None or self.modified_at >= filters.modified_since)
            and (filters.where is None or contains(self.metadata, filters.where))
        )


def contains(value: Any, part: Any) -> bool:
    """Postgres' jsonb containment, as far as these tests need it."""
    if isinstance(part, Mapping):
        return isinstance(value, Mapping) and all(k in value and contains(value[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(value, list) and all(any(contains(v, p) for v in value) for p in part)
    return value == part


def pages() -> Iterator[Page]:
    for number in range(36):
        source = ("handbook", "minutes", "secrets")[number % 3]
        words = f"subject{number} about the rotation of key{number}"
        metadata = {"team": TEAMS[number % 4 % 3], "tags": [f"t{number % 2}", f"t{number % 5}"], "number": number}
        narrowed = ["group:eng"] if number % 2 else ["group:hr", "user:ana"] if number % 5 == 0 else ["public"]
        allow = frozenset() if source == "secrets" else frozenset(narrowed)
        deny = frozenset({"user:eve"}) if source == "minutes" else frozenset()
        yield Page(source, f"page-{number}.md", words, EPOCH + number * DAY, metadata, allow, deny)


@pytest.fixture
def workspace(settings: Settings) -> Settings:
    """Three sources: public by default, closed to one user, and without any access; all refreshed."""
    sources = [
        {"name": "handbook", "type": "files", "path": "handbook", "access": ["public"]},
        {"name": "minutes", "type": "files", "path": "minutes", "access": ["public"], "deny": ["user:eve"]},
        {"name": "secrets", "type": "files", "path": "secrets"},
    ]
    for page in pages():
        file = settings.folder / page.source / page.name
        file.parent.mkdir(exist_ok=True)
        lines = [f"{key}: {value}" for key, value in page.metadata.items()]
        lines += [f"access: [{', '.join(page.allow)}]"] if page.allow else []
        file.write_text("\n".join(["---", *lines, "---", f"# {page.name}", "", "## Part one", "", page.words, ""]))
        os.utime(file, (page.modified_at.timestamp(), page.modified_at.timestamp()))
    settings = Settings.model_validate({**settings.model_dump(), "folder": settings.folder, "sources": sources})
    pipeline = Pipeline(settings)
    for source in settings.sources:
        assert pipeline.refresh(source.name).added == 12
    return settings


def found(hits: Hits) -> set[tuple[str, str]]:
    return {(hit.source, hit.document_id) for hit in hits}


def test_search_finds_exactly_what_the_caller_may_read_and_the_filters_admit(workspace: Settings) -> None:
    everything = list(pages())
    sources = (None, ["handbook"], ["minutes", "secrets"], ["unknown"], [])
    since = (None, EPOCH + 20 * DAY, EPOCH + 99 * DAY)
    where = (None, {}, {"team": "core"}, {"tags": ["t1", "t3"]}, {"number": 7}, {"team": "core", "number": "7"})
    sizes = set()
    with Index.connect(workspace) as index:
        for caller, names, moment, part in product(CALLERS, sources, since, where):
            filters = Filters(sources=names, modified_since=moment, where=part)
            expected = {
                (page.source, page.name)
                for page in everything
                if page.readable_by(caller) and page.admitted_by(filters)
            }
            hits = index.search("rotation of a key", caller=caller, k=100, filters=filters)
            assert found(hits) == expected, (caller, filters)
            sizes.add(len(expected))
    assert len(sizes) > 8, "the cases must differ, or they show nothing"


def test_a_hit_says_where_it_comes_from(workspace: Settings) -> None:
    page = next(page for page in pages() if page.allow == {"public"} and page.source == "handbook")
    with Index.connect(workspace) as index:
        hits = index.search(page.words, caller=Caller("public"), k=3)
    assert len(hits) == 3
    hit = hits[0]
    assert (hit.source, hit.document_id, hit.title) == (page.source, page.name, page.name)
    assert hit.uri == (workspace.folder / page.source / page.name).as_uri()
    assert hit.heading_path == (page.name, "Part one")
    assert page.words in hit.text
    assert hit.text in hit.window
    assert hit.modified_at == page.modified_at
    assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", hit.chunk_id)
    body = (workspace.folder / page.source / page.name).read_text().rpartition("---\n")[2]
    assert body[hit.position :].startswith(hit.text)


def test_hits_come_nearest_first_and_fewer_are_a_prefix(workspace: Settings) -> None:
    page = next(page for page in pages() if page.source == "minutes" and "group:eng" in page.allow)
    caller = Caller("group:eng")
    with Index.connect(workspace) as index:
        ten = index.search(page.words, caller=caller, k=10)
        assert ten[0].document_id == page.name
        assert tuple(index.search(page.words, caller=caller, k=4)) == tuple(ten[:4])


def test_as_of_is_that_of_the_source_confirmed_longest_ago(workspace: Settings) -> None:
    before = datetime.now(UTC)
    Pipeline(workspace).refresh("handbook")
    with Index.connect(workspace) as index:
        of_all = index.search("key", caller=Caller("public")).as_of
        of_handbook = index.search("key", caller=Caller("public"), filters=Filters(sources=["handbook"])).as_of
        of_none = index.search("key", caller=Caller("public"), filters=Filters(sources=["unknown"])).as_of
    assert of_all is not None
    assert of_handbook is not None
    assert of_all < before <= of_handbook
    assert of_none is None
    with Index.connect(workspace) as index:
        # Not even the age of what one may not read, or that it is there.
        assert index.search("key", caller=Caller("public"), filters=Filters(sources=["secrets"])).as_of is None
        assert index.as_of() == of_all


@pytest.mark.parametrize(
    "chunk_id", ["", "nothing", "0" * 65, f"{'z' * 32}-{'0' * 32}", f"{'0' * 32}-{'0' * 32}", "ä" * 65]
)
def test_what_cannot_be_a_chunk_id_names_no_chunk(workspace: Settings, chunk_id: str) -> None:
    with Index.connect(workspace) as index:
        assert index.window(chunk_id, caller=Caller("public")) is None


def test_a_plan_leaves_nothing_behind_in_the_transaction_that_asks_for_it(workspace: Settings) -> None:
    vector = [1.0] * 64
    asked = "select rag.search_plan('key', array['public'], %s::text::halfvec, candidates => %s)"
    names = ["enable_sort", "enable_seqscan", "enable_bitmapscan", "hnsw.iterative_scan", "plan_cache_mode"]
    with connect(workspace, role="rag_reader") as connection, connection.transaction():
        # Values that are not the defaults, so that a mere reset would show as well.
        connection.execute("set local enable_sort = off; set local hnsw.iterative_scan = strict_order")
        settings = "select name, current_setting(name) from unnest(%s::text[]) as name"
        before = connection.execute(settings, [names]).fetchall()
        plans = [connection.execute(asked, [str(vector), candidates]).fetchall() for candidates in (1, 0, -1)]
        assert connection.execute(settings, [names]).fetchall() == before
    assert plans[0] == plans[1] == plans[2]
    assert plans[0][0] == ("vector: every visible chunk compared",)


def test_an_index_with_a_source_that_was_never_listed_completely_has_no_age(settings: Settings) -> None:
    whole, pages = scripted(settings, "pages")
    pages.documents = {"page.md": Entry("a key", Access(("public",)))}
    whole.refresh("pages")
    broken, tickets = scripted(settings, "tickets")
    tickets.documents, tickets.complete = {"ticket.md": Entry("another key is lost", Access(("public",)))}, False
    broken.refresh("tickets")
    with Index.connect(settings) as index:
        hits = index.search("key", caller=Caller("public"))
        assert {(hit.source, hit.stale) for hit in hits} == {("pages", False), ("tickets", True)}
        assert hits.as_of is None
        assert index.as_of() is None
        of_pages = index.search("key", caller=Caller("public"), filters=Filters(sources=["pages"])).as_of
    with connect(settings) as connection:
        rows = connection.execute("select source, as_of, stale from rag.freshness").fetchall()
        assert sorted(rows) == [("pages", of_pages, False), ("tickets", None, True)]


def test_a_change_of_access_is_seen_by_the_next_search(workspace: Settings) -> None:
    file = workspace.folder / "handbook" / "page-6.md"
    with Index.connect(workspace) as index:
        assert ("handbook", "page-6.md") in found(index.search("key6", caller=Caller("public"), k=100))
        file.write_text(file.read_text().replace("access: [public]", "access: [group:hr]"))
        Pipeline(workspace).refresh("handbook")
        assert ("handbook", "page-6.md") not in found(index.search("key6", caller=Caller("public"), k=100))
        assert ("handbook", "page-6.md") in found(index.search("key6", caller=Caller("group:hr"), k=100))


@pytest.mark.parametrize(
    ("text", "k", "message"),
    [
        (" \n", 10, "empty"),
        ("a" * 10_001, 10, "10,001 characters; at most 10,000"),
        ("key", 0, "k is 0; ask for 1 to 100"),
        ("key", 101, "k is 101; ask for 1 to 100"),
    ],
)
def test_questions_have_bounds(settings: Settings, text: str, k: int, message: str) -> None:
    with Index.connect(settings) as index, pytest.raises(ValueError, match=message):
        index.search(text, caller=Caller("public"), k=k)


def test_a_caller_must_be_named(settings: Settings) -> None:
    with Index.connect(settings) as index, pytest.raises(TypeError, match="caller"):
        index.search("key")  # pyright: ignore[reportCallIssue]


def test_hostile_text_is_only_text(workspace: Settings) -> None:
    public = {(page.source, page.name) for page in pages() if page.readable_by(Caller("public"))}
    with Index.connect(workspace) as index:
        for text in ("'); drop table rag.sources; --", "\0\ud800", "%s %(k)s", "a" * 10_000):
            filters = Filters(sources=[text], where={text: text})
            assert found(index.search(text, caller=Caller("public"), k=100)) == public
            if "\0" not in text:
                assert not index.search(text, caller=Caller("public"), filters=filters)
        with pytest.raises(ValueError, match="filters cannot be used"):
            index.search("key", caller=Caller("public"), filters=Filters(sources=["\0"]))


def test_an_empty_index_says_how_to_fill_it(settings: Settings) -> None:
    with Index.connect(settings) as index, pytest.raises(ConfigurationError, match="rag-pipeline refresh"):
        index.search("key", caller=Caller("public"))


def test_questions_are_embedded_with_the_model_of_the_index(workspace: Settings) -> None:
    other = workspace.model_copy(update={"embedding": Embedding.model_validate({"provider": "local"})})
    with Index.connect(workspace) as index:
        expected = found(index.search("key", caller=Caller("public")))
    with Index.connect(other) as index:
        assert found(index.search("key", caller=Caller("public"))) == expected
    with connect(workspace) as connection:
        connection.execute("update rag.generations set recipe = recipe - 'embedding'")
    with Index.connect(other) as index, pytest.raises(ConfigurationError, match="of the index, hashed/64, cannot be"):
        index.search("key", caller=Caller("public"))


def test_the_reader_can_neither_read_tables_nor_stay_after_the_block(workspace: Settings) -> None:
    with connect(workspace, role="rag_reader") as connection:
        for table in ("rag.quarantine", "rag.access_lists", "rag_g1.chunks", "rag_g1.documents"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select 1 from {table}".encode())
    with Index.connect(workspace) as index:
        index.search("key", caller=Caller("public"))
    with pytest.raises(TransientError, match="ask again"):
        index.search("key", caller=Caller("public"))
