"""What a server must offer and what a database must hold before its first migration.

The embedded server meets all of it. On a user's server rag-pipeline does what it may, and prints for an
administrator exactly what it may not.
"""

import re
import time
from typing import Any

import psycopg
from psycopg import Connection, errors

from rag_pipeline.database.connection import open_session
from rag_pipeline.database.statements import sql_folder, statements
from rag_pipeline.errors import ConfigurationError, TransientError

# Views with security_invoker, which keep row-level security for analysts, came with 15.
_OLDEST_POSTGRES = 15
_OLDEST_VECTOR = (0, 8, 0)
_SOUND_VECTOR = (0, 8, 4)
# Another process, perhaps on another database of the same server, makes the same role or grant at the same moment.
_MADE_BY_ANOTHER = (
    errors.DuplicateDatabase,
    errors.DuplicateObject,
    errors.DuplicateSchema,
    errors.UniqueViolation,
    errors.InternalError_,
)
_ATTEMPTS = 10


def check_versions(postgres: int, vector: str | None, available: str | None) -> list[str]:
    """Return warnings about a server of version `postgres` (as in ``server_version_num``).

    `vector` is the version of pgvector in the database, `available` the one that the server can install.
    Raises `ConfigurationError` for what is too old or missing.
    """
    if postgres < _OLDEST_POSTGRES * 10_000:
        raise ConfigurationError(
            f"the server is Postgres {postgres // 10_000}; rag-pipeline needs {_OLDEST_POSTGRES} or later, "
            'for views that respect row-level security; upgrade it, or use [database] url = "embedded"'
        )
    version = vector or available
    if version is None:
        raise ConfigurationError(
            "the server lacks pgvector; install it there "
            f"(Debian: apt install postgresql-{postgres // 10_000}-pgvector), "
            'version 0.8.4 or later, or use [database] url = "embedded"'
        )
    update = "install a later pgvector on the server, then run in the database: alter extension vector update"
    if _numbers(version) < _OLDEST_VECTOR:
        raise ConfigurationError(
            f"pgvector is {version}; 0.8.0 or later is needed, for filtered search that loses no hits; {update}"
        )
    if _numbers(version) < _SOUND_VECTOR:
        return [f"pgvector {version} can damage HNSW indexes (mended in 0.8.4); {update}"]
    return []


def check_text(encoding: str, ctype: str) -> list[str]:
    """Return warnings about a database's encoding and character classes.

    Raises `ConfigurationError` for an encoding that cannot hold every text.
    """
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the index database has the encoding {encoding}; make it anew: "
            "create database … encoding 'UTF8' template template0"
        )
    if ctype in ("C", "POSIX"):
        return [
            f"the index database has LC_CTYPE {ctype}, where keyword search takes “quotes” and — dashes for letters; "
            "better: create database … locale 'C.UTF-8' encoding 'UTF8' template template0"
        ]
    return []


def ensure_database(connection: Connection[Any], name: str) -> None:
    """Make the database `name` on the server of `connection` unless it exists. Raises `ConfigurationError`."""
    _complete(connection, statements("database")["missing_database"], {"name": name})


def ensure_roles(connection: Connection[Any]) -> None:
    """Make the roles, the schema `rag`, the extension and the rights that ``sql/roles.sql`` finds missing.

    Raises `ConfigurationError`, with the SQL for an administrator, when the login user may not.
    """
    _complete(connection, (sql_folder() / "roles.sql").read_text("utf-8"), None)


def check_extension_schema(connection: Connection[Any]) -> None:
    """Raise `ConfigurationError` where everybody may create objects in the schema of pgvector.

    Functions that run with their owner's rights find pgvector's operators there, and a better match of a
    stranger's would run in their place.
    """
    found = connection.execute(statements("database")["open_schema"]).fetchone()
    if found is not None:
        raise ConfigurationError(
            f"everybody may create objects in the schema {found[0]} of the database {connection.info.dbname!r}, where "
            "pgvector is; a function there could read what its author may not. Let an administrator run this there, "
            f"then try again: revoke create on schema {found[0]} from public;"
        )


def open_or_create(url: str, maintenance_url: str, name: str) -> Connection[Any]:
    """Open a session of the login user on the database `name` at `url`, making it from `maintenance_url` if missing.

    Raises as `rag_pipeline.database.connection.connect` does.
    """
    try:
        return open_session(url, role=None)
    except ConfigurationError as refused:
        try:
            connection = open_session(maintenance_url, role=None)
        except ConfigurationError:
            raise refused from None
    with connection:
        ensure_database(connection, name)
    return open_session(url, role=None)


def _complete(connection: Connection[Any], query: str, parameters: dict[str, str] | None) -> None:
    """Run the statements that `query` returns until it returns none."""
    for attempt in range(_ATTEMPTS):
        missing = [statement for (statement,) in connection.execute(query.encode(), parameters).fetchall()]
        if not missing:
            return
        try:
            for statement in missing:
                connection.execute(statement)
        except _MADE_BY_ANOTHER:
            time.sleep(0.02 * (attempt + 1))
        except psycopg.Error as error:
            database, user = connection.info.dbname, connection.info.user
            lines = "\n".join(f"  {statement};" for statement in missing)
            raise ConfigurationError(
                f"user {user!r} cannot prepare the database ({error.diag.message_primary or error}). "
                f"Let an administrator run this in the database {database!r}, then try again:\n{lines}"
            ) from error
    raise TransientError(f"others keep changing roles of {connection.info.host}; try again")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
