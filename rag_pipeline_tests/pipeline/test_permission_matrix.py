"""Every channel shows a caller exactly the chunks that he may read: 40 callers, 500 chunks, against plain Python.

A world of three sources, nested groups and random lists of allow and deny is published once. Each channel then
answers for each caller; what it shows is compared with `World.readable`, chunk by chunk, and every mark in any
text that comes back must be one that the caller may see. Where a call is dear, fewer callers ask.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from click.testing import CliRunner
from mcp import Client, StdioServerParameters, stdio_client
from pgvector import HalfVector
from psycopg import Connection, sql
from starlette.testclient import TestClient

from rag_pipeline.cli import main
from rag_pipeline.database.connection import connect, open_session
from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.mcp import create_server
from rag_pipeline.query import Caller, Filters, Index
from rag_pipeline.service import create_app
from rag_pipeline.settings import Answers, Settings
from rag_pipeline_tests.chat_server import Asked, ChatServer, chat_server
from rag_pipeline_tests.databases import copy_database
from rag_pipeline_tests.unit.service.signing import AUDIENCE, ISSUER, SECRET, claims, signed
from rag_pipeline_tests.world import BUCKETS, World, make_world, publish

COMMAND = Path(sys.executable).with_name("rag-pipeline")
QUESTION = "kodor refen of the first part"
MARK = re.compile(r"mark\d+(?:first|second)")


@dataclass(frozen=True, slots=True)
class Shown:
    """The chunk ids that a channel showed to a caller, and all text that came with them."""

    chunks: set[str]
    text: str


Channel = Callable[[tuple[str, ...]], Shown]


@dataclass(frozen=True, slots=True)
class Published:
    """The world in an index. `chunks` says to which document a chunk belongs."""

    world: World
    settings: Settings
    chunks: dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def published(
    server: EmbeddedServer,
    administrator: Connection[Any],
    template: str,
    worker_id: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Published]:
    """A database of this module's own, filled once."""
    copy_database(administrator, template, f"matrix_{worker_id}")
    world = make_world(seed=20)
    settings = publish(
        world,
        Settings.model_validate(
            {
                "folder": tmp_path_factory.mktemp("matrix"),
                "database": {"url": server.url(f"matrix_{worker_id}")},
                "embedding": {"provider": "hashed"},
                "service": {"issuer": ISSUER, "audience": AUDIENCE},
            }
        ),
    )
    (settings.folder / "rag.toml").write_text(
        f'[database]\nurl = "{settings.database.url}"\n[embedding]\nprovider = "hashed"\n'
        f'[service]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n'
    )
    with connect(settings) as connection:
        rows = connection.execute("select chunk_id, source, document_id from rag.chunks").fetchall()
    yield Published(world, settings, {chunk: (source, document) for chunk, source, document in rows})
    administrator.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(f"matrix_{worker_id}")))


def compare(published: Published, channel: Channel, callers: Sequence[tuple[str, ...]]) -> int:
    """Ask a channel for each caller, and return how many (caller, chunk) pairs it was right about."""
    pairs = visible = 0
    for caller in callers:
        readable = published.world.readable(caller)
        expected = {chunk for chunk, document in published.chunks.items() if document in readable}
        shown = channel(caller)
        assert shown.chunks - expected == set(), f"leaked to {caller}"
        assert expected - shown.chunks == set(), f"hidden from {caller}"
        assert set(MARK.findall(shown.text)) <= published.world.marks(readable), f"text leaked to {caller}"
        pairs += len(published.chunks)
        visible += len(expected)
    assert 0.05 < visible / pairs < 0.95, "a world in which nearly all or nothing is visible shows nothing"
    return pairs


def test_the_comparison_sees_a_leak_a_loss_and_a_word(published: Published) -> None:
    caller = published.world.callers[6]
    readable = published.world.readable(caller)
    right = Shown({chunk for chunk, document in published.chunks.items() if document in readable}, "")
    other = next(chunk for chunk in published.chunks if chunk not in right.chunks)
    mark = next(
        mark for each in published.world.documents for mark in each.marks if mark not in published.world.marks(readable)
    )
    assert compare(published, lambda _: right, [caller]) == 500
    with pytest.raises(AssertionError, match="leaked to"):
        compare(published, lambda _: Shown(right.chunks | {other}, ""), [caller])
    with pytest.raises(AssertionError, match="hidden from"):
        compare(published, lambda _: Shown(set(list(right.chunks)[1:]), ""), [caller])
    with pytest.raises(AssertionError, match="text leaked to"):
        compare(published, lambda _: Shown(right.chunks, f"so {mark}, then"), [caller])


def asked_everywhere() -> Iterator[dict[str, Any]]:
    """Questions that together find every document, each of them fewer than one answer can hold."""
    return ({"text": QUESTION, "k": 100, "where": {"bucket": bucket}} for bucket in range(BUCKETS))


def shown_by(answers: Sequence[dict[str, Any]]) -> Shown:
    """What answers in JSON show: hits, and the twins that they stand for."""
    hits = [hit for answer in answers for hit in answer["hits"]]
    return Shown({chunk for hit in hits for chunk in (hit["chunk_id"], *hit["twins"])}, json.dumps(answers))


# Python


def by_search(index: Index, caller: tuple[str, ...]) -> Shown:
    answers: list[dict[str, Any]] = []
    for asked in asked_everywhere():
        filters = Filters(where=asked["where"])
        hits = index.search(asked["text"], caller=Caller(*caller), k=asked["k"], filters=filters, explain=True)
        assert len(hits) < asked["k"]
        assert hits.explanation is not None
        shown = {chunk for hit in hits for chunk in (hit.chunk_id, *hit.twins)}
        assert {trace.chunk_id for trace in hits.explanation.traces} == shown
        parts = {"hits": hits, "windows": hits.windows, "explanation": [hits.explanation]}
        answers.append(
            json.loads(json.dumps({name: [*map(asdict, part)] for name, part in parts.items()}, default=str))
        )
    return shown_by(answers)


def test_python_search(published: Published) -> None:
    with Index.connect(published.settings) as index:
        pairs = compare(published, partial(by_search, index), published.world.callers)
    assert pairs >= 20_000


def by_answer(index: Index, service: ChatServer, caller: tuple[str, ...]) -> Shown:
    """What answers show, and what the service that writes them was sent: it repeats all of that, and cites it."""
    before, answers = len(service.asked), []
    for asked in asked_everywhere():
        filters = Filters(where=asked["where"])
        answer = index.answer(asked["text"], caller=Caller(*caller), k=asked["k"], filters=filters)
        assert len(answer.hits) < asked["k"]
        assert {citation.chunk_id for citation in answer.citations} <= {hit.chunk_id for hit in answer.hits}
        assert len(answer.citations) == len(answer.hits.windows)
        parts = {"hits": answer.hits, "citations": answer.citations}
        shown = {name: [*map(asdict, part)] for name, part in parts.items()} | {"answer": answer.answer}
        answers.append(json.loads(json.dumps(shown, default=str)))
    shown = shown_by(answers)
    return Shown(shown.chunks, shown.text + "".join(asked.text for asked in service.asked[before:]))


def test_python_answers(published: Published) -> None:
    def everything(asked: Asked) -> str:
        return "".join(f"{text} [{asked.tag}-{number}]" for number, text in asked.documents.items())

    with chat_server(everything) as service:
        answers = Answers.model_validate(service.settings(context_tokens=100_000))
        with Index.connect(published.settings.model_copy(update={"answers": answers})) as index:
            pairs = compare(published, partial(by_answer, index, service), published.world.callers[:12])
    assert pairs == 6_000


def by_window(index: Index, chunks: Sequence[str], caller: tuple[str, ...]) -> Shown:
    passages = [index.window(chunk, caller=Caller(*caller), before=9, after=9) for chunk in chunks]
    return Shown(
        {passage.chunk_id for passage in passages if passage},
        "\n".join(json.dumps(asdict(passage), default=str) for passage in passages if passage),
    )


def test_python_windows(published: Published) -> None:
    with Index.connect(published.settings) as index:
        pairs = compare(published, partial(by_window, index, sorted(published.chunks)), published.world.callers[:6])
    assert pairs == 3_000


# SQL as rag_reader

WINDOWS = """
    select chunk_id, passage::text
    from unnest(%s::text[]) as chunk_id cross join lateral rag."window"(chunk_id, %s, 9, 9) as passage
"""


def reading(rows: Sequence[tuple[Any, ...]]) -> Shown:
    return Shown({row[0] for row in rows}, "\n".join(str(row) for row in rows))


def test_sql_search_as_reader(published: Published) -> None:
    vector = HalfVector(HashedEmbedder().embed_query(QUESTION))
    statement = (
        "select chunk_id, found::text from rag.search(%s, %s, 1000, %s, 'hashed/64', candidates => 1000) as found"
    )

    def ask(caller: tuple[str, ...]) -> Shown:
        return reading(reader.execute(statement, [QUESTION, list(caller), vector]).fetchall())

    with connect(published.settings, role="rag_reader") as reader:
        pairs = compare(published, ask, published.world.callers)
    assert pairs >= 20_000


def test_sql_search_by_words_alone_as_reader(published: Published) -> None:
    """The words of each chunk's heading are in every chunk, so that the keyword search alone finds all."""
    statement = "select chunk_id, found::text from rag.search('part', %s, 1000, candidates => 1000) as found"

    def ask(caller: tuple[str, ...]) -> Shown:
        return reading(reader.execute(statement, [list(caller)]).fetchall())

    with connect(published.settings, role="rag_reader") as reader:
        pairs = compare(published, ask, published.world.callers)
    assert pairs >= 20_000


def test_sql_windows_as_reader(published: Published) -> None:
    def ask(caller: tuple[str, ...]) -> Shown:
        return reading(reader.execute(WINDOWS, [sorted(published.chunks), list(caller)]).fetchall())

    with connect(published.settings, role="rag_reader") as reader:
        assert compare(published, ask, published.world.callers[:12]) == 6_000


# SQL as rag_analyst


@pytest.mark.parametrize("view", ["documents", "sections", "chunks"])
def test_sql_views_as_analyst(published: Published, administrator: Connection[Any], view: str) -> None:
    user = "analyst_of_the_matrix"
    name = sql.Identifier(user)
    administrator.execute(sql.SQL("drop role if exists {}").format(name))
    administrator.execute(sql.SQL("create role {} login in role rag_analyst").format(name))
    statement = f"select source, document_id, found::text from rag.{view} as found"

    def ask(caller: tuple[str, ...]) -> Shown:
        session.execute("reset session authorization")
        session.execute("delete from rag.analyst_principals")
        session.execute("insert into rag.analyst_principals select %s, unnest(%s::text[])", [user, list(caller)])
        session.execute(sql.SQL("set session authorization {}").format(name))
        rows = session.execute(statement.encode()).fetchall()
        seen = {(source, document) for source, document, _ in rows}
        chunks = {chunk for chunk, document in published.chunks.items() if document in seen}
        return Shown(chunks, "\n".join(text for _, _, text in rows))

    try:
        with open_session(published.settings.database.url, role=None) as session:
            pairs = compare(published, ask, published.world.callers)
    finally:
        administrator.execute(sql.SQL("drop role {}").format(name))
    assert pairs >= 20_000


# HTTP


def token(caller: tuple[str, ...]) -> str | None:
    """A token for one user and groups; None where a token cannot say that."""
    (kind, _, name), *others = (principal.partition(":") for principal in caller)
    if kind != "user" or any(other[0] != "group" for other in others):
        return None
    return signed(claims(sub=name, groups=[group for _, _, group in others]))


def by_http(post: Callable[..., httpx2.Response], bearer: str | None) -> Shown:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    answers: list[dict[str, Any]] = []
    for asked in asked_everywhere():
        body = {"text": asked["text"], "k": asked["k"], "filters": {"where": asked["where"]}, "explain": True}
        answer = post("/search", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        answers.append(answer.json())
    return shown_by(answers)


def test_http(published: Published) -> None:
    """By token where a token can say who it is, else as a caller who is fixed when the service starts."""
    environ = {"RAG_TOKEN_SECRET": SECRET}

    def ask(caller: tuple[str, ...]) -> Shown:
        bearer = token(caller)
        fixed = None if bearer else Caller(*caller)
        app = by_token if bearer else create_app(published.settings, index=index, environ=environ, caller=fixed)
        return by_http(TestClient(app, base_url="http://localhost").post, bearer)

    with Index.connect(published.settings) as index:
        by_token = create_app(published.settings, index=index, environ=environ)
        pairs = compare(published, ask, published.world.callers)
    assert pairs >= 20_000


def test_http_windows(published: Published) -> None:
    callers = [caller for caller in published.world.callers if token(caller)][:6]

    def ask(caller: tuple[str, ...]) -> Shown:
        headers = {"Authorization": f"Bearer {token(caller)}"}
        found: dict[str, str] = {}
        for chunk in published.chunks:
            answer = client.post("/window", json={"chunk_id": chunk, "before": 9, "after": 9}, headers=headers)
            assert answer.status_code in (200, 404), answer.text
            if answer.status_code == 200:
                found[chunk] = answer.text
        return Shown(set(found), "\n".join(found.values()))

    with Index.connect(published.settings) as index:
        app = create_app(published.settings, index=index, environ={"RAG_TOKEN_SECRET": SECRET})
        client = TestClient(app, base_url="http://localhost")
        assert compare(published, ask, callers) == 3_000


def test_http_over_a_socket(published: Published) -> None:
    """Several callers at once over the same sessions, by the command as it is run."""
    callers = [caller for caller in published.world.callers if token(caller)][:8]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(COMMAND), "serve", "--port", str(port)]
    environ = {**os.environ, "RAG_TOKEN_SECRET": SECRET}
    with (
        subprocess.Popen(command, cwd=published.settings.folder, env=environ, stderr=subprocess.DEVNULL) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=240) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        try:
            wait_until_healthy(client)
            shown = dict(
                zip(callers, threads.map(lambda each: by_http(client.post, token(each)), callers), strict=True)
            )
        finally:
            process.send_signal(signal.SIGTERM)
    assert compare(published, shown.__getitem__, callers) == 4_000


def wait_until_healthy(client: httpx2.Client) -> None:
    for _ in range(2_400):
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the service did not start")


# MCP


async def by_tool(client: Client) -> Shown:
    answers: list[dict[str, Any]] = []
    texts: list[str] = []
    for asked in asked_everywhere():
        result = await client.call_tool("search", asked)
        assert result.structured_content is not None
        answers.append(result.structured_content)
        texts.append(str(result.content))
    shown = shown_by(answers)
    return Shown(shown.chunks, "\n".join([shown.text, *texts]))


def test_mcp(published: Published) -> None:
    def ask(caller: tuple[str, ...]) -> Shown:
        async def connected() -> Shown:
            async with Client(create_server(index, Caller(*caller))) as client:
                return await by_tool(client)

        return anyio.run(connected)

    with Index.connect(published.settings) as index:
        pairs = compare(published, ask, published.world.callers)
    assert pairs >= 20_000


def test_mcp_windows(published: Published) -> None:
    def ask(caller: tuple[str, ...]) -> Shown:
        async def connected() -> Shown:
            found: dict[str, str] = {}
            async with Client(create_server(index, Caller(*caller))) as client:
                for chunk in published.chunks:
                    result = await client.call_tool("fetch_window", {"chunk_id": chunk, "before": 9, "after": 9})
                    if not result.is_error:
                        found[chunk] = f"{result.structured_content} {result.content}"
            return Shown(set(found), "\n".join(found.values()))

        return anyio.run(connected)

    with Index.connect(published.settings) as index:
        assert compare(published, ask, published.world.callers[4:8]) == 2_000


def test_mcp_over_pipes(published: Published) -> None:
    def ask(caller: tuple[str, ...]) -> Shown:
        words = [word for principal in caller for word in ("--as", principal)]
        server = StdioServerParameters(command=str(COMMAND), args=["mcp", *words], cwd=published.settings.folder)

        async def connected() -> Shown:
            with open(os.devnull, "w") as nowhere:
                async with Client(stdio_client(server, errlog=nowhere)) as client:
                    return await by_tool(client)

        return anyio.run(connected)

    assert compare(published, ask, published.world.callers[5:7]) == 1_000


# Command line


def by_command(run: Callable[[list[str]], str], caller: tuple[str, ...]) -> Shown:
    named = [word for principal in caller for word in ("--as", principal)]
    answers: list[dict[str, Any]] = []
    for asked in asked_everywhere():
        where = ["--where", json.dumps(asked["where"])]
        answers.append(json.loads(run(["search", asked["text"], *named, "-k", "100", *where, "--json"])))
    return shown_by(answers)


def test_command_line(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(words: list[str]) -> str:
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    monkeypatch.chdir(published.settings.folder)
    assert compare(published, partial(by_command, run), published.world.callers[:12]) == 6_000


def test_command_line_in_processes_of_its_own(published: Published) -> None:
    def run(words: list[str]) -> str:
        command = [str(COMMAND), *words]
        return subprocess.run(command, cwd=published.settings.folder, check=True, capture_output=True, text=True).stdout

    assert compare(published, partial(by_command, run), published.world.callers[6:7]) == 500
