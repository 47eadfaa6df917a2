"""Know when others wait for a turn, without a look at a clock."""

import threading
from threading import Semaphore

import pytest

from rag_pipeline.query.cache import turns


def seen_to_wait(monkeypatch: pytest.MonkeyPatch) -> Semaphore:
    """Return what can be acquired once for everybody who begins to wait for another's turn."""
    waiting = Semaphore(0)

    class Seen(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waiting.release()
            return super().wait(timeout)

    monkeypatch.setattr(turns, "Event", Seen)
    return waiting
