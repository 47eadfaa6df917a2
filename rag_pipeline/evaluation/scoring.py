"""Metrics of rankings, by the library that wraps trec_eval, whose figures are those that others publish."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Rankings = Mapping[str, Sequence[str]]
"""Ids of what was found by question id, best first, each once."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What rankings are worth: of each metric, a value a question, in the order of the questions."""

    values: Mapping[str, tuple[float, ...]]

    def mean(self, metric: str) -> float:
        """Return the mean over all questions."""
        values = self.values[metric]
        return sum(values) / len(values)


def score(judged: Mapping[str, Collection[str]], rankings: Rankings, metrics: Sequence[str]) -> Scores:
    """Score rankings by metrics as `ir_measures` spells them, such as ``nDCG@10``; a missing ranking scores 0.

    `judged` has the ids that ought to be found by question id, each worth the same.
    """
    # Here, because whoever reads a golden set does not need it.
    import ir_measures

    measures: dict[Any, str] = {ir_measures.parse_measure(metric): metric for metric in metrics}
    relevant = {question: dict.fromkeys(ids, 1) for question, ids in judged.items()}
    run = {question: {id: -float(rank) for rank, id in enumerate(ranking)} for question, ranking in rankings.items()}
    found = {
        (measures[each.measure], each.query_id): float(each.value)
        for each in ir_measures.iter_calc(list(measures), relevant, run)
    }
    return Scores({metric: tuple(found.get((metric, question), 0.0) for question in judged) for metric in metrics})
