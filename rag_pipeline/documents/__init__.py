"""What a document says: bytes become one canonical text and a flat list of blocks with exact positions in it.

Promises: the same bytes give the same `Document` everywhere; every visible, non-blank stretch of text lies
in exactly one block; hostile input costs time in proportion to its size, or raises `DocumentError`.
"""

from collections.abc import Callable
from functools import partial
from pkgutil import resolve_name

from rag_pipeline.documents import canonical, front_matter
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import Document
from rag_pipeline.plugins import PARSERS, plugin
from rag_pipeline.sources import media_types as types
from rag_pipeline.sources.media_types import LANGUAGES, MARKDOWN, TEXT, media_type

__all__ = ["PARSER_VERSION", "declared_access", "parse"]

PARSER_VERSION = 2
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

_UNKNOWN = "application/octet-stream"


def parse(data: bytes, media_type: str | None, name: str = "") -> Document:
    """Parse one document in this process; an empty one has no blocks.

    Without a media type the ending of `name` decides, and what that does not tell is read as plain text.
    Raises `DocumentError` with the reason: no parser for the type, binary, undecodable, broken front
    matter, nested too deeply.
    """
    kind = _kind(media_type, name)
    parser = _parser(kind)
    if parser is None:
        raise DocumentError(f"{name or 'document'}: no parser for {kind}; exclude it, or offer it as text")
    try:
        return parser(data)
    except DocumentError as error:
        raise DocumentError(f"{name or 'document'}: {error}") from error
    except RecursionError as error:
        raise DocumentError(f"{name or 'document'}: nested too deeply to parse; flatten it") from error


def _parser(kind: str) -> Parser | None:
    if place := _PARSERS.get(kind):
        return resolve_name(f"{__name__}.{place}")
    if language := LANGUAGES.get(kind):
        return partial(resolve_name(f"{__name__}.code:parse"), language=language)
    if found := plugin(PARSERS, kind):
        return found
    return resolve_name(f"{__name__}.text:parse_source") if kind.startswith("text/") else None


def declared_access(data: bytes, media_type: str | None, name: str = "") -> tuple[str, ...] | None:
    """Return the principals that a document's front matter admits, sorted; None when it declares none.

    Reads only the head. Raises `DocumentError` when the front matter mentions access but cannot be read or
    names a malformed principal: the caller must then admit nobody. Front matter that is broken otherwise
    declares nothing; `parse` refuses it.
    """
    if _kind(media_type, name) not in (MARKDOWN, TEXT):
        return None
    head = data[: 4 * front_matter.MAX_CHARACTERS]
    if len(head) < len(data):
        head = head[: head.rfind(b"\n") + 1]  # never in the middle of a character
    try:
        return front_matter.read(canonical.canonical(head)).access
    except front_matter.UnreadableAccess as error:
        raise DocumentError(f"{name or 'document'}: {error}") from error
    except DocumentError:
        return None


def _kind(given: str | None, name: str) -> str:
    kind = (given or "").partition(";")[0].strip().lower()
    return media_type(name) or TEXT if kind in ("", _UNKNOWN) else kind
