"""Ruled tables: a grid of lines that meet, and the words in its cells.

Promises: a word is in one cell or is handed back; a cell that spans others has its text in the first of them.
A single frame is no table, nor is a list of frames below each other, nor a drawing's grid with few words in it.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from rag_pipeline.documents.pdf_drawings import Rule
from rag_pipeline.documents.pdf_hyphens import append
from rag_pipeline.documents.pdf_page import Page, Word

_MEET = 3.0  # points: ends that come this close meet
_SAME = 2.5  # points: lines that are no further apart are one line
_MAX_MEETINGS = 1_000_000  # pairs of lines that are compared; beyond it the page is a drawing
_MAX_CELLS = 50_000
_FILLED = 0.25  # of the cells of a table hold words
_LEVEL = 0.45  # of the size: words whose baselines differ less stand on one line


class Table(NamedTuple):
    """Where a table stands and how large its type is (points), and its rows of cells."""

    left: float
    right: float
    top: float
    size: float
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Grid:
    """Lines of one table: distinct positions from left to right and from top to bottom, and what is drawn."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    across: tuple[Rule, ...]
    down: tuple[Rule, ...]


def tables(page: Page) -> tuple[list[Table], list[Word]]:
    """Return the page's tables, and its other words in their order."""
    words = list(page.words)
    found: list[Table] = []
    for grid in _grids(_merged(page.across), _merged(page.down)):
        inside, outside = _parted(words, grid)
        rows = _rows(inside, grid)
        if rows:
            size = median(word.size for word in inside)
            found.append(Table(grid.xs[0], grid.xs[-1], grid.ys[0], size, rows))
            words = outside
    return found, words


def _merged(rules: Sequence[Rule]) -> list[Rule]:
    """Join lines that continue or repeat each other."""
    merged: list[Rule] = []
    recent: list[int] = []
    for rule in sorted(rules):
        recent = [index for index in recent if rule.at - merged[index].at <= _SAME]
        for index in recent:
            other = merged[index]
            if rule.start <= other.end + _MEET and other.start <= rule.end + _MEET:
                merged[index] = Rule(other.at, min(other.start, rule.start), max(other.end, rule.end))
                break
        else:
            recent.append(len(merged))
            merged.append(rule)
    return merged


def _grids(across: list[Rule], down: list[Rule]) -> list[_Grid]:
    if len(across) * len(down) > _MAX_MEETINGS:
        return []
    group = list(range(len(across) + len(down)))

    def root(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    for i, row in enumerate(across):
        for j, column in enumerate(down, len(across)):
            if (
                row.start - _MEET <= column.at <= row.end + _MEET
                and column.start - _MEET <= row.at <= column.end + _MEET
            ):
                group[root(j)] = root(i)
    members: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for index in range(len(group)):
        pair = members.setdefault(root(index), ([], []))
        pair[index >= len(across)].append(across[index] if index < len(across) else down[index - len(across)])
    grids = [
        _Grid(_positions(columns, rows), _positions(rows, columns)[::-1], tuple(rows), tuple(columns))
        for rows, columns in members.values()
        if rows and columns
    ]
    return [g for g in grids if len(g.xs) > 2 and len(g.ys) > 2 and len(g.xs) * len(g.ys) <= _MAX_CELLS]


def _positions(rules: Sequence[Rule], others: Sequence[Rule]) -> tuple[float, ...]:
    """Where the lines are; a table without a frame ends where the lines that cross them end."""
    positions: list[float] = []
    for at in sorted([*(r.at for r in rules), min(r.start for r in others), max(r.end for r in others)]):
        if not positions or at - positions[-1] > _SAME:
            positions.append(at)
    return tuple(positions)


def _parted(words: list[Word], grid: _Grid) -> tuple[list[Word], list[Word]]:
    inside: list[Word] = []
    outside: list[Word] = []
    for word in words:
        x, y = _middle(word)
        within = grid.xs[0] <= x <= grid.xs[-1] and grid.ys[-1] <= y <= grid.ys[0]
        (inside if within else outside).append(word)
    return inside, outside


def _middle(word: Word) -> tuple[float, float]:
    return (word.left + word.right) / 2, word.base + 0.3 * word.size


def _rows(words: list[Word], grid: _Grid) -> tuple[tuple[str, ...], ...]:
    """Return the rows and columns that hold words; nothing when what they make is not a table."""
    cells: dict[tuple[int, int], list[Word]] = {}
    ascending = [-y for y in grid.ys]
    spans = _spans(grid)
    for word in words:
        x, y = _middle(word)
        row = min(max(bisect_right(ascending, -y) - 1, 0), len(grid.ys) - 2)
        column = min(max(bisect_right(grid.xs, x) - 1, 0), len(grid.xs) - 2)
        cells.setdefault(spans[row][column], []).append(word)
    used_rows, used_columns = sorted({row for row, _ in cells}), sorted({column for _, column in cells})
    if len(used_rows) < 2 or len(used_columns) < 2 or len(cells) < _FILLED * len(used_rows) * len(used_columns):
        return ()
    return tuple(tuple(_text(cells.get((row, column), [])) for column in used_columns) for row in used_rows)


def _spans(grid: _Grid) -> list[list[tuple[int, int]]]:
    """For each cell, the first cell of the span that it belongs to: no line is drawn between them."""
    down = [[rule for rule in grid.down if abs(rule.at - x) <= _SAME] for x in grid.xs]
    across = [[rule for rule in grid.across if abs(rule.at - y) <= _SAME] for y in grid.ys]
    spans: list[list[tuple[int, int]]] = []
    for row, (top, bottom) in enumerate(pairwise(grid.ys)):
        spans.append([])
        for column, (left, right) in enumerate(pairwise(grid.xs)):
            first = (row, column)
            if column and not _drawn(down[column], (top + bottom) / 2):
                first = spans[row][column - 1]
            elif row and not _drawn(across[row], (left + right) / 2):
                first = spans[row - 1][column]
            spans[row].append(first)
    return spans


def _drawn(rules: Sequence[Rule], through: float) -> bool:
    return any(rule.start - _MEET <= through <= rule.end + _MEET for rule in rules)


def _text(words: list[Word]) -> str:
    """The words of a cell, line after line, on one line."""
    parts: list[str] = []
    line: list[Word] = []
    for word in sorted(words, key=lambda word: -word.base):
        if line and line[0].base - word.base > _LEVEL * max(word.size, line[0].size):
            _add(parts, line)
            line = []
        line.append(word)
    if line:
        _add(parts, line)
    return "".join(parts)


def _add(parts: list[str], line: list[Word]) -> None:
    line = sorted(line, key=lambda word: word.left)
    append(parts, " ".join(word.text for word in line), mono=line[0].mono)
