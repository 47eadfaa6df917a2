"""What came of a golden set: of each question what was found and what it is worth, and the means of all.

Scores are kept by metric, each from 0 to 1; a question has only those that apply to it. A mean is taken over the
questions that have the score.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

RETRIEVAL = ("recall_at_10", "mrr", "ndcg_at_10")
"""Metrics of what a search found, among its first ten hits."""
ANSWERS = ("answer_score", "abstention", "citation_precision", "citation_recall", "judge_score")
"""Metrics of what was answered: of expected keywords those that are in it; whether it was right to answer, or not to;
of its citations those that lead to what was expected; of what was expected that which is cited; a model's judgement."""
METRICS = RETRIEVAL + ANSWERS


@dataclass(frozen=True, slots=True)
class Gone:
    """Why a document that a question expects cannot be found: it is not there for this caller, and rightly so.

    `awaited` where its whole source is not in the index: an index that is being filled has lost nothing.
    """

    question: str
    place: str
    why: str
    awaited: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered: None where it was not, with citations as ``source:document > heading``.

    `cost_usd` is None where nobody knows the price.
    """

    text: str | None
    abstained: bool
    citations: tuple[str, ...]
    tokens: int
    cost_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one question.

    `found` are the hits in order, as ``source:document > heading``, and `chunks` their chunk_ids; `places` are what was
    expected and is there, and `ranks` at which hit each of them stands. `evidence` is how strong the search says that
    its find is; `reranked`, whether a cross-encoder had a part in it.
    """

    id: str
    question: str
    scores: Mapping[str, float]
    found: tuple[str, ...]
    chunks: tuple[str, ...]
    places: tuple[str, ...]
    ranks: tuple[int | None, ...]
    seconds: float
    gone: tuple[Gone, ...] = ()
    evidence: float | None = None
    reranked: bool = False
    answered: Answered | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of a golden set against one state of the index. `answered_by` is None where passages are quoted."""

    results: tuple[Result, ...]
    model: str
    answered_by: str | None = None
    prompt: str | None = None

    def mean(self, metric: str) -> float | None:
        """Return the mean of a metric over the questions that have it; None where none has."""
        return mean(result.scores[metric] for result in self.results if metric in result.scores)

    @property
    def means(self) -> dict[str, float]:
        """The means of all metrics that a question has."""
        return {metric: value for metric in METRICS if (value := self.mean(metric)) is not None}

    @property
    def gone(self) -> tuple[Gone, ...]:
        """What cannot be found any more, and is no fault of the search."""
        return tuple(gone for result in self.results for gone in result.gone)

    @property
    def unranked(self) -> str | None:
        """Say how many questions were not re-ranked, where re-ranking is on; None when all were."""
        found = [result for result in self.results if result.found]
        missed = sum(not result.reranked for result in found)
        return (
            f"{missed} of {len(found)} questions were not re-ranked, though they ought to be: see the log"
            if missed
            else None
        )

    def summary(self) -> dict[str, Any]:
        """Return the figures of the whole: means (None where no question has the score), seconds, tokens, dollars."""
        answers = [result.answered for result in self.results if result.answered]
        seconds = sorted(result.seconds for result in self.results)
        return {
            "questions": len(self.results),
            "scored": sum(any(metric in result.scores for metric in RETRIEVAL) for result in self.results),
            **{metric: self.mean(metric) for metric in METRICS},
            "latency_p50": percentile(seconds, 0.5),
            "latency_p95": percentile(seconds, 0.95),
            "tokens": sum(answer.tokens for answer in answers),
            "cost_usd": sum((answer.cost_usd or Decimal(0) for answer in answers), Decimal(0)),
        }


def mean(values: Iterable[float]) -> float | None:
    """Return the mean of some values, None of none."""
    found = list(values)
    return sum(found) / len(found) if found else None


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value below which a share of the ordered values lies: the nearest one there is; None of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
