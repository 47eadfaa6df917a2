"""Whether the index answers, and how fresh it is, for those who watch the service."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from rag_pipeline.errors import RagError
from rag_pipeline.query import Caller, Index

KEPT = 5.0
"""Seconds for which an answer serves, so that watching costs the index nothing to speak of."""
_QUESTION = "is anybody there"
_NOBODY = Caller("public")


@dataclass(frozen=True, slots=True)
class Beat:
    """What was seen: the error, if any, and up to when the index is confirmed."""

    error: RagError | None
    as_of: datetime | None


class Pulse:
    """Asks the index a question that anyone may ask, at most every few seconds."""

    def __init__(self, index: Index) -> None:
        """Take the index; nothing is asked yet."""
        self._index = index
        self._lock = threading.Lock()
        self._beat: tuple[float, Beat] | None = None

    def feel(self) -> Beat:
        """Return how the index is."""
        with self._lock:
            if self._beat is None or time.monotonic() - self._beat[0] > KEPT:
                # A whole search: it needs the model, the database and a generation, as a real one does.
                try:
                    self._index.search(_QUESTION, caller=_NOBODY, k=1, rerank=False)
                    beat = Beat(None, self._index.as_of())
                except RagError as error:
                    beat = Beat(error, None)
                self._beat = time.monotonic(), beat
            return self._beat[1]
