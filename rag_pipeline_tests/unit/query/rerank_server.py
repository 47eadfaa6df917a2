"""A re-ranking service in this process, which speaks as it is told and notes what it was asked."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import Any

from rag_pipeline_tests.serving import serving


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """An answer: `body` is sent as JSON unless it is bytes."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def overlap(question: str, text: str) -> float:
    """What this service takes for relevance: the share of the question's words that the text has."""
    words = question.split()
    return sum(word in text.split() for word in words) / len(words)


def common(asked: Asked) -> Reply:
    """Answer as Cohere, Jina and vLLM do: best first."""
    scores = [overlap(asked.body["query"], text) for text in asked.body["documents"]]
    results = [{"index": index, "relevance_score": score} for index, score in enumerate(scores)]
    return Reply({"id": "1", "results": sorted(results, key=lambda result: -result["relevance_score"])})


def text_embeddings_inference(asked: Asked) -> Reply:
    """Answer as that server does: other names, a bare list, at most 32 texts."""
    if "texts" not in asked.body:
        said = b"Failed to deserialize the JSON body into the target type: missing field `texts` at line 1 column 65"
        return Reply(said, 422)
    texts = asked.body["texts"]
    if len(texts) > 32:
        return Reply({"error": f"batch size {len(texts)} > maximum allowed batch size 32"}, 422)
    scores = [overlap(asked.body["query"], text) for text in texts]
    return Reply(sorted(({"index": i, "score": s} for i, s in enumerate(scores)), key=lambda result: -result["score"]))


class RerankServer:
    """Answers every POST with what `answer` makes of it. `released` ends answers that drip, `left` is a client gone."""

    def __init__(self, answer: Callable[[Asked], Reply]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.drips = False
        self.released = Event()
        self.left = Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                service.asked.append(asked)
                reply = service.answer(asked)
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                try:
                    self.end_headers()
                    while service.drips and not service.released.wait(0.02):
                        self.wfile.write(content[:1])
                        content = content[1:]
                    self.wfile.write(content)
                except OSError:  # the client waited no longer
                    service.left.set()
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@contextmanager
def rerank_server(answer: Callable[[Asked], Reply] = common) -> Iterator[RerankServer]:
    """Run a service on a free port of 127.0.0.1."""
    service = RerankServer(answer)
    with serving(service.server, service.released.set):
        yield service
