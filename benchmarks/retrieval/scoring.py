"""Metrics of the collections that others have judged; a document stands where its best chunk does."""

from collections.abc import Sequence

from benchmarks.retrieval.judged import Question
from rag_pipeline.evaluation import scoring
from rag_pipeline.evaluation.scoring import Rankings, Scores, by_first_place

by_best_chunk = by_first_place


def score(questions: Sequence[Question], rankings: Rankings, metrics: Sequence[str]) -> Scores:
    """Score rankings by metrics as `ir_measures` spells them, such as ``nDCG@10``; a missing ranking scores 0."""
    return scoring.score({question.id: question.answers for question in questions}, rankings, metrics)
