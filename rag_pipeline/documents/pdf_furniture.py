"""Running headers, footers and page numbers are taken off the pages on which they repeat.

Promises: pages stream through with a bounded number of neighbours held. A line goes only when it stands at
the edge of the page, apart from all text that stays, and the same line stands at the same height of pages
nearby: the same words, and numbers that are equal or count with the pages. What looks like a heading must
repeat more often, for two sections may have one title: to keep a running header costs less than to lose a
heading. Where most lines of a height are such, the odd one among them (the header of a chapter of one page)
goes with them; so does a line that begins or ends with the number of the page (``Page 3``), whatever else it
says.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import or_
from typing import NamedTuple

from rag_pipeline.documents.pdf_drawings import Box, Rule
from rag_pipeline.documents.pdf_layout import Column, Line
from rag_pipeline.documents.pdf_page import Word

_NEAR = 6  # pages before and after that are compared
_EDGE = 0.15  # of the page's height, at the top and at the bottom
_DEPTH = 4  # lines from the edge inwards
_APART = 1.4  # of the size: from the text
_LARGER = 1.05  # than the next line inwards: a heading
_SAME = 3.0  # points: lines of different pages stand at one height
_HEADING_REPEATS = 3  # on further pages, of what is bold or larger than the text below it
_SHARE = 0.6  # of the lines of a height have a like: the others go with them
_MAX_LENGTH = 200
_NUMBER = re.compile(r"\d+")
_ROMAN = re.compile(r"m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
_VALUES = {"m": 1000, "d": 500, "c": 100, "l": 50, "x": 10, "v": 5, "i": 1}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page's columns of lines in reading order, and the lines that are drawn across it."""

    number: int
    box: Box
    columns: list[Column]
    across: tuple[Rule, ...] = ()


class _Mark(NamedTuple):
    """A line at the edge of a page: its words, and by how much its numbers exceed the page's.

    `outer` are those of its first two words and its last one, which may be Roman figures. `heading`: it looks like one.
    `inner` is the next line inwards, where there is a gap between them.
    """

    page: int
    base: float
    words: str
    offsets: tuple[int, ...]
    outer: frozenset[int]
    heading: bool
    line: Line
    inner: Line | None


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
        _marks(sheet.number, lines, top - zone, top, below_is_text=True),
        _marks(sheet.number, lines[::-1], bottom, bottom + zone, below_is_text=False),
    ]


def _marks(page: int, lines: Sequence[Line], low: float, high: float, *, below_is_text: bool) -> list[_Mark]:
    marks: list[_Mark] = []
    for line, inner in zip(lines, [*lines[1:], None], strict=False):
        outside = not low <= line.base <= high
        if outside or line.rows or len(marks) == _DEPTH or len(text := line.text.casefold()) > _MAX_LENGTH:
            break
        words = " ".join(_NUMBER.sub(" ", text).split())
        offsets = tuple(int(number[-9:]) - page for number in _NUMBER.findall(text))
        heading = below_is_text and bool(line.bold or (inner and line.size > _LARGER * inner.size))
        outer = frozenset(value - page for word in _outer(line, heading) if (value := _value(word.text)))
        apart = inner if inner and abs(line.base - inner.base) > _APART * max(line.size, inner.size) else None
        marks.append(_Mark(page, line.base, words, offsets, outer, heading, line, apart))
    return marks


def _outer(line: Line, heading: bool) -> Sequence[Word]:
    """The words of which one may be the page's number; the one that begins a heading is a section's."""
    first = 1 if heading and len(line.words) > 1 else 0
    return [*line.words[first:2], *line.words[-1:]]


def _value(word: str) -> int:
    """The number that a word is, in digits or in Roman figures; 0 when it is none."""
    word = word.casefold().strip("-–—.|[]()")
    if word.isascii() and word.isdigit():
        return int(word[:9])
    if not _ROMAN.fullmatch(word):
        return 0
    values = [_VALUES[letter] for letter in word]
    return sum(-one if one < other else one for one, other in zip(values, [*values[1:], 0], strict=False))


def _cleared(held: Sequence[tuple[Sheet, list[list[_Mark]]]], index: int, enough: int) -> Sheet:
    sheet, edges = held[index]
    near = [
        held[other][1] for other in range(max(0, index - _NEAR), min(len(held), index + _NEAR + 1)) if other != index
    ]
    gone: set[int] = set()
    for side, marks in reversed(list(enumerate(edges))):  # what is left of a page stays at its top
        found: list[int] = []
        for mark in marks:
            level = [other for edge in near for other in edge[side] if abs(other.base - mark.base) <= _SAME]
            if not _is_furniture(mark, level, enough):
                break
            found.append(id(mark.line))
            if mark.inner and id(mark.inner) not in gone:
                gone.update(found)
    if not gone:
        return sheet
    kept = [[line for line in column if id(line) not in gone] for column in sheet.columns]
    return replace(sheet, columns=[column for column in kept if column])


def _is_furniture(mark: _Mark, level: list[_Mark], enough: int) -> bool:
    repeats = max(enough, _HEADING_REPEATS) if mark.heading else enough
    if sum(_alike(mark, other) for other in level) >= repeats:
        return True
    paged = sum(not mark.outer.isdisjoint(other.outer) for other in level)
    if paged > enough and paged >= len(level) / 2:
        return True  # whatever else it says, it numbers the page
    apart = [one for one in level if one.inner]
    alike = sum(any(_alike(one, other) for other in level if other is not one) for one in apart)
    return alike > repeats and alike >= _SHARE * (len(level) + 1)


def _alike(one: _Mark, other: _Mark) -> bool:
    if one.words != other.words or len(one.offsets) != len(other.offsets):
        return False
    pairs = list(zip(one.offsets, other.offsets, strict=True))
    counting = [a == b for a, b in pairs]
    same = [a + one.page == b + other.page for a, b in pairs]
    if all(same):
        return bool(one.words)
    return all(map(or_, counting, same)) or not one.outer.isdisjoint(other.outer)
