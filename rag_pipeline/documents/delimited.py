"""Tables as text, CSV and TSV: one table whose first row is its header.

Promises: every visible character but quotes and delimiters stays, in order, a row a line, a cell one line.
Ragged rows, NULs and quotes that never close are put up with. The delimiter of a CSV is the one of comma,
semicolon, tab and bar that cuts most rows into equally many cells; where none does, rows are not cut.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO

from rag_pipeline.documents.canonical import canonical
from rag_pipeline.documents.writer import Writer
from rag_pipeline.model import Document

_SAMPLE = 64 * 1024
_DELIMITERS = "\t;|,"  # of equals the first wins: a comma is the likeliest of them to stand inside numbers
_LEAST_AGREEMENT = 0.5
_NEVER = "\x1f"  # a control character, which canonical text has none of
_LONGEST_FIELD = 2**31 - 1


def parse_csv(data: bytes) -> Document:
    """Parse comma- or otherwise separated values; a first line such as ``sep=;`` is obeyed. Raises `DocumentError`."""
    text = canonical(data)
    first, _, rest = text.partition("\n")
    if len(first) == 5 and first.startswith("sep=") and first[4] in _DELIMITERS:
        return _parse(rest, first[4])
    return _parse(text, _delimiter(text))


def parse_tsv(data: bytes) -> Document:
    """Parse tab-separated values. Raises `DocumentError`."""
    return _parse(canonical(data), "\t")


def _parse(text: str, delimiter: str) -> Document:
    rows = list(_rows(f"{text.rstrip()}\n{_NEVER}", delimiter))
    if rows.pop() != [_NEVER]:  # swallowed by a quotation that never ends: then quotes mean nothing here
        rows = list(_rows(text, delimiter, quotes=False))
    writer = Writer()
    writer.table(rows)
    return writer.document()


def _rows(text: str, delimiter: str, quotes: bool = True) -> Iterator[list[str]]:
    csv.field_size_limit(_LONGEST_FIELD)
    quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    return csv.reader(StringIO(text, newline="\n"), delimiter=delimiter, quoting=quoting, skipinitialspace=True)


def _delimiter(text: str) -> str:
    sample = text[:_SAMPLE]
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1] or sample
    shares = {delimiter: _agreement(sample, delimiter) for delimiter in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda delimiter: shares[delimiter])
    return best if shares[best] >= _LEAST_AGREEMENT else _NEVER


def _agreement(sample: str, delimiter: str) -> float:
    """The share of rows that have the commonest number of cells, 0 if that is one."""
    widths = Counter(len(row) for row in _rows(sample, delimiter) if row)
    width, rows = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
    return rows / widths.total() if width > 1 else 0.0
