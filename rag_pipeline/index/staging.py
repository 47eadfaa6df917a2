"""Staging: the stage files of a refresh in temporary tables, of the session that publishes or compares them."""

from typing import Any

from psycopg import Connection

from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.parquet import read_tuples
from rag_pipeline.workspace import Workspace

_COLUMNS = {
    "documents": {
        "document_hash": "bytea",
        "doc_key": "int8",
        "category": "text",
        "document_id": "text",
        "uri": "text",
        "title": "text",
        "media_type": "text",
        "version": "text",
        "modified_at": "timestamptz",
        "size": "int8",
        "content_hash": "bytea",
        "declared_access": "text[]",
        "allow": "text[]",
        "deny": "text[]",
        "digest": "bytea",
        "metadata": "jsonb",
        "front_matter": "jsonb",
        "section_ids": "bytea[]",
        "section_starts": "int4[]",
        "places": "jsonb",
        "failure": "text",
    },
    "sections": {
        "document_hash": "bytea",
        "section_id": "bytea",
        "heading_path": "text[]",
        "occurrence": "int4",
        "text": "text",
    },
    "chunks": {
        "document_hash": "bytea",
        "section_id": "bytea",
        "local_id": "bytea",
        "text": "text",
        "start_offset": "int4",
        "end_offset": "int4",
        "tokens": "int4",
        "forced": "bool",
        "embed_hash": "bytea",
        "shingles": "bytea",
    },
    "refused": {"document_hash": "bytea", "reason": "text", "lasting": "bool"},
}
"""The stage files that are staged, and of each the columns and their Postgres types."""


def load_staging(connection: Connection[Any], workspace: Workspace, folder: str, model: str) -> None:
    """COPY the stage files of a refresh into temporary tables of this session; what `model` refused is set aside."""
    for name in ("documents", "sections", "chunks"):
        _stage(connection, workspace, folder, name)
    queries = statements("staging")
    connection.execute(queries["create_staged_terms"])
    if workspace.file(folder, "refused.parquet").exists():
        _stage(connection, workspace, folder, "refused")
        set_refused_aside(connection, model)
    else:
        connection.execute(queries["create_staged_refused"])
    connection.execute(queries["small_samples"])
    connection.execute(queries["enough_memory"])
    connection.execute(queries["analyze_staging"])


def set_refused_aside(connection: Connection[Any], model: str) -> int:
    """Quarantine the staged documents that are refused; return how many."""
    queries = statements("staging")
    aside = connection.execute(queries["set_refused_aside"], {"model": model}).rowcount
    connection.execute(queries["drop_refused_sections"])
    connection.execute(queries["drop_refused_chunks"])
    return aside


def stage_documents(connection: Connection[Any], workspace: Workspace, folder: str) -> None:
    """COPY the documents of a refresh alone."""
    _stage(connection, workspace, folder, "documents")


def _stage(connection: Connection[Any], workspace: Workspace, folder: str, name: str) -> None:
    """Make one temporary table and COPY its stage file into it."""
    columns = _COLUMNS[name]
    connection.execute(statements("staging")[f"create_staged_{name}"])
    rows = read_tuples(workspace.file(folder, f"{name}.parquet"), columns)
    copy_rows(connection, f"staged_{name}", columns, rows)
