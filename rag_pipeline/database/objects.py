"""Functions and views: whole files that are applied anew whenever one of them, or the generation below them, changes.

A file names what it defines in full (``create or replace view rag.documents``) and the tables of a
generation without a schema (``from documents``), so that the search path decides which generation it reads.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, errors

from rag_pipeline.database.statements import sql_folder, statements
from rag_pipeline.errors import ConfigurationError, PermanentError

LAYOUT = 1
"""Version of ``sql/generation/schema.sql``: views and functions are written for one. Raise it with every change there
that a function, a view or a statement relies on; a generation of another layout is not touched any more."""

UNKNOWN_LAYOUT = 0
"""The layout of an index that was made before layouts had versions."""

_DEFINITION = re.compile(
    r"^\s*create\s+(?:or\s+replace\s+)?(?P<kind>view|materialized\s+view|function|procedure)\s+rag\.(?P<name>[a-z0-9_]+)",
    re.IGNORECASE | re.MULTILINE,
)
# What CREATE OR REPLACE answers when columns, results or parameters of the standing object differ.
_CHANGED_SHAPE = (errors.InvalidTableDefinition, errors.InvalidFunctionDefinition, errors.WrongObjectType)


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """One file of functions or views; `routines` and `views` are the names that it defines in schema `rag`."""

    name: str
    text: str
    checksum: str
    routines: tuple[str, ...]
    views: tuple[str, ...]


def apply_objects(connection: Connection[Any], generation: int, folder: Path | None = None) -> bool:
    """Make the functions and views in the database those of `folder` (``sql/``), over one generation.

    One transaction, or a part of the caller's; functions first, then views, each in the order of their
    file names. Returns False, having changed nothing, when they stand already. What cannot be replaced in
    place is dropped and made again, with whatever depends on it: views of a user's own over them are lost then.
    Raises `PermanentError` for a file that the database rejects.
    """
    files = read_objects(folder or sql_folder())
    with as_owner(connection, generation_search_path(connection, generation)):
        queries = statements("database")
        standing = {row[0]: row[1:] for row in connection.execute(queries["applied_objects"]).fetchall()}
        wanted = {file.name: (file.checksum, generation) for file in files}
        if {name: row[:2] for name, row in standing.items()} == wanted:
            return False
        current = {name for file in files for name in file.routines + file.views}
        previous = {name for row in standing.values() for name in row[2]}
        if previous - current or not _replaced(connection, files):
            drops = connection.execute(queries["drop_objects"], {"names": sorted(previous | current)})
            for (drop,) in drops.fetchall():
                connection.execute(drop)
            _create(connection, files)
        connection.execute(queries["forget_objects"])
        for file in files:
            defines = list(file.routines + file.views)
            row = {"name": file.name, "checksum": file.checksum, "generation": generation, "defines": defines}
            connection.execute(queries["record_object"], row)
    return True


def read_objects(folder: Path) -> list[ObjectFile]:
    """Read ``functions/*.sql`` and ``views/*.sql`` below `folder`, in the order in which they apply."""
    paths = [path for kind in ("functions", "views") for path in sorted((folder / kind).glob("*.sql"))]
    return [_parse(f"{path.parent.name}/{path.name}", path.read_text("utf-8")) for path in paths]


def generation_search_path(connection: Connection[Any], generation: int) -> str:
    """Return the search path under which unqualified names mean the tables of one generation."""
    return search_path(connection, f"rag_g{generation}", "rag")


def search_path(connection: Connection[Any], *schemas: str) -> str:
    """Return the search path of `schemas` and pgvector's. Raises `ConfigurationError` when the database lacks it."""
    extension = connection.execute(statements("database")["extension_schema"]).fetchone()
    if extension is None:
        raise ConfigurationError("the database lacks the extension vector; prepare it: rag-pipeline db start")
    return ", ".join([*schemas, extension[0], "pg_temp"])


@contextmanager
def as_owner(connection: Connection[Any], path: str, alone: bool = True) -> Iterator[None]:
    """Act as `rag_owner` under a search path, in a transaction or a part of the caller's.

    One process at a time, until that transaction ends; without `alone`, for objects that nobody else will see, any
    number. Role and search path are the session's own again afterwards, also when the caller's transaction goes on.
    """
    queries = statements("database")
    with connection.transaction():
        if alone:
            connection.execute(queries["lock"])
        identity = connection.execute(queries["identity"]).fetchone()
        connection.execute(queries["become"], {"role": "rag_owner", "search_path": path})
        yield
        assert identity is not None
        connection.execute(queries["become"], {"role": identity[0], "search_path": identity[1]})


def _parse(name: str, text: str) -> ObjectFile:
    found = [(match["kind"].lower(), match["name"].lower()) for match in _DEFINITION.finditer(text)]
    routines = tuple(defined for kind, defined in found if kind in ("function", "procedure"))
    views = tuple(defined for kind, defined in found if kind not in ("function", "procedure"))
    return ObjectFile(name, text, hashlib.sha256(text.encode()).hexdigest(), routines, views)


def _replaced(connection: Connection[Any], files: Sequence[ObjectFile]) -> bool:
    """Replace everything in place. Returns False, with nothing changed, where that does not give what the files say."""
    wanted = Counter(name for file in files for name in file.routines)
    try:
        with connection.transaction():
            _create(connection, files)
            rows = connection.execute(statements("database")["count_routines"], {"names": list(wanted)}).fetchall()
            # A function whose parameters changed would stay callable beside its successor.
            if dict(rows) != wanted:
                raise psycopg.Rollback
    except _CHANGED_SHAPE:
        return False
    return dict(rows) == wanted


def _create(connection: Connection[Any], files: Sequence[ObjectFile]) -> None:
    for file in files:
        try:
            connection.execute(file.text.encode())
        except _CHANGED_SHAPE:
            raise
        except psycopg.Error as error:
            raise PermanentError(f"sql/{file.name} cannot be applied: {error}") from error
