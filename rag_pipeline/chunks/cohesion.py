"""How alike the text on both sides of a border is: where it has little in common, one topic ends and another begins.

After Hearst, "TextTiling: segmenting text into multi-paragraph subtopic passages" (Computational Linguistics
23(1), 1997): two stretches of text are compared by the cosine of their counts. Here the counts are those of
runs of five characters, not of words, so that no language needs a stemmer, a list of stop words or blanks
between its words. Only nearby text of the same section matters, so that an edit can move borders near it
alone; the counts are whole numbers, so that every machine agrees. Time is linear in the text and the borders.
"""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_REACH = 400
"""Characters to compare on either side: about half a chunk of the default size."""

_RUN = 5
_BUCKET_BITS = 12
"""Runs are counted by hash; a stretch has some 400 of them, so that few share one of 4,096 buckets."""

_MULTIPLIER = np.uint32(2654435769)
"""2^32 divided by the golden ratio: the high bits of a product with it depend on all bits (Knuth, volume 3, 6.4)."""

_GAP = re.compile(r"\W+")


def cohesions(text: str, borders: Sequence[tuple[int, int]]) -> list[float]:
    """Return of each border how alike the texts before and after it are, from 0 (nothing in common) to 1.

    A border is the end of what precedes it and the start of what follows. Next to the ends of `text`, where a
    side is too short to say anything, it is 0.
    """
    if not borders:
        return []
    buckets, places = _buckets(text)
    return [
        _cosine(buckets[max(0, end - _REACH) : max(0, end - _RUN + 1)], buckets[start : start + _REACH - _RUN + 1])
        for end, start in places[np.array(borders)].tolist()
    ]


def _buckets(text: str) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Return the bucket of each run, and of each position in the text which run begins there.

    Runs are those of the words in lower case with one blank between two, whatever stands there in the text.
    """
    lower = text.replace("İ", "i").lower()  # the one character that would become two
    codes = np.frombuffer(_GAP.sub(_one_blank, lower).encode("utf-32-le"), np.uint32)
    kept = codes != 0
    codes = codes[kept]
    runs = np.zeros(max(0, len(codes) - _RUN + 1), np.uint32)
    for offset in range(_RUN):
        runs = runs * _MULTIPLIER + codes[offset : offset + len(runs)]
    places = np.concatenate(([0], np.cumsum(kept, dtype=np.int32)))
    return (runs * _MULTIPLIER >> np.uint32(32 - _BUCKET_BITS)).astype(np.uint16), places


def _one_blank(gap: re.Match[str]) -> str:
    """Keep the length of the text, so that its positions stay what they are."""
    return " ".ljust(len(gap[0]), "\0")


def _cosine(one: NDArray[np.uint16], other: NDArray[np.uint16]) -> float:
    if not one.size or not other.size:
        return 0.0
    left, right = (np.bincount(side, minlength=1 << _BUCKET_BITS) for side in (one, other))
    return int(left[other].sum()) / math.sqrt(int(left[one].sum()) * int(right[other].sum()))
