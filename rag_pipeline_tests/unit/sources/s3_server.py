"""An S3 server in this process: moto behind real HTTP, with a place to put faults."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import boto3
import pytest
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

Fault = Callable[[str, str], int | None]
"""Given method and path with query: the status to answer with, None to let the request through."""


class S3Server:
    """Buckets at `url`; each request passes by `fault`, and `requests` says what was asked.

    While `circles` is set, a further page of a listing is what was answered before it.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.fault: Fault = lambda method, path: None
        self.circles = False
        self._page = b""
        self._app = DomainDispatcherApplication(create_backend_app)
        self.server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=MotoRequestHandler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"
        self.requests.append(f"{environ['REQUEST_METHOD']} {path}")
        status = self.fault(environ["REQUEST_METHOD"], path)
        if status is None and self.circles and "continuation-token" in path:
            start_response("200 OK", [("Content-Type", "application/xml"), ("Content-Length", str(len(self._page)))])
            return [self._page]
        if status is None:
            answer = self._app(environ, start_response)
            self._page = b"".join(answer) if self.circles else b""
            return [self._page] if self.circles else answer
        start_response(f"{status} fault", [("Content-Length", "0")])
        return [b""]

    def client(self) -> Any:
        return boto3.client("s3", endpoint_url=self.url)

    def forget(self) -> None:
        """Remove all buckets, requests and faults."""
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].reset()
        self.requests.clear()
        self.fault = lambda method, path: None
        self.circles = False

    def put(self, bucket: str, objects: dict[str, bytes]) -> None:
        """Put objects, past HTTP because it takes long for many."""
        for key, body in objects.items():
            s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(bucket, key, body)


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server on a free port of 127.0.0.1, with made-up credentials in the environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "made-up")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        server = S3Server()
        thread = Thread(target=server.server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.server.shutdown()
            server.server.server_close()
            thread.join()
