"""Running headers, footers and page numbers are taken off the pages on which they repeat.

Promises: pages stream through with a bounded number of neighbours held. A line goes only when it stands at
the edge of the page, outside of all text that stays, and the same line stands at the same height of pages
nearby: the same words, and numbers that are equal or count with the pages. Where most lines of a height are
such, the odd one among them (the header of a chapter of one page) goes with them.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rag_pipeline.documents.pdf_drawings import Box
from rag_pipeline.documents.pdf_layout import Column, Line

_NEAR = 6  # pages before and after that are compared
_EDGE = 0.15  # of the page's height, at the top and at the bottom
_DEPTH = 4  # lines from the edge inwards
_SAME = 3.0  # points: lines of different pages stand at one height
_SHARE = 0.6  # of the lines of a height have a like: the others go with them
_MAX_LENGTH = 200
_NUMBER = re.compile(r"\d+")
_ROMAN = re.compile(r"m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_VALUES = {"m": 1000, "d": 500, "c": 100, "l": 50, "x": 10, "v": 5, "i": 1}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page's columns of lines in reading order."""

    number: int
    box: Box
    columns: list[Column]


class _Mark(NamedTuple):
    """A line at the edge of a page: its words, and its numbers apart from them."""

    page: int
    base: float
    words: str
    numbers: tuple[int, ...]
    line: Line


def without_furniture(sheets: Iterable[Sheet], total: int) -> Iterator[Sheet]:
    """Yield the sheets, of `total` in all, without what repeats at their edges."""
    enough = 2 if total > 3 else 1
    held: deque[tuple[Sheet, list[list[_Mark]]]] = deque()
    next_up = 0
    for sheet in sheets:
        held.append((sheet, _edges(sheet)))
        if len(held) > 2 * _NEAR + 1:
            held.popleft()
            next_up -= 1
        if len(held) - next_up > _NEAR:
            yield _cleared(held, next_up, enough)
            next_up += 1
    for index in range(next_up, len(held)):
        yield _cleared(held, index, enough)


def _edges(sheet: Sheet) -> list[list[_Mark]]:
    """The marks at the top and at the bottom of a page, each from the edge inwards."""
    _, bottom, _, top = sheet.box
    zone = _EDGE * (top - bottom)
    lines = sorted((line for column in sheet.columns for line in column), key=lambda line: (-line.base, line.left))
    return [
        _marks(sheet.number, (line for line in lines if line.base >= top - zone)),
        _marks(sheet.number, (line for line in reversed(lines) if line.base <= bottom + zone)),
    ]


def _marks(page: int, lines: Iterable[Line]) -> list[_Mark]:
    marks: list[_Mark] = []
    for line in lines:
        text = line.text
        if line.rows or len(text) > _MAX_LENGTH or len(marks) == _DEPTH:
            break
        text = text.casefold()
        if text and _ROMAN.fullmatch(text):
            marks.append(_Mark(page, line.base, "", (_value(text),), line))
        else:
            words = " ".join(_NUMBER.sub(" ", text).split())
            marks.append(_Mark(page, line.base, words, tuple(int(n[-9:]) for n in _NUMBER.findall(text)), line))
    return marks


def _value(roman: str) -> int:
    values = [_VALUES[letter] for letter in roman]
    return sum(-one if one < other else one for one, other in zip(values, [*values[1:], 0], strict=True))


def _cleared(held: Sequence[tuple[Sheet, list[list[_Mark]]]], index: int, enough: int) -> Sheet:
    sheet, edges = held[index]
    near = [
        held[other][1] for other in range(max(0, index - _NEAR), min(len(held), index + _NEAR + 1)) if other != index
    ]
    gone: set[int] = set()
    for side, marks in enumerate(edges):
        for mark in marks:
            level = [other for edge in near for other in edge[side] if abs(other.base - mark.base) <= _SAME]
            if not _is_furniture(mark, level, enough):
                break
            gone.add(id(mark.line))
    if not gone:
        return sheet
    kept = [[line for line in column if id(line) not in gone] for column in sheet.columns]
    return Sheet(sheet.number, sheet.box, [column for column in kept if column])


def _is_furniture(mark: _Mark, level: list[_Mark], enough: int) -> bool:
    if sum(_alike(mark, other) for other in level) >= enough:
        return True
    alike = sum(any(_alike(one, other) for other in level if other.page != one.page) for one in level)
    return alike > enough + 1 and alike >= _SHARE * (len(level) + 1)


def _alike(one: _Mark, other: _Mark) -> bool:
    if one.words != other.words or len(one.numbers) != len(other.numbers):
        return False
    if one.numbers == other.numbers:
        return bool(one.words)
    pages = other.page - one.page
    return any(b - a == pages for a, b in zip(one.numbers, other.numbers, strict=True))
