"""Rows to Parquet and back, a batch at a time: memory stays flat however many rows there are."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

BATCH_ROWS = 2_000

T = TypeVar("T")


class ParquetWriter:
    """Writes rows to one file, which gets its name when the writer closes without error: it is whole or not there."""

    def __init__(self, file: UPath, schema: pa.Schema) -> None:
        self._file = file
        self._draft = file.with_name(file.name + ".part")
        self._schema = schema
        self._rows: list[Mapping[str, Any]] = []
        self._handle: Any = self._draft.open("wb")
        self._writer = pq.ParquetWriter(self._handle, schema, compression="zstd")

    def write(self, row: Mapping[str, Any]) -> None:
        """Add one row, with a value (or None) for each column of the schema."""
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_batch(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._rows:
            self._flush()
        self._writer.close()
        self._handle.close()
        if kind is None:
            self._draft.rename(self._file)
        else:
            self._draft.unlink(missing_ok=True)


def read_rows(file: UPath, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file as dictionaries."""
    for batch in _read_batches(file, columns):
        yield from batch.to_pylist()


def read_tuples(file: UPath, columns: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """Yield each row's values in the order of `columns`, ready for COPY."""
    names = list(columns)
    for batch in _read_batches(file, names):
        yield from zip(*(batch.column(name).to_pylist() for name in names), strict=True)


def _read_batches(file: UPath, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    """Yield the batches of one group of rows after the other: a reader of all groups holds something of each."""
    with file.open("rb") as handle:
        reader = pq.ParquetFile(handle)
        for group in range(reader.num_row_groups):
            yield from reader.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns)


def count_rows(file: UPath) -> int:
    """Return the number of rows without reading them."""
    with file.open("rb") as handle:
        return pq.ParquetFile(handle).metadata.num_rows


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to `size` items, without holding more than one."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
