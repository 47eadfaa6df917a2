"""How a re-ranker's judgement changes the order, and that the order stands without one."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import TransientError
from rag_pipeline.query.hits import Candidate
from rag_pipeline.query.rerank import blended, passage_text, reranked
from rag_pipeline_tests.unit.query.candidates import candidate, ranked_candidates

relevance = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


class Judge:
    """Knows the relevance of each text, and what it was asked."""

    def __init__(self, scores: dict[str, float]) -> None:
        self._scores = scores
        self.read: list[str] = []

    def scores(self, question: str, texts: Sequence[str], seconds: float) -> list[float]:
        self.read += texts
        return [self._scores[text] for text in texts]


class Broken:
    """Raises what it is made of."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def scores(self, question: str, texts: Sequence[str], seconds: float) -> list[float]:
        raise self._error


@st.composite
def judged(draw: st.DrawFn) -> tuple[list[Candidate], list[float]]:
    """Candidates, best first, and scores for the first of them."""
    candidates = draw(ranked_candidates())
    depth = draw(st.integers(0, len(candidates)))
    return candidates, draw(st.lists(relevance, min_size=depth, max_size=depth))


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [one.chunk_id for one in candidates]


@given(judged(), st.floats(0, 10))
def test_no_candidate_is_lost_or_added_and_the_rest_keeps_its_place(found, weight: float) -> None:
    candidates, scores = found
    order = blended(candidates, scores, weight)
    assert sorted(ids(order)) == sorted(ids(candidates))
    assert order[len(scores) :] == candidates[len(scores) :]


@given(judged())
def test_without_weight_nothing_changes(found) -> None:
    candidates, scores = found
    assert blended(candidates, scores, 0) == candidates


@given(judged(), st.integers(0, 1000).map(lambda thousandths: thousandths / 1000))
def test_equal_judgements_change_nothing(found, score: float) -> None:
    candidates, scores = found
    assert blended(candidates, [score] * len(scores), 0.5) == candidates


@given(judged())
def test_with_a_large_weight_the_re_ranker_alone_decides(found) -> None:
    candidates, scores = found
    order = blended(candidates, scores, 1e6)[: len(scores)]
    by_id = dict(zip(ids(candidates), scores, strict=False))
    assert [by_id[each] for each in ids(order)] == sorted(scores, reverse=True)


@given(judged(), st.floats(0, 10))
def test_who_is_better_in_both_stays_ahead(found, weight: float) -> None:
    candidates, scores = found
    order = ids(blended(candidates, scores, weight))
    for better in range(len(scores)):
        for worse in range(better + 1, len(scores)):
            if scores[better] >= scores[worse]:
                assert order.index(candidates[better].chunk_id) < order.index(candidates[worse].chunk_id)


@given(st.permutations(range(8)), st.lists(relevance, min_size=8, max_size=8))
def test_the_order_of_what_is_read_does_not_matter(permutation: list[int], scores: list[float]) -> None:
    """Save among equals: here a step of the fused score is never made up for by an equal step of relevance."""
    candidates = [candidate(str(number), score=0.1 * number**2) for number in range(8)]
    expected = blended(candidates, scores, 0.3)
    shuffled = [candidates[index] for index in permutation]
    assert ids(blended(shuffled, [scores[index] for index in permutation], 0.3)) == ids(expected)


def test_fused_scores_are_brought_to_one_scale_before_relevance_is_added() -> None:
    candidates = [candidate("a", score=0.020), candidate("b", score=0.015), candidate("c", score=0.010)]
    assert ids(blended(candidates, [0.1, 0.7, 0.0], 1)) == ["b", "a", "c"]  # 1.1, 1.2, 0
    assert ids(blended(candidates, [0.3, 0.7, 0.0], 1)) == ["a", "b", "c"]  # 1.3, 1.2, 0


@given(ranked_candidates(), st.integers(1, 15), st.data())
def test_the_first_candidates_are_read_and_ranked(candidates: list[Candidate], depth: int, data) -> None:
    scores = {passage_text(one): data.draw(relevance) for one in candidates}
    judge = Judge(scores)
    order, ranks, note = reranked("q", candidates, judge, 0.25, depth, 1)
    first = candidates[:depth]
    assert judge.read == [passage_text(one) for one in first]
    assert order == blended(candidates, [scores[passage_text(one)] for one in first], 0.25)
    assert sorted(ranks.values()) == list(range(1, len(first) + 1))
    by_rank = sorted(first, key=lambda one: ranks[one.chunk_id])
    assert [scores[passage_text(one)] for one in by_rank] == sorted(scores[passage_text(one)] for one in first)[::-1]
    assert note is None


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (TimeoutError(), "re-ranking took longer than 2.5 s; the order is that of the fused search"),
        (TransientError("it is away"), "re-ranking failed; the order is that of the fused search"),
        (ZeroDivisionError("secret"), "re-ranking failed; the order is that of the fused search"),
    ],
)
def test_without_an_answer_the_fused_order_stands_and_a_note_says_so(error: Exception, note: str) -> None:
    candidates = [candidate("a", score=0.2), candidate("b", score=0.1)]
    assert reranked("q", candidates, Broken(error), 1, 50, 2.5) == (candidates, {}, note)


def test_nothing_is_asked_about_no_candidates() -> None:
    assert reranked("q", [], Broken(AssertionError("asked")), 1, 50, 1) == ([], {}, None)


@pytest.mark.parametrize(
    ("title", "path", "text"),
    [
        ("Guide", ("Guide", "Keys"), "Guide > Keys\nbody"),
        ("Guide", ("Keys", "", "Rotation"), "Guide > Keys > Rotation\nbody"),
        ("", ("Keys",), "Keys\nbody"),
        ("Guide", (), "Guide\nbody"),
        ("", (), "body"),
    ],
)
def test_a_passage_is_read_under_its_headings(title: str, path: tuple[str, ...], text: str) -> None:
    assert passage_text(candidate("1", "body", title=title, heading_path=path)) == text
