"""The words of a page become lines in reading order: column after column, tables where they stand.

Promises: every word is in exactly one line or one table; time grows with the words, save for a sort.

Columns are found by their gutter, a stretch that few pieces of lines cross. What crosses it (a title, a wide
table) divides the page into bands, each read column by column. A gutter is believed only when the file itself
writes one side after the other, or when both sides read as prose: the columns of an unruled table, whose rows
alternate between the sides and rarely fill them, stay rows.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag_pipeline.documents.pdf_page import Page, Word
from rag_pipeline.documents.pdf_tables import tables

_LEVEL = 0.45  # of the size: baselines that differ less are one line, with its raised and lowered characters
_GAP = 1.0  # of the size: a wider space divides a line into pieces
_BIN = 3.0  # points: how finely gutters are looked for
_MAX_BINS = 1_000
_MAX_DEPTH = 6  # nested gutters: more columns than this are a table
_MIN_ROWS = 3
_MONO = 0.85  # of a line's characters are in a monospaced type; others are signs that the type lacks
_WIDE = 0.25  # of the text's width is a column's
_MIN_WORDS = 3  # in a line of prose
_PROSE = 0.7  # of a column's width is filled by the median line of prose


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text with its type, or a table (`rows`, in which case there are no words).

    `order` tells the place in the file of what stands on one line.
    """

    left: float
    right: float
    base: float
    size: float
    bold: bool
    mono: bool
    words: tuple[Word, ...]
    rows: tuple[tuple[str, ...], ...] = ()
    order: int = 0

    @property
    def text(self) -> str:
        """The words with a blank between them."""
        return " ".join(word.text for word in self.words)


Column = list[Line]


def columns(page: Page) -> list[Column]:
    """Return the page's columns of lines in reading order."""
    found, words = tables(page)
    pieces = [*_pieces(words), *(Line(t.left, t.right, t.top, t.size, False, False, (), t.rows) for t in found)]
    return [lines for group in _divided(pieces, 0) if (lines := _lines(group))]


def _pieces(words: Sequence[Word]) -> list[Line]:
    """Join words that follow each other in the file without a wide space, in the order of the file."""
    pieces: list[Line] = []
    run: list[Word] = []
    for word in words:
        if run:
            last = run[-1]
            size = max(word.size, last.size)
            if abs(word.base - last.base) > _LEVEL * size or not -0.5 * size <= word.left - last.right <= _GAP * size:
                pieces.append(line_of(run, len(pieces)))
                run = []
        run.append(word)
    if run:
        pieces.append(line_of(run, len(pieces)))
    return pieces


def line_of(words: Sequence[Word], order: int = 0) -> Line:
    """Return the line that the words make; its type is that of most of its characters."""
    if len({(word.base, word.size) for word in words}) == 1:
        base, size = words[0].base, words[0].size
    else:
        lengths: dict[tuple[float, float], int] = {}
        for word in words:
            style = (word.size, word.base)
            lengths[style] = lengths.get(style, 0) + len(word.text)
        size, base = max(lengths, key=lambda style: (lengths[style], style))
    return Line(
        words[0].left,
        max(word.right for word in words),
        base,
        size,
        all(word.bold for word in words),
        sum(len(word.text) for word in words if word.mono) >= _MONO * sum(len(word.text) for word in words),
        tuple(words),
        order=order,
    )


def _divided(pieces: list[Line], depth: int) -> Iterable[list[Line]]:
    gutter = _gutter(pieces) if depth < _MAX_DEPTH else None
    if gutter is None:
        yield pieces
        return
    kept: list[Line] = []
    for band, crossing in _bands(pieces, gutter):
        left = [piece for piece in band if piece.right <= gutter]
        right = [piece for piece in band if piece.left >= gutter]
        if _are_columns(band, left, right):
            if kept:
                yield kept
            yield from _divided(left, depth + 1)
            yield from _divided(right, depth + 1)
            kept = crossing
        else:
            kept += band + crossing
    if kept:
        yield kept


def _gutter(pieces: Sequence[Line]) -> float | None:
    """Return the middle of the emptiest stretch between the margins, if it is crossed by few."""
    if len(pieces) < 2 * _MIN_ROWS:
        return None
    start, end = min(p.left for p in pieces), max(p.right for p in pieces)
    width = max(_BIN, (end - start) / _MAX_BINS)
    edges = [0] * (int((end - start) / width) + 3)
    for piece in pieces:
        edges[int((piece.left - start) / width)] += 1
        edges[int((piece.right - start) / width) + 1] -= 1
    covered: list[int] = []
    total = 0
    for edge in edges:
        total += edge
        covered.append(total)
    first, last = int(0.12 * (end - start) / width), int(0.88 * (end - start) / width)
    inner = covered[first : last + 1]
    least = min(inner, default=len(pieces))
    if least > 0.25 * len(pieces):
        return None
    best = (0, 0)
    begun: int | None = None
    for index, value in enumerate([*inner, -1]):
        if value == least:
            begun = index if begun is None else begun
        elif begun is not None:
            best = max(best, (index - begun, begun))
            begun = None
    return start + (first + best[1] + best[0] / 2) * width


def _bands(pieces: list[Line], gutter: float) -> Iterable[tuple[list[Line], list[Line]]]:
    """Yield what lies between the pieces that cross the gutter, each with the crossing ones below it."""
    band: list[Line] = []
    crossing: list[Line] = []
    for piece in sorted(pieces, key=lambda piece: -piece.base):
        crosses = piece.left < gutter < piece.right
        if crossing and not crosses:
            if piece.base > crossing[-1].base - _LEVEL * crossing[-1].size:
                crossing.append(piece)  # beside it
                continue
            yield band, crossing
            band, crossing = [], []
        (crossing if crosses else band).append(piece)
    yield band, crossing


def _are_columns(band: list[Line], left: list[Line], right: list[Line]) -> bool:
    if min(len(left), len(right)) < _MIN_ROWS - 1 or len(band) < 2 * _MIN_ROWS:
        return False
    if any(piece.rows for piece in band) and min(len(left), len(right)) < _MIN_ROWS:
        return False
    lefts = {id(piece) for piece in left}
    ordered = sorted(band, key=lambda piece: piece.order)
    changes = sum((id(one) in lefts) != (id(other) in lefts) for one, other in pairwise(ordered))
    if changes <= max(1, len(band) // 20):
        return True
    extent = max(piece.right for piece in band) - min(piece.left for piece in band)
    return min(len(left), len(right)) > _MIN_ROWS and _is_prose(left, extent) and _is_prose(right, extent)


def _is_prose(side: Sequence[Line], extent: float) -> bool:
    width = max(piece.right for piece in side) - min(piece.left for piece in side)
    filled = statistics.median(piece.right - piece.left for piece in side) >= _PROSE * width
    return filled and width >= _WIDE * extent and sum(len(piece.words) for piece in side) >= _MIN_WORDS * len(side)


def _lines(pieces: list[Line]) -> Column:
    """Join the pieces of a column that stand on one line, from the top down."""
    lines: Column = []
    run: list[Line] = []
    for piece in sorted(pieces, key=lambda piece: (-piece.base, piece.left)):
        if run and (piece.rows or run[0].rows or run[0].base - piece.base > _LEVEL * max(run[0].size, piece.size)):
            lines.append(_joined(run))
            run = []
        run.append(piece)
    if run:
        lines.append(_joined(run))
    return lines


def _joined(run: list[Line]) -> Line:
    if len(run) == 1:
        return run[0]
    return line_of([word for piece in sorted(run, key=lambda piece: piece.left) for word in piece.words])
