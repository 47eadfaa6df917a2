"""One way of cutting, measured: cut the corpora, embed the chunks, retrieve for each question, score."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.chunking.metrics import Scores, Span, score
from benchmarks.chunking.questions import Question
from benchmarks.chunking.splitters import Split
from rag_pipeline.embeddings import Embedder, Vector, in_order

RETRIEVED = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: how many chunks, their mean size in tokens, and the scores of each question."""

    chunks: int
    tokens: float
    scores: Sequence[Scores]

    def values(self, metric: str) -> list[float]:
        """One metric of each question, in percent."""
        return [100 * getattr(scores, metric) for scores in self.scores]

    def mean(self, metric: str, members: Iterable[bool] | None = None) -> float:
        """One metric's mean over the questions, or over the members among them, in percent."""
        values = self.values(metric)
        return statistics.fmean(v for v, member in zip(values, members or [True] * len(values), strict=True) if member)


class Bench:
    """The corpora, the questions, and one model, which embeds each text once."""

    def __init__(self, embedder: Embedder, corpora: dict[str, str], questions: Sequence[Question]) -> None:
        self.questions = questions
        self._embedder = embedder
        self._corpora = corpora
        self._vectors: dict[str, Vector] = {}
        self._asked = np.stack([embedder.embed_query(question.text) for question in questions])

    def measure(self, cut: Split) -> Outcome:
        """Search all corpora as one collection, by exact cosine; of equals the earlier chunk comes first."""
        chunks = [(Span(name, one.start, one.end), one) for name, text in self._corpora.items() for one in cut(text)]
        spans = [span for span, _ in chunks]
        likeness = self._asked @ np.stack(self._embed([piece.embed_text for _, piece in chunks])).T
        best = np.argsort(-likeness, axis=1, kind="stable")[:, :RETRIEVED]
        scores = [
            score(question.excerpts, [spans[index] for index in found], spans)
            for question, found in zip(self.questions, best.tolist(), strict=True)
        ]
        texts = [self._corpora[span.corpus][span.start : span.end] for span in spans]
        return Outcome(len(spans), statistics.fmean(self._embedder.count_tokens(texts)), scores)

    def _embed(self, texts: Sequence[str]) -> list[Vector]:
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        self._vectors.update(zip(new, in_order(self._embedder, new), strict=True))
        return [self._vectors[text] for text in texts]
