"""Stage 5, `embeddings`: every chunk's text gets a vector, and no text is ever paid for twice.

The store is content-addressed and shared by all documents, sources and generations. Batches commit one
by one, so that a crash loses at most the batch in flight.
"""

import time
from collections.abc import Iterator
from typing import Any

from pgvector import HalfVector
from psycopg import Connection

from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings import Embedder
from rag_pipeline.handover import Chunked, Embedded
from rag_pipeline.parquet import batches, read_rows
from rag_pipeline.progress import Progress
from rag_pipeline.workspace import Workspace

_LOOK_UP = 2_000
_COMMIT = 64


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
) -> Embedded:
    """Embed the texts of ``chunks.parquet`` that the store does not have, and record the use of the model."""
    started = time.monotonic()
    queries = statements("embeddings")
    total = count_missing(connection, workspace, chunked, embedder.model)
    embedded = tokens = 0
    progress("embeddings", 0, total)
    if total:
        connection.execute(queries["create_bought"])
        texts = _missing_texts(connection, workspace, chunked, embedder.model)
        for batch in batches(texts, _COMMIT):
            counts = embedder.count_tokens([text for _, text in batch])
            vectors = embedder.embed([text for _, text in batch])
            with connection.transaction():
                copy_rows(
                    connection,
                    "bought",
                    {"model": "text", "embed_hash": "bytea", "embedding": "halfvec", "tokens": "int4"},
                    (
                        (embedder.model, embed_hash, HalfVector(vector), count)
                        for (embed_hash, _), vector, count in zip(batch, vectors, counts, strict=True)
                    ),
                )
                connection.execute(queries["keep_bought"])
                connection.execute(queries["clear_bought"])
                connection.execute(
                    queries["add_usage"],
                    {
                        "run_id": run_id,
                        "source": chunked.changes.hashes.snapshot.source,
                        "model": embedder.model,
                        "purpose": "index",
                        "texts": len(batch),
                        "tokens": sum(counts),
                        "cost_usd": 0,
                    },
                )
            embedded += len(batch)
            tokens += sum(counts)
            progress("embeddings", embedded, total)
    progress("embeddings", embedded, embedded)
    return Embedded(chunked, embedder.model, chunked.chunks, embedded, tokens, 0.0, time.monotonic() - started)


def _missing_texts(
    connection: Connection[Any], workspace: Workspace, chunked: Chunked, model: str
) -> Iterator[tuple[bytes, str]]:
    """Yield each distinct text without a vector, in the order of the chunks; asks the store a block at a time."""
    known_among = statements("embeddings")["known_among"]
    file = workspace.file(chunked.changes.hashes.snapshot.folder, "chunks.parquet")
    for block in batches(read_rows(file, ["embed_hash", "embed_text"]), _LOOK_UP):
        texts = {row["embed_hash"]: row["embed_text"] for row in block}
        known = connection.execute(known_among, {"model": model, "hashes": list(texts)})
        for (embed_hash,) in known:
            del texts[embed_hash]
        yield from texts.items()
