"""A model that reads some words before every question, and others before every passage.

The store keys vectors by model and text, and the text is without the words. So the passages' words are part of the
model's name: vectors that were made with other ones are never taken for these. A question's words change no stored
vector; they are part of the recipe by themselves, and another choice of them buys nothing anew.
"""

import json
from collections.abc import Iterable, Iterator

from rag_pipeline.embeddings import Batch, Embedder, Reserve, Sample, Vector, in_order, unbounded
from rag_pipeline.errors import DocumentError, PermanentError
from rag_pipeline.settings import Embedding


def with_prefixes(embedder: Embedder, settings: Embedding) -> Embedder:
    """Return the embedder with the settings' prefixes; itself where they are empty."""
    query, passage = settings.query_prefix or "", settings.passage_prefix or ""
    return PrefixedEmbedder(embedder, query, passage) if query or passage else embedder


def count_as_read(embedder: Embedder, texts: list[str]) -> list[int]:
    """Return the tokens of passages with the words that the model reads before them: what embedding them costs."""
    if isinstance(embedder, PrefixedEmbedder):
        return embedder.count_passages(texts)
    return embedder.count_tokens(texts)


def room_for_passages(embedder: Embedder) -> int | None:
    """Return how many tokens of a passage a local model reads, after its own words; None where that is not known."""
    from rag_pipeline.embeddings.local import LocalEmbedder

    if isinstance(embedder, PrefixedEmbedder):
        return embedder.room_for_passages()
    return embedder.room if isinstance(embedder, LocalEmbedder) else None


def embed_questions(embedder: Embedder, texts: list[str]) -> list[Vector]:
    """Return the vectors of many questions, in order: those of `embed_query`, by the requests and patience of `embed`.

    Raises what `embed` does, and `PermanentError` when one is refused.
    """
    try:
        return embedder.embed_queries(texts) if isinstance(embedder, PrefixedEmbedder) else in_order(embedder, texts)
    except DocumentError as refused:
        raise PermanentError(f"a question cannot be embedded: {refused}") from refused


class PrefixedEmbedder:
    """Any embedder, with its prefixes; tokens are counted without them, unless as passages."""

    def __init__(self, inner: Embedder, query: str, passage: str) -> None:
        self._inner = inner
        self._query = query
        self._passage = passage
        self.model = f"{inner.model}+{json.dumps(passage, ensure_ascii=False)}" if passage else inner.model
        self.dimensions = inner.dimensions

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Return how many tokens the model makes of each text."""
        return self._inner.count_tokens(texts)

    def count_passages(self, texts: list[str]) -> list[int]:
        """Return how many tokens each text has as a passage, with its prefix."""
        return self._inner.count_tokens([self._passage + text for text in texts])

    def room_for_passages(self) -> int | None:
        """Return how many tokens of a passage the model reads besides its prefix."""
        room = room_for_passages(self._inner)
        return None if room is None else room - self._inner.count_tokens([self._passage])[0]

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded, known: int = 0) -> Iterator[Batch]:
        """Yield the vectors of passages."""
        return self._inner.embed((self._passage + text for text in texts), reserve, known)

    def embed_query(self, text: str) -> Vector:
        """Return the vector of a question."""
        return self._inner.embed_query(self._query + text)

    def embed_queries(self, texts: list[str]) -> list[Vector]:
        """Return the vectors of questions, in order. Raises as `in_order` does."""
        return in_order(self._inner, (self._query + text for text in texts))

    def sample(self, reserve: Reserve = unbounded) -> Sample | None:
        """Embed the fixed text as it is."""
        return self._inner.sample(reserve)
