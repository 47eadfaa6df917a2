"""Who asks the same at the same moment waits for who asked first, but not longer than for an answer of one's own."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from rag_pipeline.query.cache import CachedAnswer, Turns
from rag_pipeline.query.cache.turns import TOO_LONG
from rag_pipeline_tests.unit.query.cache.waiting import seen_to_wait

KEY, OTHER_KEY = "a" * 64, "b" * 64
ANSWER = CachedAnswer("Yearly [1].", ("a-1",), (), "some-model-2026", 812, None)
PATIENT = 600.0


def waited_for(turns: Turns, seconds: float = PATIENT) -> tuple[CachedAnswer | str | None, float | None]:
    with turns.take(KEY, seconds) as turn:
        return turn.came, turn.seconds


@pytest.mark.parametrize("came", [ANSWER, "it is busy or away", None])
def test_all_who_wait_are_given_what_came_and_keep_the_rest_of_their_time(
    came: CachedAnswer | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, turns = seen_to_wait(monkeypatch), Turns()
    with ThreadPoolExecutor(4) as threads:
        with turns.take(KEY, PATIENT) as first:
            assert (first.key, first.came, first.seconds) == (KEY, None, None)
            others = [threads.submit(waited_for, turns) for _ in range(4)]
            for _ in others:
                waiting.acquire()
            assert not any(other.done() for other in others)
            first.came = came
        given = [other.result() for other in others]
    assert [each[0] for each in given] == [came] * 4
    assert all(each[1] is not None and 0 < each[1] < PATIENT for each in given)
    assert waited_for(turns) == (None, None), "the next is a first one again"


def test_one_who_goes_away_leaves_the_turn_to_all_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, turns = seen_to_wait(monkeypatch), Turns()

    def goes_away() -> None:
        with turns.take(KEY, PATIENT):
            others.extend(threads.submit(waited_for, turns) for _ in range(3))
            for _ in range(3):
                waiting.acquire()
            raise ConnectionAbortedError

    others: list[Future[tuple[object, float | None]]] = []
    with ThreadPoolExecutor(3) as threads:
        with pytest.raises(ConnectionAbortedError):
            goes_away()
        assert [other.result()[0] for other in others] == [None] * 3
    assert waited_for(turns) == (None, None)


def test_one_who_never_ends_holds_nobody_longer_than_an_own_answer_may_take() -> None:
    turns = Turns()
    with turns.take(KEY, PATIENT), ThreadPoolExecutor(1) as threads:
        assert threads.submit(waited_for, turns, 0.05).result() == (TOO_LONG, 0.0)
        with turns.take(OTHER_KEY, PATIENT) as other:
            assert (other.came, other.seconds) == (None, None), "another question waits for nobody"
    assert waited_for(turns) == (None, None)
