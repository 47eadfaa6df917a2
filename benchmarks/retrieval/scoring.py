"""Metrics of rankings, by the library that wraps trec_eval; a document stands where its best chunk does."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ir_measures

from benchmarks.retrieval.judged import Question

Rankings = Mapping[str, Sequence[str]]
"""Document ids by question id, best first, each document once."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What rankings are worth: of each metric, a value a question, in the order of the questions."""

    values: Mapping[str, tuple[float, ...]]

    def mean(self, metric: str) -> float:
        """Return the mean over all questions."""
        values = self.values[metric]
        return sum(values) / len(values)


def by_best_chunk(documents: Iterable[str]) -> list[str]:
    """Return the documents of chunks in order, each at its first place."""
    return list(dict.fromkeys(documents))


def score(questions: Sequence[Question], rankings: Rankings, metrics: Sequence[str]) -> Scores:
    """Score rankings by metrics as `ir_measures` spells them, such as ``nDCG@10``; a missing ranking scores 0."""
    measures: dict[Any, str] = {ir_measures.parse_measure(metric): metric for metric in metrics}
    judged = {question.id: dict.fromkeys(question.answers, 1) for question in questions}
    run = {
        question: {document: -float(rank) for rank, document in enumerate(ranking)}
        for question, ranking in rankings.items()
    }
    found = {
        (measures[each.measure], each.query_id): float(each.value)
        for each in ir_measures.iter_calc(list(measures), judged, run)
    }
    return Scores(
        {metric: tuple(found.get((metric, question.id), 0.0) for question in questions) for metric in metrics}
    )
