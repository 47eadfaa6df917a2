"""A breaker: what has just failed is not asked again for a while, so that a dead service costs one question in many."""

import time
from collections.abc import Callable
from threading import Lock


class Breaker:
    """Lets questions through until one fails; then none for `seconds`, and after that one to see. For any threads."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin closed: whoever asks may."""
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._opens_at: float | None = None

    def lets_through(self) -> bool:
        """Tell whether one may ask now. Whoever may must say how it went."""
        with self._lock:
            if self._opens_at is None:
                return True
            now = self._clock()
            if now < self._opens_at:
                return False
            # One asks; the others wait for what becomes of it.
            self._opens_at = now + self._seconds
            return True

    def failed(self) -> bool:
        """Ask no more for a while. Return whether that is new, so that it is said once."""
        with self._lock:
            new = self._opens_at is None
            self._opens_at = self._clock() + self._seconds
            return new

    def succeeded(self) -> bool:
        """Go on asking. Return whether that is new."""
        with self._lock:
            new = self._opens_at is not None
            self._opens_at = None
            return new
