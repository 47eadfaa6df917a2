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
from typing import Any

PUBLIC = "public"
_PRINCIPAL = re.compile(r"public|[a-z][a-z_]*:[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?")
_PRINCIPAL_LIMIT = 256


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
class Block:
    """A piece of a document that reads as one. ``text[start:end]`` of the document is exactly the block.

    Blocks are in order and never overlap; between two of them lies only white space. Nested structure is
    flattened: a list becomes its items, a table stays one block whose `header_end` says where its header
    rows end (an offset into the document text), so that a table that must be cut can repeat its header.
    `level` is a heading's 1 to 6, or a list item's depth.
    `title` is a heading's plain text.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    title: str = ""
    header_end: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """What a document says: its canonical text (LF, no BOM, no control characters) and the blocks that cover it.

    `metadata` is what the document declares about itself (front matter), JSON values only.
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
    `rag_pipeline.chunks`). `forced` marks a chunk whose border lies inside a block.
    """

    key: bytes
    text: str
    start: int
    end: int
    tokens: int
    forced: bool
    embed_text: str
    embed_hash: bytes


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
