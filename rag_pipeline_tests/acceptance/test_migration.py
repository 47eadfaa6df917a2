"""A real history moves to another model while it is read and refreshed: nobody notices, nothing is bought twice."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from rag_pipeline.database.connection import connect, server_url
from rag_pipeline.migration import Migration
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.handbook import BUNDLE, MISSING, History
from rag_pipeline_tests.processes import PROCESSES

pytestmark = pytest.mark.skipif(not BUNDLE.exists(), reason=MISSING)

BEGIN, STEP = 500, 20
HITS = 10
QUESTIONS = (
    "how do I ask for leave",
    "who approves travel",
    "how are pull requests reviewed",
    "what to do after a security incident",
)
LIVE = "select generation from rag.generations where state = 'live'"
SPENT = "select coalesce(sum(texts), 0)::bigint, coalesce(sum(tokens), 0)::bigint from rag.usage_ledger"
BOUGHT = """
    select model, sum(texts), (select count(*) from rag.embedding_store where embedding_store.model = ledger.model)
    from rag.usage_ledger as ledger where purpose = 'index' group by model order by model
"""
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@dataclass
class Seen:
    """What a reader saw: how many answers, the shortest of them, and which generations were live, in order."""

    answers: int = 0
    fewest: int = HITS
    failures: list[str] = field(default_factory=list)
    generations: list[int] = field(default_factory=list)


def read(settings: Settings, pipe: Pipe) -> None:
    """What the reader's process does: search until told to stop, then report."""
    seen = Seen()
    with Index.connect(settings) as index, psycopg.connect(server_url(settings, "rag"), autocommit=True) as watch:
        pipe.send("ready")
        while not pipe.poll():
            for question in QUESTIONS:
                try:
                    hits = index.search(question, caller=Caller("public"), k=HITS)
                except Exception as error:
                    seen.failures.append(repr(error))
                else:
                    seen.answers += 1
                    seen.fewest = min(seen.fewest, len(hits))
                ((live,),) = watch.execute(LIVE).fetchall()
                if seen.generations[-1:] != [live]:
                    seen.generations.append(live)
    pipe.send(seen)


@contextmanager
def reading(settings: Settings) -> Iterator[Pipe]:
    """Give the pipe of a reader that is searching: what is sent there stops it, and its report comes back."""
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=read, args=(settings, there), daemon=True)
    process.start()
    try:
        assert here.recv() == "ready"
        yield here
    finally:
        process.kill()
        process.join()


def migrate(settings: Settings, dies_in: str | None) -> None:
    """What the process of a migration does: build, and kill itself half way through a stage, if so asked."""

    def watch(stage: str, done: int, total: int | None) -> None:
        if stage == dies_in and total and done >= total / 2:
            os.kill(os.getpid(), signal.SIGKILL)

    Migration(settings, progress=watch).start()


@contextmanager
def migrating(settings: Settings, dies_in: str | None = None) -> Iterator[Any]:
    """Give the process of a migration that runs beside this one."""
    process = PROCESSES.Process(target=migrate, args=(settings, dies_in), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def killed_while_publishing(settings: Settings, observer: Connection[Any]) -> None:
    """Kill a migration in the middle of the transaction that publishes into the generation."""
    with observer.transaction(force_rollback=True), migrating(settings) as process:
        observer.execute("lock table rag_g2.chunk_vectors in share mode")
        deadline = time.monotonic() + 240
        while observer.execute(WAITING).fetchone() == (0,):
            assert process.is_alive()
            assert time.monotonic() < deadline, "the migration did not come to the lock"
            # Inside a transaction Postgres shows the sessions as they were at the first look.
            observer.execute("select pg_stat_clear_snapshot()")
            time.sleep(0.05)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History.unpack(tmp_path)


def with_dimensions(settings: Settings, dimensions: int, **changes: Any) -> Settings:
    embedding = {"provider": "hashed", "dimensions": dimensions}
    return Settings.model_validate(
        settings.model_dump() | {"folder": settings.folder, "embedding": embedding} | changes
    )


@pytest.mark.timeout(600)
def test_a_migration_that_nobody_notices(settings: Settings, history: History) -> None:
    source = {
        **{"name": "handbook", "type": "git", "url": str(history.repository), "ref": "main", "include": ["**/*.md"]},
        **{"access": ["public"], "guards": {"max_deletions": 1.0}},
    }
    before = with_dimensions(settings, 64, sources=[source])
    after = with_dimensions(before, 96)
    commits = iter(history.commits[BEGIN::STEP])

    def refresh(wanted: Settings) -> int:
        """Publish the next state of the handbook, and return the generation that it was published to."""
        history.go_to(next(commits))
        published = Pipeline(wanted).refresh("handbook")
        assert published.added + published.changed + published.moved > 0
        return published.generation

    assert refresh(before) == 1
    migration = Migration(after)
    with reading(before) as reader, connect(after, role=None) as observer:
        planned = migration.plan(at_most=None)
        assert (planned.live, planned.generation, planned.exact) == (1, 2, True)
        for stage in ("chunks", "embeddings"):
            with migrating(after, dies_in=stage) as process:
                process.join()
                assert process.exitcode == -signal.SIGKILL
            assert not migration.status().ready
            assert refresh(after) == 1
        killed_while_publishing(after, observer)
        with migrating(after) as process:
            assert refresh(after) == 1
            process.join()
            assert process.exitcode == 0
        assert refresh(after) == 1
        assert migration.status().ready

        flip = migration.publish()
        assert (flip.previous, flip.live, flip.narrowed) == (1, 2, 0)
        assert refresh(after) == 2
        back = migration.rollback()
        assert (back.previous, back.live) == (2, 1)
        assert refresh(after) == 1
        assert migration.status().ready
        again = migration.publish()
        assert (again.previous, again.live) == (1, 2)
        assert refresh(after) == 2
        reader.send("stop")
        seen: Seen = reader.recv()
        bought = observer.execute(BOUGHT).fetchall()

    assert seen.failures == []
    assert seen.fewest == HITS
    assert seen.answers > 100
    assert seen.generations == [1, 2, 1, 2], "each flip is one moment"
    assert [model for model, _, _ in bought] == ["hashed/64", "hashed/96"]
    for model, embedded, distinct in bought:
        assert embedded == distinct, model
    verification = Pipeline(after).verify("handbook")
    assert (verification.ghosts, verification.missing, verification.different) == (0, 0, 0), verification.examples


def test_moving_renaming_reverting_and_duplicating_cost_nothing(settings: Settings, history: History) -> None:
    """In every generation and across sources; so does a generation of a model that the index had before."""
    books = settings.folder / "books"
    first, second = books / "handbook", books / "copies"
    for folder in (first, second):
        folder.mkdir(parents=True)
    archive = ["git", "--git-dir", history.repository, "archive", history.commits[BEGIN], "_pages/policies"]
    pages = subprocess.run(archive, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", first], input=pages, check=True)
    sources = [
        {
            **{"name": folder.name, "type": "files", "path": str(folder), "include": ["**/*.md"]},
            **{"access": ["public"], "guards": {"max_deletions": 1.0}},
        }
        for folder in (first, second)
    ]
    before = with_dimensions(settings, 64, sources=sources)
    after = with_dimensions(before, 96)

    def refresh() -> int:
        """Refresh both sources; return how many texts and tokens that cost."""
        with connect(before) as connection:
            texts, tokens = connection.execute(SPENT).fetchone() or (0, 0)
            for source in ("handbook", "copies"):
                Pipeline(before).refresh(source)
            texts_now, tokens_now = connection.execute(SPENT).fetchone() or (0, 0)
        assert (texts_now == texts) == (tokens_now == tokens)
        return texts_now - texts

    def move_about(number: int) -> None:
        """Do what must cost nothing, however many generations are refreshed."""
        page = max(first.rglob("*.md"), key=lambda file: file.stat().st_size)
        page = page.rename(page.with_name(f"renamed-{number}.md"))
        for folder in [folder for folder in first.iterdir() if folder.is_dir()]:
            folder.rename(first / f"moved-{number}")
        page = next(first.rglob(page.name))
        shutil.copytree(first, second / f"all-{number}")
        assert refresh() == 0
        text = page.read_text()
        page.write_text(text + f"\nA sentence that is new, number {number}.\n")
        assert refresh() > 0
        page.write_text(text)
        assert refresh() == 0

    assert refresh() > 0
    move_about(1)
    migration = Migration(after)
    migration.start()
    move_about(2)
    assert migration.status().ready
    migration.publish()
    move_about(3)

    with connect(before) as connection:
        spent = connection.execute(SPENT).fetchone()
        planned = Migration(before).plan(at_most=None)
        assert (planned.generation, planned.texts_to_embed, planned.tokens) == (3, 0, 0)
        assert Migration(before).start().ready
        assert connection.execute(SPENT).fetchone() == spent
