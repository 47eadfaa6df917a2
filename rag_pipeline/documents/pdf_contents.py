"""Lists of contents: they say where headings and tables are, which headings and captions say themselves.

Promises: a list goes only when most of its entries are titles that stand elsewhere in the document; any other
list with page numbers stays, an entry a piece. A list of contents would answer every question about a title
with a row of dots.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from itertools import groupby
from statistics import median

from rag_pipeline.documents.pdf_floats import CAPTION
from rag_pipeline.documents.pdf_furniture import Sheet
from rag_pipeline.documents.pdf_layout import Column, Line
from rag_pipeline.documents.pdf_pieces import Piece
from rag_pipeline.model import BlockKind

_FEWEST = 3  # entries in a column; fewer may go on from the page before
_MOST_BETWEEN = 2  # lines between the page numbers of two entries
_EDGE = 3.0  # points: page numbers end at one edge
_KNOWN = 0.6  # of the entries are titles of the document
_TITLE = 60  # characters of what a list is called
_LARGER = 1.05  # than the entries: what a list is called
_MAX_CAPTION = 500  # characters of a caption that are compared
_PAGE = re.compile(r"\d{1,4}|[ivxlcdm]{1,8}", re.IGNORECASE)
_DOTS = re.compile(r"(?:[.…·] ?){3,}")
_LABEL = re.compile(
    r"^(?:(?:chapter|appendix|part|section|annex|table|figure|fig\.)\s+)?(?:\d{1,3}|[a-z]|[ivxl]{2,5})(?:\.\d+)*[.:]?\s+",
    re.IGNORECASE,
)
_SIGNS = re.compile(r"[\W_]+")


def key(title: str) -> str:
    """Return a title's letters and digits without the number before it, by which entries and titles are compared."""
    return _SIGNS.sub("", unicodedata.normalize("NFKC", _LABEL.sub("", title.strip(), count=1)).casefold())


class Contents:
    """Finds the lines of the sheets, in their order, that may be lists of contents; `titles` are keys of headings."""

    def __init__(self, titles: Collection[str]) -> None:
        self._titles = titles
        self._goes_on = False

    def listed(self, sheet: Sheet) -> frozenset[int]:
        """Return the identities of lines that are entries of a list, or parts of them."""
        found: set[int] = set()
        for column in sheet.columns:
            runs = list(self._runs(column))
            self._goes_on = bool(runs) and runs[-1].stop == len(column)
            found.update(id(line) for run in runs for line in column[run.start : run.stop])
        return frozenset(found)

    def _runs(self, column: Column) -> Iterable[range]:
        """Yield where entries follow each other, each with the line that ends it."""
        entries = [index for index, line in enumerate(column) if self._is_entry(line)]
        if len(entries) < (1 if self._goes_on else _FEWEST):
            return
        edge = median(column[index].right for index in entries)
        ends = [index for index, line in enumerate(column) if abs(line.right - edge) <= _EDGE and _has_page(line)]
        begin = 0
        for at in range(1, len(ends) + 1):
            if at < len(ends) and ends[at] - ends[at - 1] <= _MOST_BETWEEN + 1:
                continue
            goes_on = self._goes_on and ends[begin] <= _MOST_BETWEEN
            if at - begin >= _FEWEST or goes_on:
                yield range(0 if goes_on else ends[begin], ends[at - 1] + 1)
            begin = at

    def _is_entry(self, line: Line) -> bool:
        if not _has_page(line):
            return False
        return bool(_DOTS.search(line.text)) or key(_entry(line.text)) in self._titles


def _has_page(line: Line) -> bool:
    """Whether a line ends with what may be the number of a page, and a row of dots or a gap lies before it."""
    if len(line.words) < 2 or not _PAGE.fullmatch(line.words[-1].text):
        return False
    before, page = line.words[-2:]
    return not before.text.strip(".…·") or page.left - before.right > line.size or bool(_DOTS.search(before.text))


def _entry(text: str) -> str:
    """What an entry is the entry of: all before the dots and the number of the page."""
    return text.rpartition(" ")[0].rstrip(" .…·")


def titles_of(pieces: Iterable[Piece]) -> set[str]:
    """Return the keys of what a list of contents may list: headings, and captions of tables and pictures."""
    found: set[str] = set()
    for piece in pieces:
        if piece.kind is BlockKind.HEADING:
            found.add(key(piece.title))
        elif not piece.listed and (caption := CAPTION.match(piece.text[:_MAX_CAPTION])):
            found.add(key(piece.text[caption.end() : _MAX_CAPTION]))
    return found - {""}


def without_contents(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces without lists of contents and what such a list is called.

    What comes first of all is the document's title, also where a list follows it.
    """
    if not any(piece.listed for piece in pieces):
        return pieces
    titles = titles_of(pieces)
    kept: list[Piece] = []
    for listed, group in groupby(pieces, key=lambda piece: piece.listed):
        run = list(group)
        if listed and sum(key(_entry(piece.text)) in titles for piece in run) >= _KNOWN * len(run):
            if len(kept) > 1 and _calls(kept[-1], run[0]):
                kept.pop()
        else:
            kept += run
    return kept


def _calls(piece: Piece, first: Piece) -> bool:
    """Whether a piece is what the list that begins with `first` is called."""
    if piece.pages[1] != first.pages[0] or len(piece.text) > _TITLE or piece.lines > 1:
        return False
    if piece.kind is BlockKind.HEADING:
        return True
    return piece.kind is BlockKind.PARAGRAPH and (piece.bold or piece.size > _LARGER * first.size)
