"""The laws that every parser keeps, whatever it is given."""

import sys
from collections import deque
from collections.abc import Callable
from types import FrameType

from docutils.statemachine import ViewList

from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.documents.canonical import clean
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document

_LARGE = 64


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


def work(act: Callable[[], object]) -> int:
    """Return what `act` costs in calls and in what they make: the same on every machine, however busy it is.

    Counted are calls of functions, in Python or not, and the items of a text, list or other container that a function
    in Python returns, unless it is large and was returned a short while ago.
    """
    cost = 0
    returned: deque[object] = deque(maxlen=32)

    def counted(_: FrameType, event: str, value: object) -> None:
        nonlocal cost
        if event in ("call", "c_call"):
            cost += 1
        elif event == "return":
            made = value.data if isinstance(value, ViewList) else value
            size = len(made) if isinstance(made, (str, bytes, list, tuple, dict, set)) else 0
            if size < _LARGE or not any(made is other for other in returned):
                cost += size
            if size >= _LARGE:
                returned.append(made)

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        act()
    finally:
        sys.setprofile(before)
    return cost


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
