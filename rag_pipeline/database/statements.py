"""Named SQL statements: ``sql/queries/<name>.sql`` is a list of blocks, each a name, an intent and one statement.

    -- name: merge_chunks
    -- Rows that did not change are not touched.
    insert into chunks …

Python passes parameters and never builds SQL.
"""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import LiteralString, cast

_PACKAGE = Path(__file__).resolve().parents[1]
_HEAD = re.compile(r"^-- name:(.*)$", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LEADING_COMMENTS = re.compile(r"(?:[ \t]*(?:--[^\n]*)?\n)*")


@functools.cache
def statements(name: str) -> Mapping[str, LiteralString]:
    """Return the statements of ``sql/queries/<name>.sql`` by their names. Raises `ValueError` (see `parse`)."""
    file = sql_folder() / "queries" / f"{name}.sql"
    # Literal: part of this software, as much as if they were written in Python.
    return MappingProxyType(cast("dict[str, LiteralString]", parse(file.read_text("utf-8"), file.name)))


def sql_folder() -> Path:
    """Return the folder of all SQL: inside an installed package, else at the top of the checkout."""
    installed = _PACKAGE / "_sql"
    return installed if installed.is_dir() else _PACKAGE.parent / "sql"


def parse(text: str, origin: str) -> dict[str, str]:
    """Split a file of named statements. Comments inside a statement stay, its final semicolon goes.

    Raises `ValueError`, naming `origin` and the block, for a name that is malformed or taken, and for a
    block without an intent, without a statement or with two.
    """
    heads = list(_HEAD.finditer(text))
    preamble = text[: heads[0].start()] if heads else text
    if _LEADING_COMMENTS.sub("", preamble + "\n", count=1).strip():
        raise ValueError(f"{origin}: SQL before the first '-- name:'")
    found: dict[str, str] = {}
    starts = [*(head.start() for head in heads), len(text)]
    for head, end in zip(heads, starts[1:], strict=True):
        name = head[1].strip()
        block = f"{origin}: {name!r}"
        if not _NAME.fullmatch(name):
            raise ValueError(f"{block} is no name; write lower case letters, digits and _")
        if name in found:
            raise ValueError(f"{block} is defined twice")
        intent, _, statement = text[head.end() + 1 : end].partition("\n")
        if not re.fullmatch(r"--\s*\S.*", intent):
            raise ValueError(f"{block} needs a line '-- …' below its name that says what it is for")
        statement = statement[_end_of_comments(statement) :].strip().removesuffix(";").rstrip()
        if not statement:
            raise ValueError(f"{block} has no statement")
        if re.search(r";\s*$", statement, re.MULTILINE):
            raise ValueError(f"{block} has more than one statement")
        found[name] = statement
    return found


def _end_of_comments(text: str) -> int:
    match = _LEADING_COMMENTS.match(text)
    return match.end() if match else 0
