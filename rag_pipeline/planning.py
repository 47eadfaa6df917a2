"""What the next generation takes: computed before anything is spent, from what the workspace and the store have."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.chunks.build import build_chunks
from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.documents.isolation import Parsers
from rag_pipeline.embeddings import Embedder, in_order
from rag_pipeline.embeddings.prefixed import count_as_read
from rag_pipeline.embeddings.prices import price
from rag_pipeline.handover import CHANGES, Changes, Hashes, Snapshot
from rag_pipeline.index.generations import Generation
from rag_pipeline.index.migration import Plan
from rag_pipeline.parquet import ParquetWriter, batches, read_rows

if TYPE_CHECKING:
    from rag_pipeline.stages import Pipeline

_DAYS = 7
"""How long the speed of a model is remembered."""
_PROBED = 24
"""Texts that a model of this machine is tried with, when its speed is not known."""
_VECTOR_BYTES, _ROW_BYTES = 2, 64
"""A number of a vector as it is stored, and what a vector takes besides its numbers, with its indexes."""
_COPIES = 2
"""Each new vector is kept in the store and in the generation."""


@dataclass(slots=True)
class _Cut:
    """What was cut of the documents, and how long that took."""

    documents: int = 0
    seconds: float = 0.0


def plan(pipeline: "Pipeline", live: Generation, number: int, at_most: int | None) -> Plan:
    """Say what generation `number` of the wanted recipe takes.

    Up to `at_most` documents are cut as it would cut them, all without a bound. When these come out as in the live
    generation, its chunks are counted; else what was counted is projected.
    """
    wanted, embedder = pipeline.targets.wanted, pipeline.targets.embedder
    with pipeline.working(live.number) as (connection, _):
        queries = statements("migration")
        sources = connection.execute(queries["sources"], {"live": live.number}).fetchall()
        documents = sum(count for _, count in sources)
        connection.execute(queries["create_planned"])
        cut, sample = _Cut(), list[str]()
        for source, count in sources:
            number_of = count if at_most is None or documents <= at_most else -(-at_most * count // documents)
            _cut_some(pipeline, connection, embedder, source, number_of, cut, sample)
        chunks, texts, tokens = connection.execute(queries["planned"], {"model": wanted.model}).fetchone() or (0, 0, 0)
        exact = cut.documents >= documents
        if not exact:
            tokens_each = tokens / texts if texts else 0.0
            (otherwise,) = connection.execute(queries["cut_otherwise"]).fetchone() or (True,)
            if otherwise:
                chunks, texts = (round(value * documents / max(1, cut.documents)) for value in (chunks, texts))
            else:
                exact = True
                asked = {"model": wanted.model}
                chunks, texts = connection.execute(queries["published_chunks"], asked).fetchone() or (0, 0)
            tokens = round(tokens_each * texts)
        known = price(wanted.model, pipeline.settings.budget.prices)
        rate = _rate(connection, embedder, sample, free=known is not None and not known.usd_per_million)
        cutting = cut.seconds / max(1, cut.documents) * documents
        return Plan(
            live=live.number,
            generation=number,
            model=wanted.model,
            dimensions=wanted.dimensions,
            differences=live.differences(wanted),
            documents=documents,
            counted=cut.documents,
            exact=exact,
            chunks=chunks,
            texts_to_embed=texts,
            tokens=tokens,
            cost_usd=None if known is None else float(known.cost(tokens)),
            hours=None if rate is None and texts else (cutting + (texts / rate if rate else 0.0)) / 3600,
            bytes=_bytes(connection, live, chunks, texts, wanted.dimensions),
        )


def _cut_some(
    pipeline: "Pipeline",
    connection: Connection[Any],
    embedder: Embedder,
    source: str,
    number: int,
    cut: _Cut,
    sample: list[str],
) -> None:
    """Cut so many documents of a source and lay the texts that they want embedded into `planned`."""
    workspace, recipe = pipeline.workspace, pipeline.targets.wanted
    folder, started = workspace.new_folder(source), time.monotonic()
    try:
        asked = {"source": source, "number": number}
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(statements("migration")["some_documents"], asked).fetchall()
        with ParquetWriter(workspace.file(folder, "changes.parquet"), CHANGES) as writer:
            for row in rows:
                writer.write(row)
        with Parsers(pipeline.settings.parsing) as parsers:
            build_chunks(
                workspace,
                _as_changes(source, folder, len(rows)),
                parsers,
                embedder.count_tokens,
                recipe.max_tokens,
                recipe.window_tokens,
                pipeline.progress,
                pipeline.settings.parsing.max_chunks,
            )
        cut.documents += len(rows)
        cut.seconds += time.monotonic() - started
        chunks = read_rows(workspace.file(folder, "chunks.parquet"), ["document_hash", "embed_hash", "embed_text"])

        def texts() -> Iterator[tuple[str, bytes, bytes, int]]:
            for block in batches(chunks, 2_000):
                counts = count_as_read(embedder, [row["embed_text"] for row in block])
                for row, tokens in zip(block, counts, strict=True):
                    if len(sample) < _PROBED:
                        sample.append(row["embed_text"])
                    yield source, row["document_hash"], row["embed_hash"], tokens

        columns = {"source": "text", "document_hash": "bytea", "embed_hash": "bytea", "tokens": "int4"}
        copy_rows(connection, "planned", columns, texts())
    finally:
        workspace.remove_folder(folder)


def _as_changes(source: str, folder: str, documents: int) -> Changes:
    """Return what the stage that cuts wants to know of so many new documents."""
    snapshot = Snapshot(source, 0, folder, datetime.now(UTC), True, None, documents, 0, False)
    hashes = Hashes(snapshot, 0, documents, 0, 0, 0)
    nothing = dict.fromkeys(
        ("changed", "moved", "access_changed", "metadata_changed", "removed", "restored", "unchanged", "restamped"), 0
    )
    return Changes(
        hashes=hashes,
        generation=0,
        revision=0,
        published=0,
        added=documents,
        quarantined=0,
        withheld_deletions=0,
        withheld_widenings=0,
        approvals=(),
        released=(),
        **nothing,
    )


def _rate(connection: Connection[Any], embedder: Embedder, sample: list[str], free: bool) -> float | None:
    """Return texts a second: as the ledger knows it, else by trying, if that costs nothing."""
    asked = {"model": embedder.model, "days": _DAYS}
    (known,) = connection.execute(statements("migration")["speed"], asked).fetchone() or (None,)
    if known:
        return float(known)
    if not free or not sample:
        return None
    in_order(embedder, sample[:1])
    started = time.monotonic()
    in_order(embedder, sample)
    return len(sample) / max(1e-6, time.monotonic() - started)


def _bytes(connection: Connection[Any], live: Generation, chunks: int, texts: int, dimensions: int) -> int:
    """Return what the tables of so many chunks take, as the live ones do, and new vectors of so many texts."""
    row = connection.execute(statements("migration")["sizes"], {"live": live.number}).fetchone()
    size, own = row or (0, 0)
    vector = _VECTOR_BYTES * dimensions + _ROW_BYTES
    return round(size * chunks / max(1, own)) + chunks * vector + (_COPIES - 1) * texts * vector
