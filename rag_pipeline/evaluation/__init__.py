"""What it is worth: golden sets, scores of retrieval and answers, and the gate that lets nothing worse be published.

A question of a golden set is asked as its caller would ask it, by the same search, and never sees more than he does.
"""

from rag_pipeline.evaluation.golden import Expected, GoldenSet, Question, read_golden_set

__all__ = ["Expected", "GoldenSet", "Question", "read_golden_set"]
