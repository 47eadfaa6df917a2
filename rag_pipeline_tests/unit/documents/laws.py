"""The laws that every parser keeps, whatever it is given."""

from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.documents.canonical import clean
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document


def parsed(data: bytes, media_type: str) -> Document:
    """Parse, and take a refusal for an empty document."""
    try:
        return parse(data, media_type)
    except DocumentError:
        return Document("", ())


def assert_lawful(document: Document) -> None:
    """Blocks are in order, exact and visible; between them is only white space; the text is canonical."""
    covered = 0
    for block in document.blocks:
        text = document.text[block.start : block.end]
        outline = block.kind is BlockKind.HEADING and block.start == block.end
        assert covered <= block.start <= block.end <= len(document.text)
        assert not document.text[covered : block.start].strip()
        assert outline or text.strip()
        assert text == text.rstrip()
        if block.kind is BlockKind.HEADING:
            assert 1 <= block.level <= 6
            assert "\n" not in block.title
        if block.header_end is not None:
            assert block.kind is BlockKind.TABLE
            assert block.start < block.header_end <= block.end
        for seams in block.seams:
            assert list(seams) == sorted(set(seams))
            assert all(block.start < seam < block.end for seam in seams)
        covered = block.end
    assert not document.text[covered:].strip()
    assert clean(document.text) == document.text
    document.text.encode()


def count(texts: list[str]) -> list[int]:
    """A tokenizer for laws: a token every four characters."""
    return [-(-len(text) // 4) for text in texts]


def assert_chunks_cover(document: Document, max_tokens: int = 40) -> None:
    """Chunks are where they say they are, in order, and together hold every visible character but bare headings."""
    covered = 0
    for section in split(document, count, max_tokens, 160):
        assert document.text[section.start : section.start + len(section.text)] == section.text
        for chunk in section.chunks:
            start, end = section.start + chunk.start, section.start + chunk.end
            assert covered <= start < end <= len(document.text)
            assert chunk.text.endswith(section.text[chunk.start : chunk.end])
            gap = document.text[covered:start]
            headings = [b for b in document.blocks if b.kind is BlockKind.HEADING and covered <= b.start < start]
            for block in headings:
                gap = gap.replace(document.text[block.start : block.end], "", 1)
            assert not gap.strip()
            covered = end
    rest = [b for b in document.blocks if b.start >= covered]
    assert all(block.kind is BlockKind.HEADING for block in rest)
