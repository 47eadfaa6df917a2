"""How good a cut is, judged by what retrieval brings back, character by character.

The metrics of Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024), as their
code computes them (github.com/brandonstarxel/chunking_evaluation, ``base_evaluation.py``). For one question
let E be the characters of its excerpts and R those of its corpus that the retrieved chunks hold; |chunks| is
the sum of the lengths of the retrieved chunks, so that what two of them share counts twice, and so do those
of other corpora, which hold nothing of E:

- recall = |E ∩ R| / |E|
- precision = |E ∩ R| / |chunks|
- IoU = |E ∩ R| / (|chunks| + |E \\ R|)
- precision_omega = |E ∩ C| / |C ∪ E|, where C are the characters of all chunks that touch E: the precision at
  perfect recall, a property of the cut alone. What chunks share counts once here.

A chunk touches E when it holds at least one character of it, as the report defines it; the published code
also counts a chunk that merely ends where an excerpt begins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """Characters ``text[start:end]`` of a corpus."""

    corpus: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Scores:
    """What one question scored, each from 0 to 1."""

    recall: float
    precision: float
    precision_omega: float
    iou: float


def score(excerpts: Sequence[Span], retrieved: Sequence[Span], chunks: Iterable[Span]) -> Scores:
    """Score one question: its excerpts, the chunks that were retrieved for it, and all chunks there are."""
    wanted = _size(excerpts)
    size = sum(chunk.end - chunk.start for chunk in retrieved)
    found = _common(excerpts, retrieved)
    touching = [chunk for chunk in chunks if _common(excerpts, [chunk])]
    return Scores(
        recall=found / wanted,
        precision=found / size if size else 0.0,
        precision_omega=_common(excerpts, touching) / _size([*touching, *excerpts]),
        iou=found / (size + wanted - found),
    )


def _common(some: Sequence[Span], others: Sequence[Span]) -> int:
    """Count the characters that are in both."""
    return _size(some) + _size(others) - _size([*some, *others])


def _size(spans: Iterable[Span]) -> int:
    """Count the characters of a union."""
    ordered = sorted(spans)
    if not ordered:
        return 0
    total = ordered[0].end - ordered[0].start
    reached = ordered[0]
    for span in ordered[1:]:
        if span.corpus != reached.corpus or span.start >= reached.end:
            total += span.end - span.start
            reached = span
        elif span.end > reached.end:
            total += span.end - reached.end
            reached = span
    return total
