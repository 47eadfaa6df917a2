"""Turns: of those who ask the same at the same moment one asks the model, and the others are given what comes of it.

That holds within a process, for the same key, and so for the same caller. One waits for another once, and within the
time that one has: what is left of it is for asking oneself, where the other went away and left nothing.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock

from rag_pipeline.query.cache.value import CachedAnswer

TOO_LONG = "it took too long"


class Turn:
    """One's turn at an answer.

    `came` is what came of another's turn that was waited for: the answer, why there is none, or None; whoever makes
    the answer says there what others are given. `seconds` are left to make it; None: as many as there are.
    """

    def __init__(self, key: str | None = None) -> None:
        """Take the key under which the answer is kept; None: it is not."""
        self.key = key
        self.came: CachedAnswer | str | None = None
        self.seconds: float | None = None
        self.ended = Event()


class Turns:
    """The answers that are being made, by their keys. Any number of threads may use it at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._first: dict[str, Turn] = {}

    @contextmanager
    def take(self, key: str, seconds: float) -> Iterator[Turn]:
        """Give one's turn at once, or when the one that is under way has ended, but after `seconds` in any case."""
        turn = Turn(key)
        try:
            with self._lock:
                first = self._first.setdefault(key, turn)
            if first is not turn:
                deadline = time.monotonic() + seconds
                turn.came = first.came if first.ended.wait(seconds) else TOO_LONG
                turn.seconds = max(0.0, deadline - time.monotonic())
            yield turn
        finally:
            with self._lock:
                if self._first.get(key) is turn:
                    del self._first[key]
            turn.ended.set()
