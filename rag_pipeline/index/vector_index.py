"""The graph over the vectors (HNSW): made when there are more chunks than are quickly compared one by one.

It is built after a publication, outside of its transaction and beside readers and writers. A build that was
killed ends with its client and leaves an index that serves nobody; the next refresh drops it and builds anew.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import class_row

from rag_pipeline.database.statements import statements
from rag_pipeline.errors import RagError
from rag_pipeline.progress import Progress

STAGE = "vector_index"
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
    building: bool
    dimensions: int
    dead: float

    def next_step(self, exact_up_to: int, mend: bool) -> str | None:
        """Return ``build`` or ``rebuild``, or None when all is well or somebody is at it."""
        if self.building or (not self.present and self.chunks <= exact_up_to):
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
    open_owner: Callable[[], Connection[Any]], generation: int, exact_up_to: int, progress: Progress, mend: bool = False
) -> str | None:
    """Build the graph of a generation if it needs one, or with `mend` make it anew if much of it is dead.

    `open_owner` opens a session of role rag_owner on the generation's tables. Returns what was done,
    ``build`` or ``rebuild``, or None.
    """
    queries = statements("vector_index")
    with open_owner() as connection:
        state = _state(connection)
        if state.next_step(exact_up_to, mend) is None:
            return None
        claimed = connection.execute(queries["lock"], {"generation": generation}).fetchone()
        # Between the look and the lock another may have finished.
        step = _state(connection).next_step(exact_up_to, mend) if claimed and claimed[0] else None
        if step is None:
            return None
        connection.execute(queries["give_memory"], {"megabytes": state.megabytes, "workers": _WORKERS})
        with _watched(open_owner, state.chunks, progress):
            if step == "build":
                connection.execute(queries["drop_graph"])
                connection.execute(queries["build_graph"])
            else:
                connection.execute(queries["rebuild_graph"])
                connection.execute(queries["vacuum"])
    progress(STAGE, state.chunks, state.chunks)
    return step


def _state(connection: Connection[Any]) -> GraphState:
    with connection.cursor(row_factory=class_row(GraphState)) as cursor:
        state = cursor.execute(statements("vector_index")["state"]).fetchone()
    assert state is not None
    return state


@contextmanager
def _watched(open_owner: Callable[[], Connection[Any]], chunks: int, progress: Progress) -> Iterator[None]:
    """Tell how far the build is, seen from a session of its own, until the block ends."""
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(open_owner, chunks, progress, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(open_owner: Callable[[], Connection[Any]], chunks: int, progress: Progress, ended: threading.Event) -> None:
    progress(STAGE, 0, chunks)
    # What is wrong with the server, the build itself says.
    with suppress(psycopg.OperationalError, RagError), open_owner() as connection:
        while not ended.wait(_POLL_SECONDS):
            row = connection.execute(statements("vector_index")["progress"]).fetchone()
            if row and row[1]:
                progress(STAGE, min(chunks, chunks * row[0] // row[1]), chunks)
