"""Withdrawal: readers lose at once what they may no longer read, even when the refresh itself is not published.

A closed gate or a model that does not answer keeps a whole refresh back. Documents that the source has lost, or has
shut to somebody, are hidden from those readers all the same. Everything else waits until a refresh is published.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.database.statements import statements
from rag_pipeline.errors import RagError, StateMoved, TransientError
from rag_pipeline.handover import Chunked
from rag_pipeline.index.generations import Generation, expect_state
from rag_pipeline.index.narrowing import narrow
from rag_pipeline.index.staging import stage_documents
from rag_pipeline.workspace import Workspace


@contextmanager
def withdrawing(
    working: Callable[[int], AbstractContextManager[tuple[Connection[Any], Generation]]],
    workspace: Workspace,
    chunked: Chunked,
) -> Iterator[None]:
    """Run the block; when it fails, withdraw what readers of the live generation may no longer read, and raise again.

    `working` gives a session on the tables of a generation. Nothing is withdrawn when another refresh was faster, or
    when the database went away, so that nothing could be written: then the next refresh mends it.
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
    """Narrow the access of published documents to what a refresh says; lost ones are open to nobody. Returns how many.

    The session's tables are those of the generation; its temporary table of staged documents is made anew. Does nothing
    when another refresh has been published meanwhile. Raises `StateMoved` when the generation has changed its state.
    """
    changes = chunked.changes
    source = {"source": changes.hashes.snapshot.source, "generation": generation.number}
    stage_documents(connection, workspace, changes.hashes.snapshot.folder)
    publishing, queries = statements("publish"), statements("withdraw")
    with connection.transaction():
        connection.execute(publishing["lock_source"], source)
        expect_state(connection, generation.number, generation.state)
        if connection.execute(publishing["current_revision"], source).fetchone() != (changes.revision,):
            return 0
        with connection.cursor(row_factory=dict_row) as cursor:
            pairs = cursor.execute(queries["fewer_readers"]).fetchall()
        narrowed = narrow(connection, pairs, queries["narrow_staged"], source)
        if narrowed:
            # Whatever was computed from the wider state does not apply any more.
            connection.execute(publishing["bump_revision"], source)
    return narrowed
