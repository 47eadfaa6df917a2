"""The cache over a real Redis server: what it keeps, and that nothing that happens to the server is an error."""

import logging
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query.cache import AnswerCache, CachedAnswer, open_cache, redis_cache
from rag_pipeline.query.cache.counts import today
from rag_pipeline.query.cache.value import written
from rag_pipeline_tests.redis_server import (
    LIMITS,
    RedisServer,
    answering,
    free_port,
    needs_redis,
    redis_server,
    waiting,
)

KEY, OTHER_KEY, SECRET = "a" * 64, "b" * 64, b"s" * 32
ANSWER = CachedAnswer("Yearly [1].", ("a-1",), (), "some-model-2026", 812, Decimal("0.000412"))
UNPRICED = CachedAnswer("Never.", (), (), "some-model-2026", 100, None)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    running.client.flushall()
    return running


def opened(url: str, namespace: str = "here", seconds: float = 60, most_bytes: int = 10_000) -> AnswerCache:
    cache = open_cache(namespace, seconds, most_bytes, {"RAG_REDIS_URL": url})
    assert cache is not None
    return cache


def kept(server: RedisServer) -> bytes:
    """The name under which the answer to KEY is kept."""
    [name] = [name for name in names(server) if name.endswith(KEY.encode())]
    return name


def names(server: RedisServer) -> list[bytes]:
    return [name for name in server.client.scan_iter() if isinstance(name, bytes)]


def test_without_an_address_there_is_no_cache() -> None:
    assert open_cache("here", 60, environ={}) is None
    assert open_cache("here", 60, environ={"RAG_REDIS_URL": " "}) is None


@pytest.mark.parametrize("url", ["localhost:6379", "http://user:secret@localhost", "redis://user:secret@host:port/0"])
def test_an_address_that_cannot_be_one_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="RAG_REDIS_URL") as refused:
        opened(url)
    assert "secret" not in str(refused.value)


@needs_redis
def test_an_answer_is_found_under_its_key_until_it_expires(server: RedisServer) -> None:
    cache = opened(server.url, seconds=3600)
    assert cache.get(KEY, SECRET) is None
    cache.put(KEY, ANSWER, SECRET)
    assert cache.get(KEY, SECRET) == ANSWER
    assert cache.get(OTHER_KEY, SECRET) is None
    name = kept(server)
    assert 0 < int(str(server.client.pttl(name))) <= 3_600_000
    server.client.pexpire(name, 1)
    while server.client.exists(name):
        time.sleep(0.001)
    assert cache.get(KEY, SECRET) is None


@needs_redis
def test_two_deployments_on_one_server_know_nothing_of_each_other(server: RedisServer) -> None:
    here, there = opened(server.url, "here"), opened(server.url, "there")
    here.put(KEY, ANSWER, SECRET)
    assert there.get(KEY, SECRET) is None
    there.put(KEY, UNPRICED, SECRET)
    assert (here.get(KEY, SECRET), there.get(KEY, SECRET)) == (ANSWER, UNPRICED)
    counted = [cache.counts(1) for cache in (here, there)]
    assert [counts and counts[0].asked for counts in counted] == [1, 2]


@needs_redis
@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x80\x04\x95\x00",
        b"null",
        b'{"text": "Yearly"}',
        written(OTHER_KEY, ANSWER, SECRET),
        written(KEY, ANSWER, SECRET)[:-1],
        written(KEY, ANSWER, SECRET).replace(b"Yearly", b"Hourly"),
        written(KEY, ANSWER, b"guessed"),
        b" " * 50_000_000,
    ],
    ids=["empty", "pickle", "null", "other shape", "of another key", "cut", "changed", "forged", "huge"],
)
def test_what_is_no_answer_is_a_miss(server: RedisServer, value: bytes) -> None:
    cache = opened(server.url)
    cache.put(KEY, ANSWER, SECRET)
    server.client.set(kept(server), value)
    sent = server.sent_bytes()
    assert cache.get(KEY, SECRET) is None
    assert server.sent_bytes() - sent < 100_000, "what is too large is not read"
    cache.put(KEY, ANSWER, SECRET)
    assert cache.get(KEY, SECRET) == ANSWER, "it is replaced"


@needs_redis
def test_another_type_under_the_key_is_a_miss_and_stays(server: RedisServer) -> None:
    cache = opened(server.url)
    cache.put(KEY, ANSWER, SECRET)
    name = kept(server)
    server.client.delete(name)
    server.client.rpush(name, "a", "b")
    assert cache.get(KEY, SECRET) is None
    cache.put(OTHER_KEY, ANSWER, SECRET)
    assert cache.get(OTHER_KEY, SECRET) == ANSWER, "a refusal is no outage"


@needs_redis
def test_what_is_too_large_is_not_kept(server: RedisServer) -> None:
    size = len(written(KEY, ANSWER, SECRET))
    opened(server.url, most_bytes=size - 1).put(KEY, ANSWER, SECRET)
    assert not names(server)
    cache = opened(server.url, most_bytes=size)
    cache.put(KEY, ANSWER, SECRET)
    assert cache.get(KEY, SECRET) == ANSWER


@needs_redis
def test_a_full_server_keeps_nothing_and_says_so_to_nobody(server: RedisServer) -> None:
    cache = opened(server.url)
    server.client.config_set("maxmemory", "1")
    try:
        cache.put(KEY, ANSWER, SECRET)
        assert cache.get(KEY, SECRET) is None
    finally:
        server.client.config_set("maxmemory", "0")
    cache.put(KEY, ANSWER, SECRET)
    assert cache.get(KEY, SECRET) == ANSWER


@needs_redis
def test_a_server_that_wants_a_password_is_a_miss(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    server.client.config_set("requirepass", "secret")
    try:
        cache = opened(server.url)
        cache.put(KEY, ANSWER, SECRET)
        assert cache.get(KEY, SECRET) is None
        known = opened(server.url.replace("redis://", "redis://:secret@"))
        known.put(KEY, ANSWER, SECRET)
        assert known.get(KEY, SECRET) == ANSWER
    finally:
        server.client.config_set("requirepass", "")
    assert "secret" not in caplog.text


# What happens to the server


@needs_redis
def test_a_stopped_server_is_asked_once_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, questions: list[float]
) -> None:
    with redis_server(tmp_path) as server:
        cache = opened(server.url)
        cache.put(KEY, ANSWER, SECRET)
        server.stop()
        with caplog.at_level(logging.WARNING):
            questions.clear()
            for _ in range(1000):
                assert cache.get(KEY, SECRET) is None
                cache.put(KEY, ANSWER, SECRET)
                cache.found(ANSWER)
            assert cache.counts(30) is None
            assert len(questions) == 1
        assert len(caplog.records) == 1
        server.start()
        after_the_pause(cache)
        assert cache.get(KEY, SECRET) is None, "it kept nothing on disk"
        cache.put(KEY, ANSWER, SECRET)
        assert cache.get(KEY, SECRET) == ANSWER


@needs_redis
@pytest.mark.parametrize("step", [LIMITS["_STEP_SECONDS"], 600], ids=["a step", "all of it"])
def test_a_frozen_server_costs_a_moment_once(server: RedisServer, questions: list[float], step: float) -> None:
    """Whether it is a step that takes too long or all of it; the server is frozen until the questions are through."""
    patient = opened(server.url)
    patient.put(KEY, ANSWER, SECRET)
    patient.put(OTHER_KEY, UNPRICED, SECRET)
    with waiting(_STEP_SECONDS=step):
        cache = opened(server.url)
        heard(cache, OTHER_KEY)  # so that there is a connection
    with server.frozen():
        questions.clear()
        for _ in range(100):
            assert cache.get(KEY, SECRET) is None
        assert questions == [LIMITS["_AT_MOST_SECONDS"]]
    assert cache.get(OTHER_KEY, SECRET) is None, "it is left alone"
    # Late replies on the old connection are not taken for those to a new question.
    assert heard(cache, OTHER_KEY) == UNPRICED
    assert heard(cache, KEY) == ANSWER


def heard(cache: AnswerCache, key: str) -> CachedAnswer:
    """Ask until there is an answer: one whose steps must be short may have to ask again on a busy machine."""
    while True:
        after_the_pause(cache)
        if answer := cache.get(key, SECRET):
            return answer


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that each question was given which was really asked."""
    asked: list[float] = []
    in_time = redis_cache._in_time

    def noted(ask: Callable[[], Any], seconds: float) -> Any:
        asked.append(seconds)
        return in_time(ask, seconds)

    monkeypatch.setattr(redis_cache, "_in_time", noted)
    return asked


def after_the_pause(cache: AnswerCache) -> None:
    cache._breaker._opens_at = 0.0


def test_nobody_listening_is_a_miss() -> None:
    assert opened(f"redis://127.0.0.1:{free_port()}/0").get(KEY, SECRET) is None


@pytest.mark.parametrize(
    ("what", "every"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", 0.0),
        (b"\x00\xff\r\n" * 100, 0.0),
        (b"+OK\r\n" * 100, 0.0),
        (b"$5000000000\r\n" + b"x" * 1000, 0.0),
        (b"*1000000000\r\n" * 20, 0.0),
        (b"$99999\r\n" + b"x" * 99999, 0.06),
    ],
    ids=["http", "noise", "wrong reply", "huge string", "nested lists", "in pieces"],
)
def test_a_server_that_is_none_is_a_miss(what: bytes, every: float) -> None:
    limits = LIMITS | ({"_STEP_SECONDS": 600} if every else {})  # each piece may come in time, on any machine
    with answering(what, every) as url, waiting(**limits):
        cache = opened(url)
        for _ in range(10):
            assert cache.get(KEY, SECRET) is None
            cache.put(KEY, ANSWER, SECRET)


@needs_redis
def test_an_emptied_server_is_a_miss(server: RedisServer) -> None:
    cache = opened(server.url)
    cache.put(KEY, ANSWER, SECRET)
    server.client.flushall()
    assert cache.get(KEY, SECRET) is None


# Counts


@needs_redis
def test_what_was_asked_found_and_saved_is_counted_by_day(server: RedisServer) -> None:
    cache = opened(server.url)
    for _ in range(3):
        cache.get(KEY, SECRET)
    cache.found(ANSWER)
    cache.found(UNPRICED)
    counts = cache.counts(3)
    assert counts is not None
    assert [each.day.toordinal() - today().toordinal() for each in counts] == [-2, -1, 0]
    now = counts[-1]
    assert (now.asked, now.found, now.tokens_saved, now.saved_usd) == (3, 2, 912, Decimal("0.000412"))
    assert now.tokens_unpriced == 100
    assert {(each.asked, each.found, each.tokens_saved) for each in counts[:-1]} == {(0, 0, 0)}


@needs_redis
@pytest.mark.parametrize("damage", ["string", "words", "gone"])
def test_damaged_counts_count_as_nothing_and_harm_no_answer(server: RedisServer, damage: str) -> None:
    cache = opened(server.url)
    cache.put(KEY, ANSWER, SECRET)
    cache.get(KEY, SECRET)
    [name] = [name for name in names(server) if b":day:" in name]
    if damage == "words":
        server.client.hset(name, mapping={"asked": "many", "tokens_saved": "-5", "found": "1e9"})
    else:
        server.client.delete(name)
        if damage == "string":
            server.client.set(name, "x")
    assert cache.get(KEY, SECRET) == ANSWER
    cache.found(ANSWER)
    counts: Any = cache.counts(1)
    assert counts[0].asked <= 1
    assert counts[0].tokens_saved >= 0
