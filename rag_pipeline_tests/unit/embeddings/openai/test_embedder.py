"""The embedder against a real service: whatever goes wrong, each text gets its own vector, and all tokens count."""

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rag_pipeline.embeddings import Refusal, Vector, open_embedder
from rag_pipeline.embeddings.openai import OpenAIEmbedder, buying
from rag_pipeline.embeddings.openai import embedder as embedder_module
from rag_pipeline.embeddings.openai.buying import Buyer
from rag_pipeline.embeddings.openai.tokens import count_tokens
from rag_pipeline.errors import BudgetExhausted, ConfigurationError, PermanentError, RagError, TransientError
from rag_pipeline.settings import Embedding
from rag_pipeline_tests.embedding_faults import MENDED, SPOILT, noting_late, request_seconds
from rag_pipeline_tests.embedding_server import (
    DIMENSIONS,
    MODEL,
    Asked,
    EmbeddingServer,
    Fault,
    Reply,
    answer,
    embedding_server,
    encoded,
    error,
    vector,
)
from rag_pipeline_tests.running import wait_for
from rag_pipeline_tests.serving import HELD

TEXTS = [f"the {number}th text is about {'tide ' * (number % 5)}and harbours" for number in range(60)]
BATCH = 7
"""Texts of a request, beside the sample."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with embedding_server() as running:
        yield running


@dataclass
class Bought:
    vectors: dict[int, Vector] = field(default_factory=dict[int, Vector])
    refused: dict[int, Refusal] = field(default_factory=dict[int, Refusal])
    tokens: int = 0
    lost: int = 0
    reserved: int = 0
    error: Exception | None = None


def opened(service: EmbeddingServer, **more: Any) -> OpenAIEmbedder:
    embedder = open_embedder(Embedding.model_validate(service.settings(**more)))
    assert isinstance(embedder, OpenAIEmbedder)
    return embedder


def buy(
    service: EmbeddingServer,
    texts: list[str] = TEXTS,
    at_most: float = float("inf"),
    known: int = 0,
    patience: float | None = None,
    **more: Any,
) -> Bought:
    """Buy as the store does: what comes before an error is kept.

    `patience` replaces `give_up_seconds` after the sample, so that a busy machine does not take too long for that.
    """
    bought, reserved = Bought(), 0

    def reserve(tokens: int) -> None:
        nonlocal reserved
        if reserved + bought.tokens + tokens > at_most:
            raise BudgetExhausted("no more")
        reserved += tokens

    embedder = opened(service, **more)
    try:
        bought.tokens += embedder.sample().tokens
        if patience is not None:
            embedder._settings = embedder._settings.model_copy(update={"give_up_seconds": patience})
        for batch in embedder.embed(iter(texts), reserve, known):
            assert not bought.vectors.keys() & set(batch.positions)
            bought.vectors.update(zip(batch.positions, batch.vectors, strict=True))
            bought.refused.update(batch.refused)
            bought.tokens += batch.tokens
            bought.lost += 0 if batch.positions else batch.tokens
            reserved -= batch.reserved
            assert batch.tokens <= batch.reserved
            assert list(batch.counts) == count_tokens([texts[position] for position in batch.positions])
    except RagError as stopped:
        bought.error = stopped
    assert reserved == 0
    for position, found in bought.vectors.items():
        assert np.allclose(found, vector(texts[position]), atol=1e-6)
    return bought


def is_whole(bought: Bought) -> bool:
    return bought.error is None and not bought.refused and sorted(bought.vectors) == list(range(len(TEXTS)))


def test_every_text_is_bought_once_in_full_requests(service: EmbeddingServer) -> None:
    bought = buy(service)
    assert is_whole(bought)
    assert bought.tokens == service.charged
    assert set(service.sold.values()) == {1}
    assert len(service.asked) == 1 + -(-len(TEXTS) // BATCH)
    assert service.asked[0].body["encoding_format"] == "base64"
    assert (
        "authorization" not in service.asked[0].headers or service.asked[0].headers["authorization"] == "Bearer unused"
    )


@pytest.mark.parametrize("name", MENDED)
def test_a_fault_that_passes_leaves_no_trace(service: EmbeddingServer, name: str) -> None:
    service.fault = MENDED[name]
    with noting_late() as late:
        bought = buy(service, request_seconds=request_seconds(name), model="text-embedding-3-small")
    assert is_whole(bought), bought.error
    never_charged = (
        sum(sum(count_tokens(asked.body["input"])) for asked in service.asked) - service.charged
        if "not charged" in name
        else 0
    )
    assert bought.tokens == service.charged + never_charged
    again = sum(service.sold.values()) - len(TEXTS)
    assert again <= (sum(late) or len(SPOILT) * BATCH)
    assert set(service.sold.values()) <= {1, 2} or len(late) > len(SPOILT)


def test_plain_numbers_are_understood(service: EmbeddingServer) -> None:
    service.fault = lambda number, asked: Reply(answer(Asked(asked.headers, asked.body | {"encoding_format": "float"})))
    assert is_whole(buy(service))


def test_a_service_that_knows_only_plain_numbers_is_asked_for_them(service: EmbeddingServer) -> None:
    def fault(number: int, asked: Asked) -> Reply | None:
        known = asked.body["encoding_format"] == "float"
        return None if known else error(400, "encoding_format: base64 is not supported")

    service.fault = fault
    assert is_whole(buy(service))
    assert sum(asked.body["encoding_format"] == "base64" for asked in service.asked) == 1


@pytest.mark.parametrize("bad", [[5], [0, 59], [10, 11, 12]])
def test_refused_texts_are_found_and_the_others_bought(service: EmbeddingServer, bad: list[int]) -> None:
    texts = [f"poison {text}" if number in bad else text for number, text in enumerate(TEXTS)]
    service.fault = lambda number, asked: (
        error(400, "maximum context length is 8192 tokens") if any("poison" in text for text in asked.texts) else None
    )
    bought = buy(service, texts)
    assert bought.error is None
    assert sorted(bought.refused) == bad
    assert all(refusal.lasting and "8192 tokens" in refusal.reason for refusal in bought.refused.values())
    assert sorted(bought.vectors) == [number for number in range(len(TEXTS)) if number not in bad]
    assert bought.tokens == service.charged
    assert set(service.sold.values()) == {1}


def test_where_a_model_takes_many_texts_some_are_refused_however_few_are_asked(service: EmbeddingServer) -> None:
    texts = ["good", *(f"poison {number}" for number in range(12))]
    service.fault = lambda number, asked: (
        error(400, "too long") if any("poison" in text for text in asked.texts) else None
    )
    bought = buy(service, texts, known=12)
    assert (bought.error, sorted(bought.refused)) == (None, list(range(1, 13)))
    assert bought.tokens == service.charged
    bought = buy(service, texts, known=9)
    assert isinstance(bought.error, PermanentError)
    assert "not about single ones" in str(bought.error)


def test_a_service_that_refuses_whatever_it_is_asked_stops_the_run_however_many_it_took(
    service: EmbeddingServer,
) -> None:
    service.fault = lambda number, asked: error(400, "no") if len(service.asked) > 1 else None
    bought = buy(service, TEXTS * 3, known=1_000)
    assert isinstance(bought.error, PermanentError)
    assert "refuses whatever it is asked" in str(bought.error)
    assert len(bought.refused) < 20


def nothing_for(asked: Asked, word: str, numbers: list[float]) -> Reply:
    body = answer(asked)
    for item, text in zip(body["data"], asked.body["input"], strict=True):
        if word in text:
            item["embedding"] = encoded(numbers)
    return Reply(body)


@pytest.mark.parametrize("number", [0.0, float("nan")])
def test_a_text_whose_vector_is_none_is_asked_twice_and_left(service: EmbeddingServer, number: float) -> None:
    service.fault = lambda _, asked: nothing_for(asked, " 30th ", [number] * DIMENSIONS)
    bought = buy(service)
    assert (bought.error, list(bought.refused)) == (None, [30])
    assert not bought.refused[30].lasting
    assert len(bought.vectors) == len(TEXTS) - 1
    assert service.sold[TEXTS[30]] == 2
    assert bought.tokens == service.charged


def test_a_text_at_which_the_service_always_fails_is_left(
    service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.embeddings.openai.buying._DELAY", 0.01)
    service.seconds = 0.02
    service.fault = lambda number, asked: error(500) if any(" 30th " in text for text in asked.texts) else None
    bought = buy(service, requests_at_once=2)
    assert (bought.error, list(bought.refused)) == (None, [30])
    assert not bought.refused[30].lasting


@pytest.mark.parametrize("batch", [2, 9])
def test_an_outage_is_no_fault_of_the_texts_that_failed_as_it_began(
    service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(buying, "_DELAY", 0.02)
    down: Counter[str] = Counter()

    def fault(number: int, asked: Asked) -> Reply | None:
        if not down and number < 10:
            return None
        if 10 < number < 14:
            return Reply(answer(asked), seconds=0.1)  # under way as it began
        if max(down.values(), default=0) == buying._ATTEMPTS + 2:  # more often than a text may fail by itself
            return None
        down.update(asked.texts)
        return error(500, "down")

    service.fault = fault
    bought = buy(service, batch_texts=batch, texts=TEXTS * 3)
    assert (bought.error, bought.refused, len(bought.vectors)) == (None, {}, 3 * len(TEXTS))


def test_a_service_that_fails_half_of_the_time_is_no_fault_of_the_texts(
    service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.embeddings.openai.buying._DELAY", 0.005)
    service.fault = lambda number, asked: error(500) if number > 0 and number % 2 else None
    assert is_whole(buy(service))


@pytest.mark.parametrize("bad", [[30], [3, 33]])
def test_texts_at_which_the_service_always_fails_are_found_soon(
    service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch, bad: list[int]
) -> None:
    monkeypatch.setattr("rag_pipeline.embeddings.openai.buying._DELAY", 0.025)
    poison = [f" {number}th " for number in bad]
    texts = [f"the {text}" for text in TEXTS]
    service.fault = lambda number, asked: (
        error(500) if any(word in text for word in poison for text in asked.texts) else None
    )
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr(buying, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    bought = buy(service, texts, batch_texts=9)
    assert (bought.error, sorted(bought.refused), len(bought.vectors)) == (None, bad, len(TEXTS) - len(bad))
    assert not any(refusal.lasting for refusal in bought.refused.values())
    assert sum(slept) < 6, "half a second, or half a minute for who waits longer after each failure"


def test_a_text_that_is_refused_once_is_asked_again(service: EmbeddingServer) -> None:
    service.fault = lambda number, asked: error(400, "could not parse the body") if number == 0 else None
    bought = buy(service, ["text"])
    assert (bought.error, bought.refused, len(bought.vectors)) == (None, {}, 1)


def test_a_slow_service_is_asked_for_what_it_can_do(service: EmbeddingServer) -> None:
    sizes: list[int] = []

    def fault(number: int, asked: Asked) -> Reply:
        sizes.append(len(asked.texts))
        return Reply(answer(asked), seconds=HELD if len(asked.texts) > 48 else 0.4)

    service.fault = fault
    texts = TEXTS * 4
    with noting_late() as late:
        bought = buy(service, texts, batch_texts=129, request_seconds=1.5, requests_at_once=2)
    assert (bought.error, len(bought.vectors)) == (None, len(texts))
    # 128 texts and 64 take too long; that is learned once, and not again by every request
    assert sum(size > 48 for size in sizes) <= 4
    if min(late) > 48:  # else a pause of this machine made the service look slower than it is
        assert len(sizes) <= 4 + 1 + len(texts) // 16


def test_a_service_that_is_slow_whatever_is_asked_is_told_with_what_to_lower(service: EmbeddingServer) -> None:
    service.fault = lambda number, asked: Reply(answer(asked), seconds=HELD) if asked.texts else None
    bought = buy(service, request_seconds=0.2, patience=1)
    assert isinstance(bought.error, TransientError)
    assert re.search("batch_texts or requests_at_once, or raise request_seconds", str(bought.error))


def test_nothing_is_looked_at_while_all_waits(service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    time_to_next = Buyer._time_to_next

    def counted(buyer: Buyer, next_one: Any) -> float:
        nonlocal looks
        looks += 1
        return time_to_next(buyer, next_one)

    monkeypatch.setattr(Buyer, "_time_to_next", counted)
    service.fault = lambda number, asked: error(429, "slow down", retry_after="1") if number == 1 else None
    assert is_whole(buy(service))
    assert looks < 40


STOPS: dict[str, tuple[Fault, type[RagError], str]] = {
    "F30 much later": (
        lambda number, asked: error(429, "slow down", retry_after="3601"),
        TransientError,
        "again in 3601 seconds, which is later than",
    ),
    "F31 no credit": (
        lambda number, asked: error(429, "You exceeded your quota", "insufficient_quota"),
        PermanentError,
        "no more requests on this account .429.: You exceeded your quota. Add credit",
    ),
    "F31 payment required": (lambda number, asked: error(402), PermanentError, "Add credit"),
    "F40 always too short": (
        lambda number, asked: Reply(answer(asked, dimensions=8)),
        PermanentError,
        "vectors of 8 numbers instead of 16",
    ),
    "F43 key revoked": (lambda number, asked: error(401, "bad key"), ConfigurationError, "Set OPENAI_API_KEY"),
    "F43 forbidden": (lambda number, asked: error(403, "no"), ConfigurationError, "Set OPENAI_API_KEY"),
    "no such model": (lambda number, asked: error(404, "gone"), ConfigurationError, "model or base_url"),
    "led elsewhere": (
        lambda number, asked: Reply({}, 307, {"Location": "http://127.0.0.1:9/v1"}, charged=False),
        ConfigurationError,
        "base_url",
    ),
    "F44 another name": (
        lambda number, asked: Reply(answer(asked) | {"model": "other"}),
        PermanentError,
        "calls its model 'other' and no longer 'tests-embedding'.*revision",
    ),
    "F44 other weights": (
        lambda number, asked: Reply(answer(asked, weights=1)),
        PermanentError,
        "another vector than before.*rag-pipeline migrate plan",
    ),
    "F38 misnamed order": (
        lambda number, asked: Reply(_misnamed(answer(asked))),
        PermanentError,
        "another vector than before",
    ),
    "everything is refused": (lambda number, asked: error(400, "no"), PermanentError, "not about single ones"),
    "nothing but nonsense": (lambda number, asked: Reply([]), PermanentError, "does not answer properly"),
    "away": (lambda number, asked: error(500), TransientError, "no usable answer for 2 seconds"),
}


def _misnamed(body: dict[str, Any]) -> dict[str, Any]:
    """The vectors in another order, under the numbers of the right one."""
    vectors = [item["embedding"] for item in body["data"]]
    for item, embedding in zip(body["data"], reversed(vectors), strict=True):
        item["embedding"] = embedding
    return body


@pytest.mark.parametrize("name", STOPS)
def test_a_fault_that_stays_stops_the_run_and_what_was_bought_stays(service: EmbeddingServer, name: str) -> None:
    fault, kind, words = STOPS[name]
    service.fault = lambda number, asked: fault(number, asked) if number >= 3 else None
    # What an answer without a word of its cost has cost is known of OpenAI's models alone.
    model = "text-embedding-3-small" if name == "nothing but nonsense" else MODEL
    bought = buy(service, patience=2 if name == "away" else None, model=model)
    assert type(bought.error) is kind
    assert re.search(words, str(bought.error))
    # Before the service is away, a pause of this machine may use the patience up.
    assert len(bought.vectors) == (len(service.sold) if name == "away" else 3 * BATCH)
    assert bought.tokens == service.charged
    service.fault = lambda number, asked: None
    rest = [text for position, text in enumerate(TEXTS) if position not in bought.vectors]
    assert len(buy(service, rest).vectors) == len(rest)


def test_a_text_alone_at_which_the_service_always_fails_is_left(
    service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_pipeline.embeddings.openai.buying._DELAY", 0.01)
    service.fault = lambda number, asked: error(500) if "bad" in asked.texts else None
    bought = buy(service, ["bad"])
    assert (bought.error, list(bought.refused)) == (None, [0])
    assert bought.tokens == service.charged
    bought = buy(service, ["good", "bad", "fine"])
    assert (bought.error, list(bought.refused), sorted(bought.vectors)) == (None, [1], [0, 2])


def test_characters_that_cannot_be_sent_are_refused(service: EmbeddingServer) -> None:
    bought = buy(service, ["good", "bad \ud800"])
    assert (bought.error, list(bought.refused), sorted(bought.vectors)) == (None, [1], [0])


def test_a_service_that_cannot_be_reached_costs_nothing(service: EmbeddingServer) -> None:
    settings = Embedding.model_validate(service.settings(base_url="http://127.0.0.1:9/v1", give_up_seconds=1))
    with pytest.raises(TransientError, match="does not answer"):
        next(open_embedder(settings).embed(["text"]))


def test_a_budget_stops_before_it_is_passed(service: EmbeddingServer) -> None:
    bought = buy(service, at_most=400, model="text-embedding-3-small")
    assert isinstance(bought.error, BudgetExhausted)
    assert bought.tokens == service.charged <= 400
    assert bought.tokens > 250
    assert len(bought.vectors) == len(service.sold)


def test_lost_answers_count_against_the_budget(service: EmbeddingServer) -> None:
    service.fault = lambda number, asked: Reply(answer(asked), cut=300)
    bought = buy(service, at_most=400, model="text-embedding-3-small")
    assert isinstance(bought.error, BudgetExhausted)
    assert bought.vectors == {}
    # Never below the charge; above it by what was on its way when the budget ended, and may not have arrived.
    assert 200 < service.charged <= bought.tokens <= 400


@pytest.mark.parametrize("told", [True, False])
def test_a_budget_holds_whatever_a_model_of_others_makes_of_a_text(service: EmbeddingServer, told: bool) -> None:
    charged = 0

    def fault(number: int, asked: Asked) -> Reply:
        nonlocal charged
        tokens = 3 * sum(count_tokens(asked.body["input"]))
        charged += tokens if asked.texts else 0
        usage = {"prompt_tokens": tokens, "total_tokens": tokens} if told else None
        return Reply(answer(asked) | {"usage": usage}, cut=300 if number % 2 or not told else None)

    service.fault = fault
    bought = buy(service, at_most=3_000, requests_at_once=1)
    assert isinstance(bought.error, BudgetExhausted)
    assert 0 < charged <= bought.tokens <= 3_000


def test_an_error_of_the_texts_comes_after_what_was_under_way(service: EmbeddingServer) -> None:
    service.seconds = 0.2

    def texts() -> Iterator[str]:
        yield from TEXTS[:20]
        raise TransientError("the database went away")

    found: set[int] = set()

    def take() -> None:
        for batch in opened(service).embed(texts()):
            found.update(batch.positions)

    with pytest.raises(TransientError, match="went away"):
        take()
    assert found == set(range(14))
    assert len(service.sold) == 14


def test_few_texts_are_read_ahead_and_few_requests_unsettled(service: EmbeddingServer) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for number in range(1000):
            read += 1
            yield f"text {number}"

    taken = 0
    for batch in opened(service, requests_at_once=3).embed(texts()):
        time.sleep(0.01)
        # three under way, and the one that is being taken
        assert sum(service.sold.values()) - taken <= (3 + 1) * BATCH
        assert read - taken <= (5 + 1) * BATCH
        taken += len(batch.positions)
    assert taken == 1000
    assert service.most_at_once <= 3


def test_no_slot_waits_for_what_is_done_with_a_batch(service: EmbeddingServer) -> None:
    service.seconds = 0.05
    for number, _ in enumerate(opened(service, requests_at_once=1).embed(iter(TEXTS[:21])), 1):
        # The sample, the batches that are here, and, of three in all, the one after them.
        answered, deadline = 1 + min(number + 1, 3), time.monotonic() + 60
        while len(service.charges) < answered and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(service.charges) == answered


def test_a_budget_for_one_request_at_a_time_buys_them_all(service: EmbeddingServer) -> None:
    texts = [f"{'a' * 30} {number}" for number in range(4)]
    bought = buy(service, texts, at_most=150, batch_texts=2, requests_at_once=1)
    assert (bought.error, len(bought.vectors)) == (None, 4)


def test_a_service_that_bears_two_requests_at_a_time_is_asked_no_faster_for_long(service: EmbeddingServer) -> None:
    service.seconds = 0.03
    service.fault = lambda number, asked: error(429, "too many at once") if service.at_once > 2 else None
    assert is_whole(buy(service, requests_at_once=16))
    refused = len(service.asked) - len(service.charges)
    assert refused <= 30


def test_limits_told_by_headers_are_kept(service: EmbeddingServer) -> None:
    started = time.monotonic()

    def fault(number: int, asked: Asked) -> Reply:
        left = max(0, 200 - 100 * len(service.charges))
        headers = {
            "x-ratelimit-limit-tokens": "6000",
            "x-ratelimit-remaining-tokens": str(left),
            "x-ratelimit-reset-tokens": f"{(6000 - left) * 10}ms",
        }
        return Reply(answer(asked), headers=headers)

    service.fault = fault
    assert is_whole(buy(service, requests_at_once=1))
    # a hundred tokens a second grow back, and some 700 are needed
    assert time.monotonic() - started > 2


def test_a_request_above_the_limit_of_a_minute_is_halved(service: EmbeddingServer) -> None:
    headers = {"x_ratelimit_limit_tokens": "50", "x_ratelimit_remaining_tokens": "0"}
    headers["x_ratelimit_reset_tokens"] = "50ms"

    def fault(number: int, asked: Asked) -> Reply | None:
        fits = sum(count_tokens(asked.body["input"])) <= 50
        return None if fits else error(429, "Request too large", "rate_limit_exceeded", **headers)

    service.fault = fault
    assert is_whole(buy(service, requests_at_once=1))


def test_a_question_is_embedded_soon_or_not_at_all(service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder_module, "_QUESTION_SECONDS", 600)
    embedder = opened(service)
    service.fault = lambda number, asked: error(500) if number < 1 else None
    assert np.allclose(embedder.embed_query("a question"), vector("a question"), atol=1e-6)
    service.fault = lambda number, asked: Reply(answer(asked), seconds=HELD)
    with monkeypatch.context() as patch:
        patch.setattr(embedder_module, "_QUESTION_SECONDS", 0.5)
        with pytest.raises(TransientError, match="no answer within"):
            embedder.embed_query("another question")
    service.fault = lambda number, asked: error(400, "too long")
    with pytest.raises(PermanentError, match="too long"):
        embedder.embed_query("a long question")


def test_the_key_comes_from_the_environment_and_is_never_shown(
    service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    service.fault = lambda number, asked: error(401, f"Incorrect API key: {asked.headers['authorization']}")
    with pytest.raises(ConfigurationError) as raised:
        opened(service).embed_query("text")
    assert service.asked[0].headers["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in str(raised.value)


def test_the_address_may_come_from_the_environment(service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", service.url)
    assert opened(service, base_url=None).embed_query("text").shape == (DIMENSIONS,)


def test_openai_itself_wants_a_key(service: EmbeddingServer) -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
        opened(service, base_url=None).embed_query("text")


@pytest.mark.parametrize("key", ["with blank", "ünicode", "line\nbreak"])
def test_a_key_that_is_none_is_refused(service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigurationError, match="set it to the key alone"):
        opened(service).embed_query("text")


@pytest.mark.parametrize("url", ["no address", "ftp://host/v1", "http://[", "//host"])
def test_an_address_that_is_none_is_refused(service: EmbeddingServer, url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url is no address"):
        opened(service, base_url=url).embed_query("text")


def test_names_and_lengths(service: EmbeddingServer) -> None:
    def named(**settings: Any) -> str:
        return open_embedder(Embedding.model_validate({"provider": "openai"} | settings)).model

    assert named(model="text-embedding-3-small") == "text-embedding-3-small/1536"
    assert named(model="text-embedding-3-large", dimensions=256) == "text-embedding-3-large/256"
    assert named(model="text-embedding-3-small", revision="2") == "text-embedding-3-small#2/1536"
    with pytest.raises(ConfigurationError, match="dimensions: missing"):
        named(model="some/model")
    with pytest.raises(ConfigurationError, match="2000 is too much; of 'text-embedding-3-small' the index holds 1536"):
        named(model="text-embedding-3-small", dimensions=2000)
    with pytest.raises(ConfigurationError, match="the index holds 4000"):
        named(model="some/model", dimensions=4096)


def test_a_length_is_asked_for_only_where_that_is_understood(service: EmbeddingServer) -> None:
    opened(service).embed_query("text")
    opened(service, send_dimensions=True).embed_query("text")
    opened(service, model="text-embedding-3-large", dimensions=8).embed_query("text")
    opened(service, model="text-embedding-3-small", dimensions=1536)
    assert [asked.body.get("dimensions") for asked in service.asked] == [None, DIMENSIONS, 8]


def test_no_connection_and_no_thread_stays_behind(service: EmbeddingServer) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for _ in range(3):
        embedder = opened(service)
        embedder.embed_query("text")
        del embedder
    if before:
        wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before + 4, 60)  # the server closes its ends by and by
