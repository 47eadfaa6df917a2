"""What the Dagster UI shows of the stage files: their columns, and a few rows that everybody may see.

Whoever opens the UI sees these tables, so examples come only from documents that ``public`` may read and
that nobody is denied. All other documents are numbers here, nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import dagster as dg
import pyarrow as pa

from rag_pipeline.model import PUBLIC
from rag_pipeline.parquet import BATCH_ROWS, read_rows
from rag_pipeline.workspace import Workspace

_EXAMPLES = 5
_LONGEST = 160


def column_schema(schema: pa.Schema) -> dict[str, dg.TableSchema]:
    """Return the metadata entry that describes the columns of a stage file."""
    return {"dagster/column_schema": dg.TableSchema([dg.TableColumn(field.name, str(field.type)) for field in schema])}


def changed_examples(workspace: Workspace, folder: str) -> dict[str, dg.TableMetadataValue]:
    """Return the first public documents among the changed ones, with what happened to them."""
    rows = islice(read_rows(workspace.file(folder, "changes.parquet")), BATCH_ROWS)
    return _table(
        {column: row[column] for column in ("category", "document_id", "uri", "size")} for row in _public(rows)
    )


def chunk_examples(workspace: Workspace, folder: str) -> dict[str, dg.TableMetadataValue]:
    """Return the first chunks of public documents, with where they stand."""
    documents = islice(read_rows(workspace.file(folder, "documents.parquet")), BATCH_ROWS)
    public = {row["document_hash"]: row["document_id"] for row in _public(documents)}
    sections = islice(read_rows(workspace.file(folder, "sections.parquet")), BATCH_ROWS)
    paths = {(row["document_hash"], row["section_id"]): " > ".join(row["heading_path"]) for row in sections}
    columns = ["document_hash", "section_id", "tokens", "text"]
    chunks = islice(read_rows(workspace.file(folder, "chunks.parquet"), columns), BATCH_ROWS)
    return _table(
        {
            "document_id": public[row["document_hash"]],
            "heading_path": paths.get((row["document_hash"], row["section_id"]), ""),
            "tokens": row["tokens"],
            "text": row["text"],
        }
        for row in chunks
        if row["document_hash"] in public
    )


def _public(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (row for row in rows if PUBLIC in (row["allow"] or ()) and not row["deny"])


def _table(rows: Iterable[Mapping[str, Any]]) -> dict[str, dg.TableMetadataValue]:
    """Return the metadata entry of the examples; none when there is nothing to show."""
    records = [dg.TableRecord({name: _short(value) for name, value in row.items()}) for row in islice(rows, _EXAMPLES)]
    return {"examples": dg.MetadataValue.table(records)} if records else {}


def _short(value: Any) -> str | int:
    if isinstance(value, int):
        return value
    text = " ".join(str(value if value is not None else "").split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
