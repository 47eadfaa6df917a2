"""Services that send without end: how much of it is read, counted where it is sent."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rag_pipeline.embeddings.openai.outcomes import Failed, Refused
from rag_pipeline.embeddings.openai.service import Address, Service
from rag_pipeline.query.chat import ChatModel, Unwritten
from rag_pipeline.settings import Answers
from rag_pipeline_tests.serving import serving

SENT = 200 * 2**20
"""Bytes of a reply that would be sent to who reads them all."""
HELD = SENT // 2
"""Bytes that may be sent and not read, at most: what the two ends of a connection hold."""
PIECE = b"x" * 2**20


@contextmanager
def flooding(status: int, begin: bytes, piece: bytes = PIECE, **headers: str) -> Iterator[tuple[str, list[int]]]:
    """A service that replies with a beginning and then piece after piece; give its address and the bytes it sent."""
    sent: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            sent.append(len(begin))
            try:
                self.wfile.write(begin)
                while sent[-1] < SENT:
                    self.wfile.write(piece)
                    sent[-1] += len(piece)
            except OSError:  # nobody reads any more
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/v1", sent


REFUSAL = b'{"error": {"message": "too busy for '
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
SAID = b"data: " + json.dumps(CHUNK | {"choices": [{"index": 0, "delta": {"content": "Keys."}}]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    ("status", "begin", "piece", "because", "said"),
    [
        (400, REFUSAL, PIECE, "it refused the request", "400"),
        (302, b"", PIECE, "it refused the request", "302"),
        (200, b"data: ", PIECE, "what it sent is no answer", "it is empty"),
        (200, b"", b"data: " + b"x" * 1000 + b"\n", "what it sent is no answer", "it is empty"),
        (200, SAID, b": " + b"x" * 1000 + b"\n\n", "what it sent is no answer", "it ended early"),
    ],
    ids=["refusal", "elsewhere", "a line", "lines of one event", "comments"],
)
def test_of_a_model_that_sends_without_end_little_is_read(
    status: int, begin: bytes, piece: bytes, because: str, said: str
) -> None:
    with flooding(status, begin, piece, Content_Type="text/event-stream") as (url, sent):
        answers = Answers.model_validate({"model": "m", "base_url": url, "seconds": 600, "answer_tokens": 16})
        came = ChatModel(answers, "m").write("Be brief.", "How?", lambda piece: None)
    assert isinstance(came, Unwritten)
    assert came.because == because
    assert said in came.detail
    assert max(sent) < HELD


def test_a_small_reply_that_would_become_a_large_one_is_not_read() -> None:
    with flooding(200, SAID, Content_Encoding="gzip") as (url, sent):
        answers = Answers.model_validate({"model": "m", "base_url": url, "seconds": 600})
        came = ChatModel(answers, "m").write("Be brief.", "How?", lambda piece: None)
    assert isinstance(came, Unwritten)
    assert "compressed" in came.detail
    assert max(sent) < HELD


@pytest.mark.parametrize(
    ("status", "begin", "kind"), [(500, REFUSAL, Failed), (400, REFUSAL, Refused), (200, b"", Failed)]
)
def test_of_an_embedding_service_that_sends_without_end_little_is_read(status: int, begin: bytes, kind: type) -> None:
    with flooding(status, begin) as (url, sent):
        service = Service(Address(url, "m", 8, send_dimensions=False), 600)
        try:
            heard = service.send(["How?"]).result()
        finally:
            service.close()
    assert isinstance(heard.outcome, kind)
    assert max(sent) < HELD
