"""Requests hold all texts, once and in order, within their bounds."""

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.embeddings.openai.packing import Bounds, Request, packed

TEXTS = st.lists(st.text(max_size=30), max_size=60)
BOUNDS = st.builds(Bounds, st.integers(1, 9), st.integers(1, 60), st.integers(0, 9), st.integers(1, 100))


def count(texts: list[str]) -> list[int]:
    return [len(text) for text in texts]


@given(TEXTS, BOUNDS)
def test_all_texts_are_packed_within_bounds(texts: list[str], bounds: Bounds) -> None:
    requests = list(packed(texts, count, bounds))
    assert [text for request in requests for text in request.texts] == texts
    assert [place for request in requests for place in request.positions] == list(range(len(texts)))
    for request in requests:
        assert 1 <= len(request.texts) <= bounds.texts
        assert request.tokens == sum(map(len, request.texts)) + bounds.overhead
        if len(request.texts) > 1:
            assert request.tokens <= bounds.tokens
            assert sum(request.sizes) <= bounds.bytes
    for one, other in pairwise(requests):
        full = Request(
            one.positions + other.positions[:1],
            one.texts + other.texts[:1],
            one.counts + other.counts[:1],
            one.sizes + other.sizes[:1],
            bounds.overhead,
        )
        within = full.tokens <= bounds.tokens and sum(full.sizes) <= bounds.bytes
        assert not within or len(one.texts) == bounds.texts


@given(TEXTS.filter(bool), BOUNDS)
def test_one_text_further_is_read_at_most(texts: list[str], bounds: Bounds) -> None:
    read = 0

    def reading() -> Iterator[str]:
        nonlocal read
        for text in texts:
            read += 1
            yield text

    given_away = 0
    for request in packed(reading(), count, bounds):
        given_away += len(request.texts)
        assert read <= given_away + 1


@given(st.lists(st.text(max_size=9), min_size=2, max_size=20), st.integers(0, 50))
def test_halves_hold_what_the_whole_held(texts: list[str], reserved: int) -> None:
    (request,) = packed(texts, count, Bounds(20, 1_000, 3))
    whole = Request(request.positions, request.texts, request.counts, request.sizes, 3, reserved)
    one, other = whole.halves()
    assert one.texts + other.texts == whole.texts
    assert one.positions + other.positions == whole.positions
    assert one.counts + other.counts == whole.counts
    assert one.reserved + other.reserved == reserved
    assert one.tokens + other.tokens == whole.tokens + 3
    assert abs(len(one.texts) - len(other.texts)) <= 1
