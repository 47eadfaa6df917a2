"""Stage 5, `embeddings`: every chunk's text gets a vector, and no text is ever paid for twice.

The store is content-addressed and shared by all documents, sources and generations. Texts are streamed to the
model and every batch is committed as it comes, with what it cost, so that a crash loses no more than the
batches in flight. A text that the model refuses quarantines its documents; the others go on.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from pgvector import HalfVector
from psycopg import Connection

from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings import Batch, Embedder, Refusal, unbounded
from rag_pipeline.handover import Chunked, Embedded
from rag_pipeline.parquet import batches, read_rows
from rag_pipeline.progress import Progress
from rag_pipeline.workspace import Workspace

_LOOK_UP = 2_000
_BOUGHT_TYPES = {"model": "text", "embed_hash": "bytea", "embedding": "halfvec", "tokens": "int4"}


class Budget(Protocol):
    """What may be spent, in tokens."""

    def reserve(self, tokens: int) -> None:
        """Set aside what a request may cost. Raises when that is more than is left."""
        ...

    def spend(self, reserved: int, charged: int) -> None:
        """Count what was charged instead of what was reserved; called in the transaction that writes the ledger."""
        ...


class Unbounded:
    """A budget without bound."""

    reserve = staticmethod(unbounded)

    def spend(self, reserved: int, charged: int) -> None:
        """Count nothing."""


@dataclass(slots=True)
class _Bought:
    """What a run has bought so far."""

    texts: int = 0
    tokens: int = 0
    refused: dict[bytes, Refusal] = field(default_factory=dict[bytes, Refusal])


def count_missing(connection: Connection[Any], workspace: Workspace, chunked: Chunked, model: str) -> int:
    """Return how many distinct texts the store has no vector of: what the next stage will embed."""
    queries = statements("embeddings")
    connection.execute(queries["create_wanted"])
    file = workspace.file(chunked.changes.hashes.snapshot.folder, "chunks.parquet")
    hashes = ((row["embed_hash"],) for row in read_rows(file, ["embed_hash"]))
    copy_rows(connection, "wanted", {"embed_hash": "bytea"}, hashes)
    row = connection.execute(queries["count_missing"], {"model": model}).fetchone()
    connection.execute(queries["drop_wanted"])
    return row[0] if row else 0


def embed_missing(
    connection: Connection[Any],
    workspace: Workspace,
    chunked: Chunked,
    embedder: Embedder,
    progress: Progress,
    run_id: str | None,
    budget: Budget | None = None,
) -> Embedded:
    """Embed the texts of ``chunks.parquet`` that the store does not have, and record the use of the model.

    Whatever error ends it, what was bought until then is in the store and in the ledger.
    """
    started = time.monotonic()
    total = count_missing(connection, workspace, chunked, embedder.model)
    progress("embeddings", 0, total)
    bought = _Bought()
    if total:
        connection.execute(statements("embeddings")["create_bought"])
        budget = budget or Unbounded()
        store = _Store(connection, embedder.model, chunked.changes.hashes.snapshot.source, run_id, budget)
        under_way: dict[int, bytes] = {}
        texts = _missing_texts(connection, workspace, chunked, embedder.model, under_way, bought.refused)
        for batch in embedder.embed(texts, budget.reserve):
            hashes = [under_way[position] for position in batch.positions]
            store.keep(batch, hashes)
            bought.texts += len(hashes)
            bought.tokens += batch.tokens
            bought.refused.update((under_way[position], refusal) for position, refusal in batch.refused)
            for position in (*batch.positions, *(position for position, _ in batch.refused)):
                del under_way[position]
            progress("embeddings", bought.texts + len(bought.refused), total)
    progress("embeddings", bought.texts, bought.texts)
    return Embedded(
        chunked, embedder.model, chunked.chunks, bought.texts, bought.tokens, 0.0, time.monotonic() - started
    )


@dataclass(frozen=True, slots=True)
class _Store:
    """The store and the ledger, for one run over one source."""

    connection: Connection[Any]
    model: str
    source: str
    run_id: str | None
    budget: Budget

    def keep(self, batch: Batch, hashes: list[bytes]) -> None:
        """Commit a batch and what it cost, together."""
        queries = statements("embeddings")
        with self.connection.transaction():
            if hashes:
                rows = zip(hashes, batch.vectors, batch.counts, strict=True)
                copy_rows(
                    self.connection,
                    "bought",
                    _BOUGHT_TYPES,
                    ((self.model, embed_hash, HalfVector(vector), count) for embed_hash, vector, count in rows),
                )
                self.connection.execute(queries["keep_bought"])
                self.connection.execute(queries["clear_bought"])
            if hashes or batch.tokens:
                self.connection.execute(
                    queries["add_usage"],
                    {
                        "run_id": self.run_id,
                        "source": self.source,
                        "model": self.model,
                        "purpose": "index" if hashes else "lost",
                        "texts": len(hashes),
                        "tokens": batch.tokens,
                        "cost_usd": 0,
                    },
                )
            self.budget.spend(batch.reserved, batch.tokens)


def _missing_texts(
    connection: Connection[Any],
    workspace: Workspace,
    chunked: Chunked,
    model: str,
    under_way: dict[int, bytes],
    refused: dict[bytes, Refusal],
) -> Iterator[str]:
    """Yield each distinct text without a vector, in the order of the chunks; asks the store a block at a time.

    The hash of each is noted in `under_way` by its position, until its vector is in the store: that is how a
    text is not bought again that comes up again before it is there.
    """
    known_among = statements("embeddings")["known_among"]
    file = workspace.file(chunked.changes.hashes.snapshot.folder, "chunks.parquet")
    position = 0
    for block in batches(read_rows(file, ["embed_hash", "embed_text"]), _LOOK_UP):
        texts = {row["embed_hash"]: row["embed_text"] for row in block if row["embed_hash"] not in refused}
        for embed_hash in under_way.values():
            texts.pop(embed_hash, None)
        for (embed_hash,) in connection.execute(known_among, {"model": model, "hashes": list(texts)}):
            del texts[embed_hash]
        for embed_hash, text in texts.items():
            under_way[position] = embed_hash
            position += 1
            yield text
