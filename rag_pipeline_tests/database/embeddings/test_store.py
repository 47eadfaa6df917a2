"""Sessions that want the same vectors at the same time: they wait for each other, and none loses what it paid for."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from pgvector import HalfVector
from psycopg import Connection

from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.settings import Settings

MODEL = "paid/3"
KEEP: LiteralString = (
    "insert into rag.embedding_store (model, embed_hash, embedding, tokens, unused_since)"
    " values (%s, %s, %s, 1, now() - interval '40 days')"
)


def insert(connection: Connection[Any], *hashes: bytes) -> None:
    """Put vectors into the store that have waited for long, in this order on disk."""
    for embed_hash in hashes:
        connection.execute(KEEP, [MODEL, embed_hash, HalfVector([1, 0, 0])])


@contextmanager
def waiting(settings: Settings, connection: Connection[Any], *steps: tuple[LiteralString, Any]) -> Iterator[None]:
    """Run statements in a session of their own; the block begins when that session waits for a lock."""
    errors: list[psycopg.Error] = []
    with connect(settings) as other:

        def run() -> None:
            try:
                for statement, parameters in steps:
                    other.execute(statement, parameters)
            except psycopg.Error as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        deadline = time.monotonic() + 240
        blocked: LiteralString = "select cardinality(pg_blocking_pids(%s)) > 0"
        while not (row := connection.execute(blocked, [other.info.backend_pid]).fetchone()) or not row[0]:
            assert time.monotonic() < deadline
            assert thread.is_alive()
            time.sleep(0.01)
        yield
        thread.join(240)
    assert errors == []


def test_two_runs_that_bought_the_same_texts_both_keep_their_batch(
    settings: Settings, connection: Connection[Any]
) -> None:
    queries = statements("embeddings")
    batch = "insert into bought values (%s, 'c', '[1,0,0]', 1), (%s, 'b', '[1,0,0]', 1), (%s, 'a', '[1,0,0]', 1)"
    with connect(settings) as first:
        first.autocommit = False
        insert(first, b"a")
        with waiting(
            settings,
            connection,
            (queries["create_bought"], None),
            (batch, [MODEL] * 3),
            (queries["keep_bought"], None),
        ):
            insert(first, b"c")
            first.commit()
    assert connection.execute("select count(*) from rag.embedding_store").fetchone() == (3,)


@pytest.mark.parametrize("housekeeping", ["purge_vectors", "mark_used_vectors"])
def test_housekeeping_and_a_run_that_want_the_same_vectors_take_turns(
    settings: Settings, connection: Connection[Any], housekeeping: str
) -> None:
    insert(connection, b"b", b"c", b"a")
    lookup, keep = statements("lookup"), statements("housekeeping")
    hold = "select from rag.embedding_store where embed_hash = 'c' for update"
    with connect(settings) as holder, connect(settings) as watcher:
        holder.autocommit = False
        holder.execute(hold)
        with waiting(
            settings,
            watcher,
            (keep["create_used_vectors"], None),
            ("insert into used_vectors select model, embed_hash from rag.embedding_store", None),
            (keep[housekeeping], {"days": 30}),
        ):
            wanted = "insert into wanted select embed_hash from rag.embedding_store"
            with waiting(
                settings,
                watcher,
                (lookup["create_wanted"], None),
                (wanted, None),
                (lookup["use_found"], {"model": MODEL}),
            ):
                holder.commit()
    left = connection.execute("select count(*) from rag.embedding_store").fetchone()
    assert left == (0 if housekeeping == "purge_vectors" else 3,)
