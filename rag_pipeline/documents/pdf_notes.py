"""Notes at the foot of a page leave the running text that they interrupt, and are collected at the end of a chapter.

Promises: a note's lines are taken together or stay. A note is set in smaller type at the foot of a column, and
begins with a number that stands raised in the text above it, on the same page, or that counts on below a short
rule; its rest may be at the foot of the next page. What only resembles one stays where it is.

A chapter is what the outermost headings divide, or deeper ones where the notes count from one again inside of
it. Where no headings are, a note follows the paragraph that refers to it.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import dropwhile, pairwise

from rag_pipeline.documents.pdf_furniture import Sheet
from rag_pipeline.documents.pdf_layout import Column, Line
from rag_pipeline.documents.pdf_paragraphs import Paragraphs
from rag_pipeline.documents.pdf_pieces import Piece
from rag_pipeline.model import BlockKind

_SMALLER = 0.95  # of the text's size
_ALIKE = 0.04  # sizes that differ less are one
_RAISED_SIZE, _RAISED_BASE = 0.85, 0.15  # of the line's size: a number that stands apart from the word before it
_EDGE = 6.0  # points: a rule begins at the column's edge
_SHORTEST, _LONGEST = 20.0, 0.45  # points, and of the page's width: rules above notes
_MOST = 20  # such rules on a page: more are part of a table or a drawing
_BELOW = 2.5  # of the size: a note is no further below the rule
_MARK = re.compile(r"[\[(]?(\d{1,3})(?:[\]).]?$|(?=[^\W\d_]))")  # some set no blank after it
_DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_NUMBER = re.compile(f"[{_DIGITS}]+")
_PLAIN = str.maketrans(_DIGITS, "0123456789")
_RAISED = str.maketrans("0123456789", _DIGITS)
_ENDED = re.compile(rf"[.!?]['\"”’)\]]*[{_DIGITS}]*$")

_Note = list[tuple[int, Line]]
"""A note's lines, each with its page; the first one begins with the number."""


class Notes:
    """Takes the notes off the sheets in their order; `placed` puts them back where they belong."""

    def __init__(self) -> None:
        self._notes: list[_Note] = []
        self._sizes: Counter[float] = Counter()  # characters of the running text by size
        self._open: _Note | None = None  # ends on the page before without ending its sentence
        self._last = 0  # the number of the last note

    def without(self, sheet: Sheet) -> Sheet:
        """Return the sheet without its notes."""
        counts = self._sizes or _sizes([_referring(sheet.columns)]) or _sizes(sheet.columns)
        limit = _SMALLER * max(counts, key=lambda size: (counts[size], size), default=0.0)
        feet = [_foot(column, limit) for column in sheet.columns]
        kept = [column[:foot] for column, foot in zip(sheet.columns, feet, strict=True)]
        if kept == sheet.columns:
            self._open = None
            self._sizes.update(_sizes(kept))
            return sheet
        referred = {number for column in kept for line in column for number in _references(line)}
        going_on, self._open = self._open, None
        for index, column in enumerate(sheet.columns):
            foot = column[feet[index] :]
            ruled = {id(line) for line in _ruled(column, feet[index], sheet)}
            kept[index] += self._taken(foot, referred, ruled, going_on, sheet.number)
            going_on = None
        self._sizes.update(_sizes(kept))
        return replace(sheet, columns=[column for column in kept if column])

    def placed(self, pieces: list[Piece], *, mono_is_code: bool) -> list[Piece]:
        """Return the pieces with the notes among them."""
        if not self._notes:
            return pieces
        references = list(_anchors(self._notes, pieces))
        ends, titles = _chapters(
            pieces, [(at, _number(note)) for at, note in zip(references, self._notes, strict=True)]
        )
        behind: dict[int, list[Piece]] = {}
        for at, note in zip(references, self._notes, strict=True):
            chapter = bisect_right(ends, at)
            end = ends[chapter] if ends else min(at + 1, len(pieces))
            page = note[0][0]
            title = titles.get(end)
            if end not in behind and title:
                behind[end] = [Piece(BlockKind.HEADING, [], (page, page), level=title.level, title=title.title)]
            behind.setdefault(end, []).extend(_pieces(note, mono_is_code))
        return [
            piece for index in range(len(pieces) + 1) for piece in [*behind.get(index, ()), *pieces[index : index + 1]]
        ]

    def _taken(self, foot: Column, referred: set[int], ruled: set[int], going_on: _Note | None, page: int) -> Column:
        """Take the notes at the foot of a column, of which `ruled` lines are below a rule; return what is none."""
        starts = list(self._starts(foot, referred, ruled))
        first = starts[0] if starts else len(foot)
        rest: Column = []
        if going_on and first and all(_continues(going_on[-1][1], line) for line in foot[:first]):
            going_on += [(page, line) for line in foot[:first]]
            self._open = going_on
        else:
            rest = foot[:first]
        for start, end in pairwise([*starts, len(foot)]):
            self._notes.append([(page, line) for line in foot[start:end]])
            self._open = self._notes[-1]
        if self._open and _ENDED.search(self._open[-1][1].text):
            self._open = None
        return rest

    def _starts(self, foot: Column, referred: set[int], ruled: set[int]) -> Iterator[int]:
        """Yield the lines with which notes begin; a number that is not raised may count the items of a note's list."""
        last = 0
        for index, line in enumerate(foot):
            number = _mark(line)
            if number is None:
                continue
            follows = id(line) in ruled and number in (self._last + 1, 1)
            raised = _is_raised(line.words[0].size, line.words[0].base, line)
            if (number in referred or follows) and (number > last or raised):
                last = self._last = number
                yield index


def _sizes(columns: Sequence[Column]) -> Counter[float]:
    sizes: Counter[float] = Counter()
    for column in columns:
        for line in column:
            sizes[line.size] += len(line.text)
    return sizes


def _referring(columns: Sequence[Column]) -> Column:
    """The lines with raised numbers, save those that begin with one."""
    return [
        line
        for column in columns
        for line in column
        if not line.rows and _mark(line) is None and any(_references(line))
    ]


def _ruled(column: Column, foot: int, sheet: Sheet) -> Column:
    """The lines of the foot that stand below a short rule, which begins at the column's left edge."""
    edge = min(line.left for line in column)
    longest = _LONGEST * (sheet.box[2] - sheet.box[0])
    rules = [
        rule.at
        for rule in sheet.across
        if abs(rule.start - edge) <= _EDGE and _SHORTEST <= rule.end - rule.start <= longest
    ]
    if len(rules) > _MOST:
        return []
    for index in range(max(foot, 1), len(column)):
        line, above = column[index], column[index - 1]
        if any(line.base < at <= min(above.base, line.base + _BELOW * line.size) for at in rules):
            return column[index:]
    return []


def _foot(column: Column, limit: float) -> int:
    """Where the lines in smaller type begin with which a column ends."""
    at = len(column)
    while at and not column[at - 1].rows and column[at - 1].size < limit:
        at -= 1
    return at


def _references(line: Line) -> Iterator[int]:
    """Yield the numbers that stand raised in a line or in a table."""
    for text in [word.text for word in line.words] + [cell for row in line.rows for cell in row]:
        if not text.isascii():
            for number in _NUMBER.findall(text):
                yield int(number.translate(_PLAIN))
                if _follow(number):
                    yield from (int(digit) for digit in number.translate(_PLAIN))
    for word in line.words:
        if word.text.isdecimal() and len(word.text) <= 3 and _is_raised(word.size, word.base, line):
            yield int(word.text)


def _follow(raised: str) -> bool:
    """Whether two raised digits may be the numbers of two notes."""
    return len(raised) == 2 and _DIGITS.index(raised[0]) + 1 == _DIGITS.index(raised[1])


def _is_raised(size: float, base: float, line: Line) -> bool:
    return size <= _RAISED_SIZE * line.size and base - line.base >= _RAISED_BASE * line.size


def _mark(line: Line) -> int | None:
    """The number of the note that begins with the line."""
    first = line.words[0]
    match = _MARK.match(first.text.translate(_PLAIN)) if len(line.words) > 1 else None
    return int(match[1]) if match and not (line.mono and first.mono) else None


def _number(note: _Note) -> int:
    return _mark(note[0][1]) or 0


def _continues(last: Line, line: Line) -> bool:
    return not line.mono and abs(last.size - line.size) <= _ALIKE * last.size


def _pieces(note: _Note, mono_is_code: bool) -> list[Piece]:
    paragraphs = Paragraphs(mono_is_code=mono_is_code)
    for page in dict.fromkeys(page for page, _ in note):
        paragraphs.add(Sheet(page, (0, 0, 0, 0), [[line for other, line in note if other == page]]), ())
    return paragraphs.finish()


def _anchors(notes: Sequence[_Note], pieces: Sequence[Piece]) -> Iterator[int]:
    """Yield the index of the piece that refers to each note, or else of the last one that begins on its page."""
    raised: dict[tuple[int, str], int] = {}
    last: dict[int, int] = {}
    for index, piece in enumerate(pieces):
        last[piece.pages[0]] = index
        for number in _NUMBER.findall(piece.text) if not piece.text.isascii() else ():
            for one in (number, *number) if _follow(number) else (number,):
                for page in piece.pages:
                    raised.setdefault((page, one), index)
    pages = sorted(last)
    for note in notes:
        page = note[0][0]
        before = bisect_right(pages, page)
        latest = last[pages[before - 1]] if before else 0
        yield raised.get((page, str(_number(note)).translate(_RAISED)), latest)


def _chapters(pieces: Sequence[Piece], references: Sequence[tuple[int, int]]) -> tuple[list[int], dict[int, Piece]]:
    """Return where chapters end, and by end the heading that must be repeated there: it has others below it."""
    headings = [(index, piece) for index, piece in enumerate(pieces) if piece.kind is BlockKind.HEADING]
    counts = Counter(piece.level for _, piece in headings)
    levels = list(dropwhile(lambda level: counts[level] == 1, sorted(counts)))
    ends: list[int] = []
    chosen = 0
    for chosen in levels:
        ends = [*(index for index, piece in headings if piece.level <= chosen), len(pieces)]
        if all(
            one[1] < other[1] or bisect_right(ends, one[0]) != bisect_right(ends, other[0])
            for one, other in pairwise(references)
        ):
            break
    titles: dict[int, Piece] = {}
    for begin, end in pairwise(ends):
        if any(piece.level > chosen for index, piece in headings if begin < index < end):
            titles[end] = pieces[begin]
    return ends, titles
