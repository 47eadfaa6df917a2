"""The values that flow between the stages: frozen, slotted, without behaviour that touches the world.

A source yields `DocumentRef`s; a parser turns bytes into a `Document` (one canonical text and the
blocks that cover it); the chunker turns that into `Section`s of `Chunk`s.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

PUBLIC = "public"
_PRINCIPAL = re.compile(r"public|[a-z][a-z_]*:[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?")
_PRINCIPAL_LIMIT = 256
_N = TypeVar("_N", int, float)


def principal(name: str) -> str:
    """Return the canonical form of a principal: ``public``, ``user:…``, ``group:…`` or another ``kind:name``.

    Principals compare as strings, so there is exactly one place that says how they are spelled: NFC,
    case kept, no blanks at the ends, no control characters, at most 256 characters.

    Raises `ValueError` for anything else, so that a misspelt permission can never widen access.
    """
    text = unicodedata.normalize("NFC", name)
    if len(text) > _PRINCIPAL_LIMIT or not _PRINCIPAL.fullmatch(text):
        raise ValueError(f"{name[:80]!r} is not a principal; write 'public', 'user:NAME' or 'group:NAME'")
    return text


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read: principals in `allow`, less those in `deny`. Both sorted and distinct; no allow means nobody."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    @classmethod
    def of(cls, allow: Iterable[str], deny: Iterable[str] = ()) -> "Access":
        """Build an access list from principals in any order; beside ``public`` no other allow says anything.

        Raises `ValueError` for a principal that is malformed.
        """
        admitted = {principal(p) for p in allow}
        return cls(
            (PUBLIC,) if PUBLIC in admitted else tuple(sorted(admitted)), tuple(sorted(map(principal, set(deny))))
        )

    @property
    def digest(self) -> bytes:
        """The SHA-256 by which equal lists are found equal."""
        return hashlib.sha256(json.dumps([self.allow, self.deny]).encode()).digest()

    def narrowed(self, by: "Access") -> "Access":
        """Return who may read when both lists apply: the common allows, the union of the denies.

        ``public`` stands for everyone, so it gives way to any narrower list. The result never admits
        anyone whom either list keeps out.
        """
        if PUBLIC in self.allow:
            allow = by.allow
        elif PUBLIC in by.allow:
            allow = self.allow
        else:
            allow = tuple(sorted(set(self.allow) & set(by.allow)))
        return Access(allow, tuple(sorted(set(self.deny) | set(by.deny))))


NOBODY = Access()


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """One row of a source's listing: what can be known about a document without reading it.

    `document_id` is stable inside its source. `version` is a token that changes whenever the bytes do
    (a blob sha, an ETag); None means unknown and forces a read. `access` None means that the source
    cannot tell, which is treated as nobody.
    """

    document_id: str
    uri: str
    version: str | None = None
    modified_at: datetime | None = None
    size: int | None = None
    media_type: str | None = None
    access: Access | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that exists but could not be listed; it counts as present, so it is never pruned.

    `access` is who may read its last good version from now on; None leaves that as it was.
    """

    document_id: str
    uri: str
    reason: str
    access: Access | None = None


@dataclass(frozen=True, slots=True)
class ListingEnd:
    """The last item of every listing. Without ``complete`` nothing is pruned; `reason` says what is missing."""

    complete: bool
    reason: str | None = None


class BlockKind(StrEnum):
    """What a block is; decides where it may be cut when it alone exceeds a chunk's budget."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    CODE = "code"
    TABLE = "table"
    QUOTE = "quote"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in its source, in the terms in which people cite it; what does not apply is left out.

    `pages` and `lines` are first and last, counted from 1; `seconds` are begin and end of what was said.
    `symbol` is the qualified name of a piece of code inside its file.
    """

    pages: tuple[int, int] | None = None
    lines: tuple[int, int] | None = None
    seconds: tuple[float, float] | None = None
    speakers: tuple[str, ...] = ()
    symbol: str = ""

    def joined(self, other: "Place") -> "Place":
        """Return the place of two stretches that follow each other; it keeps the first one's symbol."""
        return Place(
            _span(self.pages, other.pages),
            _span(self.lines, other.lines),
            _span(self.seconds, other.seconds),
            tuple(dict.fromkeys(self.speakers + other.speakers)),
            self.symbol or other.symbol,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what is known, as JSON values: pairs as lists of two numbers."""
        values = {
            "pages": self.pages,
            "lines": self.lines,
            "seconds": self.seconds,
            "speakers": self.speakers,
            "symbol": self.symbol,
        }
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}


def _span(one: tuple[_N, _N] | None, other: tuple[_N, _N] | None) -> tuple[_N, _N] | None:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document that reads as one. ``text[start:end]`` of the document is exactly the block.

    Blocks are in order and never overlap; between two of them lies only white space. Nested structure is
    flattened: a list becomes its items, a table stays one block whose `header_end` says where its header
    rows end (an offset into the document text), so that a table that must be cut can repeat its header.
    `level` is a heading's 1 to 6, or a list item's depth.
    `title` is a heading's plain text.

    A heading may be empty (``start == end``): then it stands in the outline only, as the name of the function
    that follows, and what it names is in the blocks after it. One that has no title either closes the
    headings of its level and below: what follows belongs to the level above.

    `seams` are offsets inside the block at which it may be cut if it alone is too large, as tuples from the
    best places to the worst: between the statements of a function, then between those of its loops.
    `clings` asks to stay with the block before it, as the second sentence of a speaker does.
    `place` is where the block stands in its source; ``place.lines`` only where the text is the source's own,
    line for line.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    title: str = ""
    header_end: int | None = None
    seams: tuple[tuple[int, ...], ...] = ()
    clings: bool = False
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says: its canonical text (LF, no BOM, no control characters) and the blocks that cover it.

    `metadata` is what the document declares about itself (front matter, sender, state), JSON values only.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is searched. `start` and `end` are offsets into the section's text.

    `text` is ``section.text[start:end]``, save for a piece of a table that was cut by rows, which
    repeats the table's header before it. `key` identifies the chunk inside its document (see
    `rag_pipeline.chunks`). `forced` marks a chunk whose border lies inside a block, at no seam of its own.
    """

    key: bytes
    text: str
    start: int
    end: int
    tokens: int
    forced: bool
    embed_text: str
    embed_hash: bytes
    place: Place


@dataclass(frozen=True, slots=True)
class Section:
    """The window that is given to the model: a stretch of the document under one heading.

    `start` is its offset in the document's canonical text; `key` identifies it inside its document.
    """

    key: bytes
    heading_path: tuple[str, ...]
    occurrence: int
    start: int
    text: str
    chunks: tuple[Chunk, ...]


def names_above(title: str, heading_path: Iterable[str]) -> tuple[str, ...]:
    """Return what a text stands under: its document's title and its headings, the first of which may be the title."""
    names = tuple(name for name in heading_path if name)
    return (title, *names) if title and names[:1] != (title,) else names


def under(names: Iterable[str], text: str) -> str:
    """Return a text under its names, ``title > heading > heading``, as models read it; without names the text alone."""
    line = " > ".join(names)
    return f"{line}\n{text}" if line else text
