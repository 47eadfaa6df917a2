"""The log of questions, for whoever asked for one: what was asked and what was found, never a text of a document.

Asking never waits for it. A record is put into a queue; a thread writes what has gathered, in a session of its own on
the server that the index is written to, and what cannot be written is dropped. A search that cannot be logged is
a search like any other.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import psycopg

from rag_pipeline.database.connection import open_session, server_url
from rag_pipeline.database.statements import statements
from rag_pipeline.query.answer import Answer
from rag_pipeline.query.hits import Hits
from rag_pipeline.query.question import Caller, Filters
from rag_pipeline.storable import storable

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

_logger = logging.getLogger(__name__)
_WAITING = 1_000
"""Records that may wait; the next are dropped."""

_AT_ONCE = 100
_KEPT_IDS = 10
_PAUSE_SECONDS = 30.0
"""How long nothing is tried after a failure."""

_GATHER_SECONDS = 0.25
"""So that many questions are one transaction, mostly written when their answers are out."""

_CLOSING_SECONDS = 2.0
_SESSION = {"default_transaction_read_only": "off", "synchronous_commit": "off", "statement_timeout": "10s"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what came of it.

    `found` and `cited` are chunk_ids, best first. `evidence` is how well what was found speaks to the question.
    `abstained` is None where nobody was to answer, or nobody could. `filtered`: not all that the caller may read
    was searched.
    """

    purpose: Literal["search", "answer"]
    question: str
    principals: tuple[str, ...]
    filtered: bool
    found: tuple[str, ...]
    evidence: float
    abstained: bool | None = None
    cited: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, purpose: Literal["search", "answer"], question: str, caller: Caller, filters: Filters, hits: Hits
    ) -> "Asked":
        """Describe a search."""
        return cls(
            purpose=purpose,
            question=storable(question),
            principals=caller.principals,
            filtered=filters != Filters(),
            found=tuple(hit.chunk_id for hit in hits),
            evidence=hits.evidence.score,
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The record as the database takes it."""
        return {
            "purpose": self.purpose,
            "question": self.question,
            "principals": list(self.principals),
            "filtered": self.filtered,
            "hits": len(self.found),
            "found": list(self.found[:_KEPT_IDS]),
            "cited": list(self.cited[:_KEPT_IDS]),
            "evidence": self.evidence,
            "abstained": self.abstained,
        }


class QueryLog:
    """The log of one index. Any number of threads may add to it; `close` writes what still waits, if that is quick."""

    def __init__(self, settings: "Settings") -> None:
        """Take the settings; nothing is contacted before the first record."""
        self._settings = settings
        self._waiting: Queue[Asked | None] = Queue(_WAITING)
        self._starting = Lock()
        self._closing = Event()
        self._thread: Thread | None = None
        self._not_before = 0.0

    def add_search(self, question: str, caller: Caller, filters: Filters, hits: Hits) -> None:
        """Log a search, as `add` does."""
        self.add(Asked.of("search", question, caller, filters, hits))

    def add_answer(self, question: str, caller: Caller, filters: Filters, answer: Answer) -> None:
        """Log a question that was answered, or not, as `add` does."""
        asked = Asked.of("answer", question, caller, filters, answer.hits)
        cited = tuple(citation.chunk_id for citation in answer.citations)
        # Where the model failed, nobody answered and nobody declined.
        self.add(replace(asked, abstained=None if answer.answer is None else answer.abstained, cited=cited))

    def add(self, asked: Asked) -> None:
        """Hand over a record; when too many wait, it is dropped. Never raises, never waits."""
        if self._thread is None:
            self._start()
        try:
            self._waiting.put_nowait(asked)
        except Full:
            _logger.debug("the log of questions does not keep up; a question is not in it")

    def close(self) -> None:
        """Write what still waits, for a moment at most."""
        if self._thread is None:
            return
        self._closing.set()
        try:
            self._waiting.put(None, timeout=_CLOSING_SECONDS)
        except Full:
            return
        self._thread.join(_CLOSING_SECONDS)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                # Nothing that a process must live on for.
                self._thread = Thread(target=self._run, name="query log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        session: psycopg.Connection[Any] | None = None
        ended = False
        while not ended:
            records, ended = self._gathered()
            if not records or monotonic() < self._not_before:
                continue
            try:
                session = session or self._opened()
                _write(session, records)
            except Exception as error:  # whatever it is, it must not end the thread, nor reach who asks
                self._not_before = monotonic() + _PAUSE_SECONDS
                _logger.warning("%d questions could not be logged: %s", len(records), _said(error))
                if session is not None:
                    session.close()
                session = None
        if session is not None:
            session.close()

    def _gathered(self) -> tuple[list[Asked], bool]:
        """Wait for a record and take what has come with it; say whether that was the last."""
        records: list[Asked] = []
        waiting = self._waiting.get()
        self._closing.wait(_GATHER_SECONDS)
        while waiting is not None:
            records.append(waiting)
            if len(records) == _AT_ONCE:
                return records, False
            try:
                waiting = self._waiting.get_nowait()
            except Empty:
                return records, False
        return records, True

    def _opened(self) -> psycopg.Connection[Any]:
        """Open a session with the rights of those who search, on the server itself: a replica writes nothing."""
        return open_session(server_url(self._settings), "rag_reader", _SESSION)


def _write(session: psycopg.Connection[Any], records: Sequence[Asked]) -> None:
    with session.transaction(), session.cursor() as cursor:
        cursor.executemany(statements("query_log")["add"], [record.parameters for record in records])


def _said(error: Exception) -> str:
    if isinstance(error, psycopg.errors.UndefinedFunction):
        return "the index is of an earlier version; prepare it: rag-pipeline db start"
    # What Postgres adds below the first line may quote the question.
    return str(error).partition("\n")[0]
