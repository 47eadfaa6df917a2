"""How much of a manual its PDF gives back, measured on manuals that Debian ships as PDF, HTML and plain text."""

import gzip
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import TypeVar

import pypdfium2
from bs4 import BeautifulSoup, Tag

from benchmarks.options import Options
from benchmarks.report import Report, median, say
from benchmarks.word_order import in_order, moved, words
from rag_pipeline.documents.pdf import parse
from rag_pipeline.model import BlockKind, Document

TITLE = "PDF"
FOLDER = "RAG_DEBIAN_MANUALS"
"""Environment variable: a folder into which the three packages are unpacked."""

_T = TypeVar("_T")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_NUMBER = re.compile(r"^(?:(?:chapter|appendix)\s+)?(?:\d+|[a-z])(?:\.\d+)*\.\s+", re.IGNORECASE)
_REFERENCE = re.compile(r'((?:Section|Table|Chapter|Appendix|Figure)\s+[\dA-Z.]*[\dA-Z]),\s+[“"][^”"]*[”"]')
_BULLET = re.compile(r"^[*•-]\s+")
_CAPTION = re.compile(r"^ *(?:Table|Figure)\s[\dA-Z][\d.]*\.\s((?:.+\n)+)", re.MULTILINE)
_LISTED = 5  # titles that follow each other are a list of contents
_ENTRY_LINES = 3
_PROLOG = re.compile(rb"^\s*<\?xml[^>]*>")
_DRAWN = re.compile(r"^\s*[|+].*[|+]\s*$")
_BORDER = re.compile(r"^\s*[|+][-=+|\s]*$")


@dataclass(frozen=True, slots=True)
class _Manual:
    """A package and its three forms, relative to the root of the unpacked packages; `pages` matches the HTML."""

    package: str
    pdf: str
    text: str
    pages: str


_MANUALS = (
    _Manual(
        "developers-reference",
        "usr/share/developers-reference/developers-reference.pdf",
        "usr/share/developers-reference/developers-reference.txt.gz",
        "usr/share/developers-reference/*.html",
    ),
    _Manual(
        "debian-policy",
        "usr/share/doc/debian-policy/policy.pdf.gz",
        "usr/share/doc/debian-policy/policy.txt.gz",
        "usr/share/doc/debian-policy/policy.html/*.html",
    ),
    _Manual(
        "debian-reference-en",
        "usr/share/debian-reference/debian-reference.en.pdf",
        "usr/share/debian-reference/debian-reference.en.txt.gz",
        "usr/share/debian-reference/*.en.html",
    ),
)
_NO_CHAPTERS = {"index.html", "index.en.html", "genindex.html", "search.html", "developers-reference.html"}

_WORDS = (
    "Words are runs of letters and digits, in Unicode's compatibility form (which dissolves ligatures) and in lower "
    "case (the PDFs set chapter titles in capitals). So quotes, bullets, dashes, rules drawn with signs and the marks "
    "of emphasis do not count, and a word that a line end divided counts only when it was joined, or kept its hyphen, "
    "rightly. The text version is changed in two ways first: tables drawn with signs are read cell by cell, because "
    "their lines run across all cells, and of the references in debian-reference "
    "(`Section 1.2, “Its title”`) the title goes, which only that form prints. Nothing else is left out."
)
_ORDER = (
    "*In order* is the longest common subsequence of the whole manual's words. The forms disagree about where "
    "some passages stand: the text has notes at the end of a chapter, tables at their place and the table of "
    "contents after the preface; the PDF has notes at the foot of the page, tables where they fit, and the "
    "contents in front. The figure to reach is of this strict order. *With moved passages* was added after seeing"
    " what is missing, and the parser was developed on these manuals; it adds stretches of at least four words "
    "that follow each other in both forms, among what is left of both. *Plain PDFium* is `get_text_range` of each"
    " page with the line ends after hyphens joined. What is missing after that is mostly in one form only: "
    "numbers of chapters that the PDF writes as words, items that it counts with letters, marks inside words. In "
    "debian-reference some tables run off the lower edge of their page: no reader of the PDF sees those rows "
    "(some 250 words), so we leave them out and they count as missing; plain PDFium returns them."
)


def run(report: Report, options: Options) -> None:
    """Read the manuals in their three forms; without them, say why not."""
    with _unpacked() as (root, reason):
        if root is None:
            report.text(f"Skipped: {reason}.")
            return
        rows = [_measured(manual, root, options) for manual in (_MANUALS[:1] if options.quick else _MANUALS)]
    found = 100 * sum(row.found for row in rows) / sum(row.words for row in rows)
    report.goal("words of the text version found in order", "≥ 99", found, "%", found >= 99)
    titles = 100 * sum(row.placed for row in rows) / sum(row.titles for row in rows)
    report.goal("section titles with the right parent", "≥ 95", titles, "%", titles >= 95)
    slowest = min(row.pages / row.seconds for row in rows)
    report.goal("pages a second, slowest manual", "> 50", slowest, "", slowest > 50)
    report.text("The manuals are those of Debian's packages, read as PDF and compared with their other two forms.")
    report.text(_WORDS)
    report.text(_ORDER)
    report.table(
        ("manual", "words", "in order %", "with moved passages %", "plain PDFium %", "the same, moved %"),
        [
            (
                row.name,
                row.words,
                100 * row.found / row.words,
                100 * (row.found + row.elsewhere) / row.words,
                100 * row.plain_found / row.words,
                100 * (row.plain_found + row.plain_elsewhere) / row.words,
            )
            for row in rows
        ],
    )
    report.text(
        "A section's title counts when the blocks have a heading of that title below the heading that is its parent in "
        "the HTML; numbers before titles do not count, and neither do the pages that only list others."
    )
    report.table(
        ("manual", "titles", "found %", "with the right parent %"),
        [(row.name, row.titles, 100 * row.seen / row.titles, 100 * row.placed / row.titles) for row in rows],
    )
    report.table(
        ("manual", "pages", "MB", "seconds", "pages/s", "MB/s of file", "plain PDFium, seconds"),
        [
            (
                row.name,
                row.pages,
                row.size / 1e6,
                row.seconds,
                row.pages / row.seconds,
                row.size / 1e6 / row.seconds,
                row.plain_seconds,
            )
            for row in rows
        ],
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """What was measured on one manual."""

    name: str
    words: int
    found: int
    elsewhere: int
    plain_found: int
    plain_elsewhere: int
    titles: int
    seen: int
    placed: int
    pages: int
    size: int
    seconds: float
    plain_seconds: float


def _measured(manual: _Manual, root: Path, options: Options) -> _Row:
    say(manual.package)
    data = _read(root / manual.pdf)
    document, seconds = _timed(lambda: parse(data), options.repeats)
    plain, plain_seconds = _timed(lambda: _plain(data), options.repeats)
    titles = Counter(pair for page in sorted(root.glob(manual.pages)) for pair in _page_titles(page))
    text = _read(root / manual.text).decode()
    listed = {title for title, _ in titles} | set(_captions(text))
    wanted = words(_REFERENCE.sub(r"\1", _undrawn(_without_contents(text, listed - {""}))))
    found, elsewhere = _found(wanted, document.text)
    plain_found, plain_elsewhere = _found(wanted, plain)
    ours = Counter(_document_titles(document))
    return _Row(
        manual.package,
        len(wanted),
        found,
        elsewhere,
        plain_found,
        plain_elsewhere,
        titles.total(),
        (_alone(titles) & _alone(ours)).total(),
        (titles & ours).total(),
        document.metadata["pages"],
        len(data),
        seconds,
        plain_seconds,
    )


def _found(wanted: list[str], text: str) -> tuple[int, int]:
    offered = words(text)
    pairs = in_order(wanted, offered)
    return len(pairs), len(moved(wanted, offered, pairs))


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


def _without_contents(text: str, titles: Set[str]) -> str:
    """Leave out lists of contents: at least `_LISTED` titles that follow each other, whatever blank lines do."""
    lines = text.split("\n")
    kept: list[str] = []
    run: list[str] = []
    entries = at = 0
    while at <= len(lines):
        if at < len(lines) and not lines[at].strip():
            taken = 1
        elif taken := _entry(lines[at : at + _ENTRY_LINES], titles):
            entries += 1
        else:
            kept += run if entries < _LISTED else []
            kept += lines[at : at + 1]
            run, entries, taken = [], 0, 1
            at += 1
            continue
        run += lines[at : at + taken]
        at += taken
    return "\n".join(kept)


def _entry(lines: Sequence[str], titles: Set[str]) -> int:
    """How many lines make an entry of a list of contents; 0 when they begin with none."""
    spelled = ""
    for count, line in enumerate(takewhile(str.strip, lines), 1):
        spelled = f"{spelled} {line.strip()}".strip()
        if _spelled(_BULLET.sub("", spelled)) in titles:
            return count
    return 0


def _captions(text: str) -> Iterator[str]:
    """Yield what tables and figures are called in the text version."""
    for match in _CAPTION.finditer(text):
        yield _spelled(match[1])


def _spelled(title: str) -> str:
    return " ".join(words(_NUMBER.sub("", " ".join(title.split()))))


def _undrawn(text: str) -> str:
    """Write the tables that are drawn with signs cell by cell."""
    lines: list[str] = []
    table: list[str] = []
    for line in [*text.split("\n"), ""]:
        if _DRAWN.match(line):
            table.append(line)
            continue
        lines += _cells(table)
        table.clear()
        lines.append(line)
    return "\n".join(lines)


def _cells(table: list[str]) -> Iterator[str]:
    rows = [line for line in table if not _BORDER.match(line)]
    if not rows:
        return
    bars = [at for at in range(min(map(len, rows))) if all(row[at] == "|" for row in rows)]
    row: list[str] = []
    for line in [*table, table[-1]]:
        if not _BORDER.match(line):
            row.append(line)
            continue
        for left, right in pairwise(bars):
            yield " ".join(line[left + 1 : right].strip() for line in row)
        row.clear()


def _page_titles(page: Path) -> Iterator[tuple[str, str]]:
    """Yield each heading of a chapter's page with the heading that it is under."""
    if page.name in _NO_CHAPTERS:
        return
    soup = BeautifulSoup(_PROLOG.sub(b"", page.read_bytes()), "lxml")
    body = soup.find("div", class_="body") or soup
    assert isinstance(body, Tag)
    headings = body.find_all(_HEADINGS)
    if titled := [tag for tag in headings if "title" in (tag.get("class") or ())]:
        headings = titled
    for link in body.find_all("a", class_="headerlink"):
        link.decompose()
    yield from _with_parents((int(tag.name[1]), tag.get_text()) for tag in headings)


def _document_titles(document: Document) -> Iterator[tuple[str, str]]:
    yield from _with_parents((block.level, block.title) for block in document.blocks if block.kind is BlockKind.HEADING)


def _with_parents(headings: Iterable[tuple[int, str]]) -> Iterator[tuple[str, str]]:
    path: list[tuple[int, str]] = []
    for level, title in headings:
        spelled = _spelled(title)
        while path and path[-1][0] >= level:
            path.pop()
        yield spelled, path[-1][1] if path else ""
        path.append((level, spelled))


def _alone(titles: Counter[tuple[str, str]]) -> Counter[str]:
    return Counter(title for title, _ in titles.elements())


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


@contextmanager
def _unpacked() -> Iterator[tuple[Path | None, str]]:
    """Yield a folder that holds the packages' files; they are fetched where apt can, else there is a reason."""
    for root in (Path(os.environ[FOLDER]),) if FOLDER in os.environ else (Path("/"),):
        if all((root / manual.pdf).exists() for manual in _MANUALS):
            yield root, ""
            return
    if FOLDER in os.environ:
        yield None, f"the folder in {FOLDER} does not hold the unpacked packages"
        return
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        yield None, f"no apt here; unpack the three packages and set {FOLDER} to the folder"
        return
    with tempfile.TemporaryDirectory() as folder:
        packages = [manual.package for manual in _MANUALS]
        fetched = subprocess.run(["apt-get", "download", *packages], cwd=folder, capture_output=True, text=True)
        if fetched.returncode:
            yield None, f"apt-get download failed ({fetched.stderr.strip().splitlines()[-1:]})"
            return
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder], check=True)
        yield Path(folder), ""
