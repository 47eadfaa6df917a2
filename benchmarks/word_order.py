"""How much of one text is found in another one, in the same order: the longest common subsequence of their words.

The subsequence is exact. Its lengths are computed with the bits of one large number for all positions of the
second text at once (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004), its words by halving the
first text (Hirschberg, "A linear space algorithm for computing maximal common subsequences", 1975).
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate

_SUPERSCRIPT = re.compile("[⁰¹²³⁴-⁹]+")
_WORD = re.compile(r"[^\W_]+")
_STRETCH = 4  # words that follow each other in both texts: a passage, not a coincidence
_ROUNDS = 3

Pairs = list[tuple[int, int]]


def words(text: str) -> list[str]:
    """Return the runs of letters and digits, in compatibility form and in lower case; raised digits stand apart."""
    text = _SUPERSCRIPT.sub(" \\g<0> ", text)
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def in_order(wanted: Sequence[str], offered: Sequence[str]) -> Pairs:
    """Return the positions of a longest common subsequence in both."""
    return list(_common(wanted, 0, len(wanted), offered, 0, len(offered)))


def moved(wanted: Sequence[str], offered: Sequence[str], found: Pairs) -> Pairs:
    """Return passages that stand elsewhere: stretches of words, in order in what `found` leaves of both."""
    passages: Pairs = []
    for _ in range(_ROUNDS):
        pairs = found + passages
        left = sorted(set(range(len(wanted))) - {i for i, _ in pairs})
        right = sorted(set(range(len(offered))) - {j for _, j in pairs})
        common = in_order([wanted[i] for i in left], [offered[j] for j in right])
        passages += [pair for run in _runs([(left[i], right[j]) for i, j in common]) for pair in run]
    return passages


def _runs(pairs: Pairs) -> Iterator[Pairs]:
    run: Pairs = []
    for pair in pairs:
        if run and pair != (run[-1][0] + 1, run[-1][1] + 1):
            if len(run) >= _STRETCH:
                yield run
            run = []
        run.append(pair)
    if len(run) >= _STRETCH:
        yield run


def _common(a: Sequence[str], i: int, m: int, b: Sequence[str], j: int, n: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs of ``a[i:m]`` and ``b[j:n]``."""
    while i < m and j < n and a[i] == b[j]:
        yield i, j
        i, j = i + 1, j + 1
    tail: Pairs = []
    while i < m and j < n and a[m - 1] == b[n - 1]:
        m, n = m - 1, n - 1
        tail.append((m, n))
    if m - i == 1:
        at = next((k for k in range(j, n) if b[k] == a[i]), None)
        if at is not None:
            yield i, at
    elif i < m and j < n:
        half = (i + m) // 2
        before = _lengths(a[i:half], b[j:n])
        after = _lengths(a[half:m][::-1], b[j:n][::-1])[::-1]
        split = max(range(n - j + 1), key=lambda k: before[k] + after[k])
        yield from _common(a, i, half, b, j, j + split)
        yield from _common(a, half, m, b, j + split, n)
    yield from reversed(tail)


def _lengths(a: Sequence[str], b: Sequence[str]) -> list[int]:
    """Return, for each prefix of `b`, the length of its longest common subsequence with `a`."""
    places: dict[str, int] = {}
    for index, word in enumerate(b):
        places[word] = places.get(word, 0) | 1 << index
    every = (1 << len(b)) - 1
    open_places = every
    for word in a:
        if place := places.get(word):
            met = open_places & place
            open_places = ((open_places + met) | (open_places - met)) & every
    bits = f"{open_places:0{len(b)}b}"[::-1] if b else ""
    return list(accumulate((bit == "0" for bit in bits), initial=0))
