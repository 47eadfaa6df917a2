from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.sources.listing import Problems, escaped_id, is_storable, moment

RAW = st.binary(min_size=1, max_size=12) | st.text(r"a\xf/é", min_size=1, max_size=12).map(str.encode)


@given(one=RAW, other=RAW)
def test_escaped_ids_are_distinct_and_storable(one: bytes, other: bytes) -> None:
    ids = [escaped_id(raw.decode(errors="surrogateescape")) for raw in (one, other)]
    assert all(is_storable(identity) for identity in ids)
    assert (ids[0] == ids[1]) == (one == other)


@given(st.integers(-(10**30), 10**30))
def test_moments_are_sane_and_keep_their_order(microseconds: int) -> None:
    assert datetime(1970, 1, 1, tzinfo=UTC) <= moment(microseconds) <= datetime(2200, 1, 1, tzinfo=UTC)
    assert moment(microseconds) <= moment(microseconds + 1)


@given(st.integers(0, 7_258_118_399).map(lambda seconds: seconds * 1_000_000 + 123_456))
def test_a_sane_moment_is_exact(microseconds: int) -> None:
    assert round(moment(microseconds).timestamp() * 1_000_000) == microseconds


def test_an_end_names_the_first_problems_and_counts_the_rest() -> None:
    problems = Problems()
    assert problems.end().complete
    for number in range(5):
        problems.add(f"reason {number}")
    end = problems.end()
    assert (end.complete, end.reason) == (False, "reason 0; reason 1; reason 2; and 2 more")
