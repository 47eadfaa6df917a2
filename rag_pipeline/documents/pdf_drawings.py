"""What is drawn on a page of a PDF besides its text: straight lines, and grounds on which white text shows.

Promises: time grows with the number of drawn objects and stops at a limit, beyond which a page counts as a
drawing. Lines inside forms (pictures that were placed as a whole) are not looked at.
"""

import ctypes
from collections.abc import Iterator
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

_MAX_DRAWN = 5_000  # paths of a page that are looked at
_MAX_SEGMENTS = 1_000  # of one path
_THIN = 2.5  # points: a filled box that is no thicker is a line
_WHITE = 250  # of 255: channels above it look white on paper

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


class Rule(NamedTuple):
    """A straight line: at `at` on the other axis, from `start` to `end`."""

    at: float
    start: float
    end: float


def turned(box: Box, turn: int) -> Box:
    """Return the box after `turn` quarter turns clockwise about the origin."""
    left, bottom, right, top = box
    if turn == 1:
        return bottom, -right, top, -left
    if turn == 2:
        return -right, -top, -left, -bottom
    return (-top, left, -bottom, right) if turn == 3 else box


def rules(page: Any, turn: int) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """Return the lines across and down the turned page; neither when the page is a drawing."""
    across: list[Rule] = []
    down: list[Rule] = []
    drawn = 0
    for item in _objects(page):
        if pdfium.FPDFPageObj_GetType(item) != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        drawn += 1
        if drawn > _MAX_DRAWN:
            return (), ()
        for box in _strokes(item):
            left, bottom, right, top = turned(box, turn)
            if top - bottom <= _THIN < right - left:
                across.append(Rule((top + bottom) / 2, left, right))
            elif right - left <= _THIN < top - bottom:
                down.append(Rule((left + right) / 2, bottom, top))
    return tuple(across), tuple(down)


def grounds(page: Any) -> list[Box] | None:
    """Return the boxes of pictures and coloured areas; None when there are too many to look at."""
    boxes: list[Box] = []
    for item in _objects(page):
        kind = pdfium.FPDFPageObj_GetType(item)
        if kind == pdfium.FPDF_PAGEOBJ_TEXT or (kind == pdfium.FPDF_PAGEOBJ_PATH and not _coloured(item)):
            continue
        if len(boxes) == _MAX_DRAWN:
            return None
        boxes.append(_bounds(item))
    return boxes


def is_white(red: int, green: int, blue: int, alpha: int) -> bool:
    """Whether a colour cannot be seen on white paper."""
    return alpha == 0 or min(red, green, blue) >= _WHITE


def _objects(page: Any) -> Iterator[Any]:
    for index in range(pdfium.FPDFPage_CountObjects(page)):
        yield pdfium.FPDFPage_GetObject(page, index)


def _coloured(item: Any) -> bool:
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(item, fill, stroke)
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    pdfium.FPDFPageObj_GetFillColor(item, red, green, blue, alpha)
    return bool(fill.value) and not is_white(red.value, green.value, blue.value, alpha.value)


def _bounds(item: Any) -> Box:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(item, left, bottom, right, top)
    return left.value, bottom.value, right.value, top.value


def _strokes(item: Any) -> Iterator[Box]:
    """Yield the boxes of a path's straight parts, or its own box where that is thin."""
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(item, fill, stroke)
    if not fill.value and not stroke.value:
        return
    bounds = _bounds(item)
    if min(bounds[2] - bounds[0], bounds[3] - bounds[1]) <= _THIN:
        yield bounds
        return
    matrix, x, y = pdfium.FS_MATRIX(), ctypes.c_float(), ctypes.c_float()
    pdfium.FPDFPageObj_GetMatrix(item, matrix)
    begun = previous = (0.0, 0.0)
    for index in range(min(pdfium.FPDFPath_CountSegments(item), _MAX_SEGMENTS)):
        segment = pdfium.FPDFPath_GetPathSegment(item, index)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        point = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            begun = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            yield _between(previous, point)
        if pdfium.FPDFPathSegment_GetClose(segment):
            yield _between(point, begun)
        previous = point


def _between(one: tuple[float, float], other: tuple[float, float]) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1])
