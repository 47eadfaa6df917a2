"""The records of an export file: JSON, JSON Lines or CSV, told by its ending.

JSON Lines and CSV are streamed, so a file may be larger than memory; JSON is read whole and bounded. What is
broken is noted with its file and line, and the records around it are read all the same.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from rag_pipeline.errors import DocumentError
from rag_pipeline.sources.listing import Problems
from rag_pipeline.sources.records import loaded
from rag_pipeline.sources.safe_open import file_stream
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline.sources.ticket import value_at

ENDINGS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv")
"""Endings of the files that are read, in lower case."""

_BOM = b"\xef\xbb\xbf"

Located = tuple[str, Mapping[str, Any]]
"""A record and where it stands, as in ``line 12``."""


def is_export(name: str) -> bool:
    """Say whether a file's ending is one of those that are read."""
    return PurePosixPath(name.lower()).suffix in ENDINGS


def read_export(folder: int, name: str, label: str, records: str | None, problems: Problems) -> Iterator[Located]:
    """Yield the records of a file in an open folder; note under `label` whatever could not be read.

    `records` is the path of the list inside a JSON file; None means that the file is the list.
    """
    try:
        with file_stream(folder, name) as file:
            ending = PurePosixPath(name.lower()).suffix
            if ending == ".json":
                yield from _json(file, label, records, problems)
            elif ending in (".csv", ".tsv"):
                yield from _table(file, label, "," if ending == ".csv" else "\t", problems)
            else:
                yield from _lines(file, label, problems)
    except OSError as error:
        problems.add(f"{label}: {error.strerror}; let this user read it, or exclude it")
    except DocumentError as error:
        problems.add(f"{label}: {error}")


def _json(file: BinaryIO, label: str, records: str | None, problems: Problems) -> Iterator[Located]:
    data = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise DocumentError(f"has more than {MAX_DOCUMENT_BYTES:,} bytes; export JSON Lines, which has no limit")
    found = loaded(data.removeprefix(_BOM))
    if records:
        found = value_at(found, records)
    if not isinstance(found, list):
        raise DocumentError(f"{records or 'its top level'} is no list; set records to the path of the list in it")
    for number, record in enumerate(found):
        if isinstance(record, Mapping):
            yield f"record {number}", record
        else:
            problems.add(f"{label}: record {number} is no object; correct the export")


def _lines(file: BinaryIO, label: str, problems: Problems) -> Iterator[Located]:
    number = 0
    while line := file.readline(MAX_DOCUMENT_BYTES + 1):
        number += 1
        if len(line) > MAX_DOCUMENT_BYTES:
            problems.add(f"{label}: line {number} has more than {MAX_DOCUMENT_BYTES:,} bytes; correct the export")
            while line and not line.endswith(b"\n"):
                line = file.readline(MAX_DOCUMENT_BYTES)
            continue
        text = line.removeprefix(_BOM) if number == 1 else line
        if not text.strip():
            continue
        try:
            record = loaded(text)
        except DocumentError as error:
            problems.add(f"{label}: line {number} {error}; correct the export")
            continue
        if isinstance(record, Mapping):
            yield f"line {number}", record
        else:
            problems.add(f"{label}: line {number} is no object; correct the export")


def _table(file: BinaryIO, label: str, delimiter: str, problems: Problems) -> Iterator[Located]:
    """Rows as mappings of the header's names to texts; a row of another width is noted and left out."""
    csv.field_size_limit(MAX_DOCUMENT_BYTES)
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next(rows, [])
        if len(set(header)) < len(header):
            raise DocumentError("names a column twice; rename one of them")
        for row in rows:
            if len(row) == len(header):
                yield f"line {rows.line_num}", dict(zip(header, row, strict=True))
            elif row:
                problems.add(
                    f"{label}: the row that ends at line {rows.line_num} has {len(row)} cells, "
                    f"but its header has {len(header)}; correct the export"
                )
    except (csv.Error, UnicodeDecodeError) as error:
        raise DocumentError(f"near line {rows.line_num or 1}: {error}; correct the export") from error
    finally:
        text.detach()
