"""How much of a manual its PDF gives back, measured on manuals that Debian ships as PDF, HTML and plain text."""

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pypdfium2

from benchmarks.manuals import (
    HELD_OUT,
    MANUALS,
    SEEN,
    Manual,
    Titles,
    Wanted,
    read,
    titles,
    unpacked,
    wanted,
    with_parents,
)
from benchmarks.options import Options
from benchmarks.report import Report, median, say
from benchmarks.word_order import in_order, moved, words
from rag_pipeline.documents.pdf import parse
from rag_pipeline.model import BlockKind, Document

TITLE = "PDF"

_T = TypeVar("_T")

_MANUALS = (
    "The manuals are those of Debian's packages, read as PDF and compared with their other two forms. The parser was "
    "developed on the first three, whose figures are the goals. maint-guide was held out first: 90.3 % of its words "
    "were in order, and a look at it showed that a note's own number may be made of raised digits. The others are "
    "held out: the parser was not changed for them, and nobody looked at more than their figures."
)
_WORDS = (
    "Words are runs of letters and digits, in Unicode's compatibility form (which dissolves ligatures) and in lower "
    "case (the PDFs set chapter titles in capitals). So quotes, bullets, dashes, rules drawn with signs and the marks "
    "of emphasis do not count, and a word that a line end divided counts only when it was joined, or kept its hyphen, "
    "rightly. The text version is changed in three ways first: tables drawn with signs are read cell by cell, because "
    "their lines run across all cells; of the references in debian-reference (`Section 1.2, “Its title”`) the title "
    "goes, which only that form prints; and lists of contents go, which we leave out of PDFs as navigation. Such a "
    "list is five or more titles of the HTML, or captions of tables, that follow each other with nothing between "
    "them; how many words that is stands in the table. Nothing else is left out."
)
_ORDER = (
    "*In order* is the longest common subsequence of the whole manual's words; the figure to reach is of this strict "
    "order. *With moved passages* adds stretches of at least four words that follow each other in both forms, among "
    "what is left of both. *Plain PDFium* is `get_text_range` of each page with the line ends after hyphens joined."
)
_MISSING = (
    "What is missing from the strict order, by kind. *Notes*: words of notes (`[1]`) that stand elsewhere in both "
    "forms. The PDF has them at the foot of the page; we collect them at the end of the chapter, where the text "
    "versions have nearly all. In chapter 8 of debian-policy, and here and there in others, the author wrote them "
    "after a section, which the PDF does not tell. *Other passages*: mostly tables that the typesetter moved to where "
    "they fit, and the text between the two places. debian-reference cites few of its tables by number, so that we "
    "go by their captions, and by which pages had no room for them; notes that stand elsewhere also move what they "
    "change places with. *Off the page*: words of tables that run off the lower edge of their page, which no reader "
    "of the PDF sees; we leave them out on purpose, because text that is out of sight may be meant to be, and plain "
    "PDFium returns them. *In one form only*: numbers of chapters that the PDF counts otherwise or writes as words, "
    "numbers that it does not print, words for pictures, marks inside words. The last two kinds cannot be reached; "
    "they are not taken out of the figures above."
)
_PARENTS = (
    "A section's title counts when the blocks have a heading of that title below the heading that is its parent in "
    "the HTML; numbers before titles do not count, and neither do the pages that only list others."
)


def run(report: Report, options: Options) -> None:
    """Read the manuals in their three forms; without them, say why not."""
    with unpacked() as (root, reason):
        if root is None:
            report.text(f"Skipped: {reason}.")
            return
        rows = [_measured(manual, root, options) for manual in (MANUALS[:1] if options.quick else MANUALS)]
        there = [] if options.quick else [manual for manual in SEEN + HELD_OUT if (root / manual.pdf).exists()]
        others = [_measured(manual, root, options) for manual in there]
    found = 100 * sum(row.found for row in rows) / sum(row.words for row in rows)
    report.goal("words of the text version found in order", "≥ 99", found, "%", found >= 99)
    placed = 100 * sum(row.placed for row in rows) / sum(row.titles for row in rows)
    report.goal("section titles with the right parent", "≥ 95", placed, "%", placed >= 95)
    slowest = min(row.pages / row.seconds for row in rows)
    report.goal("pages a second, slowest manual", "> 50", slowest, "", slowest > 50)
    for paragraph in (_MANUALS, _WORDS, _ORDER):
        report.text(paragraph)
    held_out = {manual.name for manual in HELD_OUT}
    everything = [(f"{row.name} (held out)" if row.name in held_out else row.name, row) for row in rows + others]
    report.table(
        ("manual", "words", "in order %", "with moved passages %", "plain PDFium %", "the same, moved %"),
        [
            (
                name,
                row.words,
                100 * row.found / row.words,
                100 * (row.found + row.elsewhere) / row.words,
                100 * row.plain_found / row.words,
                100 * (row.plain_found + row.plain_elsewhere) / row.words,
            )
            for name, row in everything
        ],
    )
    report.text(_MISSING)
    report.table(
        ("manual", "in contents, left out", "missing", *_KINDS),
        [(name, row.listed, row.words - row.found, *row.missing) for name, row in everything],
    )
    report.text(_PARENTS)
    report.table(
        ("manual", "titles", "found %", "with the right parent %"),
        [(name, row.titles, 100 * row.seen / row.titles, 100 * row.placed / row.titles) for name, row in everything],
    )
    report.table(
        ("manual", "pages", "MB", "seconds", "pages/s", "MB/s of file", "plain PDFium, seconds"),
        [
            (
                name,
                row.pages,
                row.size / 1e6,
                row.seconds,
                row.pages / row.seconds,
                row.size / 1e6 / row.seconds,
                row.plain_seconds,
            )
            for name, row in everything
        ],
    )


_KINDS = ("notes", "other passages", "off the page", "in one form only")


@dataclass(frozen=True, slots=True)
class _Row:
    """What one manual showed; `missing` is of the kinds above."""

    name: str
    words: int
    listed: int
    found: int
    elsewhere: int
    missing: Sequence[int]
    plain_found: int
    plain_elsewhere: int
    titles: int
    seen: int
    placed: int
    pages: int
    size: int
    seconds: float
    plain_seconds: float


def _measured(manual: Manual, root: Path, options: Options) -> _Row:
    say(manual.name)
    data = read(root / manual.pdf)
    document, seconds = _timed(lambda: parse(data), options.repeats)
    plain, plain_seconds = _timed(lambda: _plain(data), options.repeats)
    theirs, ours = titles(manual, root), _titles(document)
    sought = wanted(read(root / manual.text).decode(), theirs)
    found, elsewhere = _found(sought.words, document.text)
    plain_found, plain_elsewhere = _found(sought.words, plain)
    return _Row(
        manual.name,
        len(sought.words),
        sought.listed,
        len(found),
        len(elsewhere),
        _missing(sought, found, elsewhere, _off_page(data)),
        len(plain_found),
        len(plain_elsewhere),
        theirs.total(),
        (_alone(theirs) & _alone(ours)).total(),
        (theirs & ours).total(),
        document.metadata["pages"],
        len(data),
        seconds,
        plain_seconds,
    )


def _found(sought: list[str], text: str) -> tuple[set[int], set[int]]:
    """The positions of the words that are in order in a text, and of those in moved passages."""
    offered = words(text)
    pairs = in_order(sought, offered)
    return {i for i, _ in pairs}, {i for i, _ in moved(sought, offered, pairs)}


def _missing(sought: Wanted, found: set[int], elsewhere: set[int], off_page: Counter[str]) -> Sequence[int]:
    """Count the words that are not found in order, by kind."""
    counts = Counter[str]()
    left = Counter(off_page)
    for index, (word, noted) in enumerate(zip(sought.words, sought.noted, strict=True)):
        if index in found:
            continue
        if index in elsewhere:
            counts["notes" if noted else "other passages"] += 1
        elif left[word]:
            left[word] -= 1
            counts["off the page"] += 1
        else:
            counts["in one form only"] += 1
    return [counts[kind] for kind in _KINDS]


def _off_page(data: bytes) -> Counter[str]:
    """Count the words that PDFium finds outside the box of their page."""
    counts = Counter[str]()
    document = pypdfium2.PdfDocument(data)
    try:
        for page in document:
            text = page.get_textpage()
            counts.update(words(text.get_text_range()))
            counts.subtract(words(text.get_text_bounded(*page.get_bbox())))
    finally:
        document.close()
    return +counts


def _timed(work: Callable[[], _T], repeats: int) -> tuple[_T, float]:
    seconds: list[float] = []
    for _ in range(repeats - 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    result = work()
    return result, median([*seconds, time.perf_counter() - started])


def _plain(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    try:
        pages = [page.get_textpage().get_text_range() for page in document]
    finally:
        document.close()
    return re.sub("[\x02\ufffe]\r?\n", "", "\n".join(pages))


def _titles(document: Document) -> Titles:
    headings = (block for block in document.blocks if block.kind is BlockKind.HEADING)
    return Counter(with_parents((block.level, block.title) for block in headings))


def _alone(pairs: Titles) -> Counter[str]:
    return Counter(title for title, _ in pairs.elements())
