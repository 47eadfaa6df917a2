"""What a refresh wants vectors of, what of that the store has, and what the rest would cost; nothing is embedded."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings import Embedder
from rag_pipeline.embeddings.prefixed import count_as_read
from rag_pipeline.handover import Chunked
from rag_pipeline.parquet import batches, read_rows
from rag_pipeline.workspace import Workspace

_BLOCK = 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Distinct texts of ``chunks.parquet``, those of them that the store has, and the tokens that these would be."""

    texts: int
    found: int
    tokens_saved: int

    @property
    def missing(self) -> int:
        """Texts that are to be embedded."""
        return self.texts - self.found


def look_up(connection: Connection[Any], workspace: Workspace, chunked: Chunked, model: str) -> Wanted:
    """Ask the store for all texts at once. What it has counts as used from now on, so that it is not removed."""
    queries = statements("lookup")
    connection.execute(queries["create_wanted"])
    file = workspace.file(chunked.changes.hashes.snapshot.folder, "chunks.parquet")
    hashes = ((row["embed_hash"],) for row in read_rows(file, ["embed_hash"]))
    copy_rows(connection, "wanted", {"embed_hash": "bytea"}, hashes)
    connection.execute(queries["use_found"], {"model": model})
    row = connection.execute(queries["measure_wanted"], {"model": model}).fetchone()
    connection.execute(queries["drop_wanted"])
    assert row is not None
    return Wanted(*row)


def count_missing_tokens(
    connection: Connection[Any], workspace: Workspace, chunked: Chunked, embedder: Embedder
) -> int:
    """Return the tokens to be bought: of all texts that the store lacks, each counted once; memory stays flat."""
    missing = _missing(connection, workspace, chunked, embedder.model)
    return sum(sum(count_as_read(embedder, texts)) for texts in missing)


def _missing(connection: Connection[Any], workspace: Workspace, chunked: Chunked, model: str) -> Iterator[list[str]]:
    """Yield the texts without a vector, a block at a time; what was counted is remembered by the database."""
    queries = statements("lookup")
    connection.execute(queries["create_counted"])
    file = workspace.file(chunked.changes.hashes.snapshot.folder, "chunks.parquet")
    for block in batches(read_rows(file, ["embed_hash", "embed_text"]), _BLOCK):
        texts = {row["embed_hash"]: row["embed_text"] for row in block}
        new = connection.execute(queries["count_new"], {"model": model, "hashes": list(texts)})
        if found := [texts[embed_hash] for (embed_hash,) in new]:
            yield found
    connection.execute(queries["drop_counted"])
