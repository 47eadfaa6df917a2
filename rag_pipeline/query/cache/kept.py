"""The answers that were kept for one index: found by their key, and given to those only who may read what they rest on.

Whatever is in the way, in the cache or in the database, is a miss: the model is asked, as if there were no cache.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

import psycopg

from rag_pipeline.errors import RagError
from rag_pipeline.query.cache.redis_cache import AnswerCache, is_named, open_cache
from rag_pipeline.query.cache.value import CachedAnswer
from rag_pipeline.query.question import Caller

if TYPE_CHECKING:
    from rag_pipeline.query.sessions import Sessions

_logger = logging.getLogger(__name__)


class KeptAnswers:
    """The cache, as one index uses it. Any number of threads may use it at once."""

    def __init__(self, sessions: "Sessions", hours: float, environ: Mapping[str, str] = os.environ) -> None:
        """Take the sessions of the index; answers are kept for so many hours. Nothing is asked yet."""
        self._sessions = sessions
        self._seconds = hours * 3600
        self._environ = environ
        self._opening = Lock()
        self._opened = False
        self._cache: AnswerCache | None = None

    @property
    def is_on(self) -> bool:
        """Whether there is to be a cache."""
        return is_named(self._environ)

    def find(
        self,
        key: str,
        chunk_ids: Sequence[str],
        caller: Caller,
        generation: int,
        just_made: CachedAnswer | None = None,
    ) -> CachedAnswer | None:
        """Return the answer under a key that cites none but these chunks, if the caller may read all of them now.

        `chunk_ids` are those that the answer would be made from. What was `just_made` for this key is not looked for.
        Raises `ConfigurationError` for an address that cannot be one.
        """
        cache = self._opened_cache()
        secret = self._secret(caller) if cache and just_made is None else None
        found = cache.get(key, secret) if cache and secret else just_made
        if found is None or not set(found.chunk_ids) <= set(chunk_ids):
            return None
        return found if self._may_read(chunk_ids, caller, generation) else None

    def keep(self, key: str, answer: CachedAnswer, caller: Caller) -> None:
        """Keep an answer for when this caller asks the same."""
        if (cache := self._opened_cache()) and (secret := self._secret(caller)):
            cache.put(key, answer, secret)

    def given(self, answer: CachedAnswer) -> None:
        """Count an answer that was found and given."""
        if cache := self._opened_cache():
            cache.found(answer)

    def _secret(self, caller: Caller) -> bytes | None:
        """Return what a caller's answers are sealed with: what is in the cache may be anybody's words."""
        try:
            return self._sessions.answer_seal(caller.principals)
        except (RagError, psycopg.Error) as error:
            _logger.info("what kept answers are sealed with cannot be read: %s", error)
            return None

    def _may_read(self, chunk_ids: Sequence[str], caller: Caller, generation: int) -> bool:
        try:
            return self._sessions.may_read(chunk_ids, caller.principals, generation)
        except (RagError, psycopg.Error, ValueError) as error:
            _logger.info("a kept answer could not be checked: %s", error)
            return False

    def _opened_cache(self) -> AnswerCache | None:
        with self._opening:
            if self._opened or not self.is_on:
                return self._cache
            try:
                deployment = self._sessions.deployment()
            except RagError as error:
                _logger.info("the cache could not be opened now: %s", error)
                return None
            except psycopg.Error as error:
                _logger.warning("answers are not kept, because the server does not say which one it is: %s", error)
                self._opened = True
                return None
            self._cache = open_cache(deployment, self._seconds, environ=self._environ)
            self._opened = True
            return self._cache
