"""Which server the settings mean, and sessions on it.

This module is imported by everything that asks the index a question, so it stays light: psycopg,
pgvector and numpy, nothing else.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import psycopg
from pgvector.psycopg import register_vector
from psycopg import Connection, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.database.statements import statements
from rag_pipeline.errors import ConfigurationError, RagError, TransientError

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

Role = Literal["rag_owner", "rag_writer", "rag_reader", "rag_analyst"]
_INDEX = "rag"
_DAGSTER = "dagster"
_CONNECT_SECONDS = 10
_PLAIN: Mapping[str, str] = MappingProxyType({})


def local_folder(settings: "Settings") -> Path:
    """Return the folder for state that must lie on a local disk, even where the workspace root is a remote URL."""
    if "://" not in settings.workspace.root:
        return settings.folder / settings.workspace.root
    digest = hashlib.sha256(os.fsencode(settings.folder)).hexdigest()[:16]
    return Path.home() / ".local" / "share" / "rag-pipeline" / digest


def embedded_server(settings: "Settings") -> EmbeddedServer | None:
    """Return the workspace's own server, or None where the settings name one of the user's."""
    if settings.database.url != "embedded":
        return None
    return EmbeddedServer(local_folder(settings) / "postgres", settings.database.port)


def server_url(settings: "Settings", database: Literal["rag", "dagster"] = _INDEX) -> str:
    """Return the ``postgresql://`` URL of the index database or of Dagster's; an embedded server is started.

    A URL of the user's that names a database means the index; Dagster's is `dagster` on the same server.
    Raises `ConfigurationError` for a malformed URL, or when the embedded server cannot start.
    """
    if server := embedded_server(settings):
        server.ensure()
        return server.url(database)
    return _checked(settings.database.url, "url", database)


def read_url(settings: "Settings") -> str:
    """Return the URL of the index that searches ask: a read replica where the settings name one. Raises the same."""
    replica = settings.database.read_url
    return server_url(settings) if replica is None else _checked(replica, "read_url", _INDEX)


def _checked(url: str, key: str, database: Literal["rag", "dagster"]) -> str:
    """Return a URL of the user's, set as ``[database] <key>``, with the name of one of the two databases."""
    # What libpq says of a URL may quote a badly encoded password, so it is not repeated.
    choices = "neither 'embedded' nor" if key == "url" else "not"
    malformed = ConfigurationError(
        f"[database] {key} is {choices} a valid URL postgresql://user:password@host:port/database; "
        "write special characters in the password percent-encoded (/ is %2F, @ is %40)"
    )
    try:
        parts = urlsplit(url)
        given = conninfo_to_dict(url)
    except (ValueError, psycopg.ProgrammingError):
        raise malformed from None
    named, ports = str(given.get("dbname") or ""), str(given.get("port") or "")
    # A port that is no number and a name with / or @ are pieces of a password that was not encoded.
    if parts.scheme not in ("postgresql", "postgres") or not re.fullmatch(r"[\d,]*", ports) or set("/@") & set(named):
        raise malformed
    if named == _DAGSTER:
        raise ConfigurationError(
            f"[database] {key} names the database {_DAGSTER!r}, which is Dagster's own; "
            "name another for the index, such as rag"
        )
    path = f"/{quote(_DAGSTER if database == _DAGSTER else named or _INDEX, safe='')}"
    query = "&".join(part for part in parts.query.split("&") if not part.startswith("dbname="))
    # Not urlunsplit: it would drop the // of a URL without a host.
    return f"postgresql://{parts.netloc}{path}" + (f"?{query}" if query else "")


def connect(settings: "Settings", role: Role | None = "rag_writer", autocommit: bool = True) -> Connection[Any]:
    """Open a session on the index, in a role (None: the login user itself), that understands pgvector's types.

    Raises `TransientError` when the server does not answer now, `ConfigurationError` when it refuses.
    """
    connection = open_session(server_url(settings), role)
    try:
        if connection.execute(statements("database")["session_search_path"]).fetchone() is None:
            raise ConfigurationError(
                f"the database {connection.info.dbname!r} lacks the extension vector; prepare it: rag-pipeline db start"
            )
        register_vector(connection)
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


def open_session(url: str, role: Role | None, session: Mapping[str, str] = _PLAIN, key: str = "url") -> Connection[Any]:
    """Open a session in autocommit mode on a database that need not be prepared. Raises as `connect` does.

    `session` gives values of settings of Postgres that hold for the session and outlive every RESET in it;
    `key` is the setting of ``[database]`` that the URL comes from.
    """
    conninfo = session_conninfo(url, role, session)
    try:
        return psycopg.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as error:
        raise _explained(conninfo, error, key) from error


def session_conninfo(url: str, role: Role | None, session: Mapping[str, str] = _PLAIN) -> str:
    """Return what libpq needs to open a session as `open_session` does."""
    given = conninfo_to_dict(url)
    # At the start of the session, so that no RESET and no pool can bring back the login user's rights.
    values = {"timezone": "UTC", "client_connection_check_interval": "2s"} | ({"role": role} if role else {})
    options = " ".join(f"-c {name}={_escaped(value)}" for name, value in {**values, **session}.items())
    return make_conninfo(
        url,
        application_name="rag-pipeline",
        connect_timeout=given.get("connect_timeout") or _CONNECT_SECONDS,
        options=f"{given.get('options') or ''} {options}".strip(),
    )


def _escaped(value: str) -> str:
    """Return a value as one word of libpq's ``options``."""
    return re.sub(r"[\\\s]", lambda match: "\\" + match[0], value)


def gone(error: psycopg.OperationalError) -> bool:
    """Whether a statement failed because the server, or the session on it, is not there any more."""
    state = error.sqlstate
    return state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03")


def _explained(conninfo: str, error: psycopg.OperationalError, key: str) -> RagError:
    """Say whether a failed connection is worth another try, and what to look at. Never names the password."""
    given = conninfo_to_dict(conninfo)
    where = (
        f"Postgres at {given.get('host') or 'localhost'}:{given.get('port') or 5432}, database {given.get('dbname')!r}"
    )
    reason = " ".join(str(error).split())
    unreachable = isinstance(error, psycopg.errors.ConnectionTimeout) or pq.PGconn.ping(conninfo.encode()) in (
        pq.Ping.NO_RESPONSE,
        pq.Ping.REJECT,
    )
    if unreachable:
        return TransientError(f"{where}, does not answer; is it running, and is [database] {key} right? {reason}")
    if "too many" in reason or "remaining connection slots" in reason:
        return TransientError(f"{where}, has no free connection; close some, or raise its max_connections. {reason}")
    return ConfigurationError(
        f"{where}, refuses user {given.get('user')!r}; correct [database] {key}, "
        f"or make the index: rag-pipeline refresh. {reason}"
    )
