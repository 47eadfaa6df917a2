"""Captions stand before their tables, and tables that were set where they fit go where the text speaks of them.

Promises: a caption and its table follow each other, wherever the page sets the caption. A table with a caption
at the top or at the foot of a column (a float) never divides a paragraph or a list item. It stands after what
cites it by its number, a few pages around it; else after what says most of its caption, where the page had no
room for it; else after what it interrupts. Floats keep their order. A page does not say more than that about
the place that an author gave a table.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, takewhile
from typing import NamedTuple

from rag_pipeline.documents.pdf_furniture import Sheet
from rag_pipeline.documents.pdf_layout import Column, Line
from rag_pipeline.documents.pdf_paragraphs import Paragraphs, continues_table
from rag_pipeline.documents.pdf_pieces import Piece
from rag_pipeline.model import BlockKind

CAPTION = re.compile(r"([^\W\d_]{2,14}\.?) ((?:\d{1,3}|[A-Z])(?:[.-]\d{1,3})*)[.:](?: |$)")
"""What begins a caption: a word and a number, ``Table 2.6:``."""

_MAX_LINES = 8  # of a caption
_GAP = 1.6  # of the size: between lines of one caption
_REACH = 4  # pages from a float back to what it belongs to
_NEAR = 200  # pieces from a float to what it belongs to
_MAX_CAPTION = 500  # characters of a caption, and of a text, that are looked at
_MAX_TEXT = 10_000
_HEADING = 0.5  # what a heading says counts half for what is below it
_SAID = 0.35  # of a caption's words, by their weight, are said by the text to which it belongs
_RUNNING = (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM)
_WORD = re.compile(r"[^\W_]+")


class _Set(NamedTuple):
    """A caption and its table in the order in which they are read; or other lines, without a caption."""

    caption: Column
    lines: Column

    @property
    def is_open(self) -> bool:
        """Whether the table may go on elsewhere: a caption below it ends it."""
        return bool(self.caption) and self.caption[0].base > self.lines[0].base

    @property
    def all(self) -> Column:
        return self.caption + self.lines


class _Float(NamedTuple):
    """A set and where it was found: the page, the number of columns before it, the height that it takes (points)."""

    page: int
    set: _Set
    column: int
    height: float


class Floats:
    """Takes the floats off the sheets in their order; `placed` puts them back where they belong."""

    def __init__(self) -> None:
        self._last: Line | None = None  # of the sheet before
        self._lowest = math.inf
        self._new: list[_Float] = []
        self._found: list[tuple[_Float, Piece | None]] = []

    def without(self, sheet: Sheet, following: Sheet | None, titles: Sequence[str] = ()) -> Sheet:
        """Return the sheet without its floats, and with the other captions before their tables.

        A caption among `titles`, to which the outline leads, is a heading, so that it stays with its table.
        """
        columns: list[Column] = []
        headings = tuple(match[0].casefold() for title in titles if (match := CAPTION.match(title)))
        below = following.columns[0][0] if following and following.columns else None
        for number, column in enumerate(sheet.columns):
            above = self._last if number == 0 else sheet.columns[number - 1][-1]
            after = sheet.columns[number + 1][0] if number + 1 < len(sheet.columns) else below
            headed = any(line.text.casefold().startswith(headings) for line in column) if headings else False
            plain = headed or not any(line.rows for line in column)
            sets = [_Set([], column)] if plain else list(_sets(column, above))
            first = sum(1 for _ in takewhile(lambda one: one.caption, sets))
            last = len(sets) - sum(1 for _ in takewhile(lambda one: one.caption, reversed(sets[first:])))
            if after and sets[-1].is_open and continues_table(sets[-1].lines[-1], after):
                first, last = min(first, len(sets) - 1), len(sets)
            kept = [line for one in sets[first:last] for line in one.all]
            tops = [max(line.base for line in one.all) for one in sets] + [self._bottom(sheet)]
            for index in [*range(first), *range(last, len(sets))]:
                place = len(columns) + (bool(kept) if index >= last else 0)
                self._new.append(_Float(sheet.number, sets[index], place, tops[index] - tops[index + 1]))
            if kept:
                columns.append(kept)
        self._last = sheet.columns[-1][-1] if sheet.columns else None
        return replace(sheet, columns=columns)

    def _bottom(self, sheet: Sheet) -> float:
        """How low text goes, as far as the pages up to this one tell."""
        self._lowest = min([self._lowest, *(line.base for column in sheet.columns for line in column if not line.rows)])
        return self._lowest

    def found(self, before: Sequence[Piece | None]) -> None:
        """Say before which pieces the sheet's columns began, and the last piece of all."""
        self._found += [(one, before[one.column]) for one in self._new]
        self._new = []

    def placed(self, pieces: list[Piece], *, mono_is_code: bool) -> list[Piece]:
        """Return the pieces with the floats among them."""
        if not self._found:
            return pieces
        places = {id(piece): index for index, piece in enumerate(pieces)}
        text = _Text(pieces, self._lowest)
        after: dict[int, list[Piece]] = {}
        lowest, pending = -1, 0
        for one, before in self._found:
            floated = _pieces(one, mono_is_code)
            found = places[id(before)] if before else -1
            lowest = _place(one, floated[0].text, text, lowest, found, pending)
            pending = one.page
            after.setdefault(lowest, []).extend(floated)
        return [
            piece
            for index in range(-1, len(pieces))
            for piece in [*pieces[max(index, 0) : index + 1], *after.get(index, ())]
        ]


def _sets(column: Column, above: Line | None) -> Iterator[_Set]:
    """Divide a column into tables with captions and other lines."""
    parts = list(_parts(column))
    index = 0
    rest: Column = []
    continued = above is not None and continues_table(above, column[0])
    while index < len(parts):
        part, follower = parts[index], parts[index + 1] if index + 1 < len(parts) else []
        found: _Set | None = None
        if follower and not (continued and index == 0):
            if _is_caption(part) and follower[0].rows:
                found = _Set(part, follower)
            elif part[0].rows and _is_caption(follower) and not _begins_another(parts[index + 2 :]):
                found = _Set(follower, part)
        if found:
            if rest:
                yield _Set([], rest)
                rest = []
            yield found
            index += 2
        else:
            rest = rest + part
            index += 1
    if rest:
        yield _Set([], rest)


def _parts(column: Column) -> Iterator[Column]:
    """Yield tables, captions and what lies between them."""
    part: Column = []
    for line in column:
        if part and not _belongs(line, part):
            yield part
            part = []
        part.append(line)
    yield part


def _belongs(line: Line, part: Column) -> bool:
    last = part[-1]
    if line.rows or last.rows or CAPTION.match(line.text):
        return False
    if not _is_caption(part):
        return True
    close = 0 < last.base - line.base <= _GAP * line.size and abs(last.size - line.size) <= 0.1
    return close and len(part) < _MAX_LINES


def _is_caption(part: Column) -> bool:
    return not part[0].rows and bool(CAPTION.match(part[0].text))


def _begins_another(parts: Sequence[Column]) -> bool:
    """Whether a table follows that has no caption below it: then the caption above is its own."""
    return bool(parts) and bool(parts[0][0].rows) and not (len(parts) > 1 and _is_caption(parts[1]))


def _pieces(one: _Float, mono_is_code: bool) -> list[Piece]:
    paragraphs = Paragraphs(mono_is_code=mono_is_code)
    for lines in (one.set.caption, one.set.lines):
        paragraphs.add(Sheet(one.page, (0, 0, 0, 0), [lines]), ())
    return paragraphs.finish()


class _Text:
    """The pieces between which floats are placed; words are worth the more, the rarer they are in the document."""

    def __init__(self, pieces: Sequence[Piece], bottom: float) -> None:
        self.pieces, self._bottom = pieces, bottom
        self._words = [frozenset(_WORD.findall(f"{piece.title} {piece.text}".casefold())) for piece in pieces]
        self._counts = Counter(word for words in self._words for word in words)
        indexes = (index if piece.kind is BlockKind.HEADING else -1 for index, piece in enumerate(pieces))
        self._headings = list(accumulate(indexes, max))

    def near(self, one: _Float, lowest: int, found: int) -> range:
        """The pieces around a float that was found after piece `found`, from `lowest` on."""
        first = last = found
        while first > max(lowest, 0, found - _NEAR) and self.pieces[first - 1].pages[1] >= one.page - _REACH:
            first -= 1
        while last + 1 < min(len(self.pieces), found + _NEAR) and self.pieces[last + 1].pages[0] <= one.page:
            last += 1
        return range(max(first, lowest, 0), last + 1)

    def cites(self, index: int, number: re.Pattern[str]) -> bool:
        """Whether running text names a table by its number."""
        piece = self.pieces[index]
        return piece.kind in _RUNNING and bool(number.search(piece.text[:_MAX_TEXT]))

    def belongs(self, one: _Float, index: int, pending: int) -> bool:
        """Whether a piece may be what a float belongs to: below it there was no room, or another one was to come."""
        piece = self.pieces[index]
        if piece.kind is BlockKind.TABLE or CAPTION.match(piece.text):
            return False
        room = piece.base - self._bottom >= one.height
        page = piece.pages[1]
        return page == one.page or pending > page or (page == one.page - 1 and not room)

    def weighed(self, caption: str) -> dict[str, float]:
        """The words of a caption with what they are worth, together 1."""
        found = set(_WORD.findall(caption[:_MAX_CAPTION].casefold()))
        worth = {word: math.log(1 + len(self._words) / (1 + self._counts[word])) for word in found}
        total = sum(worth.values()) or 1.0
        return {word: weight / total for word, weight in worth.items()}

    def says(self, index: int, weights: dict[str, float]) -> float:
        """How much of a caption a piece says; what only its heading says is worth half."""
        heading = self._headings[index]
        above = self._words[heading] if heading >= 0 else ()
        own = self._words[index] if heading != index else ()
        return sum(weight * ((word in own) + _HEADING * (word in above)) for word, weight in weights.items())


def _place(one: _Float, caption: str, text: _Text, lowest: int, found: int, pending: int) -> int:
    """The piece after which a float stands, `lowest` or later; the float before it was set on page `pending`."""
    begun = CAPTION.match(caption)
    if begun is None:
        return max(lowest, found)
    near = text.near(one, lowest, found)
    label, number = re.escape(begun[1].rstrip(".")), re.escape(begun[2])
    cited = re.compile(rf"\b{label}\.?\s{number}(?![\w]|[.-]\d)", re.IGNORECASE)
    for index in near:
        if text.cites(index, cited):
            return index
    weights = text.weighed(caption[begun.end() :])
    said = [
        (text.says(index, weights), index)
        for index in range(near.start, found + 1)
        if text.belongs(one, index, pending)
    ]
    share, index = max(said, default=(0.0, found))
    return index if share >= _SAID else max(lowest, found)
