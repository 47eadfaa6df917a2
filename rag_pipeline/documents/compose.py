"""A text inside a document, such as a comment or a cell, becomes part of the whole.

Promises: such a part declares nothing: what looks like front matter in it is text, and has no say about access.
Its headings stand below the heading that it belongs to.
"""

from rag_pipeline.documents import html, markdown, text
from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.writer import Writer
from rag_pipeline.model import BlockKind, Document
from rag_pipeline.sources.media_types import HTML, MARKDOWN

_PARSERS = {MARKDOWN: markdown.parse, HTML: html.parse}


def part(body: str, media_type: str) -> Document:
    """Parse Markdown, HTML, or anything else as plain text, without front matter. Raises `DocumentError`."""
    if not body.strip():
        return Document("", ())
    # Front matter is recognised at the very start only.
    return _PARSERS.get(media_type, text.parse)(("\n" + clean(body)).encode())


def append(writer: Writer, part: Document, below: int = 0) -> None:
    """Add a part's blocks; its headings come `below` levels deeper, down to 6."""
    for block in part.blocks:
        body = part.text[block.start : block.end]
        if block.kind is not BlockKind.HEADING:
            header = None if block.header_end is None else block.header_end - block.start
            writer.add(block.kind, body, block.level, header=header, place=block.place, clings=block.clings)
        elif body:
            writer.add(block.kind, body, block.level + below, block.title)
        else:
            writer.outline(block.title, block.level + below)
