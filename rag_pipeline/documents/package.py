"""An Office file: XML parts in a zip archive, and the relations that lead from one part to the next.

Promises: the archive has passed `archive.check`; only parts that a parser asks for are read; a part with a
document type is refused, so that no entity is ever expanded; a relation to anything outside the file does not
exist here, so that nobody can follow it. Both spellings of the namespaces, strict and transitional, look alike.
"""

import codecs
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from io import BytesIO
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

from rag_pipeline.documents import archive
from rag_pipeline.documents.writer import one_line
from rag_pipeline.errors import DocumentError

etree: Any = import_module("lxml.etree")  # lxml comes without types

_SCHEMAS = "http://schemas.openxmlformats.org"
RELATION = f"{{{_SCHEMAS}/officeDocument/2006/relationships}}"
COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_STRICT = re.compile(rb"""(=\s*["'])http://purl\.oclc\.org/ooxml/(\w+)/(\w+)""")
_STRICT_HOST = b"http://purl.oclc.org/ooxml/"
_TRANSITIONAL = rb"\1http://schemas.openxmlformats.org/\2/2006/\3"
_MAX_TAGS = 4_000_000
_MAX_PROPERTY = 1000
_MAX_SHOWN = 100
_READING = 2_000  # what it costs to read a part, in bytes, besides its length
_OPTIONS: dict[str, Any] = {
    "encoding": "utf-8",
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "remove_comments": True,
    "remove_pis": True,
}
_PROPERTIES = {"title": "title", "creator": "author", "modified": "modified"}


class Element(Protocol):
    """What is used here of an element of lxml; its children are elements only, for comments are not read."""

    tag: str
    text: str | None

    def __iter__(self) -> Iterator["Element"]: ...

    def get(self, key: str) -> str | None:
        """Return an attribute."""
        ...

    def find(self, path: str) -> "Element | None":
        """Return the first element on a path."""
        ...

    def iterfind(self, path: str) -> Iterator["Element"]:
        """Yield the elements on a path."""
        ...

    def iter(self, *tags: str) -> Iterator["Element"]:
        """Yield the element and all below it that have one of these names."""
        ...

    def iterchildren(self, *tags: str) -> Iterator["Element"]:
        """Yield the children that have one of these names."""
        ...


class Relation(NamedTuple):
    """Where a relation leads: its kind is the last word of its type, its target the name of a part."""

    kind: str
    target: str


class Package:
    """The parts of an Office file, by name."""

    def __init__(self, data: bytes) -> None:
        """Check and open the archive. Raises `DocumentError`."""
        archive.check(data)
        self._zip = ZipFile(BytesIO(data))
        self._names = {name.casefold(): name for name in self._zip.namelist()}
        self._relations: dict[str, Mapping[str, Relation]] = {}
        self._left = archive.MAX_BYTES + archive.MAX_ENTRIES * _READING  # enough to read every part once

    def main(self, kind: str) -> tuple[str, Element]:
        """Return the name and the root of the main part, which must be a `kind`: document, presentation, workbook."""
        part = self.first("", "officeDocument")
        if part is None:
            raise DocumentError("a zip archive, but no Office file; exclude it, or correct its ending")
        root = self.xml(part)
        found = etree.QName(root).localname
        if found != kind:
            raise DocumentError(f"holds a {_shown(found)} where a {kind} is expected; correct its ending")
        return part, root

    def read(self, part: str) -> bytes:
        """Return a part as UTF-8, whatever encoding it claims, in the transitional spelling.

        Raises `DocumentError` if it is missing, damaged, declares a document type, or is asked for too often.
        """
        name = self._names.get(part.casefold())
        if name is None:
            raise DocumentError(f"its part {_shown(part)} is missing; save it again")
        try:
            data = self._zip.read(name)
        except (BadZipFile, NotImplementedError, ValueError) as error:
            raise DocumentError(f"its part {_shown(part)} is damaged ({_shown(str(error))}); save it again") from error
        self._left -= len(data) + _READING
        if self._left < 0:
            raise DocumentError(f"refers to {_shown(part)} again and again; save it again")
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            data = data.decode("utf-16", "replace").encode()
        if b"<!DOCTYPE" in data:
            raise DocumentError(
                f"its part {_shown(part)} declares a document type, which Office files never do; exclude it"
            )
        return _STRICT.sub(_TRANSITIONAL, data) if _STRICT_HOST in data else data

    def xml(self, part: str) -> Element:
        """Return the root element of a part. Raises `DocumentError` if it is missing, malformed or too large."""
        data = self.read(part)
        if data.count(b"<") > _MAX_TAGS:
            raise DocumentError(f"its part {_shown(part)} has more than {_MAX_TAGS} tags; split the document")
        try:
            return etree.fromstring(data, etree.XMLParser(**_OPTIONS))
        except etree.XMLSyntaxError as error:
            raise _malformed(part, error) from error

    def stream(self, part: str, *tags: str) -> Iterator[Element]:
        """Yield the elements of these names when they end, and forget each afterwards. Raises `DocumentError`."""
        data = self.read(part)
        try:
            for _, element in etree.iterparse(BytesIO(data), tag=tags, **_OPTIONS):
                yield element
                element.clear()
                parent = element.getparent()
                while parent is not None and element.getprevious() is not None:
                    del parent[0]
        except etree.XMLSyntaxError as error:
            raise _malformed(part, error) from error

    def relations(self, part: str) -> Mapping[str, Relation]:
        """Return the relations of a part by their ids, those of the file itself for an empty name."""
        if part not in self._relations:
            self._relations[part] = dict(self._read_relations(part))
        return self._relations[part]

    def first(self, part: str, kind: str) -> str | None:
        """Return the first part of a kind that a part relates to."""
        return next((found.target for found in self.relations(part).values() if found.kind == kind), None)

    def relation(self, part: str, identifier: str | None) -> Relation:
        """Return a relation by its id. Raises `DocumentError` if there is none, or if it leads out of the file."""
        found = self.relations(part).get(identifier or "")
        if found is None:
            raise DocumentError(f"its part {_shown(part)} names another that is not in the file; save it again")
        return found

    def properties(self) -> dict[str, str]:
        """Return what the file declares of itself: title, author and modified, as far as they are given."""
        part = self.first("", "core-properties")
        if part is None or part.casefold() not in self._names:
            return {}
        found: dict[str, str] = {}
        for element in self.xml(part):
            name = _PROPERTIES.get(etree.QName(element).localname)
            value = one_line(element.text or "")[:_MAX_PROPERTY]
            if name and value:
                found.setdefault(name, value)
        return found

    def _read_relations(self, part: str) -> Iterator[tuple[str, Relation]]:
        folder, name = posixpath.split(part)
        place = posixpath.join(folder, "_rels", f"{name}.rels")
        if place.casefold() not in self._names:
            return
        for element in self.xml(place):
            if element.get("TargetMode") in (None, "Internal"):
                path = unquote((element.get("Target") or "").partition("#")[0])
                target = posixpath.normpath(posixpath.join("/", folder, path))
                kind = (element.get("Type") or "").rpartition("/")[2]
                yield element.get("Id") or "", Relation(kind, target.lstrip("/"))


def alternative(element: Element) -> Iterable[Element]:
    """Return what a reader of today shows of an ``AlternateContent``: the content of its first choice."""
    return next(iter(element), ())


def on(value: str | None) -> bool:
    """Return whether an element's value turns it on; an element without a value is on."""
    return value not in ("0", "false", "off", "none")


def _malformed(part: str, error: Exception) -> DocumentError:
    return DocumentError(f"its part {_shown(part)} is malformed ({_shown(str(error))}); save it again")


def _shown(text: str) -> str:
    """A stranger's name for something, fit for a message."""
    return one_line(text)[:_MAX_SHOWN]
