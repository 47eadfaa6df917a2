"""What hits are worth: worked out by hand, and laws that hold for any hits."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.evaluation.golden import Expected, Question
from rag_pipeline.evaluation.retrieval import counting, ranking, ranks, score_hits, with_twins
from rag_pipeline.query import Hit
from rag_pipeline.query.passage import Passage, Section
from rag_pipeline_tests.unit.evaluation.hits import hit

A, B = Expected("docs", "a.md"), Expected("docs", "b.md", ("B", "Part"))
HITS = st.lists(
    st.builds(
        hit, st.sampled_from(("a.md", "b.md", "c.md")), st.sampled_from(("B", "C")), st.sampled_from(("Part", "X"))
    ),
    max_size=10,
)


def scores(expected: tuple[Expected, ...], hits: list[Hit]) -> dict[str, float]:
    return score_hits([Question("q", "?", ("public",), expected)], {"q": hits})["q"]


def test_a_place_stands_where_its_first_hit_does_and_its_other_hits_take_no_place() -> None:
    hits = [hit("c.md"), hit("a.md", "A"), hit("a.md", "Z"), hit("b.md", "B"), hit("b.md", "B", "Part", "Deep")]
    assert ranking((A, B), hits) == ["chunk c.md#", "docs:a.md", "chunk b.md#B", "docs:b.md > B > Part"]
    assert ranks((A, B, Expected("docs", "d.md")), [(each,) for each in hits]) == (2, 5, None)
    found = scores((A, B), hits)
    gain = 1 / math.log2(3) + 1 / math.log2(5)
    assert found == pytest.approx({"recall_at_10": 1, "mrr": 0.5, "ndcg_at_10": gain / (1 + 1 / math.log2(3))})


def test_one_hit_stands_for_one_place_at_a_time() -> None:
    """A document, and a section of it, are two things to find; a second hit finds the second."""
    section = Expected("docs", "a.md", ("A",))
    assert ranking((A, section), [hit("a.md", "A", chunk="1")]) == ["docs:a.md"]
    assert ranking((A, section), [hit("a.md", "A", chunk="1"), hit("a.md", "A", chunk="2")]) == [str(A), str(section)]


def test_nothing_found_is_worth_nothing_and_nothing_expected_is_not_scored() -> None:
    assert scores((A,), []) == {"recall_at_10": 0, "mrr": 0, "ndcg_at_10": 0}
    assert score_hits([Question("q", "?", ("public",))], {"q": [hit("a.md")]}) == {}
    assert scores((A,), [hit("a.md", source="code")])["mrr"] == 0


def test_a_hit_stands_for_the_near_duplicates_that_were_left_out_for_it() -> None:
    def look_up(chunk_id: str) -> Passage | None:
        if chunk_id == "gone":
            return None
        document, *path = chunk_id.split(">")
        sections = tuple(
            Section(tuple(path[:end]), "", end, (0, 1) if end == len(path) else None) for end in (0, len(path))
        )
        return Passage(chunk_id, document, "docs", "", "", None, False, sections, 0, 0)

    copy = replace(hit("copy.md", "B"), twins=("gone", "other.md>B", "b.md>B>Part"))
    alike = with_twins((A, B), [hit("c.md"), copy, hit("a.md", "A")], look_up)
    assert [[each.document_id for each in group] for group in alike] == [["c.md"], ["copy.md", "b.md"], ["a.md"]]
    assert ranks((A, B), alike) == (3, 2)
    assert [each.document_id for each in counting((A, B), alike)] == ["c.md", "b.md", "a.md"]
    # Where the place itself is hit its copies are not looked up; a hit that meets something is not left out.
    assert with_twins((A,), [replace(hit("a.md"), twins=("gone",))], lambda _: pytest.fail("looked up")) != []
    both = with_twins((A, B), [replace(hit("a.md"), twins=("b.md>B>Part",))], look_up)
    assert [each.document_id for each in counting((A, B), both)] == ["a.md", "b.md"]


@given(HITS)
@settings(deadline=None)
def test_scores_are_shares_and_full_when_the_best_comes_first(hits: list[Hit]) -> None:
    found = scores((A, B), hits)
    assert all(0 <= value <= 1 for value in found.values())
    assert (found["mrr"] > 0) == any(hit.document_id == "a.md" or B.is_met_by(*_place(hit)) for hit in hits)
    best = scores((A, B), [hit("a.md"), hit("b.md", "B", "Part"), *hits][:10])
    assert set(best.values()) == {1.0}


@given(HITS)
@settings(deadline=None)
def test_another_hit_in_a_place_that_was_found_changes_nothing(hits: list[Hit]) -> None:
    if hits and hits[0].document_id == "a.md":
        again = [hits[0], hit("a.md", "again"), *hits[1:]]
        assert ranking((A,), again) == ranking((A,), hits)


def _place(hit: Hit) -> tuple[str, str, tuple[str, ...]]:
    return hit.source, hit.document_id, hit.heading_path
