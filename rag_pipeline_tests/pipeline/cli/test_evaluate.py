"""The verb `eval`: its figures, its exit codes, and what it writes."""

import json
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.database.connection import connect
from rag_pipeline.migration import Migration
from rag_pipeline.settings import Settings
from rag_pipeline_tests.chat_server import MODEL, Asked, chat_server
from rag_pipeline_tests.pipeline.cli.test_verbs import answer, refreshed, run

KEYS = {
    *("questions", "recall_at_10", "mrr", "ndcg_at_10", "answer_score", "abstention", "citation_precision"),
    *("latency_p50", "latency_p95", "tokens", "cost_usd"),
}
TOPICS = ("anchor", "brass", "copper")


def question(topic: str, caller: str = "public", **more: Any) -> dict[str, Any]:
    place = {"expected": [{"source": "docs", "document": f"{topic}.md"}], "keywords": [topic]}
    return {"id": topic, "question": f"what is the {topic} for", "caller": [caller]} | (more or place)


PLACE: dict[str, Any] = {"expected": [{"source": "docs", "document": "anchor.md"}], "keywords": ["anchor"]}


@pytest.fixture
def folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that is indexed, with a golden set; one of its documents is for smiths."""
    folder = settings.folder
    (folder / "rag.toml").write_text(
        f'[database]\nurl = "{settings.database.url}"\n[embedding]\nprovider = "hashed"\n'
        '[[sources]]\nname = "docs"\ntype = "files"\npath = "docs"\naccess = ["public"]\n'
    )
    (folder / "docs").mkdir()
    for topic in TOPICS:
        access = "access: [group:smiths]\n" if topic == "brass" else ""
        text = f"---\ntitle: {topic}\n{access}---\n# {topic}\n\nWhat the {topic} is for: {topic} things.\n"
        (folder / "docs" / f"{topic}.md").write_text(text)
    questions = [
        question("anchor"),
        question("brass", "group:smiths"),
        question("copper"),
        question("salary", unanswerable=True),
    ]
    (folder / "golden.jsonl").write_text("\n".join(map(json.dumps, questions)))
    monkeypatch.chdir(folder)
    refreshed()
    return folder


def test_a_set_is_scored_compared_reported_and_written_down(folder: Path) -> None:
    first = answer("eval --set golden.jsonl --write-baseline baseline.json")
    assert first.keys() >= KEYS
    assert (first["questions"], first["scored"], first["recall_at_10"], first["answer_score"]) == (4, 3, 1, 1)
    assert (first["comparison"], first["gone"], first["answered_by"]) == (None, [], None)
    assert {result["id"] for result in first["results"]} == {*TOPICS, "salary"}

    same = answer("eval --set golden.jsonl --baseline baseline.json --report report.html")
    assert same["comparison"]["passed"]
    assert same["comparison"]["fell"] == []
    assert "<h1>Evaluation</h1>" in (folder / "report.html").read_text()

    # The document is there, and says nothing of it any more; another is gone, and takes no part.
    (folder / "docs" / "anchor.md").write_text("# Nothing\n\nTo be written.\n")
    (folder / "docs" / "copper.md").unlink()
    (folder / "rag.toml").write_text(
        (folder / "rag.toml").read_text()
        + '[evaluation]\nset = "golden.jsonl"\nbaseline = "baseline.json"\nmax_drop = 1\n'
    )
    refreshed()
    worse = answer("eval --max-drop 0.1", code=1)
    assert [gone["question"] for gone in worse["gone"]] == ["copper"]
    assert "anchor" in {change["question"] for change in worse["comparison"]["fell"]}
    assert worse["comparison"]["max_drop"] == 0.1
    assert answer("eval --no-answers")["comparison"]["passed"]

    said = run("eval --max-drop 0.1 --report report.md")
    assert said.exit_code == 1
    assert "fell: anchor (what is the anchor for): " in said.stderr
    assert "copper: docs:copper.md takes no part: its source lost it on 20" in said.stderr
    assert "worse than the baseline allows: " in said.stderr
    assert "baseline" in said.stdout
    assert "## Gone, and not counted" in (folder / "report.md").read_text()

    with connect(Settings.load()) as connection:
        rows = connection.execute(
            "select purpose, passed, scored, max_drop from rag.evaluation_history order by evaluation_id"
        ).fetchall()
    assert rows == [
        ("eval", None, 3, None),
        ("eval", True, 3, 0.02),
        ("refresh", True, 2, 1),
        ("eval", False, 2, 0.1),
        ("eval", True, 2, 1),
        ("eval", False, 2, 0.1),
    ]
    with connect(Settings.load(), role="rag_analyst") as analyst:
        assert analyst.execute("select count(*) from rag.evaluation_history").fetchone() == (6,)
        with pytest.raises(Exception, match="permission denied"):
            analyst.execute("select results from rag.evaluations")


def test_a_generation_that_is_built_is_measured_before_it_is_published(folder: Path) -> None:
    before = answer("eval --set golden.jsonl --no-answers --no-rerank --write-baseline baseline.json")
    with (folder / "rag.toml").open("a") as file:
        file.write("[chunking]\nmax_tokens = 64\n")
    Migration(Settings.load()).start()
    found = answer("eval --set golden.jsonl --generation 2 --baseline baseline.json")
    assert found["comparison"]["passed"]
    assert (found["scored"], found["recall_at_10"], found["abstention"]) == (3, before["recall_at_10"], None)
    with connect(Settings.load()) as connection:
        states = connection.execute("select state from rag.generations order by generation").fetchall()
        rows = connection.execute("select generation, purpose from rag.evaluations order by evaluation_id").fetchall()
    assert states == [("live",), ("building",)]
    assert rows == [(1, "eval"), (2, "eval")]
    said = run("eval --set golden.jsonl --generation 1")
    assert said.exit_code == 2
    assert "generation 1 cannot be measured: only generation 2 is being built" in said.stderr


def test_a_model_answers_and_judges(folder: Path) -> None:
    def reply(asked: Asked) -> str:
        if "the accepted answer" in asked.instructions:
            return "3"
        return f"It is an anchor [{asked.tag}-1]."

    questions = [question("anchor", answer="It is an anchor.", **PLACE), question("salary", unanswerable=True)]
    (folder / "golden.jsonl").write_text("\n".join(map(json.dumps, questions)))
    with chat_server(reply) as service:
        quoted = answer("eval --set golden.jsonl --write-baseline quoted.json")
        keys = [f"{key} = {json.dumps(value)}\n" for key, value in service.settings().items()]
        with (folder / "rag.toml").open("a") as file:
            file.write("".join(["[answers]\n", *keys]))
        found = answer("eval --set golden.jsonl --write-baseline baseline.json")
        unjudged = answer("eval --set golden.jsonl --no-judge --baseline baseline.json")
        other = answer("eval --set golden.jsonl --no-judge --baseline quoted.json")
    assert (quoted["answered_by"], quoted["judge_score"], quoted["tokens"]) == (None, None, 0)
    assert found["answered_by"].startswith(MODEL)
    assert (found["judge_score"], found["answer_score"]) == (0.75, 1)
    assert (found["abstention"], found["citation_recall"]) == (0.5, 1)
    assert found["tokens"] == 240
    assert found["cost_usd"] > 0
    assert unjudged["judge_score"] is None
    assert {mean["metric"] for mean in unjudged["comparison"]["means"]} >= {"answer_score", "mrr"}
    assert {mean["metric"] for mean in other["comparison"]["means"]} == {"recall_at_10", "mrr", "ndcg_at_10"}
    assert other["notes"][0].startswith("answers are not compared: those of the baseline are by nobody")
    with connect(Settings.load()) as connection:
        rows = connection.execute(
            "select purpose, count(*) from rag.usage_ledger where purpose <> 'index' group by 1 order by 1"
        ).fetchall()
    assert rows == [("answer", 6), ("judge", 1)]


def test_what_was_found_is_kept_for_a_while_and_figures_for_good(folder: Path) -> None:
    answer("eval --set golden.jsonl")
    with connect(Settings.load()) as connection:
        connection.execute("update rag.evaluations set at = at - interval '31 days'")
    answer("eval --set golden.jsonl")
    with connect(Settings.load()) as connection:
        kept = connection.execute("select results is not null, questions from rag.evaluations order by 1").fetchall()
        assert kept == [(False, 4), (True, 4)]
        connection.execute("update rag.evaluations set at = at - interval '31 days'")
    answer("housekeeping")
    with connect(Settings.load()) as connection:
        assert connection.execute("select count(results), count(*) from rag.evaluations").fetchone() == (0, 2)


def test_two_evaluations_are_compared_by_their_ids(folder: Path) -> None:
    first = answer("eval --set golden.jsonl --write-baseline baseline.json")
    (folder / "docs" / "anchor.md").write_text("# Nothing\n\nTo be written.\n")
    (folder / "docs" / "copper.md").unlink()
    refreshed()
    by_file = answer("eval --set golden.jsonl --baseline baseline.json --max-drop 1")
    found = answer(f"eval compare {first['evaluation_id']} {by_file['evaluation_id']}")
    assert found.keys() == by_file.keys()
    for name in ("new", "missing", "lost", "passed", "compared"):
        assert found["comparison"][name] == by_file["comparison"][name]
    assert {each["question"] for each in found["comparison"]["fell"]} >= {"anchor"}
    before = {each["id"]: each["scores"] for each in first["results"]}
    for change in found["comparison"]["fell"]:
        for metric, pair in change["scores"].items():
            now = {each["id"]: each["scores"] for each in by_file["results"]}[change["question"]][metric]
            assert pair == [before[change["question"]][metric], now]
    assert [each["question"] for each in found["gone"]] == ["copper"]
    # What was written down is all there again.
    one, other = (sorted(each["results"], key=lambda result: result["id"]) for each in (by_file, found))
    assert one == other
    assert found["notes"] == []

    (folder / "golden.jsonl").write_text(json.dumps(question("anchor")))
    other = answer("eval --set golden.jsonl")["evaluation_id"]
    said = run(f"eval compare {first['evaluation_id']} {other}")
    assert said.exit_code == 0
    assert f"evaluation {other}: 1 questions" in said.stdout
    assert "fell: anchor (what is the anchor for): " in said.stderr
    assert "the golden set is another one" in said.stderr
    assert "in the baseline, and not asked (3)" in said.stderr

    with connect(Settings.load()) as connection:
        connection.execute("update rag.evaluations set results = null where evaluation_id = %s", (other,))
    for id, why in ((other, "is too old"), (99, "is not there")):
        said = run(f"eval compare {first['evaluation_id']} {id}")
        assert said.exit_code == 2
        assert f"evaluation {id} {why}" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "say which questions: --set F, or set = … in [evaluation]"),
        ("--set missing.jsonl", "the golden set cannot be read"),
        ("--set golden.jsonl --baseline missing.json", "the baseline cannot be read"),
        ("--set golden.jsonl --baseline other.json", "other.json has none of the questions of golden.jsonl"),
        ("--set golden.jsonl --report report.pdf", "ends neither in .md nor in .html"),
        ("--set golden.jsonl --max-drop 2", "2.0 is not in the range"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, arguments: str, said: str
) -> None:
    monkeypatch.chdir(settings.folder)
    (settings.folder / "rag.toml").write_text(f'[database]\nurl = "{settings.database.url}"\n')
    (settings.folder / "golden.jsonl").write_text(json.dumps(question("anchor")))
    other = {"format": 1, "model": "", "answered_by": None, "prompt": None, "questions": {"brass": {"mrr": 1}}}
    (settings.folder / "other.json").write_text(json.dumps(other))
    result = run(f"eval {arguments}")
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_empty_index_says_how_to_fill_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(settings.folder)
    (settings.folder / "rag.toml").write_text(f'[database]\nurl = "{settings.database.url}"\n')
    (settings.folder / "golden.jsonl").write_text(json.dumps(question("anchor")))
    result = run("eval --set golden.jsonl")
    assert result.exit_code == 2
    assert "nothing is indexed yet; fill the index with: rag-pipeline refresh" in result.stderr
