"""The measure of the PDF benchmark: a longest common subsequence, and passages that moved."""

from functools import cache
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.word_order import in_order, moved, words

TEXT = st.lists(st.sampled_from("abcd"), max_size=14)


@given(TEXT, TEXT)
def test_the_subsequence_is_common_and_longest(one: list[str], other: list[str]) -> None:
    @cache
    def longest(i: int, j: int) -> int:
        if i == len(one) or j == len(other):
            return 0
        if one[i] == other[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    pairs = in_order(one, other)
    assert [one[i] for i, _ in pairs] == [other[j] for _, j in pairs]
    assert len(pairs) == longest(0, 0)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))


def test_a_passage_that_stands_elsewhere_is_found_and_a_stray_word_is_not() -> None:
    body, note = [f"w{n}" for n in range(50)], [f"n{n}" for n in range(10)]
    wanted = [*body[:10], *note, *body[10:], "stray"]
    offered = ["stray", *body, *note]
    pairs = in_order(wanted, offered)
    assert len(pairs) == 50
    assert {wanted[i] for i, _ in moved(wanted, offered, pairs)} == set(note)


def test_words_are_compared_in_one_spelling() -> None:
    assert words("The ﬁle’s “Name”: areas¹² — x_y") == ["the", "file", "s", "name", "areas", "12", "x", "y"]
