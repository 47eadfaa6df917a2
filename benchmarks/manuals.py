"""Manuals that Debian ships as PDF, HTML and plain text: where they are, and what the other two forms say."""

import gzip
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path

from bs4 import BeautifulSoup, Tag

from benchmarks.word_order import words

FOLDER = "RAG_DEBIAN_MANUALS"
"""Environment variable: a folder into which the packages are unpacked."""

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_NUMBER = re.compile(r"^(?:(?:chapter|appendix)\s+)?(?:\d+|[a-z])(?:\.\d+)*\.\s+", re.IGNORECASE)
_REFERENCE = re.compile(r'((?:Section|Table|Chapter|Appendix|Figure)\s+[\dA-Z.]*[\dA-Z]),\s+[“"][^”"]*[”"]')
_BULLET = re.compile(r"^[*•-]\s+")
_CAPTION = re.compile(r"^ *(?:Table|Figure)\s[\dA-Z][\d.]*\.\s((?:.+\n)+)", re.MULTILINE)
_NOTE = re.compile(r"( *)\^?\[\d+\](?:\s|$)")
_LISTED = 5  # titles that follow each other are a list of contents
_ENTRY_LINES = 3
_PROLOG = re.compile(rb"^\s*<\?xml[^>]*>")
_DRAWN = re.compile(r"^\s*[|+].*[|+]\s*$")
_BORDER = re.compile(r"^\s*[|+][-=+|\s]*$")
_NO_CHAPTERS = {"index.html", "index.en.html", "genindex.html", "search.html", "developers-reference.html"}

Titles = Counter[tuple[str, str]]
"""Titles with those of their parents."""


@dataclass(frozen=True, slots=True)
class Manual:
    """A package and its three forms, relative to the root of the unpacked packages; `pages` matches the HTML."""

    package: str
    pdf: str
    text: str
    pages: str
    title: str = ""

    @property
    def name(self) -> str:
        """What the manual is called: as its package, if it has no other name."""
        return self.title or self.package


MANUALS = (
    Manual(
        "developers-reference",
        "usr/share/developers-reference/developers-reference.pdf",
        "usr/share/developers-reference/developers-reference.txt.gz",
        "usr/share/developers-reference/*.html",
    ),
    Manual(
        "debian-policy",
        "usr/share/doc/debian-policy/policy.pdf.gz",
        "usr/share/doc/debian-policy/policy.txt.gz",
        "usr/share/doc/debian-policy/policy.html/*.html",
    ),
    Manual(
        "debian-reference-en",
        "usr/share/debian-reference/debian-reference.en.pdf",
        "usr/share/debian-reference/debian-reference.en.txt.gz",
        "usr/share/debian-reference/*.en.html",
    ),
)
SEEN = (
    Manual(
        "maint-guide",
        "usr/share/doc/maint-guide/maint-guide.en.pdf",
        "usr/share/doc/maint-guide/maint-guide.en.txt.gz",
        "usr/share/doc/maint-guide/html/*.en.html",
    ),
)
"""Held out at first; it showed that a note's own number may be made of raised digits, and has been looked at since."""

HELD_OUT = (
    Manual(
        "debian-policy",
        "usr/share/doc/debian-policy/fhs/fhs-3.0.pdf.gz",
        "usr/share/doc/debian-policy/fhs/fhs-3.0.txt.gz",
        "usr/share/doc/debian-policy/fhs/fhs-3.0.html",
        "fhs",
    ),
    Manual(
        "debian-faq",
        "usr/share/doc/debian/FAQ/debian-faq.en.pdf.gz",
        "usr/share/doc/debian/FAQ/debian-faq.en.txt.gz",
        "usr/share/doc/debian/FAQ/*.en.html",
    ),
    Manual(
        "debmake-doc",
        "usr/share/doc/debmake-doc/debmake-doc.en.pdf",
        "usr/share/doc/debmake-doc/debmake-doc.en.txt.gz",
        "usr/share/doc/debmake-doc/html/*.en.html",
    ),
)
"""Never looked at; the parser was not changed for them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The words of a text version, and which of them are in notes; `listed` is how many its lists of contents had."""

    words: list[str]
    noted: list[bool]
    listed: int


@contextmanager
def unpacked() -> Iterator[tuple[Path | None, str]]:
    """Yield a folder that holds the packages' files; they are fetched where apt can, else there is a reason."""
    root = Path(os.environ.get(FOLDER, "/"))
    if all((root / manual.pdf).exists() for manual in MANUALS):
        yield root, ""
        return
    if FOLDER in os.environ:
        yield None, f"the folder in {FOLDER} does not hold the unpacked packages"
        return
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        yield None, f"no apt here; unpack the packages and set {FOLDER} to the folder"
        return
    with tempfile.TemporaryDirectory() as folder:
        packages = sorted({manual.package for manual in MANUALS + SEEN + HELD_OUT})
        fetched = subprocess.run(["apt-get", "download", *packages], cwd=folder, capture_output=True, text=True)
        if fetched.returncode:
            yield None, f"apt-get download failed ({fetched.stderr.strip().splitlines()[-1:]})"
            return
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder], check=True)
        yield Path(folder), ""


def read(path: Path) -> bytes:
    """Return a file's content, unpacked."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def titles(manual: Manual, root: Path) -> Titles:
    """Return the titles of the chapters' pages."""
    return Counter(pair for page in sorted(root.glob(manual.pages)) for pair in _page_titles(page))


def with_parents(headings: Iterable[tuple[int, str]]) -> Iterator[tuple[str, str]]:
    """Yield each heading's title with that of the heading that it is under, both as their words."""
    path: list[tuple[int, str]] = []
    for level, title in headings:
        spelled = _spelled(title)
        while path and path[-1][0] >= level:
            path.pop()
        yield spelled, path[-1][1] if path else ""
        path.append((level, spelled))


def wanted(text: str, headings: Titles) -> Wanted:
    """Return what the text version says: tables cell by cell, without lists of contents and titles of references."""
    listed = {title for title, _ in headings} | {_spelled(match[1]) for match in _CAPTION.finditer(text)}
    kept = without_contents(text, listed - {""})
    found: list[str] = []
    noted: list[bool] = []
    for paragraph, in_note in _paragraphs(_REFERENCE.sub(r"\1", undrawn(kept))):
        spelled = words(paragraph)
        found += spelled
        noted += [in_note] * len(spelled)
    return Wanted(found, noted, len(words(text)) - len(words(kept)))


def without_contents(text: str, listed: Set[str]) -> str:
    """Leave out lists of contents: titles among `listed`, at least five that follow each other, numbered or not."""
    lines = text.split("\n")
    kept: list[str] = []
    run: list[str] = []
    entries = at = 0
    while at < len(lines):
        taken = _entry(lines[at : at + _ENTRY_LINES], listed)
        if taken or (run and not lines[at].strip()):
            run += lines[at : at + max(taken, 1)]
            at += max(taken, 1)
            entries += taken > 0
            continue
        kept += [*(run if entries < _LISTED else ()), lines[at]]
        run, entries = [], 0
        at += 1
    return "\n".join([*kept, *(run if entries < _LISTED else ())])


def undrawn(text: str) -> str:
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


def _paragraphs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the paragraphs, and whether each is part of a note: it begins with ``[1]``, or is indented below one."""
    indent: int | None = None
    for paragraph in re.split(r"\n\s*\n(?=\s*\S)", text):
        own = len(paragraph) - len(paragraph.lstrip(" "))
        if match := _NOTE.match(paragraph):
            indent = len(match[1])
        elif indent is not None and own <= indent:
            indent = None
        yield paragraph, indent is not None


def _entry(lines: Sequence[str], listed: Set[str]) -> int:
    """How many lines make an entry of a list of contents; 0 when they begin with none."""
    spelled = ""
    for count, line in enumerate(takewhile(str.strip, lines), 1):
        spelled = f"{spelled} {line.strip()}".strip()
        if _spelled(_BULLET.sub("", spelled)) in listed:
            return count
    return 0


def _spelled(title: str) -> str:
    return " ".join(words(_NUMBER.sub("", " ".join(title.split()))))


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
    yield from with_parents((int(tag.name[1]), tag.get_text()) for tag in headings)
