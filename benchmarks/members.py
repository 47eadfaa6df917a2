"""What it costs to ask on behalf of somebody: nested groups, many access lists, and a caller who may read nothing."""

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from psycopg import Connection

from benchmarks.corpus import document, sentence
from benchmarks.options import Options
from benchmarks.report import Report, say
from benchmarks.workbench import SOURCE, workbench
from rag_pipeline.database.connection import connect
from rag_pipeline.database.migrate import prepare
from rag_pipeline.query import Caller, Index
from rag_pipeline.stages import Pipeline

TITLE = "Groups and callers"
Answer = TypeVar("Answer")

_LEVELS = 10
_QUESTION = sentence(random.Random(0), 8)


def run(report: Report, options: Options) -> None:
    """Expand memberships, find the access lists of callers, and search for callers of ever fewer rights."""
    people, groups, pages = (100, 5, 120) if options.quick else (10_000, 100, 6_000)
    with workbench() as bench:
        prepare(bench.settings)
        with connect(bench.settings) as session:
            say(f"{people:,} members, {_LEVELS} levels of groups")
            _members(report, session, people, groups, options)
        say(f"{pages:,} pages")
        for number in range(pages):
            file = bench.documents / f"{number // 1000:02}" / f"{number:05}.md"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_page(number, pages, people, groups), "utf-8")
        Pipeline(bench.settings).refresh(SOURCE)
        bench.settle()
        with connect(bench.settings) as session, Index.connect(bench.settings) as index:
            _callers(report, session, index, pages, options)


def _members(report: Report, session: Connection[Any], people: int, groups: int, options: Options) -> None:
    """Each person is in three groups of the lowest level, each group in two of the next."""
    generator = random.Random(3)

    def some(level: int, count: int) -> list[str]:
        return [f"group:{level}-{number}" for number in generator.sample(range(groups), count)]

    edges = [(f"user:{person}", group) for person in range(people) for group in some(0, 3)]
    edges += [
        (f"group:{level}-{number}", group)
        for level in range(_LEVELS - 1)
        for number in range(groups)
        for group in some(level + 1, 2)
    ]
    started = time.perf_counter()
    with session.cursor().copy("copy rag.principal_members (member, of_group) from stdin") as rows:
        for edge in edges:
            rows.write_row(edge)
    seconds = time.perf_counter() - started

    def expand(principal: str) -> tuple[int, float, float]:
        query = "select cardinality(rag.effective_principals(array[%s]))"
        found, milliseconds = _timed(lambda: session.execute(query, [principal]).fetchone(), options)
        return (found or (0,))[0], *milliseconds

    asked = {
        "a person": "user:1",
        "a group of the lowest level": "group:0-1",
        f"a group of level {_LEVELS - 3}": f"group:{_LEVELS - 3}-1",
        "a stranger": "user:stranger",
    }
    found = {name: expand(principal) for name, principal in asked.items()}
    _, median, _ = found["a person"]
    report.goal(f"memberships of a person, {people:,} members, depth {_LEVELS}", "≤ 5", median, "ms", median <= 5)
    report.text(
        f"{len(edges):,} memberships: {people:,} people in three groups each, {_LEVELS} levels of {groups} groups, "
        f"each in two of the next level. Loading them by COPY, looked over for circles, took {seconds:.2f} s. Then "
        "`rag.effective_principals`, milliseconds:"
    )
    report.table(
        ("who asks", "principals in effect", "median", "p95"), [(name, *values) for name, values in found.items()]
    )


def _page(number: int, pages: int, people: int, groups: int) -> str:
    """A page open to a few people and a group of its own choice, so that there are nearly as many lists as pages."""
    generator = random.Random(number)
    shares = {"group:half": 0.5, "group:twentieth": 0.05, "group:thousandth": 0.001}
    readers = [f"user:{generator.randrange(people)}" for _ in range(3)]
    readers += [f"group:{generator.randrange(_LEVELS)}-{generator.randrange(groups)}"]
    readers += [group for group, share in shares.items() if generator.random() < share]
    readers += ["group:one-page"] if number == pages // 2 else []
    return f"---\naccess: [{', '.join(readers)}]\n---\n{document(number)}"


def _callers(report: Report, session: Connection[Any], index: Index, pages: int, options: Options) -> None:
    row = session.execute("select count(*), (select count(*) from rag.chunks) from rag.access_lists").fetchone()
    lists, chunks = row or (0, 0)
    callers = {
        "half of the pages": "group:half",
        "5 %": "group:twentieth",
        "0.1 %": "group:thousandth",
        "one page": "group:one-page",
        "what a person of many groups may": "user:1",
        "nothing": "user:stranger",
    }
    query = "select array(select rag.visible_acl_ids(array[%s]))"
    rows: list[tuple[str, int, int, float, float, float, float]] = []
    for name, principal in callers.items():
        visible, list_times = _timed(lambda who=principal: session.execute(query, [who]).fetchone(), options)
        hits, times = _timed(lambda who=principal: index.search(_QUESTION, caller=Caller(who)), options)
        rows.append((name, len((visible or ([],))[0]), len(hits), *list_times, *times))
    medians = {name: median for name, _, _, _, _, median, _ in rows}
    ratio = medians["nothing"] / medians["one page"]
    report.goal(
        "a search for who may read nothing, beside one page", "0.5 to 2", ratio, "times as long", 0.5 <= ratio <= 2
    )
    report.text(
        f"{pages:,} pages, {chunks:,} chunks, {lists:,} distinct access lists, the `hashed` embedder. Milliseconds of "
        "`rag.visible_acl_ids` and of a whole search from Python, both halves, ten hits at most:"
    )
    report.table(
        ("who asks may read", "lists", "hits", "lists, median", "lists, p95", "search, median", "search, p95"), rows
    )


def _timed(ask: Callable[[], Answer], options: Options) -> tuple[Answer, tuple[float, float]]:
    """Ask many times; return the last answer, and median and 95th percentile in milliseconds."""
    found = ask()
    milliseconds: list[float] = []
    for _ in range(5 if options.quick else 200):
        started = time.perf_counter()
        found = ask()
        milliseconds.append((time.perf_counter() - started) * 1000)
    return found, (float(np.percentile(milliseconds, 50)), float(np.percentile(milliseconds, 95)))
