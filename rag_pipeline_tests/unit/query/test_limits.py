"""How many hits of one document are shown."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.query.hits import Candidate
from rag_pipeline.query.limits import limited_per_document
from rag_pipeline_tests.unit.query.candidates import candidate, ranked_candidates


def documents(candidates) -> Counter[tuple[str, str]]:
    return Counter((one.source, one.document_id) for one in candidates)


@given(ranked_candidates(), st.integers(1, 5))
def test_the_best_of_each_document_are_kept_in_order(candidates: list[Candidate], limit: int) -> None:
    kept, dropped = limited_per_document(candidates, limit)
    assert [one for one in candidates if one.chunk_id not in dropped] == list(kept)
    assert documents(kept) == {each: min(count, limit) for each, count in documents(candidates).items()}
    for one in candidates:
        if one.chunk_id in dropped:
            better = candidates[: candidates.index(one)]
            assert documents(better)[one.source, one.document_id] >= limit


def test_the_reason_is_said_and_documents_of_two_sources_are_two() -> None:
    candidates = [candidate("1"), candidate("2"), candidate("3", source="wiki")]
    kept, dropped = limited_per_document(candidates, 1)
    assert [one.chunk_id for one in kept] == ["1", "3"]
    assert dropped == {"2": "hit 2 of its document, of which 1 are shown"}
