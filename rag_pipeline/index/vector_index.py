"""The graph over the vectors (HNSW): made when there are more chunks than are quickly compared one by one.

It is built after a publication, outside of its transaction and beside readers and writers. A build that was
killed ends with its client and leaves an index that serves nobody; the next refresh drops it and builds anew. With it,
and in housekeeping, the graphs of single groups are looked after (see `rag_pipeline.index.group_graphs`).
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import class_row

from rag_pipeline.database.connection import Role
from rag_pipeline.database.statements import statements
from rag_pipeline.errors import RagError
from rag_pipeline.index.group_graphs import maintain_group_graphs
from rag_pipeline.progress import Progress

STAGE = "vector_index"
_logger = logging.getLogger(__name__)
_DEAD = 0.10
"""Share of dead rows above which the graph is made anew: vacuuming it costs a third of that (measured)."""
_MEGABYTE = 2**20
_LEAST_MB, _MOST_MB = 64, 4096
_NODE_BYTES = 700
"""What a row takes in the graph besides its vector, at 16 links a layer."""
_WORKERS = 2
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class GraphState:
    """What is known of the graph; `dead` is the share of rows in it that are deleted."""

    chunks: int
    present: bool
    whole: bool
    dimensions: int
    dead: float

    def next_step(self, exact_up_to: int, mend: bool) -> str | None:
        """Return ``build`` or ``rebuild``, or None when all is well."""
        if not self.present and self.chunks <= exact_up_to:
            return None
        if not self.whole:
            return "build"
        return "rebuild" if mend and self.dead > _DEAD else None

    @property
    def megabytes(self) -> int:
        """Memory that holds the whole graph while it is built."""
        wanted = self.chunks * (2 * self.dimensions + _NODE_BYTES) // _MEGABYTE
        return max(_LEAST_MB, min(_MOST_MB, wanted))


def maintain_graph(
    open_session: Callable[[Role | None], Connection[Any]],
    generation: int,
    exact_up_to: int,
    progress: Progress,
    mend: bool = False,
) -> str | None:
    """Build the graphs of a generation that it needs; with `mend` make the one over all anew if much of it is dead.

    The graphs of groups are looked after when that was done, with `mend`, and after a build that was killed.

    `open_session` opens a session of a role on the generation's tables. Returns what was done, ``build`` or
    ``rebuild``, or None. A graph that cannot be built is no reason for a refresh to fail, because searches do
    without it: that is logged, and tried again by the next refresh.
    """
    queries = statements("vector_index")
    try:
        with open_session("rag_owner") as connection:
            state = _state(connection)
            left_behind = connection.execute(queries["left_behind"]).fetchall()
            groups_too = state.whole and (mend or bool(left_behind))
            if state.next_step(exact_up_to, mend) is None and not groups_too:
                return None
            claimed = connection.execute(queries["lock"], {"generation": generation}).fetchone()
            if not (claimed and claimed[0]):
                return None
            # Between the look and the lock another may have finished.
            step = _state(connection).next_step(exact_up_to, mend)
            if step is None and not groups_too:
                return None
            for (drop,) in connection.execute(queries["left_behind"]).fetchall():
                connection.execute(drop)
            connection.execute(queries["give_memory"], {"megabytes": state.megabytes, "workers": _WORKERS})

            def watched(statement: str, chunks: int) -> None:
                with _watched(open_session, chunks, progress):
                    connection.execute(statement.encode())

            if step == "build":
                connection.execute(queries["drop_graph"])
                watched(queries["build_graph"], state.chunks)
            elif step == "rebuild":
                watched(queries["rebuild_graph"], state.chunks)
            built = _maintain_groups(connection, exact_up_to, watched, anew=step == "rebuild")
            if step == "rebuild":
                connection.execute(queries["vacuum"])
            elif mend:
                connection.execute(queries["analyze"])
    except psycopg.Error as error:
        _logger.warning(
            "the graph over the vectors could not be built; until it is, searches compare vectors one by one. "
            "Give the server what it lacks, and refresh again: %s",
            error,
        )
        return None
    if step or built:
        progress(STAGE, state.chunks, state.chunks)
    return step or ("build" if built else None)


def _maintain_groups(
    connection: Connection[Any], exact_up_to: int, watched: Callable[[str, int], None], anew: bool
) -> bool:
    """Look after the graphs of groups. What goes wrong there is logged: the graph over all serves without them."""
    try:
        return maintain_group_graphs(connection, exact_up_to, watched, anew)
    except psycopg.Error as error:
        _logger.warning(
            "the graph of a group could not be built; until it is, questions about what it may not read take longer. "
            "Give the server what it lacks; housekeeping tries again: %s",
            error,
        )
        return False


def _state(connection: Connection[Any]) -> GraphState:
    with connection.cursor(row_factory=class_row(GraphState)) as cursor:
        state = cursor.execute(statements("vector_index")["state"]).fetchone()
    assert state is not None
    return state


@contextmanager
def _watched(open_session: Callable[[Role | None], Connection[Any]], chunks: int, progress: Progress) -> Iterator[None]:
    """Tell how far the build is, seen from a session of its own, until the block ends."""
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(open_session, chunks, progress, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(
    open_session: Callable[[Role | None], Connection[Any]], chunks: int, progress: Progress, ended: threading.Event
) -> None:
    progress(STAGE, 0, chunks)
    # What is wrong with the server, the build itself says.
    with suppress(psycopg.OperationalError, RagError), open_session(None) as connection:
        while not ended.wait(_POLL_SECONDS):
            row = connection.execute(statements("vector_index")["progress"]).fetchone()
            if row and row[1]:
                progress(STAGE, min(chunks, chunks * row[0] // row[1]), chunks)
