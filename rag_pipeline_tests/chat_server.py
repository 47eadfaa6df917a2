"""A service that speaks the chat API of OpenAI: it keeps what it was sent, and answers as it is told."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock
from typing import Any

from rag_pipeline_tests.serving import serving

MODEL = "writer-1"
_BORDER = re.compile(r'^<document ([0-9a-f]{32}) (\d+) source="([^"]*)" modified="([^"]*)"[^>]*>$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def instructions(self) -> str:
        """The message of the system."""
        return self.body["messages"][0]["content"]

    @property
    def question(self) -> str:
        """The message of the user: documents and question."""
        return self.body["messages"][1]["content"]

    @property
    def text(self) -> str:
        """All of what a model would read."""
        return "\n".join(message["content"] for message in self.body["messages"])

    @property
    def tag(self) -> str:
        """What citations of this call begin with."""
        found = re.search(r"\[([0-9a-f]{8})-1\]", self.instructions)
        assert found
        return found[1]

    @property
    def fence(self) -> str:
        """The number of the borders of this call."""
        found = re.search(r"</document ([0-9a-f]{32})>", self.instructions)
        assert found
        return found[1]

    @property
    def documents(self) -> dict[int, str]:
        """What stands between the borders, by number, as a program that believes nothing else finds it."""
        found: dict[int, str] = {}
        number, lines = 0, []
        for line in self.question.split("\n"):
            border = _BORDER.match(line)
            if border and border[1] == self.fence:
                assert not number, "a border inside a document"
                number, lines = int(border[2]), []
            elif line == f"</document {self.fence}>":
                assert number, "an end without a beginning"
                found[number], number = "\n".join(lines), 0
            elif number:
                lines.append(line)
        assert not number, "a document without an end"
        return found


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service sends: pieces of a text, or with another status than 200 a `body`.

    It leaves after `seconds`, with `drip` seconds after each piece, and breaks off after `cut` pieces. `usage` None:
    tokens are not told. `events` replaces the stream by bytes of the test's own.
    """

    pieces: Sequence[str] = ()
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    seconds: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    finish_reason: str | None = "stop"
    usage: tuple[int, int] | None = (100, 20)
    events: bytes | None = None


Answers = Callable[[Asked], Reply | str]


def error(status: int, message: str = "no", **headers: str) -> Reply:
    """An error in OpenAI's words."""
    body = {"error": {"message": message, "type": "error", "param": None, "code": None}}
    return Reply(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


class ChatServer:
    """The service. `answers` may be exchanged at any time; `asked` is everything that it was sent."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[Asked] = []
        self.released = Event()
        self._lock = Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def settings(self, **more: Any) -> dict[str, Any]:
        """The section of rag.toml that asks this service, with patience; nothing found is too weak for it."""
        asks = {"model": MODEL, "base_url": self.url, "min_evidence": 0, "seconds": 600}
        prices = {"usd_per_million_input": 1, "usd_per_million_output": 10}
        return asks | prices | more

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked = Asked({name.lower(): value for name, value in self.headers.items()}, body)
                with service._lock:
                    service.asked.append(asked)
                reply = service.answers(asked)
                try:
                    self._send(Reply([reply]) if isinstance(reply, str) else reply)
                except OSError:  # the client waited no longer
                    self.close_connection = True

            def _send(self, reply: Reply) -> None:
                if reply.seconds and service.released.wait(reply.seconds):
                    self.close_connection = True
                    return
                if reply.status != 200:
                    content = json.dumps(reply.body).encode()
                    self.send_response(reply.status)
                    for name, value in {**reply.headers, "Content-Type": "application/json"}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                for number, event in enumerate([reply.events] if reply.events is not None else events(reply)):
                    if service.released.is_set() or number == reply.cut:
                        return
                    self.wfile.write(event)
                    self.wfile.flush()
                    if reply.drip:
                        time.sleep(reply.drip)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def events(reply: Reply) -> Iterator[bytes]:
    """The stream of a reply."""
    for piece in reply.pieces:
        yield event({"delta": {"content": piece}, "index": 0, "finish_reason": None})
    if reply.finish_reason:
        yield event({"delta": {}, "index": 0, "finish_reason": reply.finish_reason})
    if reply.usage:
        read, wrote = reply.usage
        yield event(None, usage={"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote})
    yield b"data: [DONE]\n\n"


def event(choice: Any, **more: Any) -> bytes:
    """One event of a stream."""
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": MODEL + "-2026"}
    return f"data: {json.dumps(chunk | {'choices': [choice] if choice else []} | more)}\n\n".encode()


@contextmanager
def chat_server(answers: Answers) -> Iterator[ChatServer]:
    """Run a service on a free port of 127.0.0.1."""
    service = ChatServer(answers)
    with serving(service.server, service.released.set):
        yield service
