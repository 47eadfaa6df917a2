"""``Speaker: text``, turn by turn, as people type minutes and as meeting tools export them.

Promises: every line is kept; one that names no speaker goes on with the turn above it. A time before the name or
after it is when the turn begins, and the next one's is when it ends.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from rag_pipeline.documents.transcript_speech import LONGEST, Remark

_CLOCK = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2}(?:[.,]\d{1,3})?)"
_STAMP = rf"[\[(]?{_CLOCK}[\])]?"
_NAME = r"(?P<name>(?![\d:])[^\W_][\w.'’&/()#-]*(?:[ \t][\w.'’&/()#-]+){0,3})"
_TURN = re.compile(rf"\s*(?:{_STAMP}\s*[-–|]?\s*)?{_NAME}(?:\s*{_STAMP})?\s*:(?:[ \t]+|$)(?P<text>.*)")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+(?![a-z])|(?<=[。！？])(?![。！？」』”])")
_LONGEST_NAME = 60
_SAMPLE = 64 * 1024

_LEAST_TURNS = 5
_LEAST_SHARE = 0.9
_LEAST_WORDS = 3.0
_LABELS = (
    "abstract address attention author caution cc contact critical date debug email error example fatal fax fixed from"
    " hint http https id important info input key language license message name note notes notice number output path"
    " phone re reply-to severe sent source status subject summary tel time tip title to todo trace type url value"
    " version warn warning"
)
_NO_SPEAKERS = frozenset(_LABELS.split())


def looks_like_turns(text: str) -> bool:
    """Tell whether a text is a transcript of turns; when in doubt it is not.

    It is when nine lines of ten begin a turn, there are at least five turns, and at least two speakers who
    take turns: each of two speaks twice, and nobody is a label such as ``Note`` or ``INFO``.
    """
    lines = [line for line in text[:_SAMPLE].split("\n") if line.strip()]
    turns = [turn for line in lines if (turn := _turn(line))]
    if len(turns) < max(_LEAST_TURNS, _LEAST_SHARE * len(lines)):
        return False
    names = Counter(turn["name"] for turn in turns)
    words = sum(len(turn["text"].split()) for turn in turns)
    return (
        sum(count > 1 for count in names.values()) > 1
        and 2 * len(names) <= len(turns)
        and words >= _LEAST_WORDS * len(turns)
        and not any(name.casefold() in _NO_SPEAKERS or name[0].islower() for name in names)
    )


def read_turns(text: str) -> list[Remark]:
    """Return the remarks of a text; what is long is parted between its sentences."""
    said: list[Remark] = []
    for line in text.split("\n"):
        if turn := _turn(line):
            name = " ".join(turn["name"].split())
            said.append(Remark(turn["text"], name, opens=True, seconds=_seconds(turn)))
        elif line.strip():
            last = said[-1] if said else Remark("")
            said.append(replace(last, text=line.strip(), opens=False))
    return [part for remark in _ended(said) for part in _parts(remark)]


def _turn(line: str) -> re.Match[str] | None:
    match = _TURN.match(line)
    return match if match and len(match["name"]) <= _LONGEST_NAME else None


def _seconds(turn: re.Match[str]) -> tuple[float, float] | None:
    """Where a turn begins; the clock may stand before the name or behind it."""
    hours, minutes, seconds = turn.groups()[:3] if turn[3] else turn.groups()[4:7]
    if seconds is None:
        return None
    begin = round(3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", ".")), 3)
    return begin, begin


def _ended(said: Sequence[Remark]) -> Iterator[Remark]:
    """Let each turn last until the next one begins."""
    ends: list[float | None] = []
    following: float | None = None
    for remark in reversed(said):
        ends.append(following)
        if remark.opens and remark.seconds:
            following = remark.seconds[0]
    for remark, end in zip(said, reversed(ends), strict=True):
        if remark.seconds and end is not None:
            begin = remark.seconds[0]
            remark = replace(remark, seconds=(begin, max(begin, end)))
        yield remark


def _parts(remark: Remark) -> Iterator[Remark]:
    """Part a long remark between sentences, into stretches that stay short where sentences do."""
    edges = [0, *(match.end() for match in _SENTENCE.finditer(remark.text)), len(remark.text)]
    begin = 0
    for stop, after in pairwise(edges[1:]):
        if len(remark.text[begin:after].encode()) > LONGEST:
            yield replace(remark, text=remark.text[begin:stop].rstrip(), opens=remark.opens and begin == 0)
            begin = stop
    yield replace(remark, text=remark.text[begin:], opens=remark.opens and begin == 0)
