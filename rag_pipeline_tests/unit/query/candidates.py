"""Candidates as the database would give them, for tests of the layers that follow."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from rag_pipeline.chunks.shingles import shingles
from rag_pipeline.query.hits import Candidate

MOMENT = datetime(2026, 3, 1, tzinfo=UTC)


def candidate(chunk_id: str, text: str = "text", **changes: Any) -> Candidate:
    """A candidate whose section is its text alone, unless `changes` say otherwise."""
    values: dict[str, Any] = {
        "chunk_id": chunk_id,
        "document_id": "guide.md",
        "source": "handbook",
        "uri": "file:///guide.md",
        "title": "Guide",
        "heading_path": ("Guide", "Keys"),
        "text": text,
        "window": text,
        "modified_at": MOMENT,
        "position": 0,
        "place": {},
        "stale": False,
        "version": "0f" * 32,
        "window_position": 0,
        "vector_rank": None,
        "keyword_rank": 1,
        "score": 0.0,
        "shingles": shingles(text),
    }
    return Candidate(**(values | changes))


WORDS = ("keys", "are", "rotated", "daily", "by", "the", "service")
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)


@st.composite
def ranked_candidates(draw: st.DrawFn, max_size: int = 12) -> list[Candidate]:
    """Candidates of a few documents, best first, many of them alike, with scores as a fusion gives them."""
    found = [
        candidate(
            f"c{number}",
            draw(texts),
            source=draw(st.sampled_from(["handbook", "wiki"])),
            document_id=draw(st.sampled_from(["a.md", "b.md"])),
        )
        for number in range(draw(st.integers(0, max_size)))
    ]
    scores = draw(st.lists(st.floats(0, 1), min_size=len(found), max_size=len(found)))
    return [
        candidate(one.chunk_id, one.text, source=one.source, document_id=one.document_id, score=score)
        for one, score in zip(found, sorted(scores, reverse=True), strict=True)
    ]
