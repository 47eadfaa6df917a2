"""Plain text: a paragraph ends at a blank line; line starts are kept, because indentation may mean something."""

import re

from rag_pipeline.documents import front_matter
from rag_pipeline.documents.canonical import canonical
from rag_pipeline.model import Block, BlockKind, Document

_LINE = r"[^\S\n]*+\S[^\n]*+"
_PARAGRAPH = re.compile(rf"^{_LINE}(?:\n{_LINE})*+", re.MULTILINE)


def parse(data: bytes) -> Document:
    """Parse prose: front matter, then paragraphs. Raises `DocumentError`."""
    text = canonical(data)
    declared = front_matter.read(text)
    text = text[declared.end :]
    blocks = paragraphs(text, 0, len(text), BlockKind.PARAGRAPH)
    return Document(text, tuple(blocks), declared.title, declared.metadata)


def parse_source(data: bytes) -> Document:
    """Parse code or configuration: every stretch between blank lines is a block of code. Raises `DocumentError`."""
    text = canonical(data)
    return Document(text, tuple(paragraphs(text, 0, len(text), BlockKind.CODE)))


def paragraphs(text: str, start: int, end: int, kind: BlockKind) -> list[Block]:
    """Return the blocks of ``text[start:end]`` between blank lines; whole lines, less trailing white space."""
    matches = _PARAGRAPH.finditer(text, start, end)
    return [Block(kind, match.start(), match.start() + len(match[0].rstrip())) for match in matches]
