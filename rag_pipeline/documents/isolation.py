"""Parsing at arm's length: what a document can do to its parser, it does to a process that can be spared.

Promises: a parser that hangs, crashes, grows without bound or answers nonsense costs exactly its own document,
within the limits of ``[parsing]``; nothing of the parent's environment reaches a parser process; the documents
in flight are few and of bounded size; no process remains after `Parsers.close`, and none outlives its parent by
more than the time that one document may take. Short documents of the plain kinds are parsed in this process.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from rag_pipeline.documents import is_plain, parse_as
from rag_pipeline.documents.detect import detect
from rag_pipeline.documents.process import ParserProcess
from rag_pipeline.documents.wire import BrokenMessage, decode
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import Document
from rag_pipeline.settings import Parsing

_SHORT = 256 * 1024
_IN_FLIGHT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """A document to parse. `payload` is the caller's own and comes back with the answer, as does what `data` lacks:
    an error that is known already.
    """

    payload: Any
    data: bytes | DocumentError
    media_type: str | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A job on its way: it has failed, can be parsed here when its turn comes, or is with another process."""

    job: Job
    outcome: DocumentError | Callable[[], Document] | Future[tuple[bytes, bytes]]

    @property
    def size(self) -> int:
        return len(self.job.data) if isinstance(self.job.data, bytes) else 0


class Parsers:
    """Parser processes, started as they are needed; a context manager that ends them. May be shared by threads."""

    def __init__(self, settings: Parsing) -> None:
        """Keep the limits; no process is started before the first document that needs one."""
        self._settings = settings
        self._processes = settings.processes or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._processes, thread_name_prefix="parser")
        self._lock = threading.Lock()
        self._idle: list[ParserProcess] = []
        self._busy: set[ParserProcess] = set()
        self._closed = False

    def __enter__(self) -> "Parsers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes at once; documents in flight are given up."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for process in self._busy:
                process.kill()
        self._pool.shutdown(cancel_futures=True)
        for process in idle:
            process.stop()

    def parse_each(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Document | DocumentError]]:
        """Yield every job with its document, or with the reason why there is none, in the order of `jobs`.

        `jobs` is read a few documents ahead: about two for each process, and not more than 64 MB unless a
        single one is larger. Raises `TransientError` when no process can be started now, `PermanentError`
        when none can be at all.
        """
        begun: deque[_Begun] = deque()
        size = 0
        try:
            for job in jobs:
                begun.append(self._begin(job))
                size += begun[-1].size
                while len(begun) > 2 * self._processes + 2 or size > _IN_FLIGHT_BYTES:
                    size -= begun[0].size
                    yield _finished(begun.popleft())
            while begun:
                yield _finished(begun.popleft())
        finally:
            for item in begun:
                if isinstance(item.outcome, Future):
                    item.outcome.cancel()

    def _begin(self, job: Job) -> _Begun:
        if isinstance(job.data, DocumentError):
            return _Begun(job, job.data)
        try:
            kind = detect(job.data, job.media_type, job.name)
        except DocumentError as error:
            return _Begun(job, _named(job, error))
        if is_plain(kind) and len(job.data) <= _SHORT:
            return _Begun(job, partial(parse_as, kind, job.data))
        return _Begun(job, self._pool.submit(self._ask, kind, job.data))

    def _ask(self, kind: str, data: bytes) -> tuple[bytes, bytes]:
        process = self._take()
        try:
            return process.ask(kind, data)
        finally:
            self._give_back(process)

    def _take(self) -> ParserProcess:
        dead: list[ParserProcess] = []
        with self._lock:
            while self._idle and not self._idle[-1].alive():
                dead.append(self._idle.pop())
            process = (
                self._idle.pop() if self._idle else ParserProcess(self._settings.seconds, self._settings.memory_mb)
            )
            self._busy.add(process)
            if self._closed:
                process.kill()
        for corpse in dead:
            corpse.stop()
        return process

    def _give_back(self, process: ParserProcess) -> None:
        with self._lock:
            self._busy.discard(process)
            if reusable := process.fit and not self._closed:
                self._idle.append(process)
        if not reusable:
            process.stop()


def _finished(begun: _Begun) -> tuple[Job, Document | DocumentError]:
    """Wait for a job's outcome, and check it. Only the document that is handed out next is decoded."""
    job, outcome = begun.job, begun.outcome
    if isinstance(outcome, DocumentError):
        return job, outcome
    try:
        return job, decode(*outcome.result()) if isinstance(outcome, Future) else outcome()
    except BrokenMessage as error:
        reason = f"its parser gave no lawful document ({error}); exclude it, or report the parser"
        return job, _named(job, DocumentError(reason))
    except DocumentError as error:
        return job, _named(job, error)


def _named(job: Job, error: DocumentError) -> DocumentError:
    return DocumentError(f"{job.name or 'document'}: {error}")
