"""Two runs compared question by question, the file between them, and the report about them."""

import html
import json
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation.answers import Threshold
from rag_pipeline.evaluation.baseline import read_baseline, write_baseline
from rag_pipeline.evaluation.compare import compare
from rag_pipeline.evaluation.report import markdown, write_report
from rag_pipeline.evaluation.results import METRICS, RETRIEVAL, Evaluation, Gone
from rag_pipeline_tests.unit.evaluation.results import evaluation, result

AT = datetime(2026, 1, 2, tzinfo=UTC)
SHARE = st.integers(0, 1000).map(lambda number: number / 1000) | st.sampled_from((1 / 3, 2 / 3, 5 / 7, 1 / 1.585))
RUNS = st.dictionaries(
    st.text("abc-é", min_size=1, max_size=4), st.dictionaries(st.sampled_from(METRICS), SHARE), min_size=1, max_size=8
)


def test_means_are_compared_over_the_questions_that_both_have() -> None:
    before = {"a": {"mrr": 1.0}, "b": {"mrr": 1.0, "abstention": 1.0}, "old": {"mrr": 0.0}}
    after = evaluation({"a": {"mrr": 0.5}, "b": {"mrr": 1.0}, "new": {"mrr": 0.0}})
    verdict = compare(before, after, 0.2)
    [mrr] = verdict.means
    assert (mrr.metric, mrr.questions, mrr.before, mrr.after, mrr.fallen) == ("mrr", 2, 1, 0.75, 0.25)
    assert -0.5 <= mrr.low <= -0.25 <= mrr.high <= 0
    assert (verdict.new, verdict.missing) == (("new",), ("old",))
    [fell] = verdict.fell
    assert (fell.question, fell.scores, verdict.rose) == ("a", {"mrr": (1, 0.5)}, ())
    assert not verdict.passed
    assert verdict.explained() == "mrr from 1.000 to 0.750 (at most 0.2 is allowed); questions that fell: a"
    assert compare(before, after, 0.25).passed


def test_what_fell_most_comes_first() -> None:
    before = {id: {"mrr": 1.0} for id in "abc"}
    after = evaluation({"a": {"mrr": 0.9}, "b": {"mrr": 0.1}, "c": {"mrr": 0.5}})
    assert [change.question for change in compare(before, after, 1).fell] == ["b", "c", "a"]


@given(RUNS)
@settings(max_examples=25, deadline=None)
def test_what_was_written_is_read_and_no_run_is_worse_than_itself(scores: dict[str, dict[str, float]]) -> None:
    run = evaluation(scores, "writer")
    with TemporaryDirectory() as folder:
        write_baseline(Path(folder) / "baseline.json", run)
        baseline = read_baseline(Path(folder) / "baseline.json")
    assert baseline.questions == {id: pytest.approx(each, abs=1e-6) for id, each in scores.items()}
    verdict = compare(baseline.questions, run, 0)
    assert verdict.passed
    assert verdict.fell == verdict.rose == verdict.new == verdict.missing == ()


@given(RUNS, RUNS, SHARE)
@settings(max_examples=25, deadline=None)
def test_a_gate_that_lets_a_drop_through_lets_a_smaller_one_through(
    before: dict[str, dict[str, float]], after: dict[str, dict[str, float]], allowed: float
) -> None:
    verdict = compare(before, evaluation(after), allowed)
    assert verdict.passed == all(mean.before - mean.after <= allowed + 1e-5 for mean in verdict.means)
    assert all(mean.low <= mean.after - mean.before <= mean.high or mean.questions > 1 for mean in verdict.means)
    if verdict.passed:
        assert compare(before, evaluation(after), min(1, allowed + 0.1)).passed
    mirrored = compare(after, evaluation(before), 1)
    assert {change.question for change in mirrored.rose if change.fallen} >= {
        change.question for change in verdict.fell
    }


@given(st.integers(0, 12), st.integers(0, 12), st.sampled_from((0, 0.3, 0.999, 1)))
@settings(max_examples=25, deadline=None)
def test_nothing_passes_of_which_most_questions_are_lost_unless_any_drop_is_allowed(
    kept: int, lost: int, allowed: float
) -> None:
    before = {f"{kind}{number}": {"mrr": 1.0} for kind, count in (("k", kept), ("l", lost)) for number in range(count)}
    sign = Gone("l", "docs:b.md", "its source lost it on 2026-01-01")
    results = tuple(
        result(id, {}, (sign,)) if id.startswith("l") else result(id, scores) for id, scores in before.items()
    )
    verdict = compare(before, Evaluation(results, "model"), allowed)
    assert (verdict.compared, len(verdict.lost)) == (kept, lost)
    assert verdict.passed == (kept >= lost or allowed == 1)
    if not verdict.passed:
        assert f"of {kept + lost} questions only {kept} can be compared" in verdict.explained()
        assert "**Not judged**: of" in markdown(Evaluation(results, "model"), verdict, None, AT)
    # Neither what the baseline had no score of, nor what is new, nor what is still awaited, is lost.
    assert compare({id: {"abstention": 1.0} for id in before}, Evaluation(results, "model"), 0, RETRIEVAL).passed
    assert compare({}, Evaluation(results, "model"), 0).passed
    awaited = Gone("l", "notes:b.md", "its source is not in the index", awaited=True)
    waiting = Evaluation(tuple(result(each.id, each.scores, each.gone and (awaited,)) for each in results), "model")
    assert (compare(before, waiting, allowed).passed, compare(before, waiting, allowed).lost) == (True, ())


def test_answers_are_compared_where_the_same_model_wrote_them(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b.json", evaluation({"a": {"mrr": 1, "answer_score": 1}}, "writer"))
    baseline = read_baseline(tmp_path / "b.json")
    assert baseline.comparable(evaluation({}, "writer")) == METRICS
    assert baseline.comparable(evaluation({}, "another")) == RETRIEVAL
    assert baseline.comparable(evaluation({})) == RETRIEVAL


def test_a_baseline_is_for_people_to_read(tmp_path: Path) -> None:
    write_baseline(tmp_path / "b.json", evaluation({"b": {"mrr": 1 / 3}, "a": {"abstention": 1.0, "mrr": 1.0}}))
    assert (tmp_path / "b.json").read_text("utf-8").splitlines()[-5:] == [
        '  "questions": {',
        '    "a": {"mrr": 1.0, "abstention": 1.0},',
        '    "b": {"mrr": 0.333333}',
        "  }",
        "}",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({"format": 2, "model": "m", "answered_by": None, "prompt": None, "questions": {}}),
        json.dumps({"format": 1, "model": "m", "answered_by": None, "prompt": None, "questions": {"a": {"mrr": 7}}}),
        json.dumps({"format": 1, "model": "m", "answered_by": None, "prompt": None, "questions": {"a": {"x": 1}}}),
        json.dumps({"format": 1, "model": "m", "answered_by": None, "prompt": None, "questions": ["a"]}),
    ],
)
def test_what_is_no_baseline_is_refused_with_how_to_write_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match="no baseline of this version; write one anew: rag-pipeline eval"):
        read_baseline(tmp_path / "b.json")
    with pytest.raises(ConfigurationError, match=r"cannot be read.*write one: rag-pipeline eval --write-baseline"):
        read_baseline(tmp_path / "missing.json")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_baseline(tmp_path / "no" / "folder.json", evaluation({}))


def test_a_summary_gives_means_of_those_who_have_a_score() -> None:
    run = evaluation({"a": {"mrr": 1, "ndcg_at_10": 0.5}, "b": {"mrr": 0}, "c": {"abstention": 1}})
    found = run.summary()
    assert (found["questions"], found["scored"], found["mrr"], found["ndcg_at_10"]) == (3, 2, 0.5, 0.5)
    assert (found["abstention"], found["answer_score"], found["tokens"]) == (1, None, 9)
    assert (found["latency_p50"], found["latency_p95"]) == (0.01, 0.01)
    assert Evaluation((), "model").summary()["latency_p50"] is None


def test_a_report_says_all_of_it_and_nothing_in_it_is_markup(tmp_path: Path) -> None:
    sign = Gone("x|y", "docs:<script>alert(1)</script>", "its source lost it on 2026-01-01")
    good, gone = result("b", {"mrr": 1.0}, evidence=0.9), result("x|y", {"abstention": 1}, (sign,))
    run = Evaluation((result("a", {"mrr": 0.0}), good, gone), "model")
    verdict = compare({"a": {"mrr": 1.0}, "b": {"mrr": 0.5}, "old": {"mrr": 1.0}}, run, 0.02)
    text = markdown(run, verdict, Threshold(0.8, 0.9, 0.7), AT)
    for heading in ("Figures", "Where the first expected place stands", "Questions that fell", "Questions that rose"):
        assert f"## {heading}\n" in text
    for heading in ("In the baseline alone", "Not found at all", "Gone, and not counted", "When to abstain"):
        assert f"## {heading}\n" in text
    assert "**Worse than the baseline allows**" in text
    assert "| mrr | 0.500 | 0.750 | -0.250 | " in text
    assert "█" in text
    assert r"docs:\<script>" in text
    assert "x\\|y" in text
    write_report(tmp_path / "r.html", run, verdict, None)
    page = (tmp_path / "r.html").read_text("utf-8")
    assert page.count("<table>") == 5
    assert "<script>" not in page
    write_report(tmp_path / "r.md", run, None, None)
    assert (tmp_path / "r.md").read_text("utf-8").startswith("# Evaluation\n")
    with pytest.raises(ConfigurationError, match="the report cannot be written"):
        write_report(tmp_path / "no" / "r.md", run, None, None)


@given(st.text("\\`*_[]<>|~&#+-=.!$:;\"'()1amp \n", min_size=1, max_size=12).filter(str.strip))
@settings(max_examples=200, deadline=None)
def test_what_a_report_quotes_is_read_as_it_was_said(said: str) -> None:
    """In a cell of a table, and in a list of ids."""
    page = MarkdownIt("commonmark").enable("table")
    report = markdown(evaluation({said: {"mrr": 0.0}}), compare({}, evaluation({said: {}}), 0), None, AT)
    shown = html.escape(" ".join(said.split())).replace("&#x27;", "'")
    rendered = page.render(report)
    assert f"<td>{shown}</td>" in rendered
    assert f"<p>By id: {shown}</p>" in rendered
