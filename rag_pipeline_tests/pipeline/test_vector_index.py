"""The graph over the vectors is made when it is needed, mended when it is broken, and never in the way."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from psycopg import Connection

from rag_pipeline.database.connection import open_session, server_url
from rag_pipeline.index import vector_index
from rag_pipeline.index.vector_index import GraphState
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Retrieval, Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.processes import PROCESSES
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

PUBLIC = Access(("public",))
WHOLE = "select indisvalid from pg_index where indexrelid = to_regclass('rag_g1.chunk_vectors_graph')"


@pytest.fixture
def small(settings: Settings) -> tuple[ScriptedPipeline, World]:
    """A pipeline whose searches take the graph above twenty chunks."""
    retrieval = Retrieval.model_validate({"exact_up_to": 20})
    pipeline, world = scripted(settings.model_copy(update={"retrieval": retrieval}), "pages")
    world.documents = {
        f"{number}.md": Entry(f"# Page {number}\n\nIt is about {number}.", PUBLIC) for number in range(15)
    }
    return pipeline, world


def whole(pipeline: ScriptedPipeline) -> Any:
    with pipeline.connected() as connection:
        row = connection.execute(WHOLE).fetchone()
    return row and row[0]


def test_the_graph_is_made_above_the_bound_and_searches_take_it(small: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = small
    pipeline.refresh("pages")
    assert whole(pipeline) is None
    world.documents |= {f"{n}.md": Entry(f"# Page {n}\n\nIt is about {n}.", PUBLIC) for n in range(15, 120)}
    pipeline.refresh("pages")
    assert whole(pipeline) is True
    with Index.connect(pipeline.settings) as index:
        hits = index.search("about 77", caller=Caller("public"), k=5, explain=True)
    assert hits.explanation
    assert hits.explanation.paths["vector"]["path"] == "graph"
    assert any("77" in hit.text for hit in hits)


def test_a_broken_graph_is_built_anew(small: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = small
    world.documents |= {f"{n}.md": Entry(f"# Page {n}\n\nIt is about {n}.", PUBLIC) for n in range(15, 40)}
    pipeline.refresh("pages")
    with open_session(server_url(pipeline.settings), role=None) as administrator:
        administrator.execute(
            "update pg_index set indisvalid = false where indexrelid = 'rag_g1.chunk_vectors_graph'::regclass"
        )
    with Index.connect(pipeline.settings) as index:
        hits = index.search("about 7", caller=Caller("public"), explain=True)
    assert hits.explanation
    assert hits.explanation.paths["vector"]["path"] == "every visible chunk compared"
    assert pipeline.vector_index() == "build"
    assert whole(pipeline) is True
    assert pipeline.vector_index() is None


def test_only_one_process_builds(small: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = small
    world.documents |= {f"{n}.md": Entry(f"# Page {n}\n\nIt is about {n}.", PUBLIC) for n in range(15, 40)}
    published = pipeline.refresh("pages")
    assert published.generation == 1
    with open_session(server_url(pipeline.settings), role=None) as other:
        other.execute("drop index rag_g1.chunk_vectors_graph")
        other.execute("select pg_advisory_lock(hashtextextended('rag-pipeline graph rag_g1', 0))")
        assert pipeline.vector_index() is None
    assert pipeline.vector_index() == "build"


def test_what_fails_for_a_group_leaves_the_graph_over_all(
    small: tuple[ScriptedPipeline, World], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipeline, world = small
    world.documents |= {f"{n}.md": Entry(f"# Page {n}\n\nIt is about {n}.", PUBLIC) for n in range(15, 40)}

    def fails(connection: Connection[Any], *_: Any) -> bool:
        connection.execute("select 1 / 0")
        return True

    monkeypatch.setattr(vector_index, "maintain_group_graphs", fails)
    pipeline.refresh("pages")
    assert whole(pipeline) is True
    assert "the graph of a group could not be built" in caplog.text
    assert pipeline.vector_index(mend=True) is None


def build(settings: Settings) -> None:
    """What a process that will be killed does."""
    Pipeline(settings).vector_index()


def test_a_killed_build_ends_with_its_client_and_is_made_up_for(small: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = small
    pipeline.refresh("pages")
    building = "select count(*) from pg_stat_progress_create_index where datname = current_database()"
    with open_session(server_url(pipeline.settings), role=None) as administrator:
        administrator.execute("set session_replication_role = replica; set search_path = rag_g1, extensions")
        administrator.execute(
            "insert into chunk_vectors select number, number, 1, "
            "(select array_agg(sin(number * place))::real[] from generate_series(1, 64) as place)::halfvec "
            "from generate_series(1000, 41000) as number"
        )
        administrator.execute("update keyword_state set chunks = 40000")
        killed = PROCESSES.Process(target=build, args=(pipeline.settings,))
        killed.start()
        assert becomes(lambda: administrator.execute(building).fetchone() == (1,)), "the build never began"
        assert killed.pid
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
        assert becomes(lambda: administrator.execute(building).fetchone() == (0,)), "it went on without its client"
        assert whole(pipeline) is False
        administrator.execute("delete from chunk_vectors where chunk_key > 2000")
    assert pipeline.vector_index() == "build"
    assert whole(pipeline) is True


def becomes(true: Callable[[], bool]) -> bool:
    """Whether something becomes true, on however slow a machine."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("state", "mend", "step"),
    [
        (GraphState(10, False, False, 64, 0.0), True, None),
        (GraphState(21, False, False, 64, 0.0), False, "build"),
        (GraphState(21, True, False, 64, 0.0), False, "build"),
        (GraphState(10, True, False, 64, 0.0), False, "build"),
        (GraphState(21, True, True, 64, 0.5), False, None),
        (GraphState(21, True, True, 64, 0.5), True, "rebuild"),
        (GraphState(21, True, True, 64, 0.05), True, None),
    ],
)
def test_what_is_to_be_done_follows_from_the_state(state: GraphState, mend: bool, step: str | None) -> None:
    assert state.next_step(20, mend) == step


def test_memory_is_given_by_size() -> None:
    assert GraphState(100, False, False, 384, 0.0).megabytes == 64
    assert 600 < GraphState(500_000, False, False, 384, 0.0).megabytes < 900
