"""What was kept outside of the database is shown again only to those who may read all that it was made from, now."""

from itertools import combinations
from typing import Any

import pytest
from psycopg import Connection

from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Settings
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

PUBLIC, ENGINEERS, NOT_EVE = Access.of(["public"]), Access.of(["group:eng"]), Access.of(["public"], ["user:eve"])
CALLERS = [Caller("public"), Caller("user:ana", "group:eng"), Caller("user:eve", "group:eng")]


@pytest.fixture
def wiki(settings: Settings) -> tuple[ScriptedPipeline, World]:
    pipeline, world = scripted(settings, "wiki")
    for name, access in {"public": PUBLIC, "engineers": ENGINEERS, "all but eve": NOT_EVE}.items():
        world.documents[f"{name}.md"] = Entry(f"# {name}\n\nA page of engines for {name}.\n", access)
    pipeline.refresh("wiki")
    return pipeline, world


def chunk_ids(pipeline: ScriptedPipeline) -> dict[str, str]:
    with Index.connect(pipeline.settings) as index:
        hits = [hit for caller in CALLERS for hit in index.search("engines", caller=caller)]
    return {hit.document_id: hit.chunk_id for hit in hits}


def may_read(settings: Settings, chunks: list[Any] | None, *principals: str) -> Any:
    with connect(settings, role="rag_reader") as reader:
        asked = {"chunk_ids": chunks, "principals": list(principals)}
        return reader.execute(statements("search")["may_read"], asked).fetchone()


def test_all_must_be_readable(wiki: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = wiki
    chunks = chunk_ids(pipeline)
    assert len(chunks) == 3
    for caller in CALLERS:
        for size in range(4):
            for names in combinations(chunks, size):
                expected = all(
                    set(world.documents[name].access.allow) & set(caller.principals)
                    and not set(world.documents[name].access.deny) & set(caller.principals)
                    for name in names
                )
                answer = may_read(pipeline.settings, [chunks[name] for name in names], *caller.principals)
                assert answer == (expected,), (caller, names)


def test_what_is_gone_changed_or_closed_since_may_not_be_read(wiki: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = wiki
    chunks = chunk_ids(pipeline)
    world.documents["public.md"].text = "# public\n\nAnother page of engines.\n"
    del world.documents["engineers.md"]
    world.documents["all but eve.md"].access = ENGINEERS
    pipeline.refresh("wiki")
    assert may_read(pipeline.settings, [chunks["public.md"]], "public") == (False,)
    assert may_read(pipeline.settings, [chunks["engineers.md"]], "group:eng") == (False,)
    assert may_read(pipeline.settings, [chunks["all but eve.md"]], "public") == (False,)
    assert may_read(pipeline.settings, [chunks["all but eve.md"]], "group:eng") == (True,)


def test_what_cannot_be_a_chunk_may_be_read_by_nobody(wiki: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = wiki
    chunks = chunk_ids(pipeline)
    for named in ("", "x", "0" * 65, "../../etc", "%", "z" * 32 + "-" + "z" * 32, None):
        assert may_read(pipeline.settings, [named], "public") == (False,)
        assert may_read(pipeline.settings, [chunks["public.md"], named], "public") == (False,)
    assert may_read(pipeline.settings, None, "public") == (False,)
    assert may_read(pipeline.settings, list(chunks.values())) == (False,), "nobody is asking"


def test_a_deployment_is_its_database(settings: Settings, administrator: Connection[Any]) -> None:
    """A reader knows it, and another database on the same server is another one."""
    statement = statements("search")["deployment"]
    with connect(settings, role="rag_reader") as reader:
        here = reader.execute(statement).fetchone()
        assert here == reader.execute(statement).fetchone()
    assert here is not None
    assert len(here[0]) > 8
    assert administrator.execute(statement).fetchone() != here
