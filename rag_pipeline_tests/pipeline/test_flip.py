"""A flip is one moment for whoever searches, and a build that is killed goes on where it was."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from pgvector import HalfVector
from psycopg import IsolationLevel

from rag_pipeline.database.connection import connect
from rag_pipeline.database.objects import LAYOUT
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.index.generations import use_generation
from rag_pipeline.migration import Migration
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.comparison import published_rows
from rag_pipeline_tests.processes import PROCESSES

DOCUMENTS = 40
FLIPS = 6


@pytest.fixture
def before(settings: Settings) -> Settings:
    """The settings of an index of some notes."""
    folder = settings.folder / "notes"
    folder.mkdir()
    for number in range(DOCUMENTS):
        words = " ".join(f"word{number}x{each % 40} harbour" for each in range(300))
        (folder / f"{number}.md").write_text(f"# Note {number}\n\n{words}\n")
    source = {"name": "notes", "type": "files", "path": "notes", "access": ["public"]}
    settings = Settings.model_validate(settings.model_dump() | {"folder": settings.folder, "sources": [source]})
    Pipeline(settings).refresh("notes")
    return settings


@pytest.fixture
def after(before: Settings) -> Settings:
    """The same, with a longer vector and smaller chunks."""
    changed = {"embedding": {"provider": "hashed", "dimensions": 96}, "chunking": {"max_tokens": 64}}
    return Settings.model_validate(before.model_dump() | {"folder": before.folder} | changed)


def test_no_search_fails_or_finds_less_while_generations_change(before: Settings, after: Settings) -> None:
    """Every answer is the one that the one or the other generation gives when nothing else is going on."""
    migration = Migration(after)
    migration.start()
    numbers, done = range(3), threading.Event()
    seen = {number: list[tuple[str, ...]]() for number in numbers}

    def answer(index: Index, number: int) -> tuple[str, ...]:
        hits = index.search(f"harbour word{number}x3", caller=Caller("public"), k=20)
        return tuple(hit.chunk_id for hit in hits)

    def ask(index: Index, number: int) -> None:
        while not done.is_set():
            seen[number].append(answer(index, number))

    with Index.connect(before) as index, ThreadPoolExecutor(len(numbers)) as pool:
        alone = [{number: answer(index, number) for number in numbers}]
        migration.publish()
        alone.append({number: answer(index, number) for number in numbers})
        migration.rollback()
        assert alone[0] != alone[1]
        asking = [pool.submit(ask, index, number) for number in numbers]
        try:
            for number in range(FLIPS):
                count = sum(map(len, seen.values()))
                flip = migration.rollback() if number % 2 else migration.publish()
                assert flip.live == (1 if number % 2 else 2)
                while sum(map(len, seen.values())) < count + 10 and not any(each.done() for each in asking):
                    done.wait(0.01)
        finally:
            done.set()
        for each in asking:
            each.result()
    for number, answers in seen.items():
        assert set(answers) == {one[number] for one in alone}
        assert {len(each) for each in answers} == {20}


def test_a_search_of_before_a_flip_is_not_answered_from_after_it(before: Settings, after: Settings) -> None:
    """Its snapshot may know the tables of the new generation half filled, or not at all."""
    search = "select count(*) from rag.search('harbour', array['public'], 5, %s, 'hashed/64')"
    vector = [HalfVector([0.125] * 64)]
    with connect(before, role="rag_reader") as reader:
        reader.isolation_level = IsolationLevel.REPEATABLE_READ
        with reader.transaction(force_rollback=True):
            assert reader.execute("select 1").fetchone() == (1,)
            migration = Migration(after)
            migration.start()
            migration.publish()
            with pytest.raises(psycopg.errors.SerializationFailure, match="became live meanwhile"):
                reader.execute(search, vector)
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="with hashed/64, the index with hashed/96"):
            reader.execute(search, vector)


def build(settings: Settings, dies_after: str) -> None:
    """What a child process does: it builds until it has done something for the first time, and dies."""
    migration = Migration(settings)
    pipeline = migration.pipeline

    def last(stage: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: Any, **more: Any) -> None:
            stage(*arguments, **more)
            os.kill(os.getpid(), signal.SIGKILL)

        return run

    if dies_after == "half":

        def progress(stage: str, done: int, total: int | None) -> None:
            if stage == "embeddings" and total and done > total // 2:
                os.kill(os.getpid(), signal.SIGKILL)

        pipeline.progress = progress
    else:
        setattr(pipeline, dies_after, last(getattr(pipeline, dies_after)))
    migration.start()


def test_a_killed_build_goes_on(before: Settings, after: Settings) -> None:
    for stage in ("chunks", "half", "embeddings", "vector_index"):
        process = PROCESSES.Process(target=build, args=(after, stage))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, stage
        status = Migration(after).status()
        assert (status.live, status.generation, status.ready) == (1, 2, stage == "vector_index")
    (source,) = status.sources
    assert (source.documents, source.documents_total, source.built) == (DOCUMENTS, DOCUMENTS, True)
    assert source.texts == source.texts_total
    assert Migration(after).start().ready
    with connect(after) as connection:
        bought = "select sum(texts) from rag.usage_ledger where model = 'hashed/96'"
        stored = "select count(*) from rag.embedding_store where model = 'hashed/96'"
        (once,), (kept,) = connection.execute(bought).fetchone() or (0,), connection.execute(stored).fetchone() or (0,)
        # The batch in flight was not committed yet.
        assert kept == once
        use_generation(connection, 2)
        rows = published_rows(connection, 2)
    Migration(after).drop(2)
    Migration(after).start()
    with connect(after) as connection:
        use_generation(connection, 3)
        assert published_rows(connection, 3) == rows
        assert connection.execute(bought).fetchone() == (once,), "what was bought for a dropped generation is kept"


def test_another_layout_is_left_alone(before: Settings) -> None:
    another = LAYOUT + 1
    with connect(before) as connection:
        connection.execute("update rag.generations set layout = %s", (another,))
        connection.execute("update rag.applied_objects set checksum = 'of an older version'")
    with pytest.raises(ConfigurationError, match=f"layout is {another} in the index and {LAYOUT} in this version"):
        Pipeline(before).refresh("notes")
    with Index.connect(before) as index:
        assert index.search("harbour", caller=Caller("public"))
    migration = Migration(before)
    assert [difference.part for difference in migration.plan().differences] == ["layout"]
    assert migration.start().ready
    assert migration.publish().live == 2
    with pytest.raises(ConfigurationError, match="the tables of another version"):
        migration.rollback()
    assert Pipeline(before).refresh("notes").generation == 2


def test_an_index_of_before_layouts_is_refused_with_what_to_do(before: Settings) -> None:
    with connect(before) as connection:
        connection.execute("update rag.generations set layout = 0")
        connection.execute("update rag.applied_objects set checksum = 'of an older version'")
    with pytest.raises(ConfigurationError, match="at a new, empty place"):
        Pipeline(before).refresh("notes")
    with connect(before, role="rag_owner") as connection:
        connection.execute("drop function rag.index_state(text[]) cascade")
        connection.execute(
            "create function rag.index_state(text[]) returns table (generation int) language sql as 'select 1'"
        )
        connection.execute("grant execute on function rag.index_state(text[]) to rag_reader")
    with Index.connect(before) as index, pytest.raises(ConfigurationError, match="rag-pipeline status"):
        index.search("harbour", caller=Caller("public"))
