"""Doubts about the gate: what it must not keep back, what it must not wave through, what it must not break."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from psycopg import Connection

from rag_pipeline.database.connection import connect
from rag_pipeline.embeddings import Embedder, Vector
from rag_pipeline.errors import PermanentError, TransientError
from rag_pipeline.evaluation import GoldenSet
from rag_pipeline.evaluation.candidate import trial
from rag_pipeline.evaluation.gate import GateClosed
from rag_pipeline.evaluation.measure import measure
from rag_pipeline.evaluation.run import evaluate_unpublished
from rag_pipeline.index.generations import use_generation
from rag_pipeline.migration import Migration
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Settings
from rag_pipeline_tests.comparison import published_rows
from rag_pipeline_tests.pipeline.test_evaluation_gate import PUBLIC, TOPICS, Handbook, page
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline

SMITHS = Access.of(["group:smiths"])


@pytest.fixture
def handbook(settings: Settings) -> Handbook:
    return Handbook(settings)


def found(handbook: Handbook, *principals: str) -> set[str]:
    """Return the documents that a caller finds when asking for all of them."""
    with Index.connect(handbook.settings, log=False, cache=False) as index:
        return {hit.document_id for hit in index.search("who plans oiling", caller=Caller(*principals), k=50)}


def spoil(handbook: Handbook) -> None:
    """Make the next refresh worse than the baseline allows."""
    for topic in TOPICS[:3]:
        text = (
            f"# {topic.title()}\n\nTo be written: who plans {topic} oiling, {topic} greasing and the {topic} itself.\n"
        )
        handbook.world.documents[f"{topic}.md"] = Entry(text, PUBLIC)


def test_a_closed_gate_keeps_nobody_reading_what_was_deleted_or_shut(handbook: Handbook) -> None:
    documents = handbook.world.documents
    assert found(handbook, "public") == set(documents)
    spoil(handbook)
    del documents["hinge.md"]
    documents["gasket.md"].access = SMITHS
    documents["anchor.md"].access = SMITHS
    documents["moved.md"] = Entry(documents.pop("flange.md").text, Access.of(["public"], ["user:eve"]))
    with pytest.raises(GateClosed):
        handbook.pipeline.refresh("handbook")
    left = {f"{topic}.md" for topic in TOPICS}
    assert found(handbook, "public") == left - {"hinge.md", "gasket.md", "anchor.md"}
    assert found(handbook, "user:eve") == left - {"hinge.md", "gasket.md", "anchor.md", "flange.md"}
    assert found(handbook, "group:smiths") == left - {"hinge.md"}

    with pytest.raises(GateClosed):
        handbook.pipeline.refresh("handbook")
    published = handbook.allowing(1).refresh("handbook")
    assert published.withheld == 0
    assert found(handbook, "public") == set(documents) - {"gasket.md", "anchor.md"}
    assert handbook.pipeline.verify("handbook").equal


class Silent:
    """A model that answers no more."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def embed_query(self, text: str) -> Vector:
        raise TransientError("the model does not answer")

    def embed(self, *_: Any, **__: Any) -> Any:
        raise TransientError("the model does not answer")


def test_a_model_that_does_not_answer_keeps_nobody_reading_what_was_shut(handbook: Handbook) -> None:
    documents = handbook.world.documents
    model = handbook.pipeline.embedder
    handbook.pipeline.embedder = cast("Embedder", Silent(model))
    del documents["hinge.md"]
    documents["gasket.md"].access = SMITHS
    # The questions of the gate have no vectors.
    with pytest.raises(TransientError, match="does not answer"):
        handbook.pipeline.refresh("handbook")
    assert found(handbook, "public") == set(documents) - {"gasket.md"}
    # A new text has none.
    documents["new.md"] = Entry("# New\n\nWho plans oiling of what is new?\n", PUBLIC)
    documents["flange.md"].access = SMITHS
    with pytest.raises(TransientError, match="does not answer"):
        handbook.pipeline.refresh("handbook")
    assert found(handbook, "public") == set(documents) - {"gasket.md", "flange.md", "new.md"}

    handbook.pipeline.embedder = model
    assert handbook.pipeline.refresh("handbook").removed == 1
    assert handbook.pipeline.verify("handbook").equal


def test_to_measure_a_generation_that_is_built_keeps_no_refresh_and_no_other_measurement_waiting(
    handbook: Handbook,
) -> None:
    embedding = handbook.settings.embedding.model_copy(update={"dimensions": 96})
    migration = Migration(handbook.settings.model_copy(update={"embedding": embedding}))
    migration.pipeline = ScriptedPipeline(migration.pipeline.settings, {"handbook": handbook.world})
    migration.start()
    golden = GoldenSet.read(handbook.settings.folder / "golden.jsonl")
    handbook.world.documents["new.md"] = Entry("# New\n\nSomething else.\n", PUBLIC)
    with ThreadPoolExecutor(2) as pool, connect(handbook.settings) as connection, connection.transaction():
        use_generation(connection, 2)
        with trial(connection, 1, 2):
            measured = pool.submit(evaluate_unpublished, handbook.settings, golden, 2)
            assert measured.result(timeout=240)[0].means["recall_at_10"] == 1
            assert pool.submit(handbook.pipeline.refresh, "handbook").result(timeout=240).added == 1


def test_what_was_not_re_ranked_is_not_judged(handbook: Handbook) -> None:
    broken = {"rerank": True, "rerank_url": "http://127.0.0.1:9/rerank", "rerank_seconds": 1}
    settings = handbook.settings.model_copy(update={"retrieval": handbook.settings.retrieval.model_copy(update=broken)})
    handbook.world.documents["new.md"] = Entry("# New\n\nSomething else.\n", PUBLIC)
    with pytest.raises(
        TransientError, match=r"source handbook: nothing was published.*question anchor-cleaning was not re-ranked"
    ):
        ScriptedPipeline(settings, {"handbook": handbook.world}).refresh("handbook")
    assert handbook.evaluations() == []
    measured = measure(settings, settings.folder / "golden.jsonl", None, 0, answers=False)
    assert measured.notes == ("16 of 16 questions were not re-ranked, though they ought to be: see the log",)


def test_nothing_stays_of_a_closed_gate_or_of_a_session_that_dies_while_it_is_asked(
    handbook: Handbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state() -> list[Any]:
        with handbook.pipeline.connected() as connection:
            queries = (
                "select revision, snapshot_id, confirmed_id, failure from rag.generation_sources",
                "select count(*), max(refresh_id) from rag.refreshes",
                "select count(*) from rag.tombstones",
                "select count(*) from rag.quarantine",
                "select count(*) from rag.snapshots where manifest is not null",
            )
            return [published_rows(connection), *(connection.execute(query).fetchall() for query in queries)]

    def closed() -> bool:
        with connect(handbook.settings, role="rag_analyst") as analyst:
            [row] = analyst.execute("select gate_closed_since, oldest_unpublished_change from rag.freshness").fetchall()
        assert (row[0] is None) == (row[1] is None)
        return row[0] is not None

    def dying(connection: Connection[Any], *_: Any) -> None:
        with connect(handbook.settings, role=None) as administrator:
            administrator.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))
        connection.execute("select 1")

    before = state()
    handbook.world.documents["new.md"] = Entry("# New\n\nSomething else.\n", PUBLIC)
    with monkeypatch.context() as patch:
        patch.setattr("rag_pipeline.evaluation.gate.judge", dying)
        with pytest.raises(TransientError, match="went away"):
            handbook.pipeline.refresh("handbook")
    assert state() == before
    assert handbook.evaluations() == []

    spoil(handbook)
    for _ in range(2):
        with pytest.raises(GateClosed):
            handbook.pipeline.refresh("handbook")
        assert state() == before
        assert closed()
    # What it was closed for is put right.
    for topic in TOPICS[:3]:
        handbook.world.documents[f"{topic}.md"] = Entry(page(topic), PUBLIC)
    published = handbook.pipeline.refresh("handbook")
    assert (published.added, published.changed) == (1, 0)
    assert not closed()
    assert [row["passed"] for row in handbook.evaluations()] == [False, False, True]


def test_a_copy_of_what_is_expected_hides_nothing(handbook: Handbook) -> None:
    documents = handbook.world.documents
    for topic in TOPICS:
        documents[f"a-copy-of-{topic}.md"] = Entry(documents[f"{topic}.md"].text, PUBLIC)
    assert handbook.pipeline.refresh("handbook").added == len(TOPICS)


@pytest.mark.parametrize("follows", [False, True])
def test_a_migration_gives_nothing_back_that_a_closed_gate_has_hidden(handbook: Handbook, follows: bool) -> None:
    embedding = handbook.settings.embedding.model_copy(update={"dimensions": 96})
    migration = Migration(handbook.settings.model_copy(update={"embedding": embedding}))
    migration.pipeline = ScriptedPipeline(migration.pipeline.settings, {"handbook": handbook.world})
    migration.start()
    spoil(handbook)
    del handbook.world.documents["hinge.md"]
    handbook.world.documents["gasket.md"].access = SMITHS
    with pytest.raises(GateClosed):
        handbook.pipeline.refresh("handbook")
    hidden = found(handbook, "public")
    with pytest.raises(PermanentError, match="not every source is there"):
        migration.publish()
    if follows:
        migration.start()
    assert migration.publish(force=not follows).live == 2
    assert found(handbook, "public") == hidden == {f"{topic}.md" for topic in TOPICS} - {"hinge.md", "gasket.md"}
