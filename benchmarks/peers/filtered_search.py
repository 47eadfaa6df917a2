"""What a vector store of another system is asked: to load given rows its way, and to search them with a filter.

A system's script calls `main` with a function that opens its store. Standard input brings one JSON object
(see `Job`); one JSON object a caller is printed: the ids found for each vector, and milliseconds.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import psycopg


@dataclass(frozen=True, slots=True)
class Job:
    """Where rows come from and go to, and what to search.

    `rows` is a query on `source`: id, text, vector, and a JSON object with the value `ADMITTED` under the name
    of every caller who may read the row. `vectors` is a file of numpy's, a question a row; `k` are to be found.
    """

    source: str
    rows: str
    target: str
    dimensions: int
    vectors: str
    callers: list[str]
    k: int

    def address(self, driver: str) -> str:
        """Return the target's URL as SQLAlchemy wants it, with a driver."""
        return self.target.replace("postgresql://", f"postgresql+{driver}://", 1)


ADMITTED = "yes"


class Store(Protocol):
    """A vector store: a table with an index."""

    columns: str
    """The table and its columns for id, text, vector and JSON metadata, in that order, as COPY takes them."""

    def index(self) -> None:
        """Build the HNSW index with the system's own defaults."""
        ...

    def search(self, vector: Sequence[float], caller: str, k: int) -> list[str]:
        """Return the ids of the rows found that have `ADMITTED` under the caller's name, nearest first."""
        ...


def main(opened: Callable[[Job], Store]) -> None:
    """Load, index, and search for every caller with every vector."""
    job = Job(**json.load(sys.stdin))
    store = opened(job)
    with psycopg.connect(job.target, autocommit=True) as target:
        with target.cursor().copy(f"copy {store.columns} from stdin".encode()) as copy:
            for block in _blocks(job):
                copy.write(block)
        started = time.perf_counter()
        store.index()
        print(json.dumps({"index_seconds": time.perf_counter() - started}), flush=True)
        target.execute("vacuum analyze")
    vectors = np.load(job.vectors).tolist()
    for vector in vectors:
        store.search(vector, job.callers[0], job.k)
    for caller in job.callers:
        found: list[list[str]] = []
        milliseconds: list[float] = []
        for vector in vectors:
            started = time.perf_counter()
            found.append(store.search(vector, caller, job.k))
            milliseconds.append((time.perf_counter() - started) * 1000)
        print(json.dumps({"caller": caller, "found": found, "milliseconds": milliseconds}), flush=True)


def _blocks(job: Job) -> Iterator[bytes | bytearray | memoryview]:
    query = f"copy ({job.rows}) to stdout".encode()
    with psycopg.connect(job.source) as source, source.cursor().copy(query) as copy:
        yield from copy
