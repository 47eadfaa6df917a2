"""An evaluation from its files to its row in the index: read, ask, compare, write down."""

from dataclasses import dataclass
from pathlib import Path

from rag_pipeline.database.connection import connect
from rag_pipeline.database.migrate import prepare
from rag_pipeline.evaluation.answers import Threshold, best_threshold
from rag_pipeline.evaluation.baseline import Baseline, baseline_of
from rag_pipeline.evaluation.compare import Verdict, compare
from rag_pipeline.evaluation.golden import GoldenSet
from rag_pipeline.evaluation.record import record, recorded
from rag_pipeline.evaluation.results import Evaluation
from rag_pipeline.evaluation.run import evaluate, evaluate_unpublished
from rag_pipeline.progress import Progress, silent
from rag_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Measured:
    """An evaluation and what follows from it.

    `verdict` is None without a baseline, `threshold` where there are not both kinds of questions. `notes` are what one
    should know about the comparison, in words; `evaluation_id` is the row in ``rag.evaluations``.
    """

    evaluation: Evaluation
    verdict: Verdict | None
    threshold: Threshold | None
    notes: tuple[str, ...]
    evaluation_id: int


def measure(
    settings: Settings,
    golden: Path,
    baseline: Path | None,
    max_drop: float,
    *,
    answers: bool = True,
    judge: bool = True,
    generation: int | None = None,
    progress: Progress = silent,
) -> Measured:
    """Ask the live index, or a `generation` that is being built, and compare with a baseline, if there is one.

    The files are read first, so that nothing is asked in vain. Raises `ConfigurationError` for what is wrong with them,
    and what a search does.
    """
    questions = GoldenSet.read(golden)
    before = None if baseline is None else baseline_of(questions, baseline)
    prepare(settings)
    if generation is None:
        evaluation, asked = evaluate(settings, questions, answers, judge, progress)
    else:
        evaluation, asked = evaluate_unpublished(settings, questions, generation, progress)
    verdict = None if before is None else compare(before.questions, evaluation, max_drop, before.comparable(evaluation))
    with connect(settings) as connection:
        keep_days = settings.workspace.keep_days
        evaluation_id = record(connection, "eval", questions, evaluation, verdict, asked.number, keep_days)
    notes = () if before is None else _notes(before, evaluation)
    if settings.retrieval.rerank and (unranked := evaluation.unranked):
        notes = (*notes, unranked)
    return Measured(evaluation, verdict, best_threshold(evaluation.results), notes, evaluation_id)


def compare_recorded(settings: Settings, before: int, after: int) -> Measured:
    """Compare two evaluations by their ids, the first of which stands for the baseline; any drop is allowed.

    Raises `ConfigurationError` for one that is not there, or not any more.
    """
    prepare(settings)
    with connect(settings) as connection:
        (first, one_set), (second, other_set) = recorded(connection, before), recorded(connection, after)
    baseline = Baseline({each.id: each.scores for each in first.results}, first.model, first.answered_by, None)
    verdict = compare(baseline.questions, second, 1, baseline.comparable(second))
    changed = "the golden set is another one: compared are the questions that both have, by their ids"
    notes = (*_notes(baseline, second), *([changed] if one_set != other_set else []))
    return Measured(second, verdict, None, notes, after)


def _notes(before: Baseline, evaluation: Evaluation) -> tuple[str, ...]:
    answered = any(result.answered for result in evaluation.results)
    if not answered or before.answered_by == evaluation.answered_by:
        return ()
    then, now = (name or "nobody: passages were quoted" for name in (before.answered_by, evaluation.answered_by))
    return (f"answers are not compared: those of the baseline are by {then}, these by {now}",)
