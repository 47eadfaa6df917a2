"""What it costs: models behind one small interface, and the store in which every vector is kept once.

`open_embedder` gives the model of the settings. Its `model` names weights, preparation and size, so that
vectors of two models can never be taken for one another.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_pipeline.errors import ConfigurationError, DocumentError
from rag_pipeline.settings import Embedding

Vector = NDArray[np.float32]
Reserve = Callable[[int], None]
"""Called with a request's tokens, at most, before it is sent; raises when these may not be spent."""

_BLOCK = 64
"""Texts of a batch of a model in this process: what a crash can lose."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a text got no vector. One that is `lasting` is the text's own fault: asking again changes nothing."""

    reason: str
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """What one request, or one block of a local model, brought.

    `positions` are places in the input, in any order; `vectors` has one unit vector for each (texts × dimensions),
    `counts` its tokens. `tokens` is what was charged for all of them; without positions it is what was paid, or
    may have been paid, for an answer that was lost or of no use. `reserved` are the tokens that had been
    reserved for it, and `refused` the texts that got no vector, by position.
    """

    positions: Sequence[int]
    vectors: NDArray[np.float32]
    counts: Sequence[int]
    tokens: int
    reserved: int = 0
    refused: Sequence[tuple[int, Refusal]] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A fixed text as the service embeds it now: its vector, what the service calls its model, and the tokens."""

    vector: Vector
    answered_as: str
    tokens: int


def unbounded(tokens: int) -> None:
    """Let any number of tokens be spent."""


class Embedder(Protocol):
    """Turns texts into unit vectors of `dimensions` numbers."""

    model: str
    dimensions: int

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Return how many tokens the model makes of each text, special tokens not counted."""
        ...

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded, known: int = 0) -> Iterator[Batch]:
        """Yield the vectors of all texts in batches, as they come; each text is in exactly one, or refused.

        Reads `texts` only a bounded number ahead of what it has yielded, and in the caller's thread, in which
        `reserve` is called too. Whatever was bought is yielded before an error is raised. `known` is how many texts
        of the same kind the model is known to take: the more, the likelier a refusal is a text's own fault.
        """
        ...

    def embed_query(self, text: str) -> Vector:
        """Return the vector of a question."""
        ...

    def sample(self, reserve: Reserve = unbounded) -> Sample | None:
        """Embed a fixed text, so that a change of the model behind a service is noticed; None for files of our own.

        `reserve` is called before each attempt. An error's `tokens` say what the attempts before it were charged.
        """
        ...


def in_blocks(
    texts: Iterable[str],
    vectors: Callable[[Iterable[str]], Iterator[Vector]],
    count_tokens: Callable[[list[str]], list[int]],
) -> Iterator[Batch]:
    """Yield the batches of a model that gives one vector a text, in order, and costs nothing.

    A text whose vector has no direction is refused. Raises `ConfigurationError` when that is so of a whole block.
    """
    waiting: deque[str] = deque()

    def passed() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    found, done = vectors(passed()), 0
    while block := list(islice(found, _BLOCK)):
        counts = count_tokens([waiting.popleft() for _ in block])
        good, refused = _with_direction(block)
        if len(refused) == len(block) > 1:
            raise ConfigurationError(
                f"the embedding model gives no usable vector for any of {len(block)} texts ({refused[0][1].reason}); "
                "choose another one, or correct embedding.pooling"
            )
        yield Batch(
            [done + place for place in good],
            np.stack(block)[good],
            [counts[place] for place in good],
            sum(counts),
            refused=[(done + place, refusal) for place, refusal in refused],
        )
        done += len(block)


def _with_direction(block: Sequence[Vector]) -> tuple[list[int], list[tuple[int, Refusal]]]:
    """Return the places of the vectors that can be kept, and why the others cannot."""
    lengths = np.linalg.norm(np.stack(block), axis=1)
    refused = [
        (place, Refusal("its vector is zero" if length == 0 else "its vector is not of finite numbers"))
        for place, length in enumerate(lengths.tolist())
        if not 0 < length < np.inf
    ]
    bad = {place for place, _ in refused}
    return [place for place in range(len(block)) if place not in bad], refused


def in_order(embedder: Embedder, texts: Iterable[str]) -> list[Vector]:
    """Return one vector a text, in order. Raises `DocumentError` when one is refused."""
    wanted = list(texts)
    found: dict[int, Vector] = {}
    for batch in embedder.embed(wanted):
        for position, refusal in batch.refused:
            raise DocumentError(f"{wanted[position][:60]!r} is refused: {refusal.reason}")
        found.update(zip(batch.positions, batch.vectors, strict=True))
    return [found[position] for position in range(len(found))]


def open_embedder(settings: Embedding, expected: Sample | None = None) -> Embedder:
    """Load the embedding model of the settings. Raises `ConfigurationError` when there is no such model.

    `expected` is what a service gave for the sample: it then embeds no question that is answered otherwise.
    """
    from rag_pipeline.embeddings.prefixed import with_prefixes

    if settings.provider == "hashed":
        from rag_pipeline.embeddings.hashed import HashedEmbedder

        return with_prefixes(HashedEmbedder(settings.dimensions or 64), settings)
    if settings.provider == "openai":
        from rag_pipeline.embeddings.openai import OpenAIEmbedder

        return with_prefixes(OpenAIEmbedder(settings, expected), settings)
    from rag_pipeline.embeddings.local import LocalEmbedder
    from rag_pipeline.embeddings.weights import find_weights

    weights = find_weights(settings.model, settings.path, settings.pooling, settings.dimensions)
    return with_prefixes(LocalEmbedder(settings.model, settings.processes, weights), settings)
