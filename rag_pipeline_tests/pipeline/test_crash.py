"""A crash at any point is repaired by the next run: nothing is lost, left behind or bought twice (P1, P3, P4)."""

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection, sql

from rag_pipeline.database.connection import connect
from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.errors import TransientError
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.comparison import published_rows
from rag_pipeline_tests.databases import copy_database
from rag_pipeline_tests.processes import PROCESSES

DOCUMENTS = 150
KILLS = 10
STAGES = ("source_snapshot", "content_hashes", "changed_documents", "chunks", "embeddings", "published_index")
WORDS = ("harbour", "lantern", "meadow", "orchard", "pebble", "quarry", "river", "saddle", "timber", "valley", "willow")
COMMAND = Path(sys.executable).with_name("rag-pipeline")


class Notes:
    """A folder of notes that keeps changing, the same way each time."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.written = 0
        folder.mkdir()
        for _ in range(DOCUMENTS):
            self.write(self.fresh_name())

    def fresh_name(self) -> Path:
        self.written += 1
        return self.folder / f"note-{self.written}.md"

    def write(self, file: Path) -> None:
        sections = [f"# Note {file.stem}\n"]
        for number in range(self.random.randrange(1, 5)):
            paragraphs = (" ".join(self.random.choices(WORDS, k=60)) + "." for _ in range(4))
            sections.append(f"## Part {number}\n\n" + "\n\n".join(paragraphs) + "\n")
        file.write_text("\n".join(sections))

    def change(self) -> None:
        """Edit, rename, delete and add."""
        chosen = self.random.sample(sorted(self.folder.iterdir()), 70)
        for file in chosen[:50]:
            self.write(file)
        for file in chosen[50:60]:
            file.rename(self.fresh_name())
        for file in chosen[60:]:
            file.unlink()
            self.write(self.fresh_name())


@dataclass(frozen=True, slots=True)
class Crashing:
    """An index whose refreshes crash, a session that sees what all others do, and a place to build it again."""

    pipeline: Pipeline
    notes: Notes
    observer: Connection[Any]
    scratch: Pipeline

    def published(self) -> dict[str, list[Any]]:
        return rows_of(self.pipeline)

    def sessions(self, waiting: bool = False) -> list[int]:
        """Return the backends of all other sessions on this database, or those that wait for a lock."""
        # Inside a transaction Postgres shows the sessions as they were at the first look.
        self.observer.execute("select pg_stat_clear_snapshot()")
        query = """
            select pid from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and (wait_event_type = 'Lock' or not %s)
        """
        return [pid for (pid,) in self.observer.execute(query, [waiting])]

    @contextmanager
    def blocked(self, table: str) -> Iterator[None]:
        """Let nobody write to a table, so that a transaction waits at a known place as long as this lasts."""
        with self.observer.transaction(force_rollback=True):
            self.observer.execute(sql.SQL("lock table {} in share mode").format(sql.Identifier(*table.split("."))))
            yield

    def wait_for_blocked(self) -> int:
        """Return the backend that waits for a lock, as soon as there is one."""
        deadline = time.monotonic() + 240
        while not (found := self.sessions(waiting=True)):
            assert time.monotonic() < deadline, "no refresh came to the lock"
            time.sleep(0.01)
        return found[0]

    def wait_until_alone(self) -> None:
        """Return when the server has noticed that its clients are dead, for which it looks every two seconds."""
        deadline = time.monotonic() + 240
        while self.sessions():
            assert time.monotonic() < deadline, "a dead process still has a session"
            time.sleep(0.01)
        held = (
            "select count(*) from pg_locks join pg_database on pg_database.oid = database "
            "where locktype = 'advisory' and pid <> pg_backend_pid() and datname = current_database()"
        )
        assert self.observer.execute(held).fetchone() == (0,)

    def check_repaired(self) -> None:
        """One ordinary refresh mends everything: the index equals a build from scratch, no text was bought twice."""
        Pipeline(self.pipeline.settings).refresh("notes")
        verification = self.pipeline.verify("notes")
        assert (verification.ghosts, verification.missing, verification.different) == (0, 0, 0), verification.examples
        assert (verification.documents, verification.quarantined) == (DOCUMENTS, 0)
        bought = self.observer.execute("select sum(texts) from rag.usage_ledger").fetchone()
        assert bought == self.observer.execute("select count(*) from rag.embedding_store").fetchone()
        self.wait_until_alone()
        self.scratch.refresh("notes")
        assert self.published() == rows_of(self.scratch)


def rows_of(pipeline: Pipeline) -> dict[str, list[Any]]:
    with pipeline.connected() as connection:
        return published_rows(connection)


@pytest.fixture
def crashing(
    settings: Settings, server: EmbeddedServer, administrator: Connection[Any], template: str
) -> Iterator[Crashing]:
    source = {"name": "notes", "type": "files", "path": "notes", "access": ["public"], "guards": {"max_deletions": 1}}
    settings = Settings.model_validate(settings.model_dump() | {"folder": settings.folder, "sources": [source]})
    elsewhere = f"{template}_again"
    copy_database(administrator, template, elsewhere)
    database = settings.database.model_copy(update={"url": server.url(elsewhere)})
    with connect(settings, role=None) as observer:
        yield Crashing(
            Pipeline(settings),
            Notes(settings.folder / "notes"),
            observer,
            Pipeline(settings.model_copy(update={"database": database})),
        )


def refresh(settings: Settings, pipe: Pipe, dies_after: str | None = None, largest_file: int | None = None) -> None:
    """What a child process does: one refresh, which may end by its own hand after a stage, or for want of room."""
    pipeline = Pipeline(settings)

    def last(stage: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object) -> None:
            stage(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)

        return run

    if dies_after is not None:
        setattr(pipeline, dies_after, last(getattr(pipeline, dies_after)))
    _ = pipeline.generation
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    pipe.send("ready")
    pipeline.refresh("notes")


@contextmanager
def child(pipeline: Pipeline, *arguments: Any) -> Iterator[BaseProcess]:
    """Run a refresh in another process; inside this it has begun."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=refresh, args=(pipeline.settings, there, *arguments), daemon=True)
    process.start()
    try:
        assert here.recv() == "ready"
        yield process
    finally:
        process.kill()
        process.join()


def test_killed_at_any_moment(crashing: Crashing) -> None:
    with child(crashing.pipeline) as process:
        started = time.monotonic()
        process.join()
        duration = time.monotonic() - started
    assert process.exitcode == 0
    runs = killed = 0
    while runs < KILLS or killed < KILLS / 2:
        crashing.notes.change()
        with child(crashing.pipeline) as process:
            started = time.monotonic()
            process.join(duration * (runs % KILLS + crashing.notes.random.random()) / KILLS)
            process.kill()
            process.join()
            if process.exitcode == -signal.SIGKILL:
                killed += 1
            else:  # the first run was slower, as on a machine that was busy with something else
                duration = min(duration, time.monotonic() - started)
        runs += 1
    crashing.check_repaired()


def test_killed_after_each_stage(crashing: Crashing) -> None:
    crashing.pipeline.refresh("notes")
    for stage in STAGES:
        crashing.notes.change()
        before = crashing.published()
        with child(crashing.pipeline, stage) as process:
            process.join()
        assert process.exitcode == -signal.SIGKILL
        assert (crashing.published() == before) == (stage != "published_index")
    crashing.check_repaired()


@pytest.mark.parametrize("table", ["rag.tombstones", "rag_g1.chunk_vectors", "rag.refreshes", "rag.embedding_store"])
def test_killed_inside_a_transaction(table: str, crashing: Crashing) -> None:
    """While it publishes (at the first statement, in the middle, at the last), and while it keeps vectors."""
    crashing.pipeline.refresh("notes")
    crashing.notes.change()
    before = crashing.published()
    with crashing.blocked(table):
        with child(crashing.pipeline) as process:
            crashing.wait_for_blocked()
            process.kill()
        crashing.wait_until_alone()
    assert crashing.published() == before
    crashing.check_repaired()


def test_a_connection_lost_before_the_commit(crashing: Crashing) -> None:
    crashing.pipeline.refresh("notes")
    crashing.notes.change()
    before = crashing.published()
    with crashing.blocked("rag.refreshes"), ThreadPoolExecutor(1) as pool:
        lost = pool.submit(crashing.pipeline.refresh, "notes")
        crashing.observer.execute("select pg_terminate_backend(%s)", [crashing.wait_for_blocked()])
        with pytest.raises(TransientError, match="connection"):
            lost.result()
    assert crashing.published() == before
    crashing.check_repaired()


@pytest.mark.parametrize("largest_file", [500, 50_000])
def test_no_room_for_a_file(largest_file: int, crashing: Crashing) -> None:
    crashing.pipeline.refresh("notes")
    crashing.notes.change()
    before = crashing.published()
    with child(crashing.pipeline, None, largest_file) as process:
        process.join()
    assert process.exitcode == 1
    assert crashing.published() == before
    crashing.check_repaired()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_command_while_it_publishes(sent: signal.Signals, crashing: Crashing) -> None:
    settings = crashing.pipeline.settings
    crashing.pipeline.refresh("notes")
    crashing.notes.change()
    before = crashing.published()
    (settings.folder / "rag.toml").write_text(
        "[[sources]]\nname = 'notes'\ntype = 'files'\npath = 'notes'\naccess = ['public']\nguards.max_deletions = 1\n"
    )
    environ = {"RAG_DATABASE__URL": settings.database.url, "RAG_EMBEDDING__PROVIDER": "hashed"}
    with crashing.blocked("rag.refreshes"):
        process = subprocess.Popen(
            [COMMAND, "refresh"], cwd=settings.folder, env=os.environ | environ, stderr=subprocess.PIPE, text=True
        )
        try:
            crashing.wait_for_blocked()
            process.send_signal(sent)
            _, errors = process.communicate(timeout=240)
        finally:
            process.kill()
            process.wait()
        crashing.wait_until_alone()
    assert errors.splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors
    assert "error ignored" not in errors
    assert process.returncode == 130
    assert crashing.published() == before
    crashing.check_repaired()
