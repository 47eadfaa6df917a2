"""Limits: how many hits one document may have, so that one long document does not crowd out the others."""

from collections import Counter
from collections.abc import Sequence

from rag_pipeline.query.hits import Candidate


def limited_per_document(candidates: Sequence[Candidate], limit: int) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """Return the first `limit` candidates of each document, in order, and why the others fell, by chunk_id."""
    seen: Counter[tuple[str, str]] = Counter()
    kept: list[Candidate] = []
    dropped: dict[str, str] = {}
    for candidate in candidates:
        document = candidate.source, candidate.document_id
        seen[document] += 1
        if seen[document] <= limit:
            kept.append(candidate)
        else:
            dropped[candidate.chunk_id] = f"hit {seen[document]} of its document, of which {limit} are shown"
    return tuple(kept), dropped
