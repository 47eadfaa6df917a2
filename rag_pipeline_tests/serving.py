"""Run a local HTTP server beside a test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from threading import Thread


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
