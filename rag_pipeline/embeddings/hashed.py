"""Vectors without meaning, at once: for tests and for load that is not about the model.

Each word is hashed to a fixed random direction; a text is the normalised sum of its words. Equal texts
get equal vectors and texts that share words are closer, on every machine, at any batch size.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from rag_pipeline.embeddings import Batch, Reserve, Sample, Vector, in_blocks, unbounded

_WORD = re.compile(r"\w+|[^\w\s]")


@lru_cache(maxsize=100_000)
def _direction(word: str, dimensions: int) -> Vector:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)


class HashedEmbedder:
    """Feature hashing (Weinberger et al. 2009) with dense random directions."""

    def __init__(self, dimensions: int = 64) -> None:
        self.model = f"hashed/{dimensions}"
        self.dimensions = dimensions

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Count words and punctuation marks."""
        return [len(_WORD.findall(text)) for text in texts]

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded, known: int = 0) -> Iterator[Batch]:
        """Yield the vectors in order, a block at a time."""
        return in_blocks(texts, lambda ahead: map(self.embed_query, ahead), self.count_tokens)

    def embed_query(self, text: str) -> Vector:
        """Return the vector of a text; questions and passages are embedded alike."""
        total = sum(
            (_direction(word, self.dimensions) for word in _WORD.findall(text.lower())),
            np.zeros(self.dimensions, np.float32),
        )
        if not total.any():
            total = _direction("", self.dimensions)
        return (total / np.linalg.norm(total)).astype(np.float32)

    def sample(self, reserve: Reserve = unbounded) -> Sample | None:
        """Return nothing: this code is the model."""
        return None
