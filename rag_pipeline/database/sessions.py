"""One session for stages that follow one another: to open one costs more than most stages do when nothing changed.

Promises: a session is lent to one stage at a time and is as good as new for the next, without temporary tables,
locks and settings of the last one; one that failed, or that the server has ended meanwhile, is not lent again; outside
of `Sessions.kept` nothing is kept.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.settings import Settings


class Sessions(threading.local):
    """The sessions of role rag_writer of one pipeline; what is kept, is kept for the thread that asked for it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keeping = False
        self._idle: Connection[Any] | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Inside of the block a session that is given back is kept for the next who asks; may be nested."""
        if self._keeping:
            yield
            return
        self._keeping = True
        try:
            yield
        finally:
            self._keeping = False
            if self._idle is not None:
                self._idle.close()
                self._idle = None

    @contextmanager
    def lent(self) -> Iterator[Connection[Any]]:
        """Give a session, the kept one if it is free, else a new one. Raises as `connect` does."""
        connection = self._kept_one() or connect(self._settings)
        with ExitStack() as closing:
            closing.enter_context(connection)
            yield connection
            if self._keeping and self._idle is None and _cleaned(connection):
                self._idle = connection
                closing.pop_all()

    def _kept_one(self) -> Connection[Any] | None:
        connection, self._idle = self._idle, None
        if connection is not None:
            try:
                connection.execute(statements("database")["session_search_path"])
            except psycopg.OperationalError:
                connection.close()
                return None
        return connection


def _cleaned(connection: Connection[Any]) -> bool:
    """Take from a session what it was used for; False when it cannot be used again."""
    if connection.info.transaction_status != TransactionStatus.IDLE:
        return False
    try:
        for name in ("forget_temporary_tables", "forget_settings", "forget_locks"):
            connection.execute(statements("database")[name])
    except psycopg.OperationalError:
        return False
    return True
