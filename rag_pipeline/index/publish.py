"""Stage 6, `published_index` and `pruned_orphans`: one transaction that merges, prunes, checks and commits.

The changes are staged before the transaction starts (`rag_pipeline.index.staging`). Inside it every statement is
set-based (``publish.sql`` for the publication as a whole, ``publish_access.sql``, ``publish_rows.sql`` and
``publish_terms.sql`` for what it writes), rows that did not change are not touched, and what must never be
published is counted before the commit: a violation rolls everything back, and readers notice nothing.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, LiteralString

from psycopg import Connection

from rag_pipeline.database.statements import statements
from rag_pipeline.errors import PermanentError, StateMoved
from rag_pipeline.handover import Embedded, Published
from rag_pipeline.index.generations import Generation, expect_state, generations, look_into
from rag_pipeline.index.staging import load_staging
from rag_pipeline.workspace import Workspace

Gate = Callable[[Connection[Any], Generation, str], None]
"""Asked inside the transaction whether what was written for a source may be published; raises when not."""


@dataclass(frozen=True, slots=True)
class Written:
    """Rows of the index that a refresh touched."""

    documents_written: int = 0
    documents_deleted: int = 0
    chunks_written: int = 0
    chunks_deleted: int = 0


_NOTHING = Written()


def publish(
    connection: Connection[Any],
    workspace: Workspace,
    embedded: Embedded,
    generation: Generation,
    run_id: str | None,
    seconds: float,
    equals_revision: int | None = None,
    gate: Gate | None = None,
) -> Published:
    """Publish a refresh into a generation and record it.

    With `equals_revision` the refresh follows the live generation, whose state of that revision it makes this
    one equal to; the manifest of the snapshot is then the live one's. The `gate` is asked when rows were touched.
    Raises `StateMoved` when the source, or the generation, is no longer in the state the refresh was computed from,
    `PermanentError` when a check fails, and what the gate raises; all leave the index as it was.
    """
    queries = statements("publish")
    changes = embedded.chunked.changes
    snapshot = changes.hashes.snapshot
    if generation.number != changes.generation:
        raise StateMoved(
            f"source {snapshot.source}: generation {generation.number} of the index is refreshed meanwhile "
            f"instead of {changes.generation}; run the refresh again"
        )
    quiet = is_quiet(embedded)
    if not quiet:
        load_staging(connection, workspace, snapshot.folder, embedded.model)
    source = {"source": snapshot.source, "generation": generation.number}
    stands = {
        "snapshot_id": snapshot.snapshot_id,
        "confirmed_id": snapshot.snapshot_id if snapshot.complete else None,
        "equals_revision": equals_revision,
    }
    with connection.transaction():
        connection.execute(queries["lock_source"], source)
        expect_state(connection, generation.number, generation.state)
        connection.execute(queries["enter_source"], source)
        row = connection.execute(queries["current_revision"], source).fetchone()
        revision = row[0] if row else -1
        if revision != changes.revision:
            raise StateMoved(
                f"source {snapshot.source}: another refresh published meanwhile "
                f"(revision {revision} instead of {changes.revision}); run the refresh again"
            )
        written = _NOTHING if quiet else _merge(connection, embedded, generation)
        if written != _NOTHING:
            (revision,) = connection.execute(queries["bump_revision"], source).fetchone() or (0,)
        if equals_revision is None:
            manifest = {"snapshot_id": snapshot.snapshot_id, "manifest": snapshot.folder}
            connection.execute(queries["same_manifest" if written == _NOTHING else "keep_manifest"], source | manifest)
        connection.execute(queries["stand_at"], source | stands)
        if gate is not None and written != _NOTHING:
            gate(connection, generation, snapshot.source)
        result = summary(embedded, seconds, revision, written)
        connection.execute(queries["add_refresh"], asdict(result) | {"run_id": run_id})
    return result


def is_quiet(embedded: Embedded) -> bool:
    """Whether a refresh has nothing to write besides that it was made."""
    chunked, changes = embedded.chunked, embedded.chunked.changes
    return not (changes.touched or changes.restamped or chunked.quarantined or changes.released or changes.approvals)


def summary(embedded: Embedded, seconds: float, revision: int, written: Written) -> Published:
    """Return a refresh in numbers."""
    chunked, changes = embedded.chunked, embedded.chunked.changes
    snapshot = changes.hashes.snapshot
    return Published(
        source=snapshot.source,
        snapshot_id=snapshot.snapshot_id,
        complete=snapshot.complete,
        reason=snapshot.reason,
        listed=snapshot.listed,
        added=chunked.added,
        changed=chunked.changed,
        moved=changes.moved,
        access_changed=changes.access_changed,
        metadata_changed=changes.metadata_changed,
        removed=changes.removed,
        restored=chunked.restored,
        unchanged=changes.unchanged,
        withheld=changes.withheld,
        withheld_deletions=changes.withheld_deletions,
        withheld_widenings=changes.withheld_widenings,
        quarantined=chunked.quarantined,
        documents_written=written.documents_written,
        documents_deleted=written.documents_deleted,
        chunks_written=written.chunks_written,
        chunks_deleted=written.chunks_deleted,
        texts_wanted=embedded.texts_wanted,
        texts_found=embedded.texts_found,
        texts_embedded=embedded.embedded,
        tokens=embedded.tokens,
        cost_usd=embedded.cost_usd,
        seconds=seconds,
        revision=revision,
        generation=changes.generation,
    )


def _merge(connection: Connection[Any], embedded: Embedded, generation: Generation) -> Written:
    """Make the published rows of the changed documents equal to the staged ones; count what was written."""
    changes = embedded.chunked.changes
    snapshot = changes.hashes.snapshot
    queries: dict[str, LiteralString] = {
        **statements("publish"),
        **statements("publish_access"),
        **statements("publish_rows"),
        **statements("publish_terms"),
    }
    parameters = {
        "source": snapshot.source,
        "snapshot_id": snapshot.snapshot_id,
        "generation": changes.generation,
        "model": embedded.model,
        "parser_version": generation.recipe.parser_version,
        "language": generation.recipe.language,
        "released": [bytes.fromhex(digest) for digest in changes.released],
        "approvals": list(changes.approvals),
    }

    def run(*names: str) -> int:
        """Run statements one after the other and return how many rows they touched in all."""
        return sum(max(0, connection.execute(queries[name], parameters).rowcount) for name in names)

    run("bury_removed", "delete_removed_vectors")
    chunks_deleted = run("delete_removed_chunks")
    run("delete_removed_sections")
    documents_deleted = run("delete_removed_documents")

    run("find_whole_lists")
    for other in generations(connection):
        if other.number != generation.number:
            with look_into(connection, other.number, back_to=generation.number):
                run("keep_lists")
    run("change_shared_lists", "intern_access_lists", "resolve_access_lists", "settle_languages")
    documents_written = run("update_documents", "update_quarantined_access", "insert_documents")
    run("find_inserted", "forget_tombstones")

    run("delete_stale_vectors")
    chunks_deleted += run("delete_stale_chunks")
    run("update_sections", "insert_sections")
    chunks_written = run("update_chunks", "insert_chunks")
    run("delete_stale_sections")
    chunks_written += run("update_chunk_access")
    run("update_vectors", "insert_vectors")

    run("stage_terms", "lock_keywords", "delete_stale_terms")
    if run("shift_average"):
        run("reweigh")
    run("insert_terms", "update_term_access", "merge_pending_terms")

    run("clear_quarantine", "add_quarantine", "use_approvals")
    violations = [f"{times} {what}" for what, times in connection.execute(queries["violations"], parameters) if times]
    if violations:
        raise PermanentError(
            f"source {snapshot.source}: the candidate was not published, because it has {', '.join(violations)}. "
            f"The index is as it was; find the difference with: rag-pipeline verify --source {snapshot.source}"
        )
    return Written(documents_written, documents_deleted, chunks_written, chunks_deleted)
