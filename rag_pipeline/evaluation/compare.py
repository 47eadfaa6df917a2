"""Two runs of one golden set, question by question, and whether the second is worse than it may be.

Compared are the questions that both have, by every score that both have. Worse is a mean that fell by more than is
allowed; how sure that is, is said by the interval of a paired bootstrap over the questions. When most questions cannot
be compared any more, because what they expect is gone, nothing is said of the others either: so documents that were
renamed do not open a gate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag_pipeline.evaluation.bootstrap import interval
from rag_pipeline.evaluation.results import METRICS, Evaluation, Gone

_SAME = 1e-5
"""A score that was written down differs from itself in its last digits."""
_ENOUGH = 0.5
"""The share of the baseline's questions that must still be comparable; what is gone below that is no detail."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A mean over the same questions before and after, and the 95 % interval of after less before."""

    metric: str
    questions: int
    before: float
    after: float
    low: float
    high: float

    @property
    def fallen(self) -> float:
        """By how much it fell; below zero: it rose."""
        return self.before - self.after


@dataclass(frozen=True, slots=True)
class Change:
    """A question whose scores changed: the metrics that did, before and after."""

    question: str
    text: str
    scores: Mapping[str, tuple[float, float]]
    expected: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def fallen(self) -> float:
        """By how much its scores fell in all."""
        return sum(before - after for before, after in self.scores.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of a comparison. `fell` and `rose` are questions, those that changed most first.

    `compared` is how many questions took part, `lost` are those that did not, because nothing that they expect can be
    found any more. `gone` are places that cannot, rightly so, and which take no part; `new` questions that the baseline
    does not know, `missing` those that it has and the golden set has not.
    """

    max_drop: float
    compared: int
    lost: tuple[str, ...]
    means: tuple[Drop, ...]
    fell: tuple[Change, ...]
    rose: tuple[Change, ...]
    gone: tuple[Gone, ...]
    new: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def worse(self) -> tuple[Drop, ...]:
        """The means that fell by more than is allowed."""
        return tuple(each for each in self.means if each.fallen > self.max_drop + _SAME)

    @property
    def judged(self) -> bool:
        """Whether enough questions were left to say anything; where any drop is allowed, none are needed."""
        return self.compared >= _ENOUGH * (self.compared + len(self.lost)) or self.max_drop >= 1

    @property
    def passed(self) -> bool:
        """Whether enough was compared, and no mean fell by more than is allowed."""
        return self.judged and not self.worse

    def explained(self, at_most: int = 10) -> str:
        """Say in a few words why it has not passed: which means fell, and which questions, or how few were left."""
        if not self.judged:
            return (
                f"of {self.compared + len(self.lost)} questions only {self.compared} can be compared, because nothing "
                f"that the others expect is to be found under its name by its caller: {_named(self.lost, at_most)}; "
                "correct the golden set where documents were renamed"
            )
        means = ", ".join(f"{each.metric} from {each.before:.3f} to {each.after:.3f}" for each in self.worse)
        fell = _named([change.question for change in self.fell], at_most)
        return f"{means} (at most {self.max_drop:g} is allowed); questions that fell: {fell}"


def compare(
    before: Mapping[str, Mapping[str, float]],
    after: Evaluation,
    max_drop: float,
    metrics: tuple[str, ...] = METRICS,
) -> Verdict:
    """Compare the scores of a baseline, by question and metric, with those of an evaluation."""
    pairs: dict[str, list[tuple[float, float]]] = {metric: [] for metric in metrics}
    changes: list[Change] = []
    lost: list[str] = []
    compared = 0
    for result in after.results:
        known = before.get(result.id, {})
        both = {
            metric: (known[metric], result.scores[metric])
            for metric in metrics
            if metric in known and metric in result.scores
        }
        compared += bool(both)
        if not both and any(metric in known for metric in metrics) and not all(each.awaited for each in result.gone):
            lost.append(result.id)
        for metric, pair in both.items():
            pairs[metric].append(pair)
        changed = {metric: pair for metric, pair in both.items() if abs(pair[0] - pair[1]) > _SAME}
        if changed:
            changes.append(Change(result.id, result.question, changed, result.places, result.found))
    # Equal sums keep the order of the golden set.
    fell = sorted((each for each in changes if each.fallen > 0), key=lambda each: -each.fallen)
    rose = sorted((each for each in changes if each.fallen <= 0), key=lambda each: each.fallen)
    asked = {result.id for result in after.results}
    return Verdict(
        max_drop=max_drop,
        compared=compared,
        lost=tuple(lost),
        means=tuple(_drop(metric, values) for metric, values in pairs.items() if values),
        fell=tuple(fell),
        rose=tuple(rose),
        gone=after.gone,
        new=tuple(result.id for result in after.results if result.id not in before),
        missing=tuple(id for id in before if id not in asked),
    )


def _named(ids: Sequence[str], at_most: int) -> str:
    more = f" and {len(ids) - at_most} more" if len(ids) > at_most else ""
    return ", ".join(ids[:at_most]) + more


def _drop(metric: str, pairs: list[tuple[float, float]]) -> Drop:
    low, high = interval([after - before for before, after in pairs])
    count = len(pairs)
    return Drop(
        metric, count, sum(pair[0] for pair in pairs) / count, sum(pair[1] for pair in pairs) / count, low, high
    )
