import errno
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.cli.outcomes import code_of, for_each, rows
from rag_pipeline.errors import ConfigurationError, PermanentError, TransientError


@dataclass(frozen=True)
class Count:
    source: str
    bad: int = 0


ACTIONS = {
    "fine": lambda name: Count(name),
    "wrong": lambda name: Count(name, bad=1),
    "failed": lambda name: fail(TransientError("it went away")),
    "unforeseen": lambda name: fail(ZeroDivisionError("division by zero")),
    "misconfigured": lambda name: fail(ConfigurationError("no such folder")),
}


def fail(error: Exception) -> Count:
    raise error


def run(names: list[str]) -> tuple[list[dict[str, object]], int]:
    outcomes = for_each(names, lambda name: ACTIONS[name](name))
    return rows(outcomes), code_of(outcomes, lambda count: not count.bad)


@given(st.lists(st.sampled_from(sorted(ACTIONS)), min_size=1))
def test_every_source_has_its_turn_and_the_worst_decides(names: list[str]) -> None:
    found, code = run(names)
    assert [row["source"] for row in found] == names
    if set(names) == {"fine"}:
        assert code == 0
    else:
        assert code == (2 if set(names) == {"misconfigured"} else 1)


def test_an_error_is_told_in_words() -> None:
    found, _ = run(["failed", "unforeseen"])
    assert found[0] == {"source": "failed", "error": "it went away"}
    assert found[1]["error"] == "ZeroDivisionError: division by zero (the traceback: set RAG_DEBUG=1)"


def test_a_place_that_is_closed_or_full_says_what_to_do() -> None:
    closed = for_each(["docs"], lambda name: fail(PermissionError(errno.EACCES, "Permission denied", "/srv/.rag")))
    full = for_each(["docs"], lambda name: fail(OSError(errno.ENOSPC, "No space left on device")))
    told = [str(rows(outcomes)[0]["error"]) for outcomes in (closed, full)]
    assert told == [
        "/srv/.rag: Permission denied; let this user read and write there, or choose another [workspace] root",
        "the disk: No space left on device; free some space, or choose another [workspace] root",
    ]
    assert [code_of(outcomes, lambda count: True) for outcomes in (closed, full)] == [2, 1]


def test_debugging_shows_the_error_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(["fine", "unforeseen"])


def test_an_interruption_stops_everything() -> None:
    def interrupted(name: str) -> Count:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for_each(["one", "two"], interrupted)


def test_permanent_errors_are_wrong_data() -> None:
    assert code_of(for_each(["s"], lambda name: fail(PermanentError("no"))), lambda count: True) == 1
