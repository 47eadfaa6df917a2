"""A chunker as one must not be: cuts every 60 tokens, wherever that is, and no heading."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from re import finditer

from rag_pipeline.model import Chunk, Document, Place, Section

TOKENS = 60


def cut_badly(
    document: Document, count: Callable[[list[str]], list[int]], max_tokens: int, window_tokens: int
) -> list[Section]:
    """Take the place of `rag_pipeline.chunks.split`."""
    chunks = tuple(
        Chunk(
            key=sha256(f"{number} {text}".encode()).digest()[:16],
            text=text,
            start=start,
            end=end,
            tokens=tokens,
            forced=True,
            embed_text=text,
            embed_hash=sha256(text.encode()).digest(),
            place=Place(),
        )
        for number, (start, end, tokens) in enumerate(_cuts(document.text, count))
        if (text := document.text[start:end])
    )
    key = sha256(b"the whole").digest()[:16]
    return [Section(key, (), 0, 0, document.text, chunks)] if chunks else []


def _cuts(text: str, count: Callable[[list[str]], list[int]]) -> Iterator[tuple[int, int, int]]:
    """Yield where each cut begins and ends, and its tokens."""
    words = list(finditer(r"\S+", text))
    start, end, held = 0, 0, 0
    for word, tokens in zip(words, count([word[0] for word in words]) if words else [], strict=True):
        if held and held + tokens > TOKENS:
            yield start, end, held
            held = 0
        start = start if held else word.start()
        end, held = word.end(), held + tokens
    if held:
        yield start, end, held
