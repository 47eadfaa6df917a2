"""P2: a reader in another process, polling through 50 refreshes, sees only whole states."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection as Pipe

import psycopg
from psycopg import Connection

from rag_pipeline.database.connection import open_session, server_url
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Settings
from rag_pipeline_tests.processes import PROCESSES
from rag_pipeline_tests.scripted import Entry, scripted

DOCUMENTS = 12
REFRESHES = 50
STATE = "select (regexp_match(text, 'state (\\d+)'))[1]::int, count(*) from rag.chunks group by 1"


def poll(url: str, pipe: Pipe) -> None:
    """Read until told to stop, and say so when a read was asked for; report every distinct state and the reads."""
    seen: set[tuple[tuple[int, int], ...]] = set()
    reads = 0
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set role rag_writer")
        pipe.send("ready")
        asked = None
        while asked != "stop":
            asked = pipe.recv() if pipe.poll() else None
            seen.add(tuple(sorted(connection.execute(STATE).fetchall())))
            reads += 1
            if asked == "read":
                pipe.send(reads)
    pipe.send((seen, reads))


def test_a_reader_sees_only_whole_states(settings: Settings) -> None:
    pipeline, world = scripted(settings, "news")

    def write(state: int) -> None:
        for number in range(DOCUMENTS):
            text = f"# Page {number}\n\nstate {state} of page {number}\n"
            world.documents[f"{number}.md"] = Entry(text, Access.of(["public"]))

    write(0)
    pipeline.refresh("news")
    here, there = PROCESSES.Pipe()
    reader = PROCESSES.Process(target=poll, args=(server_url(settings, "rag"), there), daemon=True)
    reader.start()
    assert here.recv() == "ready"
    for state in range(1, REFRESHES + 1):
        write(state)
        assert pipeline.refresh("news").changed == DOCUMENTS
        if state % 8 == 0:
            here.send("read")
            here.recv()
    here.send("stop")
    seen, reads = here.recv()
    reader.join(240)
    assert reads > 5
    assert seen <= {((state, DOCUMENTS),) for state in range(REFRESHES + 1)}
    assert len(seen) > 5, "the reader must have been there while states changed"


def test_a_search_is_answered_from_one_state(settings: Settings) -> None:
    pipeline, world = scripted(settings, "news")

    def write(state: int) -> None:
        for number in range(DOCUMENTS):
            # Longer from state to state, so that words, weights, sections and vectors all change with it.
            text = f"# Page {number}\n\nstate {state} of page {number}\n" + f"\nword{state} and more.\n" * (state % 7)
            world.documents[f"{number}.md"] = Entry(text, Access.of(["public"]))

    def states(text: str) -> set[str]:
        return set(re.findall(r"state (\d+)", text))

    def search() -> None:
        while not done.is_set():
            hits = index.search("what state is the page in", caller=Caller("public"), k=100, explain=True)
            answers.append(
                (
                    frozenset[str]().union(*(states(hit.text) | states(hit.window) for hit in hits)),
                    len({hit.document_id for hit in hits if states(hit.window)}),
                )
            )
            assert hits.explanation
            traces = [
                trace for trace in hits.explanation.traces if trace.keyword_rank is None or trace.vector_rank is None
            ]
            # Every chunk has one of the words and a vector; one half that saw another state would lack it.
            assert not traces

    write(0)
    pipeline.refresh("news")
    answers: list[tuple[frozenset[str], int]] = []
    done = threading.Event()
    with Index.connect(settings) as index, ThreadPoolExecutor(2) as pool:
        searching = [pool.submit(search) for _ in range(2)]
        try:
            for state in range(1, 25):
                write(state)
                assert pipeline.refresh("news").changed == DOCUMENTS
                before = len(answers)
                # Of two that search, the third answer from now on was begun now.
                while state % 6 == 0 and len(answers) < before + 3:
                    assert not any(thread.done() for thread in searching)
                    time.sleep(0.01)
        finally:
            done.set()
        for thread in searching:
            thread.result()
    assert {len(seen) for seen, _ in answers} == {1}
    assert {documents for _, documents in answers} == {DOCUMENTS}
    assert len({seen for seen, _ in answers}) > 3, "the searches must have been there while states changed"


def test_a_held_lock_makes_the_second_publisher_wait(settings: Settings) -> None:
    pipeline, world = scripted(settings, "queue")
    world.documents["a.md"] = Entry("# A\n\ntext", Access.of(["public"]))
    pipeline.refresh("queue")
    world.documents["a.md"].text += " more"
    with ThreadPoolExecutor(1) as pool:
        with open_session(server_url(settings, "rag"), role=None) as blocker, blocker.transaction():
            lock(blocker, "queue")
            started = time.monotonic()
            blocked = pool.submit(pipeline.refresh, "queue")
            while not waiting(blocker) and time.monotonic() - started < 240:
                time.sleep(0.05)
            assert not blocked.done()
        assert blocked.result(240).changed == 1


def lock(connection: Connection, source: str) -> None:
    connection.execute("select pg_advisory_xact_lock(hashtextextended('rag-pipeline publish ' || %s, 0))", [source])


def waiting(connection: Connection) -> bool:
    row = connection.execute(
        "select count(*) from pg_locks join pg_database on pg_database.oid = database "
        "where locktype = 'advisory' and not granted and datname = current_database()"
    ).fetchone()
    return bool(row and row[0])
