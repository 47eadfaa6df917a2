"""The pace that headers ask for, and how many requests a service bears: told by a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.embeddings.openai.limits import Pace, Size, Slots


def headers(limit: int, left: int, renewed_in: str, of: str = "tokens") -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{of}": str(limit),
        f"x-ratelimit-remaining-{of}": str(left),
        f"x-ratelimit-reset-{of}": renewed_in,
    }


def test_without_limits_nothing_waits() -> None:
    pace = Pace()
    for _ in range(100):
        assert pace.wait(10**9, 0) == 0
        pace.sent(10**9, 0)


@pytest.mark.parametrize(
    ("renewed_in", "seconds"), [("1s", 1), ("500ms", 0.5), ("1m0s", 60), ("6m0s", 360), ("1h", 3600), ("1.5s", 1.5)]
)
def test_what_is_used_grows_back_until_the_time_that_is_told(renewed_in: str, seconds: float) -> None:
    pace = Pace()
    pace.sent(10, 0)
    pace.heard(10, headers(1000, 0, renewed_in), 0)
    assert pace.wait(1000, 0) == pytest.approx(seconds)
    assert pace.wait(500, 0) == pytest.approx(seconds / 2)
    assert pace.wait(500, seconds / 4) == pytest.approx(seconds / 4)
    assert pace.wait(1000, seconds) == 0


def test_a_request_above_the_limit_waits_for_all_of_it_and_no_longer() -> None:
    pace = Pace()
    pace.sent(10, 0)
    pace.heard(10, headers(100, 50, "10s"), 0)
    assert pace.wait(5_000, 0) == pytest.approx(10)
    assert pace.largest_request == 100


def test_what_is_under_way_counts_as_used() -> None:
    pace = Pace()
    pace.sent(100, 0)
    pace.sent(300, 0)
    pace.heard(100, headers(1000, 900, "6s"), 0)
    assert pace.wait(600, 0) == 0
    assert pace.wait(601, 0) > 0


def test_requests_are_limited_as_tokens_are() -> None:
    pace = Pace()
    pace.sent(1, 0)
    pace.heard(1, headers(60, 1, "59s", of="requests"), 0)
    assert pace.wait(1, 0) == 0
    pace.sent(1, 0)
    assert pace.wait(1, 0) == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong", [headers(0, 0, "1s"), {"x-ratelimit-limit-tokens": "many"}, headers(5, 5, "soon"), {}]
)
def test_headers_that_say_nothing_hold_nothing_up(wrong: dict[str, str]) -> None:
    pace = Pace()
    pace.sent(1, 0)
    pace.heard(1, wrong, 0)
    assert pace.wait(5, 0) == 0


def test_a_pause_holds_for_all_and_is_never_shortened() -> None:
    pace = Pace()
    pace.pause(10, 0)
    pace.pause(1, 0)
    assert pace.wait(1, 4) == pytest.approx(6)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40))
def test_the_limit_of_a_minute_is_kept_whatever_is_sent(requests: list[int]) -> None:
    """A service that lets 600 tokens grow back in a minute is never asked for more than it has."""
    limit, rate = 600.0, 10.0
    pace, now, has = Pace(), 0.0, limit
    for tokens in requests:
        wait = pace.wait(tokens, now)
        now += wait
        has = min(limit, has + wait * rate)
        assert has >= tokens - 1
        pace.sent(tokens, now)
        has -= tokens
        told = int(has) if has > 0 else 0
        pace.heard(tokens, headers(int(limit), told, f"{(limit - told) / rate}s"), now)


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 64))
def test_slots_stay_between_one_and_the_most(overrun: list[bool], most: int) -> None:
    slots = Slots(most)
    for now, over in enumerate(overrun):
        before = slots.free_up_to
        if over:
            slots.overrun(float(now))
            assert slots.free_up_to == max(1, before // 2) or slots.free_up_to <= before
        else:
            slots.succeeded()
            assert slots.free_up_to >= before
        assert 1 <= slots.free_up_to <= most


def test_slots_halve_once_a_moment_and_come_back() -> None:
    slots = Slots(16)
    for _ in range(10):
        slots.overrun(5.0)
    assert slots.free_up_to == 8
    slots.overrun(6.5)
    assert slots.free_up_to == 4
    for _ in range(200):
        slots.succeeded()
    assert slots.free_up_to == 16


def test_a_size_that_took_too_long_is_remembered() -> None:
    size = Size()
    assert size.fits(256) == 256
    size.too_slow(256, 60)
    assert size.fits(256) == 128
    size.answered(128, 50)
    assert size.fits(256) == 128
    size.too_slow(256, 60)
    assert size.fits(256) == 128
    size.too_slow(1, 60)
    assert size.fits(256) == 1


def test_after_an_accident_the_size_comes_back() -> None:
    size = Size()
    size.too_slow(256, 60)
    size.answered(128, 0.2)
    assert size.fits(256) == 256
