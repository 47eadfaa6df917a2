"""What it costs: models behind one small interface, and the store in which every vector is kept once.

`open_embedder` gives the model of the settings. Its `model` names weights, preparation and size, so that
vectors of two models can never be taken for one another.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_pipeline.settings import Embedding

Vector = NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into unit vectors of `dimensions` numbers, deterministically."""

    model: str
    dimensions: int

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Return how many tokens the model makes of each text, special tokens not counted."""
        ...

    def embed(self, texts: Sequence[str]) -> Iterator[Vector]:
        """Yield one vector a text, in order."""
        ...

    def embed_query(self, text: str) -> Vector:
        """Return the vector of a question."""
        ...


def open_embedder(settings: Embedding) -> Embedder:
    """Load the embedding model of the settings. Raises `ConfigurationError` when there is no such model."""
    if settings.provider == "hashed":
        from rag_pipeline.embeddings.hashed import HashedEmbedder

        return HashedEmbedder()
    from rag_pipeline.embeddings.local import LocalEmbedder

    return LocalEmbedder(settings.model, settings.processes)
