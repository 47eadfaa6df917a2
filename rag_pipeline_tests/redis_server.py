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

import pytest
from redis import Redis
from redis.exceptions import ConnectionError

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
        for _ in range(500):
            with suppress(ConnectionError):
                self.client.ping()
                return
            assert self._process.poll() is None, "the server does not start"
            time.sleep(0.01)
        raise AssertionError("the server does not answer")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.client.close()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server take connections and answer nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """Run a server until the end of the block."""
    server = RedisServer(free_port(), folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextmanager
def answering(what: bytes, every: float = 0.0) -> Iterator[str]:
    """Give the address of something that answers every connection with these bytes, one each `every` seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        over = threading.Event()

        def serve(peer: socket.socket) -> None:
            with peer, suppress(OSError):
                for start in range(len(what)) if every else [0]:
                    if over.wait(every):
                        return
                    peer.sendall(what[start : start + 1] if every else what)
                over.wait(5)

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
