"""This project's own golden set, asked of its own documentation and code with the default model: what CI measures.

It is as good as the baseline that lies beside it, and a bad chunker would be stopped: by the gate in a refresh, and by
`eval` where the gate is off.
"""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rag_pipeline.cli import main
from rag_pipeline.database.connection import connect
from rag_pipeline.evaluation import read_golden_set
from rag_pipeline.evaluation.gate import GateClosed
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.bad_chunking import cut_badly
from rag_pipeline_tests.comparison import published_rows

TOP = Path(__file__).resolve().parents[2]
MAX_DROP = 0.05
"""Room for a page that is rewritten before the baseline is; six questions of a hundred and twenty."""
BADLY_CUT = 6
"""Documents that are cut badly in one refresh: those of which most is asked."""


@pytest.fixture
def repository(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what this repository indexes, of its code only the files that are asked for, and its golden set."""
    folder = settings.folder
    asked = Counter(
        (place.source, place.document)
        for question in read_golden_set(TOP / "evals" / "golden.jsonl")
        for place in question.expected
    )
    shutil.copytree(TOP / "docs", folder / "docs")
    shutil.copytree(TOP / "evals", folder / "evals")
    code = [document for source, document in asked if source == "code"]
    for name in (*(page.name for page in TOP.glob("*.md")), "rag.toml", *code):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, folder / name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RAG_DATABASE__URL", settings.database.url)
    return folder


def measured(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(main, ["eval", "--set", "evals/golden.jsonl", "--json", *arguments])
    assert result.stdout, result.output
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.timeout(600)
def test_the_golden_set_is_answered_as_well_as_the_baseline_and_bad_chunking_is_stopped(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = ("--baseline", "evals/baseline.json", "--max-drop", str(MAX_DROP))
    pipeline = Pipeline(Settings.load())
    for source in pipeline.settings.sources:
        assert pipeline.refresh(source.name).quarantined == 0
    code, good = measured(*gate)
    assert code == 0, good["comparison"]["means"]
    assert good["gone"] == []

    # A chunker that forgets headings and cuts every 60 tokens, met by pages that change.
    places = [result["places"] for result in good["results"]]
    asked = Counter(place.removeprefix("docs:").split(" > ")[0] for each in places for place in each)
    pages = [page for page, _ in asked.most_common() if page.startswith("docs/")][:BADLY_CUT]
    for page in pages:
        with (repository / page).open("a") as file:
            file.write("\nReviewed.\n")
    monkeypatch.setattr("rag_pipeline.chunks.build.split", cut_badly)
    for key, value in (("SET", "evals/golden.jsonl"), ("BASELINE", "evals/baseline.json"), ("MAX_DROP", MAX_DROP)):
        monkeypatch.setenv(f"RAG_EVALUATION__{key}", str(value))
    gated = Pipeline(Settings.load())
    gated.embedder = pipeline.embedder
    with connect(gated.settings) as connection, gated.connected() as inside:
        before = published_rows(inside)
        with pytest.raises(GateClosed, match="source docs: nothing was published") as closed:
            gated.refresh("docs")
        assert published_rows(inside) == before
        [row] = connection.execute(
            "select passed, cardinality(fell) from rag.evaluations where purpose = 'refresh'"
        ).fetchall()
    fell = closed.value.verdict.fell
    assert row == (False, len(fell))
    assert len(fell) >= 10
    assert measured(*gate)[0] == 0

    # Without a gate it lands, and fails the build.
    pipeline.refresh("docs")
    code, bad = measured(*gate)
    assert code == 1
    assert not bad["comparison"]["passed"]
    assert bad["recall_at_10"] < good["recall_at_10"] - 2 * MAX_DROP
