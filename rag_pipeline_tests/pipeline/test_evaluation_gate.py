"""The gate: what is searched worse than the baseline allows is not published, and readers notice nothing."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rag_pipeline.database.connection import connect
from rag_pipeline.defs.build import build
from rag_pipeline.defs.stage import Stages
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation import GoldenSet
from rag_pipeline.evaluation.baseline import write_baseline
from rag_pipeline.evaluation.gate import GateClosed
from rag_pipeline.evaluation.run import evaluate
from rag_pipeline.migration import Migration
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Guards, Settings
from rag_pipeline_tests.bad_chunking import cut_badly
from rag_pipeline_tests.comparison import published_rows
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

PUBLIC = Access.of(["public"])
TOPICS = ("anchor", "brass", "copper", "dynamo", "engine", "flange", "gasket", "hinge")


def page(topic: str) -> str:
    sections = "\n\n".join(
        f"## {part} of the {topic}\n\nThe {topic} needs {part} {topic}{part} every week, says the {part} plan."
        for part in ("cleaning", "oiling")
    )
    return f"# {topic.title()}\n\n{sections}\n"


def question(topic: str, part: str = "oiling") -> dict[str, Any]:
    section = [topic.title(), f"{part} of the {topic}"]
    return {
        "id": f"{topic}-{part}",
        "question": f"who plans {part} of the {topic}",
        "caller": ["public"],
        "expected": [{"source": "handbook", "document": f"{topic}.md", "section": section}],
    }


def write_questions(folder: Path, questions: list[dict[str, Any]]) -> None:
    (folder / "golden.jsonl").write_text("\n".join(map(json.dumps, questions)), "utf-8")


class Handbook:
    """A published handbook, its golden set and the baseline that was measured on it; the gate is on."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.folder
        write_questions(folder, [question(topic, part) for topic in TOPICS for part in ("cleaning", "oiling")])
        evaluation = {"set": "golden.jsonl", "baseline": "baseline.json"}
        plain, self.world = scripted(settings, "handbook", Guards(max_deletions=1))
        for topic in TOPICS:
            self.world.documents[f"{topic}.md"] = Entry(page(topic), PUBLIC)
        plain.refresh("handbook")
        measured, _ = evaluate(plain.settings, GoldenSet.read(folder / "golden.jsonl"))
        write_baseline(folder / "baseline.json", measured)
        assert measured.means["recall_at_10"] == 1
        self.settings = Settings.model_validate(
            plain.settings.model_dump() | {"folder": folder, "evaluation": evaluation}
        )
        self.pipeline = self.allowing(0.02)

    def allowing(self, max_drop: float) -> ScriptedPipeline:
        allowed = self.settings.evaluation.model_copy(update={"max_drop": max_drop})
        settings = self.settings.model_copy(update={"evaluation": allowed})
        return ScriptedPipeline(settings, {"handbook": self.world})

    def evaluations(self) -> list[dict[str, Any]]:
        with self.pipeline.connected() as connection:
            rows = connection.execute(
                "select to_jsonb(evaluations) from rag.evaluations order by evaluation_id"
            ).fetchall()
        return [row for (row,) in rows]


@pytest.fixture
def handbook(settings: Settings) -> Handbook:
    return Handbook(settings)


def test_what_is_as_good_is_published(handbook: Handbook) -> None:
    handbook.world.documents["new.md"] = Entry("# New\n\nSomething else.\n", PUBLIC)
    assert handbook.pipeline.refresh("handbook").added == 1
    [row] = handbook.evaluations()
    assert (row["purpose"], row["source"], row["passed"], row["fell"]) == ("refresh", "handbook", True, [])
    assert (row["questions"], row["scored"], row["generation"]) == (16, 16, 1)
    assert row["recall_at_10"] == 1
    assert handbook.pipeline.verdict
    assert handbook.pipeline.verdict.passed
    # Nothing is asked where nothing changes.
    handbook.pipeline.refresh("handbook")
    assert handbook.pipeline.verdict is None
    assert len(handbook.evaluations()) == 1

    (handbook.settings.folder / "baseline.json").unlink()
    handbook.world.documents["newer.md"] = Entry("# Newer\n\nSomething else.\n", PUBLIC)
    with pytest.raises(ConfigurationError, match="rag-pipeline eval --write-baseline FILE"):
        handbook.pipeline.refresh("handbook")


def test_what_is_worse_is_not_published_and_named(handbook: Handbook) -> None:
    for topic in TOPICS[:3]:
        handbook.world.documents[f"{topic}.md"] = Entry(f"# {topic.title()}\n\nTo be written.\n", PUBLIC)
    with handbook.pipeline.connected() as connection:
        before = published_rows(connection)
    with pytest.raises(GateClosed, match=r"source handbook: nothing was published.*recall_at_10 from 1\.000") as closed:
        handbook.pipeline.refresh("handbook")
    fell = {f"{topic}-{part}" for topic in TOPICS[:3] for part in ("cleaning", "oiling")}
    assert {change.question for change in closed.value.verdict.fell} == fell
    with handbook.pipeline.connected() as connection:
        assert published_rows(connection) == before
    [row] = handbook.evaluations()
    assert not row["passed"]
    assert set(row["fell"]) == fell
    assert set(row["results"]) == {f"{topic}-{part}" for topic in TOPICS for part in ("cleaning", "oiling")}
    # The way out that the error names.
    assert handbook.allowing(1).refresh("handbook").changed == 3


def test_what_its_source_lost_or_its_caller_may_not_read_is_no_regression(handbook: Handbook) -> None:
    del handbook.world.documents["anchor.md"]
    handbook.world.documents["brass.md"] = Entry(page("brass"), Access.of(["group:smiths"]))
    handbook.world.documents["pewter.md"] = handbook.world.documents.pop("copper.md")
    assert handbook.pipeline.refresh("handbook").removed == 1
    verdict = handbook.pipeline.verdict
    assert verdict is not None
    assert verdict.passed
    why = {gone.question: gone.why for gone in verdict.gone}
    assert why.keys() == {f"{topic}-{part}" for topic in TOPICS[:3] for part in ("cleaning", "oiling")}
    assert why["anchor-oiling"].startswith("its source lost it on 20")
    assert why["brass-oiling"] == "its caller may not read it any more"
    assert why["copper-oiling"] == "no document has this name; if it was renamed, correct the golden set"
    assert {mean.questions for mean in verdict.means} == {10}


def test_documents_that_are_renamed_do_not_open_the_gate(handbook: Handbook) -> None:
    documents = handbook.world.documents

    def rename(*topics: str) -> None:
        for topic in topics:
            documents[f"manual/{topic}.md"] = documents.pop(f"{topic}.md")

    # Half of the questions are left, and are enough to judge by.
    rename(*TOPICS[:4])
    assert handbook.pipeline.refresh("handbook").moved == 4
    verdict = handbook.pipeline.verdict
    assert verdict is not None
    assert (verdict.passed, verdict.compared, len(verdict.lost)) == (True, 8, 8)

    # One more, and something else, which might be worse: nobody could tell.
    rename(TOPICS[4])
    documents["new.md"] = Entry("# New\n\nSomething else.\n", PUBLIC)
    with handbook.pipeline.connected() as connection:
        before = published_rows(connection)
    with pytest.raises(GateClosed, match=r"of 16 questions only 6 can be compared.*correct the golden set") as closed:
        handbook.pipeline.refresh("handbook")
    assert "source handbook: nothing was published" in str(closed.value)
    assert "RAG_EVALUATION__MAX_DROP=1 rag-pipeline refresh --source handbook" in str(closed.value)
    assert "nothing can be judged" in str(closed.value)
    with handbook.pipeline.connected() as connection:
        assert published_rows(connection) == before
    assert [row["passed"] for row in handbook.evaluations()] == [True, False]

    # With the new names the old baseline judges all of it again.
    questions = [question(topic, part) for topic in TOPICS for part in ("cleaning", "oiling")]
    for each in questions:
        [place] = each["expected"]
        if f"manual/{place['document']}" in documents:
            place["document"] = f"manual/{place['document']}"
    write_questions(handbook.settings.folder, questions)
    published = handbook.pipeline.refresh("handbook")
    assert (published.moved, published.added, published.texts_embedded) == (1, 1, 0)
    verdict = handbook.pipeline.verdict
    assert verdict is not None
    assert (verdict.passed, verdict.compared, verdict.lost) == (True, 16, ())

    rename(*TOPICS[5:])
    for topic in TOPICS[:5]:
        documents[f"guide/{topic}.md"] = documents.pop(f"manual/{topic}.md")
    with pytest.raises(GateClosed, match="of 16 questions only 0 can be compared"):
        handbook.pipeline.refresh("handbook")
    # The way out that the error names.
    assert handbook.allowing(1).refresh("handbook").moved == len(TOPICS)


def test_an_index_is_filled_one_source_after_the_other_behind_the_gate(handbook: Handbook) -> None:
    questions = [question(topic, part) for topic in TOPICS for part in ("cleaning", "oiling")]
    for each in questions[4:]:
        each["expected"][0]["source"] = "manual"
    write_questions(handbook.settings.folder, questions)
    sources = (handbook.settings.sources[0].model_copy(update={"name": "manual"}), *handbook.settings.sources)
    settings = handbook.settings.model_copy(update={"sources": sources})
    pipeline = ScriptedPipeline(settings, {"handbook": handbook.world, "manual": World(dict(handbook.world.documents))})
    handbook.world.documents["new.md"] = Entry("# New\n\nSomething else.\n", PUBLIC)
    assert pipeline.refresh("handbook").added == 1
    verdict = pipeline.verdict
    assert verdict is not None
    assert (verdict.passed, verdict.compared, verdict.lost, len(verdict.gone)) == (True, 4, (), 12)
    assert pipeline.refresh("manual").added == len(TOPICS)
    verdict = pipeline.verdict
    assert verdict is not None
    assert (verdict.passed, verdict.compared, verdict.gone) == (True, 16, ())


def test_what_waits_in_quarantine_or_lost_its_section_is_expected_all_the_same(handbook: Handbook) -> None:
    for topic in TOPICS[:2]:
        text = page(topic).replace("## oiling", "## greasing")
        handbook.world.documents[f"{topic}.md"] = Entry(text, PUBLIC)
    with pytest.raises(GateClosed) as closed:
        handbook.pipeline.refresh("handbook")
    assert {change.question for change in closed.value.verdict.fell} == {"anchor-oiling", "brass-oiling"}
    assert closed.value.verdict.gone == ()


def test_bad_chunking_is_stopped_in_a_refresh_and_the_check_names_the_questions(
    handbook: Handbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(handbook.pipeline, retry_seconds=0.01)
    job = build(handbook.pipeline.settings, stages).resolve_job_def("refresh")

    def run(succeeds: bool) -> tuple[dg.ExecuteInProcessResult, dg.AssetCheckEvaluation]:
        result = job.execute_in_process(partition_key="handbook", raise_on_error=False)
        assert result.success == succeeds
        [check] = [each for each in result.get_asset_check_evaluations() if each.check_name == "retrieval_evaluation"]
        return result, check

    handbook.world.documents["new.md"] = Entry("# New\n\nSomething else.\n", PUBLIC)
    _, check = run(succeeds=True)
    assert (check.passed, check.metadata["compared"].value) == (True, 16)

    monkeypatch.setattr("rag_pipeline.chunks.build.split", cut_badly)
    for entry in handbook.world.documents.values():
        entry.text += "\nReviewed.\n"
    with handbook.pipeline.connected() as connection:
        before = published_rows(connection)
    result, check = run(succeeds=False)
    assert isinstance(stages.failure, GateClosed)
    assert (check.passed, check.blocking, check.partition) == (False, True, "handbook")
    assert check.severity == dg.AssetCheckSeverity.ERROR
    table = check.metadata["fell"]
    assert isinstance(table, dg.TableMetadataValue)
    assert {row.data["question"] for row in table.records} == set(handbook.evaluations()[1]["fell"])
    assert len(table.records) == 16
    assert check.metadata["recall_at_10"].value == 0
    # The others are of what stayed, and do not show as failed because they were not reached.
    others = {each.check_name: each for each in result.get_asset_check_evaluations()}
    assert (others["no_orphans"].passed, others["counts_match"].passed) == (True, True)
    assert others["counts_match"].metadata["documents"].value == len(TOPICS) + 1
    materialized = {
        event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key
    }
    assert "published_index" not in materialized
    with handbook.pipeline.connected() as connection:
        assert published_rows(connection) == before


def test_bad_chunking_is_not_migrated_to_and_nobody_who_searches_waits(
    handbook: Handbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunking = handbook.settings.chunking.model_copy(update={"max_tokens": 60})
    migration = Migration(handbook.settings)
    migration.pipeline = ScriptedPipeline(
        handbook.settings.model_copy(update={"chunking": chunking}), {"handbook": handbook.world}
    )
    with monkeypatch.context() as patch:
        patch.setattr("rag_pipeline.chunks.build.split", cut_badly)
        migration.start()
    done = threading.Event()

    def ask(index: Index) -> set[int]:
        found = set[int]()
        while not done.is_set():
            found.add(len(index.search("who plans oiling of the hinge", caller=Caller("public"), k=10)))
        return found

    with Index.connect(handbook.settings) as index, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, index)
        try:
            with pytest.raises(GateClosed, match=r"generation 2 is not published.*migrate publish --force"):
                migration.publish()
        finally:
            done.set()
        assert asking.result() == {10}
    with connect(handbook.settings, role=None) as administrator:
        states = administrator.execute("select generation, state from rag.generations order by 1").fetchall()
        assert states == [(1, "live"), (2, "building")]
        trials = administrator.execute("select nspname from pg_namespace where starts_with(nspname, 'rag_trial')")
        assert trials.fetchall() == []
    [row] = handbook.evaluations()
    assert (row["purpose"], row["generation"], row["passed"], len(row["fell"])) == ("migration", 2, False, 16)
    assert migration.publish(force=True).live == 2


def test_a_generation_that_is_as_good_is_migrated_to(handbook: Handbook) -> None:
    embedding = handbook.settings.embedding.model_copy(update={"dimensions": 96})
    settings = handbook.settings.model_copy(update={"embedding": embedding})
    migration = Migration(settings)
    migration.pipeline = ScriptedPipeline(settings, {"handbook": handbook.world})
    migration.start()
    assert migration.publish().live == 2
    [row] = handbook.evaluations()
    assert (row["purpose"], row["generation"], row["passed"], row["model"]) == ("migration", 2, True, "hashed/96")
