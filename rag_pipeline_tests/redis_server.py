"""A Redis server of a test's own, which can be frozen and stopped, and a proxy that makes the way to it slow."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError

from rag_pipeline.query.cache import redis_cache

LIMITS = {name: getattr(redis_cache, name) for name in ("_STEP_SECONDS", "_AT_MOST_SECONDS")}
PROGRAM = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="needs redis-server")


class RedisServer:
    """A server on a port of this machine. `client` is a session of the test's own on it, with patience."""

    def __init__(self, port: int, folder: Path) -> None:
        self._port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = Redis.from_url(self.url, protocol=2)

    def start(self) -> None:
        assert PROGRAM is not None
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [PROGRAM, *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(20_000):
            with suppress(ConnectionError):
                self.client.ping()
                return
            assert self._process.poll() is None, "the server does not start"
            time.sleep(0.01)
        raise AssertionError("the server does not answer")

    def sent_bytes(self) -> int:
        """How much it has sent to anybody, ever."""
        return int(dict[str, Any](self.client.info("stats"))["total_net_output_bytes"])

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.client.close()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server take connections and answer nothing; who asks it meanwhile has no more than the usual time."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            with waiting(**LIMITS):
                yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def waiting(**seconds: float) -> Iterator[None]:
    """Let caches wait so long for answers, by the names of their limits."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in seconds.items():
            patch.setattr(redis_cache, name, value)
        yield


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """Run a server until the end of the block; caches wait for it as long as a busy machine takes."""
    server = RedisServer(free_port(), folder)
    server.start()
    try:
        with waiting(_STEP_SECONDS=600, _AT_MOST_SECONDS=600, _LEFT_ALONE_SECONDS=3600):
            yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def answering(what: bytes, every: float = 0.0) -> Iterator[str]:
    """Give the address of something that answers every connection with these bytes, one each `every` seconds.

    Then it is silent, and does not hang up: who gets on with his work has given it up.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        over = threading.Event()

        def serve(peer: socket.socket) -> None:
            with peer, suppress(OSError):
                for start in range(len(what)) if every else [0]:
                    if over.wait(every):
                        return
                    peer.sendall(what[start : start + 1] if every else what)
                over.wait()

        def listen() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    threads.append(threading.Thread(target=serve, args=[server.accept()[0]]))
                    threads[-1].start()

        threads = [threading.Thread(target=listen)]
        threads[0].start()
        try:
            yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        finally:
            over.set()
            for thread in threads:
                thread.join()
