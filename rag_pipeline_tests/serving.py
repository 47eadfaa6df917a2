"""Run a local HTTP server beside a test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from threading import Thread

HELD = threading.TIMEOUT_MAX
"""Seconds for an answer that is held back until the test lets go, so that whoever has given up was not answered."""


@contextmanager
def serving(server: HTTPServer, release: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Serve until the end of the block; `release` then frees the requests that are still held."""
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        release()
        server.shutdown()
        server.server_close()
        thread.join()
