"""A PDF's outline (its bookmarks): which headings there are, how deep, and where on the pages they stand.

Promises: a cyclic or endless outline ends at a limit. A heading is looked for among the lines of the page that
it points to, by its words; the number before it (``1.2``, ``Chapter 3``) may be on the page or in the outline
alone. One that is not found there keeps its place between the lines, so that it structures all the same.
"""

import ctypes
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.pdf_layout import Line

_MAX_ENTRIES = 50_000
_MAX_DEPTH = 20
_MAX_TITLE = 1_000
_MAX_LINES = 6  # over which a heading is spread
_MAX_LOOKS = 1_000_000  # entries times lines of one page
_FEWEST = 2  # entries; a single one names the document
_NUMBERED = re.compile(
    r"(?:chapter|appendix|part|section|annex)?(?:\d[\d.]*\w?|[ivxlc]+|[a-z]|one|two|three|four|five|six|seven|eight"
    r"|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|twenty(?:one|two|three|four|five)?)?"
)
_SIGNS = re.compile(r"[\W_]+")


class Entry(NamedTuple):
    """An entry of the outline: level from 1 to 6, the page and the height on it, where that is known."""

    title: str
    level: int
    page: int
    top: float | None


class Spot(NamedTuple):
    """Where a heading stands among the lines of its page; ``first == end`` when no line is it."""

    entry: Entry
    first: int
    end: int


def outline(document: Any) -> dict[int, list[Entry]]:
    """Return the entries by page, in their order; nothing when they are too few to be the headings."""
    pages: dict[int, list[Entry]] = {}
    entries = [entry for entry in _entries(document) if entry is not None]
    for entry in entries if len(entries) >= _FEWEST else []:
        pages.setdefault(entry.page, []).append(entry)
    return pages


def _entries(document: Any) -> Iterator[Entry | None]:
    """Yield the entries in their order; None for one without a title or without a page in this document."""
    stack: list[Any] = []
    seen: set[int] = set()
    bookmark = pdfium.FPDFBookmark_GetFirstChild(document, None)
    while bookmark or stack:
        if not bookmark:
            bookmark = pdfium.FPDFBookmark_GetNextSibling(document, stack.pop())
            continue
        address = ctypes.addressof(bookmark.contents)
        if address in seen or len(seen) == _MAX_ENTRIES:
            bookmark = None
            continue
        seen.add(address)
        yield _entry(document, bookmark, len(stack) + 1)
        if len(stack) < _MAX_DEPTH:
            stack.append(bookmark)
            bookmark = pdfium.FPDFBookmark_GetFirstChild(document, bookmark)
        else:
            bookmark = pdfium.FPDFBookmark_GetNextSibling(document, bookmark)


def _entry(document: Any, bookmark: Any, level: int) -> Entry | None:
    size = min(pdfium.FPDFBookmark_GetTitle(bookmark, None, 0), 2 * _MAX_TITLE)
    buffer = ctypes.create_string_buffer(size + 2)
    pdfium.FPDFBookmark_GetTitle(bookmark, buffer, size)
    title = " ".join(clean(buffer.raw[:size].decode("utf-16-le", "replace").rstrip("\0")).split())
    destination = pdfium.FPDFBookmark_GetDest(document, bookmark)
    if not destination:
        action = pdfium.FPDFBookmark_GetAction(bookmark)
        destination = pdfium.FPDFAction_GetDest(document, action) if action else None
    index = pdfium.FPDFDest_GetDestPageIndex(document, destination) if destination else -1
    if not title or index < 0:
        return None
    has_x, has_y, has_zoom = (ctypes.c_int() for _ in range(3))
    x, y, zoom = (ctypes.c_float() for _ in range(3))
    known = pdfium.FPDFDest_GetLocationInPage(destination, has_x, has_y, has_zoom, x, y, zoom)
    return Entry(title, min(level, 6), index + 1, y.value if known and has_y.value else None)


def spots(entries: Sequence[Entry], lines: Sequence[Line]) -> list[Spot]:
    """Return where the entries of a page stand among its lines, in reading order, each line taken once."""
    keys = [_key(line.text) if not line.rows else "" for line in lines]
    searched = _MAX_LOOKS // (len(lines) + 1)
    taken: set[int] = set()
    found: list[Spot] = []
    earliest = 0
    for number, entry in enumerate(entries):
        spot = _spot(entry, lines, keys, taken) if number < searched else None
        if spot is None:
            at = _below(entry, lines, earliest)
            while at in taken and at - 1 in taken:
                at += 1  # never between the lines of another heading
            spot = Spot(entry, at, at)
        taken.update(range(spot.first, spot.end))
        earliest = max(earliest, spot.end)
        found.append(spot)
    return sorted(found, key=lambda spot: spot.first)


def _spot(entry: Entry, lines: Sequence[Line], keys: Sequence[str], taken: set[int]) -> Spot | None:
    title = _key(entry.title)
    best: tuple[float, float, int, Spot] | None = None
    for first in range(len(lines)):
        spelled = ""
        for end in range(first, min(first + _MAX_LINES, len(lines))):
            spelled += keys[end]
            if not keys[end] or end in taken or len(spelled) > len(title) + 40:
                break
            if _means(spelled, title):
                distance = 0.0 if entry.top is None else abs(entry.top - lines[first].base - lines[first].size)
                # The longest at the place wins, so that the number on the line above is part of it.
                sizes = {round(line.size) for line in lines[first : end + 1]}
                if len(sizes) > 1 and keys[end] != title and title in keys:
                    continue  # stray letters around another heading happen to spell this one
                size = max(line.size for line in lines[first : end + 1])
                rank = (distance // 150, -size, first - end, Spot(entry, first, end + 1))
                if best is None or rank[:3] < best[:3]:
                    best = rank
    return best[3] if best else None


def _means(spelled: str, title: str) -> bool:
    if spelled == title:
        return bool(title)
    longer, shorter = (spelled, title) if len(spelled) > len(title) else (title, spelled)
    return (
        len(shorter) > 1
        and longer.endswith(shorter)
        and bool(_NUMBERED.fullmatch(longer[: len(longer) - len(shorter)]))
    )


def _below(entry: Entry, lines: Sequence[Line], earliest: int) -> int:
    """The first line that does not stand above the place to which the entry points."""
    if entry.top is None:
        return earliest
    places = (index for index in range(earliest, len(lines)) if lines[index].base < entry.top)
    return next(places, len(lines))


def _key(text: str) -> str:
    return _SIGNS.sub("", unicodedata.normalize("NFKC", text).casefold())
