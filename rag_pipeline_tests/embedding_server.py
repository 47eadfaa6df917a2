"""A service with the embeddings API, on a real socket: answers well unless told otherwise, and notes what it charged.

Its model hashes a text to a vector; it counts tokens as OpenAI does. What a test wants to go wrong is a function
from the number of a request (from 0, requests of the sample alone not counted) to a `Reply`, or to None for a good
answer.
"""

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock
from typing import Any

import numpy as np

from rag_pipeline.embeddings import Vector
from rag_pipeline.embeddings.openai.embedder import SAMPLE
from rag_pipeline.embeddings.openai.tokens import count_tokens
from rag_pipeline_tests.serving import serving

MODEL = "tests-embedding"
DIMENSIONS = 16


@lru_cache(maxsize=100_000)
def vector(text: str, dimensions: int = DIMENSIONS, weights: int = 0) -> Vector:
    """The vector of a text, of unit length; other `weights` are another model."""
    seed = int.from_bytes(hashlib.blake2b(f"{weights} {text}".encode(), digest_size=8).digest(), "big")
    numbers = np.random.default_rng(seed).standard_normal(dimensions).astype("<f4")
    return (numbers / np.linalg.norm(numbers)).astype(np.float32)


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def texts(self) -> list[str]:
        """The texts to embed, without the sample that comes last."""
        return [text for text in self.body["input"] if text != SAMPLE]


@dataclass(frozen=True)
class Reply:
    """An answer: `body` is sent as JSON unless it is bytes.

    It leaves after `seconds`, is cut off after `cut` bytes, and drips with `drip` seconds from byte to byte.
    `charged` says whether the customer pays; without `answers` the connection is closed without a word.
    """

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    charged: bool = True
    seconds: float = 0.0
    cut: int | None = None
    drip: float | None = None
    answers: bool = True


Fault = Callable[[int, Asked], Reply | None]


def error(status: int, message: str = "no", code: str | None = None, **headers: str) -> Reply:
    """An error in OpenAI's words; it costs nothing."""
    body = {"error": {"message": message, "type": code or "error", "param": None, "code": code}}
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()}, charged=False)


def answer(asked: Asked, weights: int = 0, dimensions: int = DIMENSIONS) -> dict[str, Any]:
    """The right answer to a request, as an object."""
    texts = asked.body["input"]
    plain = asked.body.get("encoding_format") == "float"
    dimensions = asked.body.get("dimensions", dimensions)
    data = [
        {"object": "embedding", "index": index, "embedding": encoded(vector(text, dimensions, weights), plain)}
        for index, text in enumerate(texts)
    ]
    tokens = sum(count_tokens(texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": asked.body["model"], "usage": usage}


def encoded(numbers: Sequence[float] | Vector, plain: bool = False) -> Any:
    """Numbers as they travel."""
    if plain:
        return [float(number) for number in numbers]
    return base64.b64encode(np.asarray(numbers, "<f4").tobytes()).decode()


class EmbeddingServer:
    """The service. `charges` has the tokens of every request that is paid for, `sold` how often each text was."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault: Fault = fault or (lambda number, asked: None)
        self.seconds = 0.0
        self.asked: list[Asked] = []
        self.charges: list[int] = []
        self.sold: Counter[str] = Counter()
        self.most_at_once = 0
        self.released = Event()
        self.at_once = self._number = 0
        self._lock = Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    @property
    def charged(self) -> int:
        """Tokens that were paid for."""
        return sum(self.charges)

    def settings(self, **more: Any) -> dict[str, Any]:
        """The section of rag.toml that asks this service, with patience."""
        asks = {"provider": "openai", "model": MODEL, "dimensions": DIMENSIONS, "base_url": self.url}
        return asks | {"batch_texts": 8, "requests_at_once": 4, "request_seconds": 600, "give_up_seconds": 3600} | more

    def _reply(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            number = self._number
            self._number += bool(asked.texts)
        reply = self.fault(number, asked) if asked.texts else self.fault(-1, asked)
        reply = reply or Reply(answer(asked))
        if reply.charged:
            with self._lock:
                self.charges.append(sum(count_tokens(asked.body["input"])))
                self.sold.update(asked.texts)
        return replace(reply, seconds=reply.seconds + self.seconds)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with service._lock:
                    service.at_once += 1
                    service.most_at_once = max(service.most_at_once, service.at_once)
                try:
                    asked = Asked({name.lower(): value for name, value in self.headers.items()}, body)
                    self._send(service._reply(asked))
                except OSError:  # the client waited no longer
                    self.close_connection = True
                finally:
                    with service._lock:
                        service.at_once -= 1

            def _send(self, reply: Reply) -> None:
                if reply.seconds and service.released.wait(reply.seconds):
                    self.close_connection = True
                    return
                if not reply.answers:
                    self.close_connection = True
                    return
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                headers = {"Content-Type": "application/json"} | dict(reply.headers)
                for name, value in (headers | {"Content-Length": str(len(content))}).items():
                    self.send_header(name, value)
                self.end_headers()
                if reply.cut is not None:
                    content = content[: reply.cut]
                    self.close_connection = True
                if reply.drip is not None:
                    for place in range(len(content)):
                        if service.released.is_set():
                            break
                        self.wfile.write(content[place : place + 1])
                        self.wfile.flush()
                        time.sleep(reply.drip)
                else:
                    self.wfile.write(content)
                self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@contextmanager
def embedding_server(fault: Fault | None = None) -> Iterator[EmbeddingServer]:
    """Run a service on a free port of 127.0.0.1."""
    service = EmbeddingServer(fault)
    with serving(service.server, service.released.set):
        yield service
