"""What must not wait for a publication: that a document is kept from those who may not read it any more.

A refresh may be kept back as a whole, because the gate is closed or a model does not answer. What its source has lost
or shut to somebody is taken from readers all the same; everything else stays as it was, until a refresh is published.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.database.copy import copy_rows
from rag_pipeline.database.statements import statements
from rag_pipeline.errors import RagError, StateMoved, TransientError
from rag_pipeline.handover import Chunked
from rag_pipeline.index.generations import Generation, expect_state
from rag_pipeline.index.publish import DOCUMENT_TYPES
from rag_pipeline.model import NOBODY, Access
from rag_pipeline.parquet import read_tuples
from rag_pipeline.workspace import Workspace


@contextmanager
def withdrawing(
    working: Callable[[int], AbstractContextManager[tuple[Connection[Any], Generation]]],
    workspace: Workspace,
    chunked: Chunked,
) -> Iterator[None]:
    """Withdraw from readers of the live generation when the block raises what keeps the refresh from being published.

    `working` gives a session on the tables of a generation. What another refresh has overtaken withdraws nothing, and
    neither does a database that went away, which would keep this from being written as well: the next refresh mends it.
    """
    try:
        yield
    except StateMoved:
        raise
    except RagError as error:
        if isinstance(error, TransientError) and isinstance(error.__cause__, psycopg.Error):
            raise
        with working(chunked.changes.generation) as (connection, generation):
            if generation.state == "live":
                withdraw(connection, workspace, chunked, generation)
        raise


def withdraw(connection: Connection[Any], workspace: Workspace, chunked: Chunked, generation: Generation) -> int:
    """Give published documents the narrower of their access and that of a refresh, nobody what its source has lost.

    Returns how many documents that are. The session's tables are those of the generation; it stages documents anew.
    Nothing is done when another refresh has been published meanwhile. Raises `StateMoved` when the generation is not
    in the state it was.
    """
    changes = chunked.changes
    source = {"source": changes.hashes.snapshot.source, "generation": generation.number}
    connection.execute(statements("staging")["create_staged_documents"])
    rows = read_tuples(workspace.file(changes.hashes.snapshot.folder, "documents.parquet"), DOCUMENT_TYPES)
    copy_rows(connection, "staged_documents", DOCUMENT_TYPES, rows)
    publishing, flipping = statements("publish"), statements("flip")
    with connection.transaction():
        connection.execute(publishing["lock_source"], source)
        expect_state(connection, generation.number, generation.state)
        if connection.execute(publishing["current_revision"], source).fetchone() != (changes.revision,):
            return 0
        narrowed = _narrow(connection, source)
        if narrowed:
            for name in ("narrow_chunks", "narrow_vectors", "narrow_terms"):
                connection.execute(flipping[name])
            # Whatever was computed from the wider state does not apply any more.
            connection.execute(publishing["bump_revision"], source)
    return narrowed


def _narrow(connection: Connection[Any], source: dict[str, Any]) -> int:
    queries = statements("withdraw")
    with connection.cursor(row_factory=dict_row) as cursor:
        pairs = cursor.execute(queries["fewer_readers"]).fetchall()
    narrowed = 0
    for pair in pairs:
        own = Access(tuple(pair["allow"]), tuple(pair["deny"]))
        if pair["lost"]:
            narrow = NOBODY
        else:
            narrow = own.narrowed(Access(tuple(pair["staged_allow"]), tuple(pair["staged_deny"])))
        if narrow != own:
            values = pair | source | {"allow": list(narrow.allow), "deny": list(narrow.deny), "digest": narrow.digest}
            connection.execute(statements("flip")["intern_list"], values)
            narrowed += connection.execute(queries["narrow_staged"], values).rowcount
    return narrowed
