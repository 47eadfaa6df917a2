"""A process that parses documents for its parent and can do nothing else: ``python -m rag_pipeline.documents.worker``.

Takes the seconds and the megabytes that a document may cost. Promises: a limit on memory, and an alarm that ends
the process should a document take longer than its parent allows, whoever is still there to notice; no file is
opened but those of the Python installation, nothing is written, no socket, no process. What parsers print is
dropped. It ends when its parent does, after some documents, and when it has grown too much.
"""

import mimetypes
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Any, BinaryIO

from rag_pipeline.documents import parse_as
from rag_pipeline.documents.wire import ANSWER, DOCUMENT, READY, REFUSAL, REQUEST, encode
from rag_pipeline.errors import DocumentError

_DOCUMENTS = 200
_GRACE = 2  # seconds by which the parent's own limit comes first
_MB = 1 << 20
_STATM = Path("/proc/self/statm")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REFUSED = (
    "socket. subprocess. os.system os.exec os.fork os.posix_spawn os.spawn os.startfile os.kill pty. "
    "urllib. http. ftplib. imaplib. poplib. smtplib. nntplib. telnetlib. webbrowser. sqlite3. tempfile. shutil. "
    "os.remove os.rename os.rmdir os.mkdir os.link os.symlink os.chmod os.chown os.truncate os.utime os.setxattr"
)
_INSTALLED = ("site-packages", "dist-packages")
_CODE = (*all_suffixes(), "entry_points.txt", "METADATA")


class _Forbidden(PermissionError):
    """A parser tried what no parser may."""


def main() -> None:
    """Answer requests until the parent goes away."""
    seconds, memory = float(sys.argv[1]), int(sys.argv[2]) * _MB
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as answers, _Meter() as meter:
        _silence()
        began_with = meter.resident
        _confine(memory, meter)
        answers.write(READY)
        answers.flush()
        for number, (kind, data) in enumerate(_received(requests), start=1):
            signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
            what, text, rest = _answer(kind, data, memory)
            ends = what is None or number == _DOCUMENTS or meter.resident - began_with > memory // 2
            answers.write(ANSWER.pack(what or REFUSAL, ends, len(text), len(rest)))
            answers.write(text)
            answers.write(rest)
            answers.flush()
            signal.setitimer(signal.ITIMER_REAL, 0)
            if ends:
                return


class _Meter:
    """What this process takes, in bytes; read through a file that stays open, because later none can be opened."""

    def __init__(self) -> None:
        self._file = _STATM.open("rb", buffering=0) if _STATM.exists() else None

    def __enter__(self) -> "_Meter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    @property
    def mapped(self) -> int:
        """Address space; 0 where the system does not tell."""
        return self._pages(0)

    @property
    def resident(self) -> int:
        """Memory now; where the system does not tell, at its peak."""
        return self._pages(1) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def _pages(self, column: int) -> int:
        if not self._file:
            return 0
        self._file.seek(0)
        return int(self._file.read(200).split()[column]) * resource.getpagesize()


def _received(requests: BinaryIO) -> Iterator[tuple[str, bytes]]:
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        name_length, length = REQUEST.unpack(head)
        yield requests.read(name_length).decode(), requests.read(length)


def _answer(kind: str, data: bytes, memory: int) -> tuple[int | None, bytes, bytes]:
    """Parse; without a kind of answer the process is not fit for a further document."""
    try:
        return DOCUMENT, *encode(parse_as(kind, data))
    except DocumentError as error:
        what, reason = REFUSAL, str(error)
    except MemoryError:
        what, reason = None, f"needs more than {memory // _MB} MB to parse; exclude it or raise [parsing] memory_mb"
    except _Forbidden as error:
        what, reason = REFUSAL, f"its parser tried what is refused to it ({error}); exclude it"
    except Exception as error:
        what, reason = REFUSAL, f"its parser failed ({type(error).__name__}: {error}); exclude it or report the parser"
    return what, reason.encode("utf-8", "replace"), b""


def _silence() -> None:
    """Keep what parsers print, and what they could read, apart from the conversation with the parent."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def _confine(memory: int, meter: _Meter) -> None:
    """Give up, for good, what parsers do not need; a limit that this system does not know is left out."""
    limits = {"AS": memory + meter.mapped, "CORE": 0, "FSIZE": 0, "NOFILE": 64, "NPROC": 0}
    for name, limit in limits.items():
        with suppress(AttributeError, OSError, ValueError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    mimetypes.knownfiles.clear()  # a library reads these tables as it is imported; answers must not depend on them
    sys.addaudithook(_Guard())


class _Guard:
    """An audit hook; it cannot be removed, and sees what Python code does, not what a library in C does."""

    def __init__(self) -> None:
        path = [os.path.realpath(entry) for entry in sys.path]
        roots = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(__file__).parents[1]), *path}
        self._refused = tuple(_REFUSED.split())
        self._installed = tuple(
            os.path.join(os.path.realpath(root), "")
            for root in roots
            if root not in path or os.path.basename(root) in _INSTALLED
        )
        self._path = tuple(os.path.join(entry, "") for entry in path)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            self._check_open(*arguments)
        elif event.startswith(self._refused):
            raise _Forbidden(f"{event} {arguments[:1]}"[:200])

    def _check_open(self, file: Any, mode: str | None, flags: int) -> None:
        if isinstance(file, int):
            return
        path = os.path.realpath(os.fsdecode(file))
        known = path.startswith(self._installed) or (path.startswith(self._path) and path.endswith(_CODE))
        if not known or flags & _WRITES or set(mode or "") & set("wax+"):
            raise _Forbidden(f"open {path}"[:200])


if __name__ == "__main__":
    main()
