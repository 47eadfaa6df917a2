"""Sitemaps (sitemaps.org): XML, an index of more of them, or text with a URL in each line; each may be gzipped.

Strangers write them: a document type is refused, no entity is resolved, nothing is loaded, no tree is built,
and both the bytes, unpacked, and the entries are limited.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from rag_pipeline.errors import DocumentError
from rag_pipeline.sources.listing import moment
from rag_pipeline.sources.website_client import inflated

etree: Any = import_module("lxml.etree")  # lxml comes without types

MAX_BYTES = 50 << 20
MAX_ENTRIES = 50_000
_LONGEST_VALUE = 4_096
_DEEPEST = 50
_FED = 1 << 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENTRIES = {"urlset": "url", "sitemapindex": "sitemap"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One URL as it is written, when it last changed if that is told, and whether it is a sitemap itself."""

    url: str
    changed_at: datetime | None = None
    is_sitemap: bool = False


def entries(data: bytes) -> Iterator[Entry]:
    """Yield what a sitemap lists, in its order.

    Raises `DocumentError`, after what could be read, for anything that is no sitemap or not whole, and
    beyond 50,000 entries or 50 MiB.
    """
    if data[:2] == b"\x1f\x8b":
        data = inflated([data], MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise DocumentError(f"more than the {MAX_BYTES:,} bytes that a sitemap may have")
    data = data.removeprefix(b"\xef\xbb\xbf").strip()
    for number, entry in enumerate(_from_xml(data) if data.startswith(b"<") else _from_text(data)):
        if number == MAX_ENTRIES:
            raise DocumentError(f"more than the {MAX_ENTRIES:,} entries that a sitemap may have")
        yield entry


def _from_text(data: bytes) -> Iterator[Entry]:
    lines = [line.strip() for line in data.splitlines()]
    if not data or not all(line.startswith((b"http://", b"https://")) for line in lines if line):
        raise DocumentError("is no sitemap: neither XML nor one URL in each line")
    for line in lines:
        if line:
            yield Entry(line[:_LONGEST_VALUE].decode(errors="replace"))


def _from_xml(data: bytes) -> Iterator[Entry]:
    target = _Target()
    parser = etree.XMLParser(
        target=target, encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        for start in range(0, len(data), _FED):
            parser.feed(data[start : start + _FED])
            yield from target.taken()
        parser.close()
    except etree.XMLSyntaxError as error:
        raise DocumentError(f"is no sitemap: {error}") from error
    yield from target.taken()


class _Target:
    """Receives what the parser meets and keeps the entries, no tree."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._namespace = ""
        self._entry = ""
        self._values: dict[str, str] = {}
        self._found: list[Entry] = []

    def taken(self) -> list[Entry]:
        """Return the entries since the last call."""
        found, self._found = self._found, []
        return found

    def doctype(self, *_: object) -> None:
        raise DocumentError("has a document type; sitemaps have none, refused")

    def start(self, tag: str, _: object) -> None:
        if not self._path:
            root = tag.rpartition("}")[2]
            if root not in _ENTRIES:
                raise DocumentError(f"is no sitemap: its root is <{root[:40]}>")
            self._namespace, self._entry = tag.removesuffix(root), _ENTRIES[root]
        self._path.append(tag.removeprefix(self._namespace))
        if len(self._path) > _DEEPEST:
            raise DocumentError("is nested too deeply for a sitemap")
        if self._is_at_entry():
            self._values = {"loc": "", "lastmod": ""}

    def data(self, text: str) -> None:
        if len(self._path) == 3 and self._path[1] == self._entry and self._path[2] in self._values:
            value = self._values[self._path[2]]
            self._values[self._path[2]] = value + text[: _LONGEST_VALUE - len(value)]

    def end(self, _: str) -> None:
        if self._is_at_entry():
            url, changed = self._values["loc"].strip(), self._values["lastmod"].strip()
            if url:
                self._found.append(Entry(url, _time(changed), self._entry == "sitemap"))
        self._path.pop()

    def _is_at_entry(self) -> bool:
        return len(self._path) == 2 and self._path[1] == self._entry

    def close(self) -> None:
        """The parser asks for a result; the entries were taken already."""


def _time(text: str) -> datetime | None:
    """Return a W3C date or time; None for what is none: it is a hint only."""
    try:
        return in_range(datetime.fromisoformat(text))
    except ValueError:
        return None


def in_range(time: datetime) -> datetime:
    """Return a time in UTC, which it is taken for when it does not say, held between 1970 and 2200."""
    return moment(((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1))
