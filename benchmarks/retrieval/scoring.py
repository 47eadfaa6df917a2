"""Metrics of the collections that others have judged; a document stands where its best chunk does."""

from collections.abc import Iterable, Sequence

from benchmarks.retrieval.judged import Question
from rag_pipeline.evaluation import scoring
from rag_pipeline.evaluation.scoring import Rankings, Scores


def by_best_chunk(ids: Iterable[str]) -> list[str]:
    """Return the documents of chunks in order, each at its first place."""
    return list(dict.fromkeys(ids))


def score(questions: Sequence[Question], rankings: Rankings, metrics: Sequence[str]) -> Scores:
    """Score rankings by metrics as `ir_measures` spells them, such as ``nDCG@10``; a missing ranking scores 0."""
    return scoring.score({question.id: question.answers for question in questions}, rankings, metrics)
