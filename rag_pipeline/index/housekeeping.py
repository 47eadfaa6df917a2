"""Housekeeping: what nothing refers to any more is removed once its grace period is over.

Order matters: references go first, then what they referred to, so that a crash leaves at worst something
to remove at the next run.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection

from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.index.generations import generations, in_state, use_generation
from rag_pipeline.parquet import batches, read_rows
from rag_pipeline.workspace import Workspace

_BLOCK = 5_000
_RUNNING = timedelta(days=1)
"""Longer than any refresh runs: what is younger may belong to one. A generation may be built for longer."""


@dataclass(frozen=True, slots=True)
class Removed:
    """How much was removed."""

    tombstones: int
    folders: int
    blobs: int
    vectors: int
    questions: int


def remove_expired(
    connection: Connection[Any], workspace: Workspace, sources: list[str], days: int, question_days: int
) -> Removed:
    """Remove tombstones, snapshots, blobs and vectors that have been unneeded for `days`, and older questions.

    What evaluations found and answered goes after `days`, too; their figures stay.
    """
    queries = statements("housekeeping")
    keep = {"days": days}
    tombstones = connection.execute(queries["purge_tombstones"], keep).rowcount
    expired = [row[0] for row in connection.execute(queries["expired_manifests"], keep)]
    connection.execute(queries["forget_manifests"], {"manifests": expired})
    for folder in expired:
        workspace.remove_folder(folder)
    kept = {row[0] for row in connection.execute(queries["kept_manifests"])}
    limit = datetime.now(UTC) - _RUNNING
    if building := in_state(generations(connection), "building"):
        limit = min(limit, building.created_at)
    abandoned = [
        folder for source in sources for folder in _begun_before(limit, workspace.folders(source)) if folder not in kept
    ]
    for folder in abandoned:
        workspace.remove_folder(folder)
    for name in ("create_needed", "need_lost"):
        connection.execute(queries[name])
    for generation in generations(connection):
        use_generation(connection, generation.number)
        connection.execute(queries["need_published"])
    blobs = _remove_blobs(connection, workspace, sources)
    _mark_vectors(connection)
    vectors = connection.execute(queries["purge_vectors"], keep).rowcount
    connection.execute(queries["purge_reservations"])
    connection.execute(statements("evaluation")["forget_old_results"], {"keep_days": days})
    questions = connection.execute(statements("query_log")["forget"], {"days": question_days}).rowcount
    return Removed(tombstones, len(expired) + len(abandoned), blobs, vectors, questions)


def _mark_vectors(connection: Connection[Any]) -> None:
    """Note since when each vector is used by no generation: neither the live one nor one that is built or retired."""
    queries = statements("housekeeping")
    connection.execute(queries["create_used_vectors"])
    standing = connection.execute(queries["standing_generations"]).fetchall()
    for generation, model, _ in standing:
        use_generation(connection, generation)
        connection.execute(queries["use_vectors_of_generation"], {"model": model})
    for *_, search_path in standing[:1]:
        connection.execute(statements("generations")["use_generation"], {"search_path": search_path})
    for name in ("mark_used_vectors", "mark_unused_vectors", "drop_used_vectors"):
        connection.execute(queries[name])


def _remove_blobs(connection: Connection[Any], workspace: Workspace, sources: list[str]) -> int:
    """Remove blobs that nothing needs: no document of a generation, no tombstone, no kept refresh."""
    queries = statements("housekeeping")
    for source in sources:
        for folder in workspace.folders(source):
            manifest = workspace.file(folder, "manifest.parquet")
            if manifest.exists():
                hashes = (
                    (row["content_hash"],) for row in read_rows(manifest, ["content_hash"]) if row["content_hash"]
                )
                copy_rows(connection, "needed", {"content_hash": "bytea"}, hashes)
    removed = 0
    # A running refresh writes blobs before the manifest that refers to them.
    for block in batches(workspace.blobs(before=datetime.now(UTC) - _RUNNING), _BLOCK):
        unneeded = [row[0] for row in connection.execute(queries["unneeded"], {"hashes": block})]
        removed += workspace.remove_blobs(unneeded)
    return removed


def _begun_before(limit: datetime, folders: list[str]) -> list[str]:
    """Return the folders that no running refresh or build can still be writing: those begun long ago."""
    stamp = limit.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    return [folder for folder in folders if folder.rsplit("/", 1)[-1] < stamp]
