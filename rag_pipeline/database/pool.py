"""Sessions of role ``rag_reader`` for many threads at once, none of which remembers who had it before.

Who asks is a parameter of every search and never a part of a session, so there is nothing of a caller to
leak; what a borrower does to a session all the same is undone when it comes back, and a session for which
that fails is closed. Each transaction is read only and sees one snapshot.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pgvector.psycopg import register_vector
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool, PoolTimeout

from rag_pipeline.database.connection import open_session, read_url, session_conninfo
from rag_pipeline.database.objects import search_path
from rag_pipeline.database.statements import sql_folder, statements
from rag_pipeline.errors import ConfigurationError, TransientError

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

_SIZE = 16
_WAIT_SECONDS = 5.0
# After that the pool stops trying by itself, and whoever asks next makes it try at once.
_RECONNECT_SECONDS = 5.0
_SESSION = {
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "on",
    "statement_timeout": "30s",
    # A borrower that hangs must not keep old rows from being vacuumed for ever.
    "idle_in_transaction_session_timeout": "60s",
}
# How soon a server that vanished without a word is given up; seconds, save the last.
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}


class ReaderPool(ConnectionPool[Connection[Any]]):
    """A pool whose sessions work when they are lent, and which says why when there is none to lend."""

    key = "url"
    """The setting of ``[database]`` that names the server."""

    def getconn(self, timeout: float | None = None) -> Connection[Any]:
        """Lend a session, in autocommit mode.

        Raises `TransientError` when there is none for some seconds, `ConfigurationError` when the server
        no longer lets anybody in.
        """
        try:
            return super().getconn(timeout)
        except PoolTimeout as error:
            # The pool connects in the background and keeps its reasons to itself.
            open_session(str(self.conninfo), role=None, key=self.key).close()
            raise TransientError(
                f"all {self.max_size} sessions on the index are busy; try again, or ask fewer questions at once"
            ) from error


@contextmanager
def reader_pool(settings: "Settings", size: int = _SIZE) -> Iterator[ReaderPool]:
    """Give a pool of up to `size` sessions on the index, or on its read replica, and close it after the block.

    Raises `TransientError` when the server does not answer now, `ConfigurationError` when it refuses.
    """
    url = read_url(settings)
    # The first is opened here, where its failure is an error; of the pool's own it would be a line in the log.
    key = "url" if settings.database.read_url is None else "read_url"
    with open_session(url, "rag_reader", _SESSION, key) as first:
        path = search_path(first, "rag")
        _expect_reader(first)
    conninfo = session_conninfo(url, "rag_reader", {**_SESSION, "search_path": path})
    pool = ReaderPool(
        make_conninfo(conninfo, **{**_KEEPALIVE, **conninfo_to_dict(conninfo)}),
        # Functions whose plan depends on how much a caller may read have it made anew for each call; they say so
        # themselves. All that the pool sees of them is one short statement, not worth preparing.
        kwargs={"autocommit": True, "prepare_threshold": None},
        min_size=1,
        max_size=size,
        timeout=_WAIT_SECONDS,
        reconnect_timeout=_RECONNECT_SECONDS,
        configure=_configure,
        check=lambda connection: _check(pool, connection),
        reset=_reset,
        name="rag-pipeline readers",
        open=False,
    )
    pool.key = key
    with pool:
        yield pool


def _configure(connection: Connection[Any]) -> None:
    _expect_reader(connection)
    register_vector(connection)


def _expect_reader(connection: Connection[Any]) -> None:
    if connection.execute(statements("database")["is_reader"]).fetchone() != (True,):
        raise ConfigurationError(
            "sessions on the index lose the options that they start with (role rag_reader, read only), as behind a "
            "pooler that ignores them; name the server itself in [database], or let the pooler pass options on"
        )


def _check(pool: ReaderPool, connection: Connection[Any]) -> None:
    """Check that a session works before it is lent; when it does not, every session of the pool is replaced."""
    try:
        ConnectionPool.check_connection(connection)
    except Exception:
        pool.drain()
        raise


def _reset(connection: Connection[Any]) -> None:
    """Make a session that comes back like a new one, on both sides."""
    connection.autocommit = True
    connection.isolation_level = connection.read_only = connection.deferrable = None
    connection.prepare_threshold = None
    connection.row_factory = tuple_row
    connection.execute(_forget())


@functools.cache
def _forget() -> bytes:
    return (sql_folder() / "forget.sql").read_bytes()
