"""The verb that measures: a golden set asked of the live index, its figures, and whether they are worse than before."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.failures import WRONG_DATA
from rag_pipeline.cli.options import as_json, load_settings
from rag_pipeline.cli.output import print_json, print_notes, print_table, printable
from rag_pipeline.cli.progress import StageProgress
from rag_pipeline.money import dollars

if TYPE_CHECKING:
    from rag_pipeline.evaluation.compare import Verdict
    from rag_pipeline.evaluation.measure import Measured
    from rag_pipeline.evaluation.results import Evaluation
    from rag_pipeline.settings import Settings

_FILE = click.Path(dir_okay=False, path_type=Path)
_NAMED = 20


@click.group("eval", invoke_without_command=True, short_help="Measure the index with a golden set.")
@click.option("--set", "golden", type=_FILE, metavar="F", help="The golden set; else [evaluation] set.")
@click.option("--baseline", type=_FILE, metavar="F", help="Scores to compare with; else [evaluation] baseline.")
@click.option(
    "--max-drop",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="How far a mean may fall; else [evaluation] max_drop.",
)
@click.option("--write-baseline", type=_FILE, metavar="F", help="Write the scores there, to compare with later.")
@click.option("--report", type=_FILE, metavar="F", help="Write a report there: .md or .html.")
@click.option("--no-answers", is_flag=True, help="Only search; have nothing answered.")
@click.option(
    "--generation", type=click.IntRange(min=1), metavar="N", help="Search in a generation that is being built, instead."
)
@click.option("--rerank/--no-rerank", default=None, help="Have a cross-encoder re-rank, whatever rag.toml says.")
@click.option(
    "--judge/--no-judge", default=True, help="Whether the model that answers judges answers, too; it does by default."
)
@as_json
@click.pass_context
def evaluate(
    ctx: click.Context,
    golden: Path | None,
    baseline: Path | None,
    max_drop: float | None,
    write_baseline: Path | None,
    report: Path | None,
    no_answers: bool,
    generation: int | None,
    rerank: bool | None,
    judge: bool,
    as_json: bool,
) -> None:
    """Ask the live index the questions of a golden set, as their callers, and score what it finds and answers.

    Exit 1 when a mean is further below the baseline than it may be, or most questions cannot be compared any more.
    """
    if ctx.invoked_subcommand is not None:
        return
    from rag_pipeline.evaluation.measure import measure

    settings = _with(load_settings(), rerank)
    golden = golden or _configured(settings, settings.evaluation.set)
    if golden is None:
        raise click.UsageError("say which questions: --set F, or set = … in [evaluation] of rag.toml")
    if baseline is None and write_baseline is None:
        baseline = _configured(settings, settings.evaluation.baseline)
    if report is not None and report.suffix not in (".md", ".html"):
        raise click.BadParameter(f"{report} ends neither in .md nor in .html", param_hint="'--report'")
    allowed = settings.evaluation.max_drop if max_drop is None else max_drop
    with StageProgress("eval") as progress:
        measured = measure(
            settings,
            golden,
            baseline,
            allowed,
            answers=not no_answers,
            judge=judge,
            generation=generation,
            progress=progress,
        )
    evaluation, verdict = measured.evaluation, measured.verdict
    if write_baseline is not None:
        from rag_pipeline.evaluation.baseline import write_baseline as write

        write(write_baseline, evaluation)
    if report is not None:
        from rag_pipeline.evaluation.report import write_report

        write_report(report, evaluation, verdict, measured.threshold)
    _show(measured, settings, as_json)
    if verdict is not None and not verdict.passed:
        ctx.exit(WRONG_DATA)


@evaluate.command(short_help="Compare two evaluations that were written down.")
@click.argument("before", type=click.IntRange(min=1))
@click.argument("after", type=click.IntRange(min=1))
@as_json
def compare(before: int, after: int, as_json: bool) -> None:
    """Compare two evaluations by their ids, question by question; BEFORE stands for the baseline."""
    from rag_pipeline.evaluation.measure import compare_recorded

    settings = load_settings()
    _show(compare_recorded(settings, before, after), settings, as_json)


def _show(measured: "Measured", settings: "Settings", as_json: bool) -> None:
    if as_json:
        print_json(_as_json(measured))
    else:
        _print(measured, settings.answers.min_evidence)


def _with(settings: "Settings", rerank: bool | None) -> "Settings":
    if rerank is None:
        return settings
    return settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"rerank": rerank})})


def _configured(settings: "Settings", file: str | None) -> Path | None:
    return None if file is None else settings.folder / file


def _as_json(measured: "Measured") -> dict[str, Any]:
    from rag_pipeline.evaluation.record import row_of

    evaluation, verdict, threshold = measured.evaluation, measured.verdict, measured.threshold
    summary = evaluation.summary()
    return {
        **summary,
        "cost_usd": float(summary["cost_usd"]),
        "model": evaluation.model,
        "answered_by": evaluation.answered_by,
        "prompt": evaluation.prompt,
        "threshold": None if threshold is None else asdict(threshold),
        "gone": [asdict(each) for each in evaluation.gone],
        "comparison": None if verdict is None else asdict(verdict) | {"passed": verdict.passed},
        "results": [row_of(result) for result in evaluation.results],
        "notes": measured.notes,
        "evaluation_id": measured.evaluation_id,
    }


def _print(measured: "Measured", min_evidence: float) -> None:
    evaluation, verdict, threshold = measured.evaluation, measured.verdict, measured.threshold
    summary = evaluation.summary()
    print_table(list(_rows(summary, verdict)), _HEADINGS, optional=("before", "change", "interval"))
    click.echo(
        f"evaluation {measured.evaluation_id}: {summary['questions']:,} questions, {summary['scored']:,} of them "
        f"scored by what was found; p50 {_seconds(summary['latency_p50'])}, p95 {_seconds(summary['latency_p95'])}"
        + (f"; {summary['tokens']:,} tokens, {dollars(summary['cost_usd'])}" if summary["tokens"] else "")
    )
    if evaluation.answered_by:
        click.echo(f"answers by {evaluation.answered_by}")
    if threshold is not None:
        click.echo(
            f"[answers] min_evidence = {min_evidence:g}; what separates these questions best is "
            f"{threshold.min_evidence:.3f}: {threshold.answered:.0%} of those that can be answered are, "
            f"{threshold.declined:.0%} of the others are not"
        )
    print_notes([*measured.notes, *_attention(evaluation, verdict)])


_HEADINGS = {"metric": "metric", "value": "now", "before": "baseline", "change": "change", "interval": "95 % interval"}


def _rows(summary: Mapping[str, Any], verdict: "Verdict | None") -> Iterator[dict[str, Any]]:
    """Give a row a metric that a question has."""
    from rag_pipeline.evaluation.results import METRICS

    drops = {drop.metric: drop for drop in verdict.means} if verdict else {}
    for metric in METRICS:
        if summary[metric] is None:
            continue
        row: dict[str, Any] = {"metric": metric, "value": f"{summary[metric]:.3f}"}
        if drop := drops.get(metric):
            row |= {
                "before": f"{drop.before:.3f}",
                "change": f"{-drop.fallen:+z.3f}",
                "interval": f"{drop.low:+z.3f} to {drop.high:+z.3f}",
            }
        yield row


def _attention(evaluation: "Evaluation", verdict: "Verdict | None") -> Iterator[str]:
    """Say what a person should look at."""
    for each in evaluation.gone[:_NAMED]:
        yield f"{each.question}: {printable(each.place)} takes no part: {each.why}"
    if len(evaluation.gone) > _NAMED:
        yield f"and {len(evaluation.gone) - _NAMED} places more that take no part; --json names all"
    if verdict is None:
        return
    if verdict.new:
        yield f"not in the baseline ({len(verdict.new)}): {', '.join(verdict.new[:_NAMED])}"
    if verdict.missing:
        named = ", ".join(verdict.missing[:_NAMED])
        yield f"in the baseline, and not asked ({len(verdict.missing)}): {named}"
    for change in verdict.fell[:_NAMED]:
        scores = ", ".join(f"{metric} {before:.2f} to {after:.2f}" for metric, (before, after) in change.scores.items())
        yield f"fell: {change.question} ({printable(change.text)}): {scores}"
    if len(verdict.fell) > _NAMED:
        yield f"and {len(verdict.fell) - _NAMED} questions more that fell; --json names all"
    if not verdict.judged:
        yield f"not judged: {printable(verdict.explained())}"
    elif not verdict.passed:
        means = ", ".join(f"{each.metric} by {each.fallen:.3f}" for each in verdict.worse)
        yield f"worse than the baseline allows: {means}; at most {verdict.max_drop:g} is allowed"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:,.0f} ms"
