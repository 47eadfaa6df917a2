"""Lines become paragraphs, list items, code and tables, also where a column or a page ends in the middle of one.

Promises: every line's words are in exactly one piece, in reading order. The evidence that a paragraph ends is
what a reader sees: a wider gap, another type, an indent, a marker of a list, or a line that was left although
the next word would have fitted on it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rag_pipeline.documents.pdf_code import code_text
from rag_pipeline.documents.pdf_furniture import Sheet
from rag_pipeline.documents.pdf_hyphens import append
from rag_pipeline.documents.pdf_layout import Column, Line
from rag_pipeline.documents.pdf_outline import Entry, spots
from rag_pipeline.documents.pdf_pieces import Piece
from rag_pipeline.model import BlockKind

_BULLETS = "•●◦▪■□‣⁃∙·○◆◇►▶➢✓✔❖\uf0b7\uf0a7"
_BULLET = re.compile(rf"[{_BULLETS}]")
_SIGN = re.compile(rf"[{_BULLETS}*–—-]")
_DASH_OR_NUMBER = re.compile(r"[*–—-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]")
_LEADER = re.compile(r" ?(?:[.…] ?){5,}")
_PAGE = re.compile(r"\d{1,4}|[ivxlcdm]{1,8}", re.IGNORECASE)
_ENDED = re.compile(r"[.!?:;]['\"”’)\]]*[⁰¹²³⁴-⁹]*$")  # with the number of a note
_WIDER = 1.25  # of the usual distance between lines: a gap
_USUAL = (0.8, 2.4)  # of the size: distances between lines that may be the usual one
_LOOSE = 2.6  # of the size: code goes on after a gap that is no wider
_INDENT = 0.8  # of the size
_SIZES = 0.06  # relative: sizes that differ less are one
_SMALLER = 0.95  # of the text's size: a note at the foot of the page
_MAX_NOTES = 12  # pieces between the two parts of a paragraph that a page border divides
_NARROW = 0.75  # of the column: text whose right edge counts only when it is straight
_EDGE = 3.0  # points: edges that differ less are one
_RUNNING = (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM)


class _At(NamedTuple):
    """A line in its column: the column's left edge, how far its text may reach, and whether a column begins with it."""

    line: Line
    page: int
    edge: float
    margin: float
    border: bool

    @property
    def indent(self) -> float:
        return self.line.left - self.edge


@dataclass(slots=True)
class _Open:
    """A piece that may take another line, and what decides that; `hang` is where its text began after the marker."""

    piece: Piece
    last: _At
    hang: float
    code: list[tuple[float, Line]] = field(default_factory=list[tuple[float, Line]])


class Paragraphs:
    """Takes the sheets in order; `finish` returns the pieces."""

    def __init__(self, *, mono_is_code: bool = True) -> None:
        self._pieces: list[Piece] = []
        self._mono_is_code = mono_is_code
        self._recent: list[_Open] = []  # the last pieces, the latest last
        self._distances: dict[int, Counter[int]] = {}  # between lines, in twentieths of the size, by size
        self._items: list[float] = []  # indents of the list items that are open, outermost first
        self._listed: frozenset[int] = frozenset()
        self._before: list[Piece | None] = []

    def add(self, sheet: Sheet, entries: Sequence[Entry], listed: frozenset[int] = frozenset()) -> list[Piece | None]:
        """Add a page, whose headings the entries of the outline are; `listed` are lines of what may be contents.

        Returns the piece before each of the page's columns, and the last piece so far.
        """
        self._listed, self._before = listed, []
        lines = [at for column in sheet.columns for at in _placed(column, sheet.number)]
        done = 0
        for spot in spots(entries, [at.line for at in lines]):
            for at in lines[done : spot.first]:
                self._line(at)
            self._heading(spot.entry, sheet.number, lines[spot.first : spot.end])
            done = max(done, spot.end)
        for at in lines[done:]:
            self._line(at)
        return [*self._before, self._latest()]

    def _latest(self) -> Piece | None:
        return self._pieces[-1] if self._pieces else None

    def finish(self) -> list[Piece]:
        """Return the pieces in reading order."""
        self._close()
        return self._pieces

    def _heading(self, entry: Entry, page: int, lines: Sequence[_At]) -> None:
        parts: list[str] = []
        for at in lines:
            append(parts, _text(at.line), mono=False)
            self._before += [self._latest()] * at.border
        self._close()
        self._recent.clear()
        self._items.clear()
        base = lines[-1].line.base if lines else 0.0
        self._pieces.append(
            Piece(BlockKind.HEADING, parts, (page, page), level=entry.level, title=entry.title, base=base)
        )

    def _line(self, at: _At) -> None:
        previous = self._recent[-1] if self._recent else None
        self._before += [self._latest()] * at.border
        if previous and not at.border:
            self._measure(previous.last.line, at.line)
        if at.line.rows:
            self._table(at, previous)
        elif id(at.line) in self._listed:
            self._entry(at, previous)
        elif self._is_code(at, previous):
            self._code(at, previous)
        elif going_on := self._goes_on(at, previous):
            append(going_on.piece.parts, _text(at.line), mono=_mono_break(going_on.last.line, at.line))
            self._extend(going_on, at)
        elif marker := self._marker(at):
            self._item(at, marker)
        else:
            self._items = [indent for indent in self._items if indent < at.indent - _EDGE]
            self._start(BlockKind.PARAGRAPH, [_text(at.line)], at)

    def _table(self, at: _At, previous: _Open | None) -> None:
        rows = [_row(row) for row in at.line.rows]
        if at.border and previous and continues_table(previous.last.line, at.line):
            rows = rows[1:] if previous.last.line.rows[0] == at.line.rows[0] else rows
            previous.piece.parts += [part for row in rows for part in ("\n", row)]
            self._extend(previous, at)
            return
        self._start(BlockKind.TABLE, [part for row in rows for part in ("\n", row)][1:], at)

    def _entry(self, at: _At, previous: _Open | None) -> None:
        """Add a line of a list of contents; an entry goes on until a line ends with a number."""
        if previous and previous.piece.listed and not _ends_entry(previous.last.line):
            append(previous.piece.parts, _text(at.line), mono=False)
            self._extend(previous, at)
            return
        self._start(BlockKind.PARAGRAPH, [_text(at.line)], at)
        self._recent[-1].piece.listed = True

    def _is_code(self, at: _At, previous: _Open | None) -> bool:
        if not (self._mono_is_code and at.line.mono):
            return False
        # A line of prose may happen to hold nothing but a long name.
        return not (previous and previous.piece.kind in _RUNNING and not at.border and self._goes_on(at, previous))

    def _code(self, at: _At, previous: _Open | None) -> None:
        if previous and previous.piece.kind is BlockKind.CODE and _one_type(previous.last.line, at.line):
            distance = previous.last.line.base - at.line.base
            if at.border or 0 < distance <= _LOOSE * at.line.size:
                previous.code.append((at.edge, at.line))
                self._extend(previous, at)
                return
        self._start(BlockKind.CODE, [], at)
        self._recent[-1].code.append((at.edge, at.line))

    def _item(self, at: _At, marker: str) -> None:
        while self._items and at.indent < self._items[-1] - _EDGE:
            self._items.pop()
        if not self._items or at.indent > self._items[-1] + _EDGE:
            self._items.append(at.indent)
        text = _text(at.line)
        if _SIGN.match(marker):
            text = "- " + text[1:].lstrip()
        self._start(BlockKind.LIST_ITEM, [text], at, level=len(self._items))
        if len(at.line.words) > 1:
            self._recent[-1].hang = at.line.words[1].left - at.edge

    def _start(self, kind: BlockKind, parts: list[str], at: _At, level: int = 0) -> None:
        self._close()
        line = at.line
        piece = Piece(kind, parts, (at.page, at.page), line.size, line.bold, level=level, base=line.base)
        self._pieces.append(piece)
        self._recent = [*self._recent[-_MAX_NOTES:], _Open(piece, at, at.indent)]

    def _extend(self, open_: _Open, at: _At) -> None:
        open_.piece.pages = (open_.piece.pages[0], at.page)
        open_.piece.lines += 1
        open_.piece.base = at.line.base
        open_.piece.bold = open_.piece.bold and at.line.bold
        open_.last = at
        if self._recent[-1] is not open_:
            self._recent.remove(open_)
            self._recent.append(open_)

    def _close(self) -> None:
        if self._recent and (code := self._recent[-1].code):
            self._recent[-1].piece.parts = [code_text(code)]
            self._recent[-1].code = []

    def _goes_on(self, at: _At, previous: _Open | None) -> _Open | None:
        """The piece that the line continues, if it does."""
        if at.border:
            return self._interrupted(at)
        if not previous or previous.piece.kind not in _RUNNING or previous.piece.listed:
            return None
        last, line = previous.last.line, at.line
        if not _one_type(last, line) or self._is_gap(last, line) or _LEADER.search(last.text):
            return None
        if _BULLET.match(line.words[0].text):
            return None
        if _is_centred(last, line):
            return previous
        if _would_fit(previous.last, line):
            return None
        shift = at.indent - previous.last.indent
        if abs(shift) <= _INDENT * line.size / 2:
            return None if self._marks_item(at, previous) else previous
        if previous.piece.kind is BlockKind.LIST_ITEM:
            return previous if abs(at.indent - previous.hang) <= _INDENT * line.size else None
        return previous if previous.piece.lines == 1 else None

    def _interrupted(self, at: _At) -> _Open | None:
        """The running text that the border of a column or a page cut before this line; notes may lie between."""
        for open_ in reversed(self._recent):
            if open_.piece.kind not in _RUNNING or open_.piece.listed:
                return None
            last, first = open_.last.line, at.line
            if _one_type(last, first):
                if first.bold and open_ is not self._recent[-1]:
                    return None  # notes interrupt running text; what stands below a heading is no note
                text, word = open_.piece.parts[-1], first.words[0].text
                if _DASH_OR_NUMBER.fullmatch(word) or _BULLET.match(word) or _LEADER.search(last.text):
                    return None
                cut = text.endswith(("-", "\u00ad")) or not (_ENDED.search(text) or _would_fit(open_.last, first))
                return open_ if cut or (word[0].islower() and not _ENDED.search(text)) else None
            if last.size > _SMALLER * first.size:
                return None
        return None

    def _marker(self, at: _At) -> str:
        word = at.line.words[0].text
        if _BULLET.match(word):
            return word
        return word if _DASH_OR_NUMBER.fullmatch(word) and len(at.line.words) > 1 else ""

    def _marks_item(self, at: _At, previous: _Open) -> bool:
        """Whether a number at the beginning of a line, which could be text, stands where the item's number did."""
        return (
            previous.piece.kind is BlockKind.LIST_ITEM
            and bool(_DASH_OR_NUMBER.fullmatch(at.line.words[0].text))
            and abs(at.indent - self._items[-1]) <= _EDGE < abs(previous.hang - at.indent)
        )

    def _measure(self, last: Line, line: Line) -> None:
        ratio = (last.base - line.base) / line.size
        if _USUAL[0] <= ratio <= _USUAL[1] and _one_type(last, line):
            self._distances.setdefault(round(line.size), Counter({24: 3}))[round(20 * ratio)] += 1

    def _is_gap(self, last: Line, line: Line) -> bool:
        distances = self._distances.get(round(line.size))
        usual = max(distances, key=lambda d: (distances[d], -d)) / 20 if distances else 1.2
        return not 0 < last.base - line.base <= _WIDER * usual * line.size


def continues_table(last: Line, line: Line) -> bool:
    """Whether a table at the top of a column or page goes on with the one before it."""
    if not last.rows or not line.rows:
        return False
    return len(last.rows[0]) == len(line.rows[0]) and abs(_width(last) - _width(line)) <= _EDGE


def _placed(column: Column, page: int) -> Iterator[_At]:
    """Yield the lines with the edges of the text around them."""
    edge, right = min(line.left for line in column), max(line.right for line in column)
    for group in _groups(column):
        reach = max(line.right for line in group)
        straight = sum(reach - line.right <= _EDGE for line in group) > max(1, len(group) // 2)
        margin = reach if straight or reach - edge >= _NARROW * (right - edge) else right
        for line in group:
            yield _At(line, page, edge, margin, line is column[0])


def _groups(column: Column) -> Iterator[list[Line]]:
    group: list[Line] = []
    for line in column:
        if group and (line.rows or group[-1].rows or group[-1].base - line.base > 1.6 * line.size):
            yield group
            group = []
        group.append(line)
    yield group


def _text(line: Line) -> str:
    """The line's words; the dots that lead to a page number are one sign."""
    return _LEADER.sub(" … ", line.text) if _LEADER.search(line.text) else line.text


def _row(cells: Sequence[str]) -> str:
    """The cells with bars between them; empty ones at the end say nothing."""
    used = max(index for index, cell in enumerate(cells) if cell) + 1
    return " | ".join(cells[:used]).strip()


def _ends_entry(line: Line) -> bool:
    return len(line.words) > 1 and bool(_PAGE.fullmatch(line.words[-1].text))


def _width(line: Line) -> float:
    return line.right - line.left


def _mono_break(last: Line, line: Line) -> bool:
    return last.words[-1].mono and line.words[0].mono


def _would_fit(last: _At, line: Line) -> bool:
    """Whether the first word would have had room on the line before, so that the break was meant."""
    first = line.words[0]
    return last.margin - last.line.right > first.right - first.left + 0.6 * line.size


def _is_centred(last: Line, line: Line) -> bool:
    middle = abs(last.left + last.right - line.left - line.right) / 2
    return middle <= 2 and abs(last.left - line.left) > _EDGE


def _one_type(one: Line, other: Line) -> bool:
    """Whether two lines share a size; a line may hold a few words in another one."""
    if one.rows or other.rows:
        return False
    if abs(one.size - other.size) <= _SIZES * max(one.size, other.size):
        return True
    sizes = {word.size for word in other.words}
    return any(abs(word.size - size) <= _SIZES * size for word in one.words[:50] for size in sizes)
