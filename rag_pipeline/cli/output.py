"""What people read: aligned tables, ages, clean text; and what programs read: JSON.

Text from documents may hold anything, so nothing of it reaches a terminal as a control sequence.
"""

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import click

from rag_pipeline.money import dollars

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def print_json(value: Any) -> None:
    """Print a value as JSON; dates are ISO 8601."""
    click.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def print_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], optional: Sequence[str] = ()) -> None:
    """Print rows under headings, numbers to the right; lines are cut where a terminal ends.

    `columns` gives the heading of each key. An `optional` column in which no row says anything is left out.
    """
    keys = [key for key in columns if key not in optional or any(row.get(key) for row in rows)]
    cells = [[cell(row.get(key)) for key in keys] for row in rows]
    lines = [[columns[key] for key in keys], *cells]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    right = [all(isinstance(row.get(key), int | float | Decimal | None) for row in rows) for key in keys]
    for line in lines:
        padded = (
            " " * (size - width(text)) + text if to_right else text + " " * (size - width(text))
            for text, size, to_right in zip(line, widths, right, strict=True)
        )
        click.echo(cut("  ".join(padded).rstrip()))


def print_notes(notes: Iterable[str]) -> None:
    """Print what needs a person's attention, a line each, on stderr."""
    for note in notes:
        click.echo("\n".join(printable(line) for line in note.splitlines()), err=True)


def cell(value: Any) -> str:
    """Return a value as people read it."""
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case Decimal():
            return dollars(value)
        case datetime():
            return age(value)
        case _:
            return printable(str(value))


def age(moment: datetime, now: datetime | None = None) -> str:
    """Return how long ago a moment was, in its largest unit."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def printable(text: str) -> str:
    """Return the text on one line, without control characters or marks that reverse it."""
    return _CONTROL.sub(" ", text).strip()


def cut(text: str, columns: int | None = None) -> str:
    """Shorten a line to `columns` cells (the terminal's; where there is none, the line stays whole)."""
    if columns is None:
        if not sys.stdout.isatty():
            return text
        columns = shutil.get_terminal_size().columns
    if width(text) <= columns:
        return text
    kept, used = [], 1
    for character in text:
        used += width(character)
        if used > columns:
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)
