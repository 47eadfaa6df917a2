"""How fast a service may be asked: as its headers say, and as it bears.

Nothing here reads a clock: `now` is given, in seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WINDOW = 60.0
"""Seconds in which an allowance is renewed, where the service does not say it."""

_MOMENT = 0.2
"""Seconds within which several refusals are one."""


_FAST = 4
"""How many times faster than what took too long an answer is, for requests of twice as many texts to be sent."""


class Size:
    """How many texts of a request are answered in time: fewer when one took too long, and as many as go well."""

    def __init__(self) -> None:
        self._texts = self._too_long = float("inf")

    def fits(self, texts: int) -> int:
        """Return how many of so many texts may go into one request; at least one."""
        return int(min(texts, self._texts))

    def too_slow(self, texts: int, seconds: float) -> None:
        """Take note of a request that was not answered in so many seconds."""
        self._texts = max(1, min(self._texts, texts // 2))
        self._too_long = seconds

    def answered(self, texts: int, seconds: float) -> None:
        """Take note of an answer; after one that came fast, what took too long may have been an accident."""
        if texts and seconds * _FAST < self._too_long:
            self._texts = max(self._texts, 2 * texts)


class Slots:
    """How many requests are under way at a time: half as many when the service is overrun, one more by and by."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._slowed_at = float("-inf")

    @property
    def free_up_to(self) -> int:
        """How many may be under way now; at least one."""
        return max(1, int(self._limit))

    def succeeded(self) -> None:
        """Take note of an answer."""
        self._limit = min(float(self._most), self._limit + 1 / self._limit)

    def overrun(self, now: float) -> None:
        """Take note of a request that came too soon or took too long; those of one moment count once."""
        if now - self._slowed_at >= _MOMENT:
            self._limit = max(1.0, self._limit / 2)
            self._slowed_at = now


@dataclass(slots=True)
class _Allowance:
    """What may still be asked, of requests or of tokens; it grows back at a steady rate."""

    limit: float = float("inf")
    left: float = float("inf")
    rate: float = float("inf")
    at: float = 0.0

    def heard(self, limit: float, left: float, renewed_in: float | None, now: float) -> None:
        self.limit, self.left, self.at = limit, left, now
        used = max(limit - left, 0.0)
        self.rate = used / renewed_in if renewed_in and used else limit / _WINDOW

    def wait(self, wanted: float, now: float) -> float:
        if self.limit == float("inf"):
            return 0.0
        missing = min(wanted, self.limit) - self._left(now)
        return missing / self.rate if missing > 0 else 0.0

    def take(self, wanted: float, now: float) -> None:
        if self.limit != float("inf"):
            self.left, self.at = self._left(now) - wanted, now

    def _left(self, now: float) -> float:
        return min(self.limit, self.left + (now - self.at) * self.rate)


class Pace:
    """When the next request may leave."""

    def __init__(self) -> None:
        self._requests = _Allowance()
        self._tokens = _Allowance()
        self._paused_until = float("-inf")
        self._under_way: list[int] = []

    @property
    def largest_request(self) -> float:
        """Tokens of a request above which the service can never take it."""
        return self._tokens.limit

    def wait(self, tokens: int, now: float) -> float:
        """Return in how many seconds a request of so many tokens may leave; 0 means now."""
        waits = (self._paused_until - now, self._requests.wait(1, now), self._tokens.wait(tokens, now))
        return max(0.0, *waits)

    def sent(self, tokens: int, now: float) -> None:
        """Take note of a request."""
        self._requests.take(1, now)
        self._tokens.take(tokens, now)
        self._under_way.append(tokens)

    def heard(self, tokens: int, headers: Mapping[str, str], now: float) -> None:
        """Take note of the end of a request of so many tokens, and of what the service says of its limits.

        The service may not have counted yet what else is under way, so all of that is taken off.
        """
        self._under_way.remove(tokens)
        for allowance, name, others in (
            (self._requests, "requests", len(self._under_way)),
            (self._tokens, "tokens", sum(self._under_way)),
        ):
            limit = _number(headers.get(f"x-ratelimit-limit-{name}"))
            left = _number(headers.get(f"x-ratelimit-remaining-{name}"))
            if limit and left is not None:
                allowance.heard(limit, left - others, _seconds(headers.get(f"x-ratelimit-reset-{name}")), now)

    def pause(self, seconds: float, now: float) -> None:
        """Let nothing leave for so long."""
        self._paused_until = max(self._paused_until, now + seconds)

    def paused(self, now: float) -> bool:
        """Whether nothing may leave because of a pause."""
        return self._paused_until > now


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _seconds(text: str | None) -> float | None:
    """Read a duration as OpenAI writes it, such as ``6m0s`` or ``20ms``."""
    parts = _DURATION.findall(text or "")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) if parts else None
