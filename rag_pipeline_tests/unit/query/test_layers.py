"""All layers in a row, as a search runs them: nothing is lost without a reason, nothing comes from elsewhere."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.query.duplicates import reasons, without_duplicates
from rag_pipeline.query.hits import Candidate
from rag_pipeline.query.limits import limited_per_document
from rag_pipeline.query.rerank import reranked
from rag_pipeline.query.windows import merged_windows
from rag_pipeline_tests.unit.query.candidates import ranked_candidates


class ByLength:
    """Takes short passages for relevant ones."""

    def scores(self, question: str, texts: Sequence[str], seconds: float) -> list[float]:
        return [1 / len(text) for text in texts]


def layered(candidates: list[Candidate], depth: int, threshold: float, limit: int):
    ordered, ranks, note = reranked("q", candidates, ByLength(), 0.5, depth, 1)
    survivors, twins = without_duplicates(ordered, threshold)
    kept, crowded = limited_per_document(survivors, limit)
    return kept, twins, reasons(twins) | crowded, merged_windows(kept), ranks, note


parameters = given(ranked_candidates(), st.integers(1, 12), st.floats(0.05, 1), st.integers(1, 4))


@parameters
def test_a_candidate_is_a_hit_or_has_one_reason_why_not(candidates, depth, threshold, limit) -> None:
    kept, twins, dropped, _, _, _ = layered(candidates, depth, threshold, limit)
    hits = [one.chunk_id for one in kept]
    assert sorted([*hits, *dropped]) == sorted(one.chunk_id for one in candidates)
    fallen = [twin for each in twins.values() for twin in each]
    assert not {*fallen} & {*hits}


@parameters
def test_the_windows_are_those_of_the_hits(candidates, depth, threshold, limit) -> None:
    kept, _, _, windows, _, _ = layered(candidates, depth, threshold, limit)
    assert sorted(each for window in windows for each in window.chunk_ids) == sorted(one.chunk_id for one in kept)
    if kept:
        assert windows[0].chunk_ids[0] == kept[0].chunk_id


@parameters
def test_the_same_candidates_give_the_same_hits(candidates, depth, threshold, limit) -> None:
    assert layered(candidates, depth, threshold, limit) == layered(list(candidates), depth, threshold, limit)
