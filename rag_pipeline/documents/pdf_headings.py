"""Headings of a PDF that has no outline: short paragraphs in larger or bolder type than the body's.

The body is the size in which most characters are set. What is clearly larger is a heading, and so is what is
bold at the body's size, unless that type makes up much of the document or is mostly that of longer text.
Levels follow the sizes, from the largest down; at one size a bold heading is above one that is not.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from rag_pipeline.documents.pdf_pieces import Piece
from rag_pipeline.model import BlockKind

_LARGER = 1.15  # of the body's size
_ALIKE = 0.04  # sizes that differ less are one
_LONGEST = 200  # characters
_MOST_LINES = 4
_MOST = 0.2  # of the document's characters in one type: that is no heading's
_MOSTLY = 0.5  # of the characters in a heading's type are in headings
_ENDS = (".", ",", ";", ":")

_SHORT = (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM)  # the number of a heading may look like that of an item
_PROSE = (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.TABLE)

_Style = tuple[float, bool]


def body_size(pieces: Iterable[Piece]) -> float:
    """Return the size in points in which most characters are set; 0 where there is no prose."""
    weights: Counter[float] = Counter()
    for piece in pieces:
        if piece.kind in _PROSE:
            weights[round(piece.size, 1)] += len(piece.text)
    return max(weights, key=lambda size: (weights[size], size)) if weights else 0.0


def mark_headings(pieces: Sequence[Piece]) -> None:
    """Turn the paragraphs that are headings into such."""
    body = body_size(pieces)
    candidates = [piece for piece in pieces if _may_be_heading(piece, body)]
    share, whole = _characters(candidates), _characters(piece for piece in pieces if piece.kind in _PROSE)
    most = max(_LONGEST, _MOST * whole.total())
    levels = _levels(style for style in share if _MOSTLY * whole[style] <= share[style] <= most)
    for piece in candidates:
        if level := levels.get(_style(piece)):
            piece.kind, piece.level, piece.title = BlockKind.HEADING, level, piece.text


def _may_be_heading(piece: Piece, body: float) -> bool:
    if piece.kind not in _SHORT or piece.listed or piece.lines > _MOST_LINES or len(piece.text) > _LONGEST:
        return False
    if not any(char.isalpha() for char in piece.text):
        return False
    if piece.size > _LARGER * body:
        return piece.bold or not piece.text.endswith(".")
    return (
        piece.kind is BlockKind.PARAGRAPH
        and piece.bold
        and piece.size >= (1 - _ALIKE) * body
        and not piece.text.endswith(_ENDS)
    )


def _characters(pieces: Iterable[Piece]) -> Counter[_Style]:
    counts: Counter[_Style] = Counter()
    for piece in pieces:
        counts[_style(piece)] += len(piece.text)
    return counts


def _style(piece: Piece) -> _Style:
    return round(piece.size, 1), piece.bold


def _levels(styles: Iterable[_Style]) -> dict[_Style, int]:
    levels: dict[_Style, int] = {}
    level, last = 0, (0.0, False)
    for style in sorted(styles, reverse=True):
        if not level or style[1] != last[1] or last[0] - style[0] > _ALIKE * last[0]:
            level, last = level + 1, style
        levels[style] = min(level, 6)
    return levels
