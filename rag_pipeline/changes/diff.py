"""Stage 3, `changed_documents`: the set difference between what the source holds and what is published.

The comparison is one pass of Postgres over two tables (``sql/queries/changes.sql``), so its memory does
not grow with the source; only documents that differ come back. Here the guards decide what is withheld.
"""

from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.changes.guards import withhold_deletions, withhold_widenings
from rag_pipeline.changes.hashes import LISTED_TYPES
from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.handover import CHANGES, Changes, Hashes
from rag_pipeline.model import Access
from rag_pipeline.parquet import ParquetWriter, read_tuples
from rag_pipeline.settings import Guards
from rag_pipeline.workspace import Workspace

_LISTED_CATEGORIES = ("added", "changed", "moved", "access_changed", "metadata_changed", "restored", "quarantined")


def find_changes(
    connection: Connection[Any],
    workspace: Workspace,
    hashes: Hashes,
    guards: Guards | None,
    generation: int,
    parser_version: int,
    model: str,
    everything: bool = False,
) -> Changes:
    """Write ``changes.parquet`` and return the counts.

    Without `guards` nothing is withheld, and no approval used: what is followed has been through them.
    With `everything` no document counts as unchanged or as known to be unreadable: the whole source is
    computed anew, which is how the index is verified and repaired.
    """
    queries = statements("changes")
    snapshot = hashes.snapshot
    source = {"source": snapshot.source, "generation": generation}
    connection.execute(queries["create_listed"])
    manifest = read_tuples(workspace.file(snapshot.folder, "manifest.parquet"), LISTED_TYPES)
    listed = copy_rows(connection, "listed", LISTED_TYPES, manifest)
    connection.execute(queries["analyze_listed"])
    with connection.transaction():
        revision, published = connection.execute(queries["source_state"], source).fetchone() or (0, 0)
        given = {"everything": everything, "parser_version": parser_version, "model": model}
        connection.execute(queries["classify"], source | given)
        if snapshot.complete and not everything:
            connection.execute(queries["find_moves"])
        if not everything:
            connection.execute(queries["find_restored"])
        connection.execute(queries["settle_absent"], {"complete": snapshot.complete})
        counted = {row[0]: (row[1], row[2]) for row in connection.execute(queries["count_changes"])}
        released = connection.execute(
            queries["released_quarantine"], source | {"complete": snapshot.complete}
        ).fetchall()
    counts = {category: counted.get(category, (0, 0))[0] for category in (*_LISTED_CATEGORIES, "removed")}
    widened = sum(widenings for _, widenings in counted.values())

    keep_deleted = keep_narrow = False
    approvals: list[int] = []
    if guards is not None:
        deletions, deletion_limit = _approval(connection, snapshot.source, "deletions")
        widenings, widening_limit = _approval(connection, snapshot.source, "widenings")
        keep_deleted = withhold_deletions(guards, published, counts["removed"], listed, deletion_limit)
        # A rollback brings back what was said, never who could read it.
        keep_narrow = snapshot.pinned or withhold_widenings(guards, published, widened, widening_limit)
        approvals += [deletions] if deletions and not keep_deleted and counts["removed"] else []
        approvals += [widenings] if widenings and not keep_narrow and widened else []

    withheld = dropped = 0
    with (
        ParquetWriter(workspace.file(snapshot.folder, "changes.parquet"), CHANGES) as writer,
        connection.transaction(),
        connection.cursor("changes", row_factory=dict_row) as cursor,
    ):
        cursor.itersize = 2_000
        for row in cursor.execute(queries["read_changes"]):
            old_allow, old_deny = row.pop("old_allow"), row.pop("old_deny")
            if row["category"] == "removed":
                if not keep_deleted:
                    writer.write(row)
                continue
            if keep_narrow and old_allow is not None and row["allow"] is not None:
                old, new = Access(tuple(old_allow), tuple(old_deny)), Access(tuple(row["allow"]), tuple(row["deny"]))
                narrow = new.narrowed(old)
                if narrow != new:
                    withheld += 1
                    row |= {"allow": narrow.allow, "deny": narrow.deny}
                    if row["category"] == "access_changed" and narrow == old:
                        dropped += 1
                        continue
            writer.write(row)
    removed = counts.pop("removed")
    unchanged = listed - sum(counts.values())
    counts["access_changed"] -= dropped
    return Changes(
        hashes=hashes,
        generation=generation,
        revision=revision,
        published=published,
        removed=0 if keep_deleted else removed,
        unchanged=unchanged,
        restamped=counted.get("restamped", (0, 0))[0],
        withheld_deletions=removed if keep_deleted else 0,
        withheld_widenings=withheld,
        approvals=tuple(approvals),
        released=tuple(row[0].hex() for row in released),
        **counts,
    )


def _approval(connection: Connection[Any], source: str, kind: str) -> tuple[int | None, int]:
    """Return the open approval of a kind and how many changes it lets through."""
    row = connection.execute(statements("changes")["open_approval"], {"source": source, "kind": kind}).fetchone()
    return (row[0], row[1]) if row else (None, 0)
