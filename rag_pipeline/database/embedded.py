"""The embedded Postgres server: one per workspace, shared by every process, started by whoever comes first.

The server is a service of its data folder. `EmbeddedServer.ensure` finds it or starts it; it outlives the
process that started it, and only `EmbeddedServer.stop` stops it. Nothing counts references, so nothing
can count them wrongly when a process is killed.

Two `flock`s carry the life cycle, because the kernel drops them with their holders, whatever kills those:

* ``start.lock`` is held by the one process that is starting or stopping the server;
* ``server.lock`` is inherited by the postmaster and all its children. Free means that no process of the
  server is left, and so any ``postmaster.pid`` is stale, even if its number now belongs to a stranger
  or to a zombie that is never reaped. Taken means that the server lives, and answers soon.
"""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from psycopg import pq
from psycopg.conninfo import make_conninfo

from rag_pipeline.database.cluster import SUPERUSER, configure, create_data, run, socket_folder
from rag_pipeline.database.installation import OWN_SERVER, binaries, data_home, make_home, server_account
from rag_pipeline.errors import ConfigurationError

# Without a TCP port the number only names the socket; 1 is one that nobody chooses for TCP.
_SOCKET_ONLY = 1
_START_SECONDS = 300
_STOP_SECONDS = 60


class EmbeddedServer:
    """The Postgres server whose data lies under `home`.

    With a `port` it also listens on 127.0.0.1, for the password in the file ``data/password``. The unix
    socket, in a folder that only its owner may enter, is always there.
    """

    def __init__(self, home: Path, port: int | None = None):
        self.home = data_home(home.absolute())
        self.port = port
        self._data = self.home / "data"
        self._log = self._data / "server.log"
        self._number = port or _SOCKET_ONLY

    def ensure(self) -> None:
        """Return when the server answers, starting it if need be; for any number of processes and threads at once.

        Raises `ConfigurationError` when it cannot be started, with the reason and the remedy.
        """
        if self.is_running():
            return
        with self._sole_keeper():
            deadline = time.monotonic() + _START_SECONDS
            while not self.is_running():
                with self._claim() as claim:
                    if claim is not None:
                        self._start(claim)
                        continue
                self._check_address()
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"the server of {self.home} runs but does not answer; stop it, it starts anew by itself: "
                        f"rag-pipeline db stop{self._tail()}"
                    )
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and its sessions; without one, do nothing. Raises `ConfigurationError` if it stays."""
        if not self._data.is_dir():
            return
        with self._sole_keeper():
            # Never signal the number in postmaster.pid unless some process of the server is known to live.
            if not self._is_alive():
                return
            account = server_account(self._data)
            command = [binaries(account) / "pg_ctl", "stop", "-D", self._data, "-m", "fast", "-t", str(_STOP_SECONDS)]
            output = run(command, account).output
            deadline = time.monotonic() + 5
            while self._is_alive():
                if time.monotonic() > deadline:
                    raise ConfigurationError(f"the server of {self.home} did not stop: {output}{self._tail()}")
                time.sleep(0.02)

    def is_running(self) -> bool:
        """Whether the server answers now."""
        folder = socket_folder(self.home)
        try:
            # A socket under the common temporary folder is trusted only if the folder is ours.
            if folder.lstat().st_uid not in {os.geteuid(), self._data.stat().st_uid}:
                return False
        except OSError:
            return False
        address = make_conninfo(host=str(folder), port=self._number, user=SUPERUSER, connect_timeout=5)
        return pq.PGconn.ping(address.encode()) == pq.Ping.OK

    def url(self, database: str) -> str:
        """Return the URL of a database, for libpq and SQLAlchemy alike: by TCP with a port, else by the socket.

        Raises `ConfigurationError` with a port whose password cannot be read, as before the first `ensure`.
        """
        name = quote(database, safe="")
        if self.port is None:
            folder = quote(str(socket_folder(self.home)), safe="")
            return f"postgresql://{SUPERUSER}@/{name}?host={folder}&port={self._number}"
        file = self._data / "password"
        try:
            password = file.read_text("ascii")
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror}; start the server: rag-pipeline db start") from error
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{self.port}/{name}"

    @contextmanager
    def _sole_keeper(self) -> Iterator[None]:
        """Hold ``start.lock``, and explain what the disk refuses."""
        try:
            make_home(self.home)
            with _opened(self.home / "start.lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            remedy = "free some space" if error.errno == errno.ENOSPC else "make it writable for the current user"
            raise ConfigurationError(
                f"{error.filename or self.home}: {error.strerror}; the embedded Postgres keeps its data in "
                f"{self.home}: {remedy}, choose another [workspace] root, {OWN_SERVER}"
            ) from error

    @contextmanager
    def _claim(self) -> Iterator[int | None]:
        """Yield ``server.lock``, taken, for a new server to inherit; or None while one holds it."""
        with _opened(self.home / "server.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield lock

    def _is_alive(self) -> bool:
        with self._claim() as claim:
            return claim is None

    def _start(self, claim: int) -> None:
        """Start the server, which inherits `claim`. No process of an earlier one is left."""
        if self.port is not None:
            _check_port(self.port)
        account = server_account(self._data)
        programs = binaries(account)
        if not self._data.exists():
            create_data(self.home, programs, account)
        configure(self.home, self._number, "127.0.0.1" if self.port else "", account)
        command = [programs / "pg_ctl", "start", "-D", self._data, "-l", self._log, "-w", "-t", str(_START_SECONDS)]
        started = run(command, account, inherit=(claim,))
        if started.status != 0:
            raise ConfigurationError(
                f"the embedded Postgres in {self.home} did not start: {started.output}{self._tail()}\n"
                f"Correct what it says, {OWN_SERVER}"
            )

    def _check_address(self) -> None:
        """Raise `ConfigurationError` when the living server listens elsewhere, so that waiting for it is in vain."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return
        # The eighth line says "ready" once the others are complete.
        if [line.strip() for line in lines[7:8]] != ["ready"]:
            return
        if lines[3:5] == [str(self._number), str(socket_folder(self.home))]:
            return
        raise ConfigurationError(
            f"the server of {self.home} runs with another [database] port, or its folder was moved since it started; "
            "stop it, it starts anew by itself: rag-pipeline db stop"
        )

    def _tail(self) -> str:
        """The end of the server's log, to append to a message."""
        try:
            return "\n" + self._log.read_text("utf-8", errors="replace")[-1500:].strip()
        except OSError:
            return ""


@contextmanager
def _opened(file: Path) -> Iterator[int]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} of 127.0.0.1 cannot be used ({error.strerror}); choose another [database] port, "
                "or leave it out: the embedded Postgres needs none"
            ) from error
