"""Texts packed into requests: as many as fit, in order, within bounds of number, tokens and bytes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

_LARGEST_BODY = 4 * 2**20
"""Bytes of the texts of a request. No service is known to take less; a text alone may have more."""


@dataclass(frozen=True, slots=True)
class Request:
    """Texts to embed, with their positions in the input, their tokens and their bytes; without any it is a probe.

    `overhead` are tokens that go with every request. `reserved` are those set aside for it. `failures` counts how
    often it came to nothing, the last time at `failed_at` (seconds of the monotonic clock), and `blamed` how many of
    these times the service had answered something else since the time before. `not_before` is when the service wants to
    be asked again. `faults` counts how often the vector of each of its texts was none, `refusals` how often the only
    text was refused.
    """

    positions: tuple[int, ...]
    texts: tuple[str, ...]
    counts: tuple[int, ...]
    sizes: tuple[int, ...]
    overhead: int = 0
    reserved: int = 0
    failures: int = 0
    failed_at: float = float("inf")
    blamed: int = 0
    not_before: float = 0.0
    faults: int = 0
    refusals: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of the whole request, as counted."""
        return sum(self.counts) + self.overhead

    def probe(self) -> Self:
        """Return a request that shows whether the service answers at all."""
        return replace(self.part(()), reserved=0)

    def halves(self) -> tuple[Self, Self]:
        """Return two requests of half as many texts; what is reserved goes with the first."""
        return self.split(len(self.texts) // 2)

    def split(self, texts: int) -> tuple[Self, Self]:
        """Return two requests, the first with so many texts; what is reserved goes with it."""
        return self.part(range(texts)), replace(self.part(range(texts, len(self.texts))), reserved=0)

    def part(self, chosen: Iterable[int]) -> Self:
        """Return a new request with some of the texts, by their place in this one; it has not failed yet."""
        places = tuple(chosen)
        return replace(
            self,
            positions=tuple(self.positions[place] for place in places),
            texts=tuple(self.texts[place] for place in places),
            counts=tuple(self.counts[place] for place in places),
            sizes=tuple(self.sizes[place] for place in places),
            failures=0,
            failed_at=float("inf"),
            blamed=0,
            not_before=0.0,
            refusals=0,
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request holds, at most; `overhead` are tokens that go with every one."""

    texts: int
    tokens: int
    overhead: int = 0
    bytes: int = _LARGEST_BODY


def packed(texts: Iterable[str], count_tokens: Callable[[list[str]], list[int]], bounds: Bounds) -> Iterator[Request]:
    """Yield requests that hold all texts, in order; reads one text further than the request that it yields."""
    waiting: list[tuple[int, str, int, int]] = []
    tokens, size = bounds.overhead, 0
    for position, text in enumerate(texts):
        (count,) = count_tokens([text])
        length = len(text.encode("utf-8", "replace"))
        full = len(waiting) == bounds.texts or tokens + count > bounds.tokens or size + length > bounds.bytes
        if waiting and full:
            yield Request(*zip(*waiting, strict=True), overhead=bounds.overhead)
            waiting, tokens, size = [], bounds.overhead, 0
        waiting.append((position, text, count, length))
        tokens += count
        size += length
    if waiting:
        yield Request(*zip(*waiting, strict=True), overhead=bounds.overhead)
