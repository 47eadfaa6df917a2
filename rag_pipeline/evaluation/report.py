"""A report of an evaluation for people: figures, plots, and what changed question by question; Markdown, or a page.

The plots are drawn with characters, so that they are the same wherever the report is read.
"""

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation.answers import Threshold
from rag_pipeline.evaluation.compare import Change, Verdict
from rag_pipeline.evaluation.results import METRICS, RETRIEVAL, Evaluation, Result
from rag_pipeline.evaluation.retrieval import DEPTH
from rag_pipeline.money import dollars

_WIDTH = 40
_SIGNS = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<|~&"})
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .2rem .8rem .2rem 0; text-align: left; }}
pre {{ line-height: 1.25; }}
</style></head><body>
{body}</body></html>
"""


def write_report(path: Path, evaluation: Evaluation, verdict: Verdict | None, threshold: Threshold | None) -> None:
    """Write a report; its form is that of the file's ending, ``.md`` or ``.html``. Raises `ConfigurationError`."""
    text = markdown(evaluation, verdict, threshold, datetime.now(UTC))
    if path.suffix == ".html":
        from markdown_it import MarkdownIt

        body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
        text = _PAGE.format(title=html.escape("Evaluation"), body=body)
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"the report cannot be written: {error}") from error


def markdown(evaluation: Evaluation, verdict: Verdict | None, threshold: Threshold | None, at: datetime) -> str:
    """Return the report as Markdown."""
    summary = evaluation.summary()
    lines = [
        "# Evaluation",
        "",
        f"{at:%Y-%m-%d %H:%M} UTC: {summary['questions']} questions, model {_plain(evaluation.model)}, answers "
        + (f"by {_plain(evaluation.answered_by)}." if evaluation.answered_by else "quoted from the passages."),
        "",
        *_conclusion(verdict),
        *_figures(evaluation, verdict),
        *_costs(evaluation),
        *_plots(evaluation, verdict),
    ]
    if threshold is not None:
        lines += [
            "## When to abstain",
            "",
            f"With min_evidence = {threshold.min_evidence:.3f}, {threshold.answered:.0%} of the questions that can be "
            f"answered are, and {threshold.declined:.0%} of the others are not.",
            "",
            *_evidence(evaluation.results),
        ]
    if verdict is not None:
        lines += [*_changes("Questions that fell", verdict.fell), *_changes("Questions that rose", verdict.rose)]
        for title, ids in (("Not in the baseline", verdict.new), ("In the baseline alone", verdict.missing)):
            if ids:
                # No id begins the line, where it might be the sign of a heading or a list.
                lines += [f"## {title}", "", f"By id: {', '.join(_plain(id) for id in ids)}", ""]
    lines += _missed(evaluation.results)
    if evaluation.gone:
        rows = ((each.question, each.place, each.why) for each in evaluation.gone)
        lines += ["## Gone, and not counted", "", *_table(("question", "place", "why"), rows)]
    return "\n".join(lines).rstrip() + "\n"


def _conclusion(verdict: Verdict | None) -> list[str]:
    if verdict is None:
        return []
    if verdict.passed:
        return [f"**Not worse than the baseline allows** (a drop of {verdict.max_drop:g}).", ""]
    outcome = "Worse than the baseline allows" if verdict.judged else "Not judged"
    return [f"**{outcome}**: {_plain(verdict.explained())}.", ""]


def _figures(evaluation: Evaluation, verdict: Verdict | None) -> list[str]:
    means = evaluation.means
    drops = {drop.metric: drop for drop in verdict.means} if verdict else {}
    rows: list[tuple[str, ...]] = []
    for metric in METRICS:
        if metric in means:
            drop = drops.get(metric)
            compared = (
                (
                    f"{drop.before:.3f}",
                    f"{-drop.fallen:+z.3f}",
                    f"{drop.low:+z.3f} to {drop.high:+z.3f}",
                    str(drop.questions),
                )
                if drop
                else ("", "", "", "")
            )
            rows.append((metric, f"{means[metric]:.3f}", *compared))
    head = ("metric", "now", "baseline", "change", "95 % interval", "questions compared")
    return ["## Figures", "", *_table(head, rows)]


def _costs(evaluation: Evaluation) -> list[str]:
    summary = evaluation.summary()
    if summary["latency_p50"] is None:
        return []
    return [
        f"A question took {summary['latency_p50'] * 1000:,.0f} ms (p50), {summary['latency_p95'] * 1000:,.0f} ms "
        f"(p95); {summary['tokens']:,} tokens, {_plain(dollars(summary['cost_usd']))} in all.",
        "",
    ]


def _plots(evaluation: Evaluation, verdict: Verdict | None) -> list[str]:
    """Draw at which hit the first expected place stands, and how the questions moved."""
    scored = [result for result in evaluation.results if any(metric in result.scores for metric in RETRIEVAL)]
    if not scored:
        return []
    first = Counter(min((rank for rank in result.ranks if rank), default=0) for result in scored)
    bars = [(f"hit {rank}", first[rank]) for rank in range(1, DEPTH + 1)] + [("none", first[0])]
    lines = ["## Where the first expected place stands", "", *_bars(bars)]
    if verdict is not None:
        still = len(scored) - len(verdict.fell) - len(verdict.rose)
        moved = [("fell", len(verdict.fell)), ("rose", len(verdict.rose)), ("as before", max(0, still))]
        lines += ["## Questions against the baseline", "", *_bars(moved)]
    return lines


def _evidence(results: Sequence[Result]) -> list[str]:
    """Draw how the evidence of both kinds of questions is spread."""
    counted: dict[float, list[int]] = {}
    for result in results:
        if result.evidence is not None and (result.places or not result.gone):
            counted.setdefault(int(result.evidence * 20) / 20, [0, 0])[not result.places] += 1
    bars = [
        bar
        for low in sorted(counted)
        for bar in ((f"{low:.2f} answerable", counted[low][0]), (f"{low:.2f} not", counted[low][1]))
    ]
    return _bars(bars)


def _changes(title: str, changes: Sequence[Change]) -> list[str]:
    if not changes:
        return []
    rows = (
        (
            change.question,
            change.text,
            "; ".join(f"{metric} {before:.2f} to {after:.2f}" for metric, (before, after) in change.scores.items()),
            "; ".join(change.expected),
            "; ".join(change.found[:3]),
        )
        for change in changes
    )
    return [f"## {title}", "", *_table(("question", "asked", "scores", "expected", "found first"), rows)]


def _missed(results: Sequence[Result]) -> list[str]:
    """List the questions of which nothing expected was found."""
    rows = [
        (result.id, result.question, "; ".join(result.places), "; ".join(result.found[:3]))
        for result in results
        if result.places and not any(result.ranks)
    ]
    return ["## Not found at all", "", *_table(("question", "asked", "expected", "found first"), rows)] if rows else []


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_plain(cell) for cell in row) + " |"
    yield ""


def _bars(bars: Sequence[tuple[str, int]]) -> list[str]:
    """Draw numbers as bars, the longest as wide as the plot."""
    most = max((count for _, count in bars), default=0) or 1
    width = max((len(name) for name, _ in bars), default=0)
    drawn = (f"{name:<{width}}  {'█' * round(_WIDTH * count / most):<{_WIDTH}}  {count}" for name, count in bars)
    return ["```text", *drawn, "```", ""]


def _plain(text: str) -> str:
    """Return a text in which nothing is a sign of Markdown: questions and places may hold anything."""
    return " ".join(text.split()).translate(_SIGNS)
