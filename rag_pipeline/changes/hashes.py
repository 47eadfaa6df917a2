"""Stage 2, `content_hashes`: what each listed document says, by hash, reading only what may have changed.

A document whose version token is the published one keeps its published hash. Every other is fetched,
hashed and put into the blob store. The access in force is decided here, for every document and at every
refresh: what the listing grants, narrowed by what the document declares about itself.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.documents import declared_access
from rag_pipeline.errors import DocumentError
from rag_pipeline.handover import MANIFEST, Hashes, Snapshot
from rag_pipeline.model import NOBODY, Access, DocumentRef
from rag_pipeline.parquet import ParquetWriter, read_tuples
from rag_pipeline.progress import Progress
from rag_pipeline.workspace import Workspace

LISTED_TYPES = {
    "document_hash": "bytea",
    "document_id": "text",
    "uri": "text",
    "version": "text",
    "modified_at": "timestamptz",
    "size": "int8",
    "media_type": "text",
    "allow": "text[]",
    "deny": "text[]",
    "metadata": "jsonb",
    "failure": "text",
    "content_hash": "bytea",
    "declared_access": "text[]",
}
"""Columns of the temporary table `listed`; of a listing the last two are not known yet."""

_PROGRESS_EVERY = 200

Fetch = Callable[[DocumentRef], bytes]


def hash_contents(
    connection: Connection[Any],
    workspace: Workspace,
    snapshot: Snapshot,
    fetch: Fetch,
    progress: Progress,
    read_all: bool = False,
) -> Hashes:
    """Write ``manifest.parquet``: the listing with content hashes and the access in force.

    With `read_all` no version token is trusted. A document that cannot be fetched, or whose id is
    listed twice, becomes a failure of its own; the others go on.
    """
    read = reused = size = unreadable = nobody = done = written = 0
    if snapshot.pinned:
        return Hashes(snapshot, 0, snapshot.listed, 0, 0, 0)
    with ParquetWriter(workspace.file(snapshot.folder, "manifest.parquet"), MANIFEST) as writer:
        for row, listings in _one_each(_listed_with_known(connection, workspace, snapshot)):
            done += listings
            listed = _listed_access(row)
            known_hash, declared = row["content_hash"], row["declared_access"]
            if row["failure"] is None:
                if known_hash is not None and not read_all:
                    reused += 1
                else:
                    try:
                        data = fetch(_ref(row))
                    except DocumentError as error:
                        row |= {"failure": str(error), "content_hash": None}
                    else:
                        read += 1
                        size += len(data)
                        row |= {"content_hash": workspace.put_blob(data)}
                        declared, problem = _declared(data, row["media_type"], row["document_id"])
                        row["failure"] = problem
            unreadable += row["failure"] is not None
            row["declared_access"] = declared
            if listed is not None:
                access = listed if declared is None else listed.narrowed(Access.of(declared))
                row |= {"allow": access.allow, "deny": access.deny}
                nobody += not access.allow
            writer.write(row)
            written += 1
            if written % _PROGRESS_EVERY == 0:
                progress("content_hashes", done, snapshot.listed)
    progress("content_hashes", snapshot.listed, snapshot.listed)
    return Hashes(snapshot, read, reused, size, unreadable, nobody)


def _listed_with_known(
    connection: Connection[Any], workspace: Workspace, snapshot: Snapshot
) -> Iterator[dict[str, Any]]:
    queries = statements("changes")
    connection.execute(queries["create_listed"])
    columns = dict(list(LISTED_TYPES.items())[:-2])
    listing = read_tuples(workspace.file(snapshot.folder, "listing.parquet"), columns)
    copy_rows(connection, "listed", columns, listing)
    connection.execute(queries["analyze_listed"])
    with connection.transaction(), connection.cursor("known", row_factory=dict_row) as cursor:
        cursor.itersize = 2_000
        yield from cursor.execute(queries["known_versions"])


def _one_each(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield one row an id, and how often it is listed; the listings of one id follow each other in `rows`.

    An id that is listed more than once fails: nobody knows which of them it is. What is published of it stays
    open to those only whom all its listings admit.
    """
    for _, listings in groupby(rows, itemgetter("document_hash")):
        row, count = dict[str, Any](), 0
        for count, listing in enumerate(listings, 1):
            row = listing if count == 1 else _merged(row, listing)
        if count > 1:
            row |= {"failure": f"its source lists this id {count} times", "content_hash": None}
        yield row, count


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return two listings of one id as one failure, open only to those whom both admit."""
    known = [access for access in map(_listed_access, (one, other)) if access is not None]
    access = known[0].narrowed(known[-1]) if known else None
    return one | {"failure": "twins", "allow": access and access.allow, "deny": access and access.deny}


def _ref(row: dict[str, Any]) -> DocumentRef:
    return DocumentRef(
        row["document_id"], row["uri"], row["version"], row["modified_at"], row["size"], row["media_type"]
    )


def _declared(data: bytes, media_type: str | None, name: str) -> tuple[tuple[str, ...] | None, str | None]:
    """Return what a document declares about its readers; when that cannot be understood, nobody and the problem."""
    try:
        return declared_access(data, media_type, name), None
    except DocumentError as error:
        return (), str(error)


def _listed_access(row: dict[str, Any]) -> Access | None:
    """Return whom the source admits, nobody when it cannot tell; None when a failure leaves that as it was."""
    if row["allow"] is None:
        return NOBODY if row["failure"] is None else None
    return Access(tuple(row["allow"]), tuple(row["deny"] or ()))
