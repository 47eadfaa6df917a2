"""How near publishing comes to the fastest way there is into the same tables, a bare binary COPY."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, sql

from benchmarks.corpus import write_corpus
from benchmarks.options import Options
from benchmarks.report import Report, median, say
from benchmarks.workbench import SOURCE, Workbench, workbench
from rag_pipeline.database.connection import connect
from rag_pipeline.database.copy import copy_rows
from rag_pipeline.handover import Embedded
from rag_pipeline.index.generations import use_generation
from rag_pipeline.index.publish import publish
from rag_pipeline.stages import Pipeline

TITLE = "Loading into Postgres"
_TABLES = {
    "documents": {
        "doc_key": "int8",
        "document_hash": "bytea",
        "source": "text",
        "document_id": "text",
        "uri": "text",
        "title": "text",
        "media_type": "text",
        "version": "text",
        "modified_at": "timestamptz",
        "size": "int8",
        "content_hash": "bytea",
        "declared_access": "text[]",
        "acl_id": "int4",
        "metadata": "jsonb",
        "front_matter": "jsonb",
        "language": "text",
        "section_ids": "bytea[]",
        "section_starts": "int4[]",
        "places": "jsonb",
        "snapshot_id": "int8",
    },
    "sections": {
        "doc_key": "int8",
        "section_id": "bytea",
        "heading_path": "text[]",
        "occurrence": "int4",
        "text": "text",
    },
    "chunks": {
        "chunk_key": "int8",
        "doc_key": "int8",
        "section_id": "bytea",
        "local_id": "bytea",
        "acl_id": "int4",
        "text": "text",
        "start_offset": "int4",
        "end_offset": "int4",
        "tokens": "int4",
        "forced": "bool",
        "embed_hash": "bytea",
        "shingles": "bytea",
    },
    "chunk_vectors": {"chunk_key": "int8", "doc_key": "int8", "acl_id": "int4", "embedding": "halfvec"},
    "chunk_terms": {
        "chunk_key": "int8",
        "doc_key": "int8",
        "acl_id": "int4",
        "language": "text",
        "length": "int4",
        "places": "int4[]",
        "weights": "sparsevec",
    },
}
"""The published tables, parents first, and their columns."""

_LISTS = {"acl_id": "int4", "source": "text", "allow": "text[]", "deny": "text[]", "digest": "bytea"}

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What one way of loading took, and how many rows it left."""

    seconds: float
    rows: int


def run(report: Report, options: Options) -> None:
    """Publish and COPY in turns, each time into a new copy of the same empty, indexed tables."""
    repeats = options.repeats if options.quick else 5
    with workbench() as bench:
        documents = 100 if options.quick else 10_000
        say(f"writing {documents:,} documents, and all stages up to publishing")
        write_corpus(bench.documents, documents)
        pipeline = Pipeline(bench.settings)
        snapshot = pipeline.source_snapshot(SOURCE)
        changes = pipeline.changed_documents(pipeline.content_hashes(snapshot))
        embedded = pipeline.embeddings(pipeline.chunks(changes))
        with _copied(bench) as target:
            _publish(target, embedded)
            rows = _published_rows(target)
        published: list[_Loaded] = []
        copied: list[_Loaded] = []
        for number in range(repeats):
            say(f"repeat {number + 1}: publish, then bare COPY")
            with _copied(bench) as target:
                published.append(_Loaded(_publish(target, embedded), _count(target)))
            with _copied(bench) as target:
                copied.append(_Loaded(_copy(target, rows), _count(target)))

    assert len({loaded.rows for loaded in (*published, *copied)}) == 1
    ratio = median(bare.seconds / ours.seconds for ours, bare in zip(published, copied, strict=True))
    report.goal("rows a second, publish to bare COPY", "≥ 0.70", ratio, "", ratio >= 0.70)
    total = copied[0].rows
    sizes = ", ".join(f"{len(rows[table]):,} {table}" for table in _TABLES)
    report.text(
        f"Both ways bring the same {total:,} rows ({sizes}) into the same tables, with their constraints, foreign "
        "keys and indexes, empty at the start and in a new database each time. *Publish* is all of it: reading the "
        "stage files, COPY into staging, the transaction that merges, checks and records. *COPY* writes the finished "
        "rows, keys and all, from memory, in one transaction, as the superuser, through the same driver. "
        f"Medians of {repeats}, the two in turns; the ratio is the median of the pairs' ratios."
    )
    report.table(
        ("way", "seconds", "rows/s"),
        [
            ("publish", median(p.seconds for p in published), median(total / p.seconds for p in published)),
            ("bare binary COPY", median(c.seconds for c in copied), median(total / c.seconds for c in copied)),
        ],
    )


@contextmanager
def _copied(bench: Workbench) -> Iterator[Pipeline]:
    """Give a pipeline on a copy of the workbench's database, which is dropped afterwards."""
    name = sql.Identifier("rag_copy")
    with bench.administrator("postgres") as connection:
        connection.execute(sql.SQL("create database {} template rag strategy file_copy").format(name))
        connection.execute(sql.SQL("grant create on database {} to rag_owner").format(name))
        url = {"database": bench.settings.database.model_copy(update={"url": bench.server.url("rag_copy")})}
        try:
            yield Pipeline(bench.settings.model_copy(update=url))
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(name))


def _publish(target: Pipeline, embedded: Embedded) -> float:
    with target.working() as (connection, generation):
        started = time.perf_counter()
        publish(connection, target.workspace, embedded, generation, None, 0.0)
        return time.perf_counter() - started


def _copy(target: Pipeline, rows: Rows) -> float:
    with _superuser(target) as connection:
        copy_rows(connection, "access_lists", _LISTS, rows["access_lists"])
        started = time.perf_counter()
        with connection.transaction():
            for table, columns in _TABLES.items():
                copy_rows(connection, table, columns, rows[table])
        return time.perf_counter() - started


def _published_rows(target: Pipeline) -> Rows:
    """Return every published row as COPY wants it; JSON travels as text."""
    rows: Rows = {}
    with _superuser(target) as connection, connection.cursor(binary=True) as cursor:
        for table, columns in {"access_lists": _LISTS, **_TABLES}.items():
            names = (
                sql.SQL("{}::text" if kind == "jsonb" else "{}").format(sql.Identifier(name))
                for name, kind in columns.items()
            )
            query = sql.SQL("select {} from {}").format(sql.SQL(", ").join(names), sql.Identifier(table))
            rows[table] = cursor.execute(query).fetchall()
    return rows


def _count(target: Pipeline) -> int:
    with _superuser(target) as connection:
        counts = (
            connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(table))).fetchone() or (0,)
            for table in _TABLES
        )
        return sum(count for (count,) in counts)


@contextmanager
def _superuser(target: Pipeline) -> Iterator[Connection[Any]]:
    """Give a session whose tables are the generation's and whom no row-level security holds up."""
    generation = target.generation
    with connect(target.settings, role=None) as connection:
        use_generation(connection, generation)
        yield connection
