"""The schema of this version of the code, in the database: `prepare` makes it so, and is cheap when it is so.

A migration is a numbered file that is applied once, in a transaction of its own, and never edited afterwards.
"""

import hashlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import Connection, errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rag_pipeline.database.connection import open_session, server_url
from rag_pipeline.database.objects import (
    LAYOUT,
    UNKNOWN_LAYOUT,
    apply_objects,
    as_owner,
    read_objects,
    search_path,
)
from rag_pipeline.database.requirements import (
    check_extension_schema,
    check_text,
    check_versions,
    ensure_database,
    ensure_roles,
    open_or_create,
)
from rag_pipeline.database.statements import sql_folder, statements
from rag_pipeline.errors import ConfigurationError, PermanentError

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

_FILE = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One file ``NNNN_name.sql``; `checksum` is the sha256 of its text."""

    number: int
    name: str
    checksum: str
    text: str = ""


def prepare(settings: "Settings") -> None:
    """Make both databases, the roles and the schema what this version of the code needs; one query when they are.

    Any number of processes may do so at once. Raises `ConfigurationError` for a server that is too old, a
    login user without the rights or a schema of pgvector that is open to everybody, saying what to run and as
    whom; `TransientError` when it does not answer.
    """
    index, dagster = server_url(settings, "rag"), server_url(settings, "dagster")
    name, other = (str(conninfo_to_dict(url)["dbname"]) for url in (index, dagster))
    if _is_prepared(index, other):
        return
    with open_or_create(index, make_conninfo(index, dbname="postgres"), name) as connection:
        server = connection.execute(statements("database")["server"]).fetchone()
        assert server is not None
        for warning in check_versions(*server[:3]) + check_text(*server[3:]):
            _logger.warning(warning)
        ensure_database(connection, other)
        ensure_roles(connection)
        check_extension_schema(connection)
        migrate(connection, sql_folder() / "migrations")
        standing = connection.execute(statements("database")["applied_generation"]).fetchone()
        if standing is not None and standing[1] == UNKNOWN_LAYOUT:
            raise made_too_early()
        # Those of an older version go on to serve the tables of an older layout, which these do not know.
        if standing is not None and standing[1] == LAYOUT:
            apply_objects(connection, standing[0])


def made_too_early() -> ConfigurationError:
    """Say that an index is from before layouts were told apart, so that nothing can be made of it."""
    return ConfigurationError(
        "this index was made by an early state of rag-pipeline, before its tables had a version, and cannot be used "
        "any more. Point [workspace] root and [database] url at a new, empty place, and refresh"
    )


def migrate(connection: Connection[Any], folder: Path) -> list[str]:
    """Apply the migrations in `folder` that the database lacks, in order, and return their file names.

    Raises `ConfigurationError` as `read_migrations` and `pending` do, and `PermanentError` for a migration
    that the database rejects; those before it stay applied.
    """
    known = read_migrations(folder)
    done: list[str] = []
    while name := _apply_next(connection, known):
        done.append(name)
    return done


def read_migrations(folder: Path) -> list[MigrationFile]:
    """Read the migrations in `folder`. Raises `ConfigurationError` unless they are numbered 1, 2, 3 … once each."""
    found: list[MigrationFile] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise ConfigurationError(f"{path}: a migration is called NNNN_name.sql, in lower case; rename it")
        text = path.read_text("utf-8")
        found.append(
            MigrationFile(int(match["number"]), match["name"], hashlib.sha256(text.encode()).hexdigest(), text)
        )
    numbers = [migration.number for migration in found]
    for expected, number in enumerate(numbers, 1):
        if number != expected:
            problem = f"two have the number {number:04}" if number < expected else f"number {expected:04} is missing"
            raise ConfigurationError(f"{folder}: of the migrations {problem}; number them 0001, 0002, … without a gap")
    return found


def pending(applied: Sequence[MigrationFile], known: Sequence[MigrationFile]) -> list[MigrationFile]:
    """Return those of the `known` migrations that follow the `applied` ones.

    Raises `ConfigurationError` when an applied migration has changed since, or is not known.
    """
    for before, now in zip(applied, known, strict=False):
        if (before.number, before.checksum) != (now.number, now.checksum):
            raise ConfigurationError(
                f"migration {now.number:04}_{now.name}.sql has changed since it was applied; "
                "put the file back as it was and write the change as a new migration"
            )
    if len(applied) > len(known):
        last = applied[-1]
        raise ConfigurationError(
            f"the database has migration {last.number:04}_{last.name}, which this version of rag-pipeline "
            "does not know; upgrade it"
        )
    return list(known[len(applied) :])


def _is_prepared(index: str, other: str) -> bool:
    """Whether everything is in place, asked by one query; False also where that query cannot be asked."""
    try:
        with open_session(index, role="rag_owner") as connection:
            row = connection.execute(statements("database")["applied"], {"other": other}).fetchone()
    except (ConfigurationError, errors.UndefinedTable, errors.InvalidSchemaName, errors.InsufficientPrivilege):
        return False
    assert row is not None
    surroundings, migrations, objects = row
    files = {file.name: file.checksum for file in read_objects(sql_folder())}
    known = [[migration.number, migration.checksum] for migration in read_migrations(sql_folder() / "migrations")]
    return surroundings and migrations == known and (not objects or dict(objects) == files)


def _apply_next(connection: Connection[Any], known: Sequence[MigrationFile]) -> str | None:
    """Apply the first migration that is pending, and return its file name; None when there is none."""
    queries = statements("database")
    with as_owner(connection, search_path(connection, "rag")):
        connection.execute((sql_folder() / "bookkeeping.sql").read_bytes())
        applied = [MigrationFile(*row) for row in connection.execute(queries["applied_migrations"]).fetchall()]
        following = pending(applied, known)
        if not following:
            return None
        migration = following[0]
        file = f"{migration.number:04}_{migration.name}.sql"
        try:
            connection.execute(migration.text.encode())
        except psycopg.Error as error:
            raise PermanentError(f"migration {file} cannot be applied: {error}") from error
        row = {"number": migration.number, "name": migration.name, "checksum": migration.checksum}
        connection.execute(queries["record_migration"], row)
        return file
