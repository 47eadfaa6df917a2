"""A session in a database of the user's that can only read, one snapshot at a time.

What is said about it never holds a password.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import Connection, IsolationLevel, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rag_pipeline.database.statements import statements
from rag_pipeline.errors import ConfigurationError, TransientError

_STATEMENT_SECONDS = 600
_CONNECTING = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "application_name": "rag-pipeline",
}
"""What a URL need not say: a server that has gone silent is noticed within a minute."""


class ReadOnlySession:
    """A connection that is opened when it is first needed, and again after it was lost."""

    def __init__(self, url: str | None, url_env: str | None, label: str) -> None:
        """Take the URL, or the name of the environment variable that holds it; `label` names the source."""
        self._url = url
        self._url_env = url_env
        self._label = label
        self._connection: Connection[Any] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection[Any]]:
        """Give a connection inside a transaction that sees one snapshot and writes nothing.

        Raises `ConfigurationError` when the server refuses the connection, `TransientError` for whatever
        Postgres reports afterwards; its cause is the `psycopg.Error`.
        """
        connection = self._connected()
        try:
            with connection.transaction():
                connection.execute(statements("rows")["session"], {"milliseconds": str(_STATEMENT_SECONDS * 1000)})
                yield connection
        except psycopg.Error as error:
            raise TransientError(f"{self._label}: Postgres says: {said(error)}") from error
        except UnicodeDecodeError as error:
            raise TransientError(f"{self._label}: the database sends text that is not UTF-8: {error}") from error

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> Connection[Any]:
        if self._connection is not None and not self._connection.closed:
            return self._connection
        given = self._given()
        conninfo = make_conninfo("", **{**_CONNECTING, **given, "client_encoding": "utf8"})
        try:
            connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError as error:
            silent = pq.PGconn.ping(conninfo.encode()) in (pq.Ping.NO_RESPONSE, pq.Ping.REJECT)
            if silent or isinstance(error, psycopg.errors.ConnectionTimeout) or "too many" in str(error):
                raise TransientError(f"{self._label}: Postgres does not take the connection now: {error}") from error
            raise ConfigurationError(
                f"{self._label}.{self._setting}: correct the url or its rights: {error}"
            ) from error
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        self._connection = connection
        return connection

    @property
    def _setting(self) -> str:
        return "url" if self._url_env is None else "url_env"

    def _given(self) -> dict[str, Any]:
        """Return what the URL says. Raises `ConfigurationError`, which does not repeat it: it may hold a password."""
        url = self._url if self._url_env is None else os.environ.get(self._url_env)
        if not url:
            raise ConfigurationError(
                f"{self._label}.url_env: the environment variable {self._url_env} is not set; "
                "set it to postgresql://user:password@host/database"
            )
        malformed = ConfigurationError(
            f"{self._label}.{self._setting}: is no URL postgresql://user@host:port/database; "
            "write special characters in a password percent-encoded (/ is %2F, @ is %40)"
        )
        try:
            given = conninfo_to_dict(url)
            scheme = urlsplit(url).scheme
        except (ValueError, psycopg.ProgrammingError):
            raise malformed from None
        # A port that is no number and names with @ or / are pieces of a password that was not encoded.
        host, name, port = (str(given.get(key) or "") for key in ("host", "dbname", "port"))
        if (
            scheme not in ("postgresql", "postgres")
            or "@" in host + name
            or "/" in name
            or not re.fullmatch(r"[\d,]*", port)
        ):
            raise malformed
        return dict(given)


def said(error: psycopg.Error) -> str:
    """Return what Postgres says, in one line and without the values of rows."""
    return " ".join((error.diag.message_primary or str(error)).split())
