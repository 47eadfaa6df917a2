"""The cache in Redis, shared by every process that answers from one database.

Keys begin with the identity of the database, so that two deployments may share a server. No call takes longer than
`_AT_MOST_SECONDS` and none raises; after a failure nothing is asked for `_LEFT_ALONE_SECONDS`.
"""

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from threading import Thread
from typing import TYPE_CHECKING, Any

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query.cache.breaker import Breaker
from rag_pipeline.query.cache.counts import KEPT_DAYS, Counts, last_days, today
from rag_pipeline.query.cache.value import CachedAnswer, nano_usd, read, written

if TYPE_CHECKING:
    from redis import Redis

_logger = logging.getLogger(__name__)

URL_VARIABLE = "RAG_REDIS_URL"
"""The environment variable that names the server; a secret may be in it."""
_STEP_SECONDS = 0.1
"""To connect, and for each piece of a reply."""
_AT_MOST_SECONDS = 0.25
"""For all of it, whatever is slow: a name server, or a reply that comes in many pieces."""
_LEFT_ALONE_SECONDS = 30.0
_DAY = 86_400
MOST_BYTES = 256_000
"""An answer that takes more is not kept, and what is larger is not read."""


class AnswerCache:
    """Answers by their keys. Made by `open_cache`; any number of threads may use it at once."""

    def __init__(
        self, client: "Redis", namespace: str, seconds: float, most_bytes: int, breaker: Breaker | None = None
    ) -> None:
        """Take a client whose calls end soon.

        `namespace` names the deployment. Answers live for `seconds`; one larger than `most_bytes` is not kept.
        """
        self._client = client
        self._prefix = f"rag-pipeline:{hashlib.sha256(namespace.encode()).hexdigest()[:16]}:"
        self._milliseconds = max(1, round(seconds * 1000))
        self._most_bytes = most_bytes
        self._breaker = breaker or Breaker(_LEFT_ALONE_SECONDS)

    def get(self, key: str, secret: bytes) -> CachedAnswer | None:
        """Return what is kept under a key; None for a miss, which everything is that is not a sound answer.

        `secret` is what it was sealed with; Redis never sees it.
        """

        def ask() -> Any:
            # One byte more than may be: what is larger shows itself without being read.
            pipe = self._client.pipeline(transaction=False)
            pipe.getrange(self._prefix + key, 0, self._most_bytes)
            pipe.hincrby(self._today, "asked", 1)
            pipe.expire(self._today, KEPT_DAYS * _DAY)
            return pipe.execute(raise_on_error=False)[0]

        found = self._asked(ask)
        if isinstance(found, Exception):
            _logger.info("the cache of answers refused: %s", found)
        if not isinstance(found, bytes) or not 0 < len(found) <= self._most_bytes:
            return None
        return read(key, found, secret)

    def put(self, key: str, answer: CachedAnswer, secret: bytes) -> None:
        """Keep an answer, sealed, if it is not too large and there is a cache that answers now."""
        value = written(key, answer, secret)
        # What would not be read again is not kept.
        if len(value) <= self._most_bytes and read(key, value, secret) == answer:
            self._asked(lambda: self._client.set(self._prefix + key, value, px=self._milliseconds))

    def found(self, answer: CachedAnswer) -> None:
        """Count an answer that was given from the cache, with what that saved."""
        priced = answer.cost_usd is not None
        saved = {
            "found": 1,
            "tokens_saved": answer.tokens,
            "nano_usd_saved": nano_usd(answer.cost_usd) if answer.cost_usd is not None else 0,
            "tokens_unpriced": 0 if priced else answer.tokens,
        }

        def ask() -> Any:
            pipe = self._client.pipeline(transaction=False)
            for name, number in saved.items():
                pipe.hincrby(self._today, name, number)
            return pipe.execute(raise_on_error=False)

        self._asked(ask)

    def counts(self, days: int) -> list[Counts] | None:
        """Return what became of the questions of the last `days`, oldest first; None when the cache does not answer."""
        named = last_days(days)

        def ask() -> Any:
            pipe = self._client.pipeline(transaction=False)
            for day in named:
                pipe.hgetall(self._day(day.isoformat()))
            return pipe.execute(raise_on_error=False)

        found = self._asked(ask)
        if not isinstance(found, list):
            return None
        numbers = (each if isinstance(each, Mapping) else {} for each in found)
        return [Counts.of(day, each) for day, each in zip(named, numbers, strict=True)]

    @property
    def _today(self) -> str:
        return self._day(today().isoformat())

    def _day(self, day: str) -> str:
        return f"{self._prefix}day:{day}"

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """Return what Redis answers; None when it does not, refuses, or has just not answered."""
        from redis.exceptions import RedisError, ResponseError

        if not self._breaker.lets_through():
            return None
        try:
            answer = _in_time(ask, _AT_MOST_SECONDS)
        except ResponseError as error:
            # It is there, and will not: full, read only, another type under the key.
            self._breaker.succeeded()
            _logger.info("the cache of answers refused: %s", error)
            return None
        except Exception as error:  # an answer must not fail because a cache or its client does
            if self._breaker.failed():
                expected = isinstance(error, RedisError | TimeoutError)
                _logger.warning(
                    "the cache of answers (%s) does not answer; answers are made anew meanwhile: %s",
                    URL_VARIABLE,
                    error if expected else type(error).__name__,
                )
            return None
        if self._breaker.succeeded():
            _logger.warning("the cache of answers answers again")
        return answer


def _in_time(ask: Callable[[], Any], seconds: float) -> Any:
    """Return what `ask` returns, or raise what it raises; `TimeoutError` when it takes longer, and then it goes on."""
    ended: list[tuple[Any, Exception | None]] = []

    def run() -> None:
        try:
            ended.append((ask(), None))
        except Exception as error:  # it belongs to whoever waits
            ended.append((None, error))

    thread = Thread(target=run, name="cache of answers", daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise TimeoutError(f"no answer within {seconds:g} s")
    answer, error = ended[0]
    if error is not None:
        raise error
    return answer


def is_named(environ: Mapping[str, str]) -> bool:
    """Tell whether there is to be a cache."""
    return bool(environ.get(URL_VARIABLE, "").strip())


def open_cache(
    namespace: str, seconds: float, most_bytes: int = MOST_BYTES, environ: Mapping[str, str] = os.environ
) -> AnswerCache | None:
    """Return the cache that ``RAG_REDIS_URL`` names; None without it. Nothing is connected to before it is asked.

    Raises `ConfigurationError` for an address that cannot be one, or when the client is not installed.
    """
    if not is_named(environ):
        return None
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ConfigurationError(
            f"{URL_VARIABLE} is set, but Redis' client is not installed: pip install 'rag-pipeline[cache]'"
        ) from error
    try:
        client = Redis.from_url(
            environ[URL_VARIABLE].strip(),
            socket_connect_timeout=_STEP_SECONDS,
            socket_timeout=_STEP_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            client_name="rag-pipeline",
        )
    except ValueError:
        # The address may hold a password, so it is not repeated.
        raise ConfigurationError(
            f"{URL_VARIABLE} is no address of a Redis server; write redis://[:PASSWORD@]HOST:PORT/0, rediss:// for TLS"
        ) from None
    return AnswerCache(client, namespace, seconds, most_bytes)
