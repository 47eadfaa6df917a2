"""What every request passes before the service reads it, around an app that answers with what it was sent."""

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from rag_pipeline.service.gate import THIS_MACHINE, BodyLimit, KnownHosts, SafeHeaders, TimeLimit
from rag_pipeline_tests.serving import HELD

LARGEST = 100


async def echo(request: Request) -> Response:
    return Response(await request.body())


ECHO = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])])


def asked(app: ASGIApp, host: str, **headers: str) -> int:
    return TestClient(app, base_url="http://host").get("/", headers={"Host": host, **headers}).status_code


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]", "[::1]:8000", "LOCALHOST:1"]
)
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert asked(KnownHosts(ECHO, THIS_MACHINE), host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:x", ""]
)
def test_a_name_that_only_points_here_is_refused(host: str) -> None:
    assert asked(KnownHosts(ECHO, THIS_MACHINE), host) == 421


def test_other_names_are_known_by_configuration_or_all() -> None:
    assert asked(KnownHosts(ECHO, {"Search.Example.com"}), "search.example.com:443") == 200
    assert asked(KnownHosts(ECHO, {"search.example.com"}), "localhost") == 421
    assert asked(KnownHosts(ECHO, None), "any.example") == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 200),
        ("https://localhost:8000", 200),
        ("http://localhost:8001", 403),
        ("http://localhost", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_pages_of_other_origins_are_refused(origin: str, status: int) -> None:
    for names in (THIS_MACHINE, None):
        assert asked(KnownHosts(ECHO, names), "localhost:8000", Origin=origin) == status


def sent(app: ASGIApp, pieces: Iterable[bytes]) -> tuple[int, bytes]:
    """Status and body of the answer to a body that comes in pieces."""
    queue = [*pieces]
    messages: list[Message] = []

    async def receive() -> Message:
        body = queue.pop(0) if queue else b""
        return {"type": "http.request", "body": body, "more_body": bool(queue)}

    async def send(message: Message) -> None:
        messages.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}

    async def run() -> None:
        await app(scope, receive, send)

    asyncio.run(run())
    return messages[0]["status"], b"".join(message.get("body", b"") for message in messages[1:])


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_a_body_is_passed_on_whole_or_refused(pieces: list[bytes]) -> None:
    status, answer = sent(BodyLimit(ECHO, LARGEST), pieces)
    whole = b"".join(pieces)
    if len(whole) <= LARGEST:
        assert (status, answer) == (200, whole)
    else:
        assert status == 413
        assert b"larger than 100 bytes" in answer


def test_who_takes_too_long_is_told_so_and_others_are_not() -> None:
    release = threading.Event()
    ended = threading.Event()

    async def slow(request: Request) -> Response:
        # As an endpoint in a thread: it cannot be cancelled.
        await run_in_threadpool(release.wait, HELD)
        ended.set()
        return PlainTextResponse("late")

    app = TimeLimit(Starlette(routes=[Route("/slow", slow), Route("/", echo)]), 0.2)
    with TestClient(app) as client:
        answer = client.get("/slow")
        assert answer.status_code == 504
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "longer than 0.2 s" in answer.json()["detail"]
        app._seconds = 600
        assert client.get("/").status_code == 200
        release.set()
        assert ended.wait(240)
        assert client.get("/").status_code == 200


def test_an_error_within_the_time_stays_that_error() -> None:
    async def broken(request: Request) -> Response:
        raise ZeroDivisionError

    app = TimeLimit(Starlette(routes=[Route("/", broken)]), 10)
    with pytest.raises(ZeroDivisionError):
        TestClient(app).get("/")
    assert TestClient(app, raise_server_exceptions=False).get("/").status_code == 500


def test_every_answer_is_guarded_and_may_say_more_itself() -> None:
    async def page(request: Request) -> Response:
        return Response(headers={"Content-Security-Policy": "script-src 'self'"})

    client = TestClient(SafeHeaders(Starlette(routes=[Route("/page", page)])))
    for path in ("/page", "/nothing"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert not [name for name in headers if name.lower().startswith("access-control")]
    assert client.get("/page").headers["Content-Security-Policy"] == "script-src 'self'"
    assert client.get("/nothing").headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
