"""What every system goes through, phase by phase, and what is measured of each.

A system's script calls `main` with a function that opens it; one JSON object a phase is printed.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import psycopg

from benchmarks.corpus import path_of
from benchmarks.peers.texts import ACCESS_FILE, CountingEmbedder, pages


class System(Protocol):
    """An index of the documents below a folder."""

    embedder: CountingEmbedder

    def refresh(self) -> None:
        """Make the index equal to the documents."""
        ...

    def published(self) -> Iterable[tuple[str, str, str]]:
        """Return path, text and access of every chunk that a reader can find."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system runs: the documents, a folder for state of its own, its database, and a variant of itself."""

    documents: Path
    state: Path
    url: str
    variant: str

    def address(self, driver: str) -> str:
        """Return the database's URL as SQLAlchemy wants it, with a driver."""
        return self.url.replace("postgresql://", f"postgresql+{driver}://", 1)


@dataclass(frozen=True, slots=True)
class Measured:
    """One phase of one system. A ghost is a chunk that says what no document says, or of another access."""

    phase: str
    seconds: float
    texts_embedded: int
    wal_bytes: int
    chunks: int
    ghosts: int
    missing: int


def _edit(root: Path) -> None:
    file = root / path_of(1)
    head, paragraph, rest = file.read_text("utf-8").split("\n\n", 2)
    file.write_text(f"{head}\n\nEdited. {paragraph}\n\n{rest}", "utf-8")


def _rename(root: Path) -> None:
    file = root / path_of(2)
    file.rename(file.with_name("renamed.md"))


def _restrict(root: Path) -> None:
    """Change who may read the documents of the first folder, twenty of them."""
    ((root / path_of(0)).parent / ACCESS_FILE).write_text('access = ["group:engineers"]\n', "utf-8")


PHASES: dict[str, Callable[[Path], None]] = {
    "cold build": lambda root: None,
    "no change": lambda root: None,
    "edit a paragraph": _edit,
    "rename": _rename,
    "delete": lambda root: (root / path_of(3)).unlink(),
    "access of a folder": _restrict,
}


def main(opened: Callable[[Place], System]) -> None:
    """Open the system at the place that the command line gives, and take it through all phases."""
    documents, state, url, variant = sys.argv[1:]
    place = Place(Path(documents), Path(state), url, variant)
    system = opened(place)
    with psycopg.connect(url, autocommit=True) as connection:
        for phase, change in PHASES.items():
            change(place.documents)
            texts, wal = system.embedder.texts, _wal_position(connection)
            started = time.perf_counter()
            system.refresh()
            seconds = time.perf_counter() - started
            wal_bytes = _wal_position(connection) - wal
            rows = list(system.published())
            ghosts, missing = audit(place.documents, rows)
            texts = system.embedder.texts - texts
            measured = Measured(phase, seconds, texts, wal_bytes, len(rows), ghosts, missing)
            print(json.dumps(asdict(measured)), flush=True)


def audit(documents: Path, rows: Iterable[tuple[str, str, str]]) -> tuple[int, int]:
    """Return how many chunks should not be there, and how many blocks of the documents are in no chunk."""
    truth = {page.path: page for page in pages(documents)}
    good: dict[str, list[str]] = {path: [] for path in truth}
    ghosts = 0
    for path, text, access in rows:
        page = truth.get(path)
        if page is None or access != page.access or text not in page.text or text in good[path]:
            ghosts += 1
        else:
            good[path].append(text)
    missing = 0
    for path, page in truth.items():
        blocks = (block for block in page.text.strip().split("\n\n") if not block.startswith("#"))
        missing += sum(not any(block in text for text in good[path]) for block in blocks)
    return ghosts, missing


def _wal_position(connection: psycopg.Connection) -> int:
    row = connection.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8").fetchone()
    assert row
    return row[0]
