"""One parser process, seen from its parent: started with nothing but Python's own environment, asked, and killed."""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import IO

from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.wire import ANSWER, DOCUMENT, READY, REFUSAL, REQUEST
from rag_pipeline.errors import DocumentError, PermanentError, TransientError

_COMMAND = (sys.executable, "-P", "-s", "-B", "-X", "utf8", "-m", "rag_pipeline.documents.worker")
_START_SECONDS = 120.0
_DEATH_SECONDS = 2.0
_CHUNK = 1 << 20
_MAX_REASON = 500
_LIBRARY_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


class _Late(Exception):
    """The deadline passed before the other side was ready."""


class _Gone(Exception):
    """The other side closed the pipe."""


class ParserProcess:
    """A running `rag_pipeline.documents.worker`. `fit` says whether it can be asked again."""

    def __init__(self, seconds: float, memory_mb: int) -> None:
        """Start it, without waiting until it is ready. Raises `TransientError` when the system has no room for it."""
        self._seconds = seconds
        self._memory_mb = memory_mb
        self._ready = False
        self.fit = True
        try:
            self._process = subprocess.Popen(
                (*_COMMAND, str(seconds), str(memory_mb)),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise TransientError(f"cannot start a parser process: {error}") from error
        self._requests, self._answers, self._complaints = map(
            _pipe, (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        for pipe in (self._requests, self._answers):
            os.set_blocking(pipe.fileno(), False)

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def ask(self, kind: str, data: bytes) -> tuple[bytes, bytes]:
        """Return what `wire.decode` takes. Raises `DocumentError` when this document cannot be had.

        Raises `PermanentError` when no parser process can run here at all.
        """
        self.fit = False  # until the conversation has come to its end
        self._await_start()
        name = kind.encode()
        deadline = time.monotonic() + self._seconds
        try:
            self._send(REQUEST.pack(len(name), len(data)) + name, deadline)
            self._send(data, deadline)
            what, ends, *lengths = ANSWER.unpack(self._receive(ANSWER.size, deadline))
            if sum(lengths) > self._largest:
                raise DocumentError(_remedy(f"says more than {self._largest >> 20} MB", "memory_mb"))
            text, rest = (self._receive(length, deadline) for length in lengths)
        except _Late:
            raise DocumentError(self._too_long()) from None
        except _Gone:
            raise DocumentError(self._epitaph()) from None
        if what not in (DOCUMENT, REFUSAL):
            raise DocumentError("its parser gave no answer that makes sense; exclude it, or report the parser")
        self.fit = not ends
        if what == REFUSAL:
            reason = " ".join(clean(text.decode("utf-8", "replace")).split())
            raise DocumentError(reason[:_MAX_REASON] or "its parser gave no reason; exclude it")
        return text, rest

    def kill(self) -> None:
        """End it and what it may have started, at once; whoever waits for its answer is told that it is gone."""
        with suppress(OSError):  # it is gone already
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """Kill it, and leave nothing of it behind."""
        self.fit = False
        self.kill()
        self._process.wait()
        for pipe in (self._requests, self._answers, self._complaints):
            pipe.close()

    @property
    def _largest(self) -> int:
        """The largest answer that is taken, in bytes: an eighth of the memory of its process."""
        return (self._memory_mb << 20) // 8

    def _await_start(self) -> None:
        """Wait until it has imported what it needs; afterwards it has nothing to say outside its answers."""
        if self._ready:
            return
        with suppress(_Late, _Gone):
            self._ready = self._receive(len(READY), time.monotonic() + _START_SECONDS) == READY
        if not self._ready:
            self.kill()
            said = self._complaints.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise PermanentError(f"parser processes cannot start with {sys.executable}: {said or 'no reason given'}")

    def _too_long(self) -> str:
        return _remedy(f"took longer than {self._seconds:g} s", "seconds")

    def _epitaph(self) -> str:
        """Say why it died."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_DEATH_SECONDS)
        code = self._process.returncode
        if code == -signal.SIGALRM:
            return self._too_long()
        if code is not None and code < 0:
            return _remedy(
                f"its parser crashed ({signal.strsignal(-code)}), perhaps beyond {self._memory_mb} MB", "memory_mb"
            )
        return f"its parser ended without an answer (exit code {code}); exclude it, or report the parser"

    def _send(self, data: bytes, deadline: float) -> None:
        rest = memoryview(data)
        while rest:
            _wait(self._requests, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._requests.fileno(), rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise _Gone from None

    def _receive(self, length: int, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < length:
            _wait(self._answers, select.POLLIN, deadline)
            chunk = os.read(self._answers.fileno(), min(length - len(received), _CHUNK))
            if not chunk:
                raise _Gone
            received += chunk
        return bytes(received)


def _remedy(what: str, setting: str) -> str:
    return f"{what}; exclude it or raise [parsing] {setting}"


def _wait(pipe: IO[bytes], event: int, deadline: float) -> None:
    waiting = select.poll()
    waiting.register(pipe, event)
    if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise _Late


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("a parser process needs three pipes")
    return stream


def _environment() -> dict[str, str]:
    """What Python needs to find the same packages again, and nothing else: no secret, no PATH, no HOME."""
    kept = {name: os.environ[name] for name in _LIBRARY_PATHS if name in os.environ}
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return kept | {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
