"""A service that fails is left alone for a while; then one asks, and the others wait for what becomes of it."""

import pytest

from rag_pipeline.query.cache.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_all_may_ask_until_one_fails(clock: Clock) -> None:
    breaker = Breaker(30, clock)
    assert [breaker.lets_through() for _ in range(3)] == [True] * 3
    assert breaker.failed()
    assert not breaker.failed(), "it is said once"
    clock.now += 29.9
    assert not breaker.lets_through()


def test_after_the_pause_one_asks(clock: Clock) -> None:
    breaker = Breaker(30, clock)
    breaker.failed()
    clock.now += 30
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    assert not breaker.failed()
    clock.now += 29.9
    assert not breaker.lets_through()


def test_an_answer_closes_it(clock: Clock) -> None:
    breaker = Breaker(30, clock)
    assert not breaker.succeeded()
    breaker.failed()
    clock.now += 30
    assert breaker.lets_through()
    assert breaker.succeeded()
    assert [breaker.lets_through() for _ in range(3)] == [True] * 3


def test_who_asked_and_never_said_how_it_went_is_followed_by_another(clock: Clock) -> None:
    breaker = Breaker(30, clock)
    breaker.failed()
    clock.now += 30
    assert breaker.lets_through()
    clock.now += 30
    assert breaker.lets_through()
