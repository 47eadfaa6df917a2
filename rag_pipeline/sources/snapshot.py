"""Stage 1, `source_snapshot`: write down what a source holds now, and whether that is all of it."""

import hashlib
import shutil
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from rag_pipeline.database.statements import statements
from rag_pipeline.errors import ConfigurationError, PermanentError, TransientError
from rag_pipeline.handover import LISTING, Snapshot
from rag_pipeline.model import DocumentRef, Failure, ListingEnd
from rag_pipeline.parquet import ParquetWriter, count_rows
from rag_pipeline.progress import Progress
from rag_pipeline.settings import SourceSettings
from rag_pipeline.sources import Source
from rag_pipeline.storable import storable, storable_json
from rag_pipeline.workspace import Workspace

_PROGRESS_EVERY = 1_000


def document_hash(source: str, document_id: str) -> bytes:
    """Return the 16 bytes that stand for a document everywhere: a hash of its source's name and its id."""
    return hashlib.sha256(f"{source}\0{document_id}".encode()).digest()[:16]


def register(connection: Connection[Any], settings: SourceSettings) -> None:
    """Make the source known to the index."""
    connection.execute(
        statements("snapshots")["register_source"],
        {
            "source": settings.name,
            "type": settings.type,
            "stale_after_minutes": settings.stale_after_minutes,
        },
    )


def check_language(connection: Connection[Any], settings: SourceSettings) -> None:
    """Raise `ConfigurationError` for a source whose language Postgres cannot read."""
    if settings.language is None:
        return
    row = connection.execute(statements("snapshots")["source_language"], {"language": settings.language}).fetchone()
    assert row is not None
    found, known = row
    if found is None:
        raise ConfigurationError(
            f"language of the source {settings.name} is {settings.language!r}, which Postgres cannot read; "
            f"it knows {', '.join(known)}, and their ISO codes"
        )


def take_snapshot(
    connection: Connection[Any], workspace: Workspace, settings: SourceSettings, source: Source, progress: Progress
) -> Snapshot:
    """List the source into ``listing.parquet`` and record the snapshot.

    A listing that raises, or that ends without `ListingEnd`, is incomplete; what it yielded counts all
    the same. A source that a rollback holds is not listed: its snapshot is the pinned manifest.

    Raises `ConfigurationError` as `check_language` does, before anything is listed.
    """
    queries = statements("snapshots")
    started_at = datetime.now(UTC)
    check_language(connection, settings)
    register(connection, settings)
    folder = workspace.new_folder(settings.name)
    pinned = connection.execute(queries["pinned_manifest"], {"source": settings.name}).fetchone()
    failures = 0
    if pinned:
        listed = _copy_manifest(workspace, settings.name, pinned[0], pinned[1], folder)
        end = ListingEnd(complete=True, reason=f"held at snapshot {pinned[0]}")
    else:
        end = ListingEnd(complete=False, reason="the connector ended without saying that its listing was complete")
        listed = 0
        with ParquetWriter(workspace.file(folder, "listing.parquet"), LISTING) as writer:
            try:
                for item in source.list():
                    if isinstance(item, ListingEnd):
                        end = item
                        break
                    writer.write(_row(settings, item))
                    failures += isinstance(item, Failure)
                    listed += 1
                    if listed % _PROGRESS_EVERY == 0:
                        progress("source_snapshot", listed, None)
            except TransientError as error:
                end = ListingEnd(complete=False, reason=str(error))
    progress("source_snapshot", listed, listed)
    row = connection.execute(
        queries["add_snapshot"],
        {
            "source": settings.name,
            "started_at": started_at,
            "complete": end.complete,
            "reason": end.reason,
            "listed": listed,
        },
    ).fetchone()
    assert row is not None
    return Snapshot(
        settings.name, row[0], folder, started_at, end.complete, end.reason, listed, failures, pinned is not None
    )


def _row(settings: SourceSettings, item: DocumentRef | Failure) -> dict[str, Any]:
    document_id = storable(item.document_id)
    row: dict[str, Any] = dict.fromkeys(LISTING.names)
    row |= {
        "document_id": document_id,
        "uri": storable(item.uri),
        "metadata": "{}",
        "document_hash": document_hash(settings.name, document_id),
    }
    if item.access is not None:
        row |= {"allow": item.access.allow, "deny": item.access.deny}
    if isinstance(item, Failure):
        return row | {"failure": storable(item.reason)}
    if document_id != item.document_id:
        return row | {"failure": "its id holds characters that a database cannot store; rename it"}
    # Kept with the document, so that another language of the source is a change of its metadata.
    said = {"source_language": settings.language} if settings.language else {}
    return row | {
        "version": item.version,
        "modified_at": item.modified_at,
        "size": item.size,
        "media_type": item.media_type,
        "metadata": storable_json(dict(item.metadata) | said),
    }


def _copy_manifest(workspace: Workspace, source: str, snapshot_id: int, manifest: str | None, folder: str) -> int:
    """Bring an earlier snapshot's manifest into this refresh; returns its number of documents."""
    earlier = workspace.file(manifest, "manifest.parquet") if manifest else None
    if earlier is None or not earlier.exists():
        raise PermanentError(
            f"snapshot {snapshot_id} is held, but its files are gone; release it with: "
            f"rag-pipeline rollback --source {source} --to latest"
        )
    copy = workspace.file(folder, "manifest.parquet")
    with earlier.open("rb") as reader, copy.open("wb") as writer:
        shutil.copyfileobj(reader, writer)
    return count_rows(copy)
