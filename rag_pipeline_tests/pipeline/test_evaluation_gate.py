"""The gate: what is searched worse than the baseline allows is not published, and readers notice nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.chunks import build as chunk_stage
from rag_pipeline.chunks import split
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation import GoldenSet
from rag_pipeline.evaluation.baseline import write_baseline
from rag_pipeline.evaluation.gate import GateClosed
from rag_pipeline.evaluation.run import evaluate
from rag_pipeline.model import Access, Document
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Guards, Settings
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


class Handbook:
    """A published handbook, its golden set and the baseline that was measured on it; the gate is on."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.folder
        questions = [question(topic, part) for topic in TOPICS for part in ("cleaning", "oiling")]
        (folder / "golden.jsonl").write_text("\n".join(map(json.dumps, questions)), "utf-8")
        evaluation = {"set": "golden.jsonl", "baseline": "baseline.json"}
        plain, self.world = scripted(settings, "handbook", Guards(max_deletions=1))
        for topic in TOPICS:
            self.world.documents[f"{topic}.md"] = Entry(page(topic), PUBLIC)
        plain.refresh("handbook")
        measured, _ = evaluate(plain.settings, GoldenSet.read(folder / "golden.jsonl"))
        write_baseline(folder / "baseline.json", measured)
        self.means = measured.means
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


def cut_badly(document: Document, *arguments: Any) -> list[Any]:
    """Cut every 60 tokens, wherever that is, and forget under which heading."""
    return split(replace(document, title=""), *arguments)


def test_the_fixture_can_fall(handbook: Handbook) -> None:
    assert handbook.means["recall_at_10"] > 0.9


def test_what_is_as_good_is_published(handbook: Handbook) -> None:
    handbook.world.documents["new.md"] = Entry("# New\n\nSomething else.\n", PUBLIC)
    assert handbook.pipeline.refresh("handbook").added == 1
    [row] = handbook.evaluations()
    assert (row["purpose"], row["source"], row["passed"], row["fell"]) == ("refresh", "handbook", True, [])
    assert (row["questions"], row["scored"], row["generation"]) == (16, 16, 1)
    assert row["recall_at_10"] == pytest.approx(handbook.means["recall_at_10"])
    verdict = handbook.pipeline.verdict
    assert verdict is not None
    assert verdict.passed


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
