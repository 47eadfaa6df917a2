"""WebVTT and SubRip files become cues: when, and the lines of text that were shown.

Promises: any line with an arrow between two times begins a cue, whatever surrounds it; text that belongs to no
cue is kept with the one before it, or as a cue without times. Only the header, comments, styles, regions and
the numbers or names of cues are left out. Times are seconds, never negative, and no cue ends before it begins.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

_TIME = (
    r"(?P<sign{0}>-)?(?:(?P<hours{0}>\d{{1,6}}):)?(?P<minutes{0}>\d{{1,4}}):(?P<seconds{0}>\d{{1,4}}(?:[.,]\d{{1,9}})?)"
)
_TIMING = re.compile(rf"\s*{_TIME.format(0)}\s*-->\s*{_TIME.format(1)}(?:\s|$)")
_HEADER = re.compile(r"WEBVTT(?:\s*[-–—:](.*)|\s|$)")
_MAX_DECLARATIONS = 20
_DROPPED = re.compile(r"NOTE(?:\s|$)|(?:STYLE|REGION)\s*$")
_DECLARATION = re.compile(r"\s*([A-Za-z][\w-]{0,40})\s*:\s*(.{1,200})")


@dataclass(slots=True)
class Cue:
    """Lines of text between two times; `seconds` None where the file says no time."""

    seconds: tuple[float, float] | None
    lines: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Captions:
    """What a file holds; `title` and `declared` are from its header."""

    title: str = ""
    declared: dict[str, str] = field(default_factory=dict[str, str])
    cues: list[Cue] = field(default_factory=list[Cue])


def read_vtt(text: str) -> Captions:
    """Read a WebVTT file, with or without its header."""
    captions = Captions()
    blocks = list(_blocks(text))
    if blocks and (header := _HEADER.match(blocks[0][0])):
        captions.title = (header[1] or "").strip()
        timing = next((index for index, line in enumerate(blocks[0]) if _TIMING.match(line)), len(blocks[0]))
        found = (_DECLARATION.fullmatch(line) for line in blocks[0][1:timing][:_MAX_DECLARATIONS])
        captions.declared = {match[1].lower(): match[2].strip() for match in found if match}
        blocks[0] = blocks[0][timing:]
    for block in blocks:
        timing = next((index for index, line in enumerate(block) if _TIMING.match(line)), None)
        if _DROPPED.match(block[0] if block else ""):
            block = block[timing:] if timing is not None else []
        elif timing == 1:
            block = block[1:]  # its name
        _read(block, captions.cues)
    return captions


def read_srt(text: str) -> Captions:
    """Read a SubRip file; a line of digits right above the times is the cue's number."""
    captions = Captions()
    for block in _blocks(text):
        lone = len(block) == 1 and block[0].strip() == str(len(captions.cues) + 1)
        _read([] if lone else block, captions.cues)
    return captions


def _blocks(text: str) -> Iterator[list[str]]:
    """The stretches of lines between blank lines."""
    block: list[str] = []
    for line in (*text.split("\n"), ""):
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def _read(block: list[str], cues: list[Cue]) -> None:
    """Add the cues of one block; text before the first times goes on with the cue before it."""
    for line, following in pairwise((*block, "")):
        if timing := _TIMING.match(line):
            start, end = _seconds(*timing.groups()[:4]), _seconds(*timing.groups()[4:])
            cues.append(Cue((start, max(start, end))))
        elif not (line.strip().isdigit() and _TIMING.match(following)):
            if not cues:
                cues.append(Cue(None))
            cues[-1].lines.append(line.strip())


def _seconds(minus: str | None, hours: str | None, minutes: str, seconds: str) -> float:
    total = 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))
    return 0.0 if minus else round(total, 3)
