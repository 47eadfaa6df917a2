"""Which texts share shingles, and that the hashes are those of the words and of nothing else."""

import re
import subprocess
import sys
from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.chunks.shingles import SHINGLE_WORDS, shingles

TEXT = "Keys are rotated every 90 days. The old key stays valid for one hour, so that clients can change over."
FEW_WORDS = st.builds(
    lambda words, times: words * times,
    st.lists(st.sampled_from(["the", "key", "is", "rotated", "daily", "não", "2026", "_x"]), max_size=20),
    st.integers(1, 3),
)


def plain(text: str) -> set[tuple[str, ...]]:
    """The shingles of a text with blanks between its words, as words; none if it has no word."""
    words = re.findall(r"\w+", normalize("NFKC", text).lower())
    return {tuple(words[start : start + SHINGLE_WORDS]) for start in range(max(len(words) - SHINGLE_WORDS + 1, 1))}


def hashes(text: str) -> list[int]:
    return np.frombuffer(shingles(text), "<u4").tolist()


@given(FEW_WORDS)
def test_there_is_one_hash_for_each_distinct_shingle(words: list[str]) -> None:
    assert len(hashes(" ".join(words))) == len(plain(" ".join(words)))


@given(FEW_WORDS.filter(bool), FEW_WORDS.filter(bool))
def test_hashes_are_shared_where_shingles_are(one: list[str], other: list[str]) -> None:
    mine, theirs = " ".join(one), " ".join(other)
    assert len({*hashes(mine)} & {*hashes(theirs)}) == len(plain(mine) & plain(theirs))


@given(st.text())
def test_hashes_are_ascending_distinct_and_never_none(text: str) -> None:
    found = hashes(text)
    assert found
    assert found == sorted(set(found))


@given(st.text(alphabet=st.characters(max_codepoint=0xDFF)))
def test_words_are_those_of_the_regular_expression(text: str) -> None:
    """In scripts with blanks; the quicker way by bytes must find the same words."""
    words = re.findall(r"\w+", normalize("NFKC", text).lower())
    assert shingles(text) == shingles(" ".join(words) or text)


@pytest.mark.parametrize(
    "same",
    [
        TEXT.upper(),
        TEXT.replace(" ", "\n\n"),
        "> " + TEXT.replace(". ", " -- ").replace(",", ""),
        TEXT.replace("one hour", "**one hour**"),
        TEXT.replace("90", "\uff19\uff10"),
        f"\u201c{TEXT}\u201d",
    ],
)
def test_case_punctuation_and_spelling_do_not_matter(same: str) -> None:
    assert shingles(same) == shingles(TEXT)


def test_order_and_words_matter() -> None:
    assert not {*hashes("a b c d e")} & {*hashes("e d c b a")}
    assert not {*hashes("one two")} & {*hashes("one two three four five")}
    assert not {*hashes("???")} & {*hashes("!!!")}


def test_a_script_without_blanks_is_compared_by_letters() -> None:
    before = {*hashes("川は山から海へ水を運びます。川の水は冷たい。")}
    after = {*hashes("川は山から海へ水を運びます。川の水は温かい。")}
    assert len(before & after) > len(before) / 2


def test_a_lone_surrogate_is_no_word() -> None:
    assert shingles("\ud800 a") == shingles("a") != shingles("\ud800")


def test_other_processes_find_the_same() -> None:
    program = f"from rag_pipeline.chunks.shingles import shingles; print(shingles({TEXT!r}).hex())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == shingles(TEXT).hex()


def test_the_hashes_are_those_that_are_stored() -> None:
    """A change here makes every stored row wrong: raise CHUNKER_VERSION with it."""
    assert hashes("Keys are rotated daily") == [503623278]
    assert hashes("The key of the service is rotated") == [1092130260, 1411337809, 1657466962]
    assert hashes("") == [3985159932]
