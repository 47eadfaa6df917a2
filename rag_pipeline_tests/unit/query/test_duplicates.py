"""Which of several chunks that say nearly the same survives, and that nothing vanishes without a name."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.chunks.shingles import shingles
from rag_pipeline.query.duplicates import reasons, similarities, without_duplicates
from rag_pipeline.query.hits import Candidate
from rag_pipeline_tests.costs import assert_linear
from rag_pipeline_tests.unit.query.candidates import candidate, ranked_candidates, texts

thresholds = st.floats(0.05, 1)


def likeness(one: str, other: str) -> float:
    return float(similarities([shingles(one), shingles(other)])[1, 0])


def jaccard(one: str, other: str) -> float:
    """The definition, over words instead of hashes."""

    def of(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", text.lower())
        return {tuple(words[start : start + 5]) for start in range(max(len(words) - 4, 1))}

    return len(of(one) & of(other)) / len(of(one) | of(other))


@given(texts, texts)
def test_likeness_is_the_share_of_common_shingles(one: str, other: str) -> None:
    assert likeness(one, other) == jaccard(one, other)
    assert likeness(one, other) == likeness(other, one)


@given(st.text())
def test_a_text_is_wholly_like_itself(text: str) -> None:
    assert likeness(text, text) == 1


def test_texts_without_a_common_shingle_are_not_alike() -> None:
    assert likeness("one two three four five six", "six five four three two one") == 0
    assert not similarities([b"", b"", shingles("text")]).any()


@given(st.permutations(range(40)))
def test_each_further_edit_makes_less_alike(places: list[int]) -> None:
    words = [f"word{number}" for number in range(40)]
    before, last = " ".join(words), 1.0
    for place in places:
        words[place] = f"new{place}"
        now = likeness(before, " ".join(words))
        assert now <= last
        last = now
    assert last == 0


@given(ranked_candidates(), thresholds)
def test_survivors_and_twins_are_all_candidates(candidates: list[Candidate], threshold: float) -> None:
    survivors, twins = without_duplicates(candidates, threshold)
    fallen = [twin for each in twins.values() for twin in each]
    assert sorted([*(one.chunk_id for one in survivors), *fallen]) == sorted(one.chunk_id for one in candidates)
    assert list(survivors) == [one for one in candidates if one in survivors]
    assert twins.keys() <= {one.chunk_id for one in survivors}
    assert reasons(twins).keys() == set(fallen)


@given(ranked_candidates(), thresholds)
def test_twins_are_alike_and_worse_and_survivors_are_not(candidates: list[Candidate], threshold: float) -> None:
    survivors, twins = without_duplicates(candidates, threshold)
    by_id = {one.chunk_id: (rank, one) for rank, one in enumerate(candidates)}
    for survivor, fallen in twins.items():
        rank, kept = by_id[survivor]
        for twin in fallen:
            worse, lost = by_id[twin]
            assert rank < worse
            found = likeness(kept.text, lost.text)
            assert found >= threshold
            assert found == max(likeness(one.text, lost.text) for one in survivors if by_id[one.chunk_id][0] < worse)
    for position, one in enumerate(survivors):
        assert all(likeness(one.text, better.text) < threshold for better in survivors[:position])


@given(ranked_candidates(), thresholds)
def test_what_survived_survives_again(candidates: list[Candidate], threshold: float) -> None:
    survivors, _ = without_duplicates(candidates, threshold)
    assert without_duplicates(survivors, threshold) == (survivors, {})


def test_a_chain_of_small_differences_does_not_make_its_ends_twins() -> None:
    first, second, third = ("a b c d e f g h", "a b c d e f g x", "y b c d e f g x")
    assert likeness(first, second) == likeness(second, third) == 0.6
    survivors, twins = without_duplicates([candidate("1", first), candidate("2", second), candidate("3", third)], 0.6)
    assert [one.chunk_id for one in survivors] == ["1", "3"]
    assert twins == {"1": ("2",)}
    assert reasons(twins) == {"2": "near-duplicate of 1"}


def test_a_twin_is_that_of_the_survivor_it_is_most_like() -> None:
    one, other, text = "a b c d e f g h i j k", "x b c d e f g y i j k", "x b c d e f g h i j k"
    assert likeness(one, other) < 0.2 < likeness(other, text) < likeness(one, text)
    for order in ([one, other, text], [other, one, text]):
        _, twins = without_duplicates([candidate(each, each) for each in order], 0.2)
        assert twins == {one: (text,)}


def test_equal_texts_are_twins_even_without_shingles() -> None:
    same = [candidate(name, "the same", shingles=b"") for name in "abc"]
    assert without_duplicates(same, 1) == ((same[0],), {"a": ("b", "c")})


@pytest.mark.parametrize("shared", [0, 75, 120, 150], ids="{} of 150 words shared".format)
def test_work_grows_with_the_candidates_and_not_with_their_pairs(shared: int) -> None:
    draw = random.Random(1)
    common = [f"common{number}" for number in range(shared)]
    candidates = [
        candidate(str(number), " ".join([*common, *(str(draw.random()) for _ in range(150 - shared))]))
        for number in range(100)
    ]
    assert len(without_duplicates(candidates, 0.8)[0]) == (1 if shared == 150 else 100)
    assert_linear(lambda: without_duplicates(candidates[:25], 0.8), lambda: without_duplicates(candidates, 0.8))
