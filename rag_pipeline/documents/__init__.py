"""What a document says: bytes become one canonical text and a flat list of blocks with exact positions in it.

Promises: the same bytes give the same `Document` everywhere; every visible, non-blank stretch of text lies
in exactly one block; hostile input costs time in proportion to its size, or raises `DocumentError`.
"""

import re
from collections.abc import Callable
from functools import partial
from pkgutil import resolve_name

from rag_pipeline.documents import canonical, front_matter
from rag_pipeline.documents.detect import detect
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import Document
from rag_pipeline.plugins import PARSERS, plugin, plugins
from rag_pipeline.sources import media_types as types
from rag_pipeline.sources.media_types import LANGUAGES

__all__ = ["PARSER_VERSION", "declared_access", "is_plain", "parse", "parse_as"]

PARSER_VERSION = 3
"""Part of the recipe: raise it with every change that can alter a `Document`."""

Parser = Callable[[bytes], Document]

_PARSERS = {
    types.MARKDOWN: "markdown:parse",
    types.HTML: "html:parse",
    "application/xhtml+xml": "html:parse",
    types.TEXT: "text:parse",
    types.SOURCE: "text:parse_source",
    "application/json": "text:parse_source",
    "application/yaml": "text:parse_source",
    "application/xml": "text:parse_source",
    types.PDF: "pdf:parse",
    types.DOCX: "docx:parse",
    types.PPTX: "pptx:parse",
    types.XLSX: "xlsx:parse",
    types.CSV: "delimited:parse_csv",
    types.TSV: "delimited:parse_tsv",
    types.NOTEBOOK: "notebook:parse",
    types.RST: "rst:parse",
    types.EMAIL: "email:parse",
    types.VTT: "transcript:parse_vtt",
    types.SRT: "transcript:parse_srt",
    types.TRANSCRIPT: "transcript:parse_turns",
    types.TICKET: "ticket:parse",
}
"""Where the parser of a media type is; each is imported when the first document of its type comes."""

_BLANK = re.compile(rb"(?:\xef\xbb\xbf)?\s*+")
_PLAIN = ("markdown:", "text:")
_WITH_FRONT_MATTER = (types.MARKDOWN, types.TEXT, types.RST)


def parse(data: bytes, media_type: str | None, name: str = "") -> Document:
    """Parse one document in this process; an empty one has no blocks.

    `detect` decides what kind it is. Raises `DocumentError` with the reason: no parser for the kind, binary,
    undecodable, broken front matter, nested too deeply. What comes from strangers goes through
    `rag_pipeline.documents.isolation` instead.
    """
    try:
        return parse_as(detect(data, media_type, name), data)
    except DocumentError as error:
        raise DocumentError(f"{name or 'document'}: {error}") from error


def parse_as(kind: str, data: bytes) -> Document:
    """Parse one document as the kind that `detect` returned. Raises `DocumentError`, which does not name it.

    A file of white space, or of nothing, is an empty document of whatever kind.
    """
    if _BLANK.fullmatch(data):
        return Document("", ())
    parser = _parser(kind)
    if parser is None:
        raise DocumentError(f"no parser for {kind}; exclude it, or offer it as text")
    try:
        return parser(data)
    except RecursionError as error:
        raise DocumentError("nested too deeply to parse; flatten it") from error


def is_plain(kind: str) -> bool:
    """Whether a kind is parsed by this package in pure Python, in time and memory that grow with size alone."""
    return (_place(kind) or "").startswith(_PLAIN)


def _parser(kind: str) -> Parser | None:
    if place := _place(kind):
        return resolve_name(f"{__name__}.{place}")
    if language := LANGUAGES.get(kind):
        return partial(resolve_name(f"{__name__}.code:parse"), language=language)
    return plugin(PARSERS, kind)


def _place(kind: str) -> str | None:
    """Where a kind's parser is in this package; text that nobody knows more about is read line by line."""
    if kind in _PARSERS:
        return _PARSERS[kind]
    unknown = kind not in LANGUAGES and kind not in plugins(PARSERS)
    return "text:parse_source" if unknown and kind.startswith("text/") else None


def declared_access(data: bytes, media_type: str | None, name: str = "") -> tuple[str, ...] | None:
    """Return the principals that a document's front matter admits, sorted; None when it declares none.

    Reads only the head. Raises `DocumentError` when the front matter mentions access but cannot be read or
    names a malformed principal: the caller must then admit nobody. Front matter that is broken otherwise
    declares nothing; `parse` refuses it.
    """
    try:
        if detect(data, media_type, name) not in _WITH_FRONT_MATTER:
            return None
    except DocumentError:
        return None  # binary: it declares nothing, and is not parsed either
    head = data[: 4 * front_matter.MAX_CHARACTERS]
    if len(head) < len(data):
        head = head[: head.rfind(b"\n") + 1]  # never in the middle of a character
    try:
        return front_matter.read(canonical.canonical(head)).access
    except front_matter.UnreadableAccess as error:
        raise DocumentError(f"{name or 'document'}: {error}") from error
    except DocumentError:
        return None
