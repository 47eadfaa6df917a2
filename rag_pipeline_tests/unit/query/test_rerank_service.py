"""Services with the common API: what is sent, what is believed, and that none can hold up or break a search."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import ConfigurationError, PermanentError, RagError, TransientError
from rag_pipeline.query import rerank_service
from rag_pipeline.query.rerank import reranked
from rag_pipeline.query.rerank_local import sigmoid
from rag_pipeline.query.rerank_service import ServiceReranker
from rag_pipeline_tests.serving import HELD
from rag_pipeline_tests.unit.query.candidates import candidate
from rag_pipeline_tests.unit.query.rerank_server import (
    Reply,
    RerankServer,
    common,
    overlap,
    rerank_server,
    text_embeddings_inference,
)

PATIENCE = 600
"""Seconds: as long as a busy machine takes."""

QUESTION = "rotate a key"
TEXTS = ["how to rotate a key", "nothing of it", "a key", "to rotate"]
EXPECTED = [overlap(QUESTION, text) for text in TEXTS]
KEY_ENV = "TESTS_RERANK_KEY"


@pytest.fixture
def service() -> Iterator[RerankServer]:
    with rerank_server() as running:
        yield running


def ask(url: str, texts: list[str] = TEXTS, seconds: float = PATIENCE) -> list[float]:
    return ServiceReranker(url, "some/model", KEY_ENV).scores(QUESTION, texts, seconds)


def scored(*scores: Any, name: str = "relevance_score") -> dict[str, Any]:
    return {"results": [{"index": index, name: score} for index, score in enumerate(scores)]}


@pytest.mark.parametrize("path", ["", "/", "/rerank", "/v2", "/v1/rerank/", "/v2/rerank?version=3"])
def test_the_address_ends_with_rerank(service: RerankServer, path: str) -> None:
    assert ask(service.url + path) == EXPECTED
    expected = {"": "/rerank", "/": "/rerank", "/v2": "/v2/rerank", "/v1/rerank/": "/v1/rerank"}.get(path, path)
    assert [asked.path for asked in service.asked] == [expected]


def test_the_request_is_the_common_one_and_carries_the_key(
    service: RerankServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, "secret")
    ask(service.url)
    [asked] = service.asked
    assert asked.body == {"model": "some/model", "query": QUESTION, "documents": TEXTS}
    assert asked.headers["authorization"] == "Bearer secret"


def test_without_a_key_none_is_sent(service: RerankServer) -> None:
    ask(service.url)
    assert "authorization" not in service.asked[0].headers


def test_a_server_with_other_names_is_understood_and_remembered() -> None:
    texts = [f"{'rotate ' * (number % 2)}{number} key" for number in range(70)]
    with rerank_server(text_embeddings_inference) as service:
        reranker = ServiceReranker(service.url, "some/model", KEY_ENV)
        for _ in range(2):
            assert reranker.scores(QUESTION, texts, PATIENCE) == [overlap(QUESTION, text) for text in texts]
        forms = [("documents" in asked.body, len(asked.body.get("texts", []))) for asked in service.asked]
    assert forms == [(True, 0), *[(False, 32), (False, 32), (False, 6)] * 2]


def test_results_may_be_called_data(service: RerankServer) -> None:
    service.answer = lambda asked: Reply({"data": scored(0.5, 0.25)["results"]})
    assert ask(service.url, ["a", "b"]) == [0.5, 0.25]


def test_logits_become_shares_and_shares_stay(service: RerankServer) -> None:
    service.answer = lambda asked: Reply(scored(8, -3.5, 0.5))
    assert ask(service.url, ["a", "b", "c"]) == [sigmoid(8), sigmoid(-3.5), sigmoid(0.5)]
    service.answer = lambda asked: Reply(scored(1, 0, 0.5))
    assert ask(service.url, ["a", "b", "c"]) == [1, 0, 0.5]


BAD_ANSWERS = {
    b"<html>": "no JSON",
    b"[" * 100_000: "no JSON",
    b"\xff": "no JSON",
    b"3": "without a list of results",
    b"{}": "without a list of results",
    b'{"results": {"0": 1}}': "without a list of results",
    b"[1, 2]": "without a list of results",
    b"[]": "scored 0 of 2 passages",
    b'[{"index": 0, "score": 1}]': "scored 1 of 2 passages",
    b'[{"index": 0, "score": 1}, {"index": 0, "score": 1}]': "named passage 0 of 2, or named it twice",
    b'[{"index": 0, "score": 1}, {"index": 2, "score": 1}]': "named passage 2 of 2",
    b'[{"index": -1, "score": 1}, {"index": 1, "score": 1}]': "named passage -1 of 2",
    b'[{"index": "0", "score": 1}, {"index": 1, "score": 1}]': "named passage 0 of 2",
    b'[{"index": true, "score": 1}, {"index": 0, "score": 1}]': "named passage True of 2",
    b'[{"score": 1}, {"index": 1, "score": 1}]': "named passage None of 2",
    b'[{"index": 0, "score": NaN}, {"index": 1, "score": 1}]': "passage 0 a score that is no finite number",
    b'[{"index": 0, "score": 1e999}, {"index": 1, "score": 1}]': "passage 0 a score that is no finite number",
    b'[{"index": 0, "score": "1"}, {"index": 1, "score": 1}]': "passage 0 a score that is no finite number",
    b'[{"index": 0, "score": true}, {"index": 1, "score": 1}]': "passage 0 a score that is no finite number",
    b'[{"index": 0}, {"index": 1, "score": 1}]': "passage 0 a score that is no finite number",
    b'[{"index": 0, "score": 1' + b"0" * 400 + b'}, {"index": 1, "score": 1}]': "no finite number",
}


@pytest.mark.parametrize(("body", "reason"), BAD_ANSWERS.items(), ids=lambda value: value[:50])
def test_an_answer_that_is_not_whole_is_refused(service: RerankServer, body: bytes, reason: str) -> None:
    service.answer = lambda asked: Reply(body)
    with pytest.raises(PermanentError, match=reason):
        ask(service.url, ["a", "b"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["results", "index", "score"]), inner),
    max_leaves=8,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=60
)
@given(answer=json_values)
def test_any_answer_gives_scores_or_an_error_of_ours(service: RerankServer, answer: Any) -> None:
    service.answer = lambda asked: Reply(answer)
    try:
        assert len(ask(service.url, ["a"])) == 1
    except RagError as error:
        assert "the re-ranking service" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, ConfigurationError, rf"refused the key \(401\); set {KEY_ENV}"),
        (403, ConfigurationError, rf"refused the key \(403\); set {KEY_ENV}"),
        (404, ConfigurationError, r"leads to no re-ranking service \(404\): what it says"),
        (308, ConfigurationError, r"leads to no re-ranking service \(308\)"),
        (400, ConfigurationError, r"refused the request \(400\): what it says"),
        (422, ConfigurationError, r"refused the request \(422\): what it says"),
        (429, TransientError, r"busy or broken \(429\): what it says"),
        (503, TransientError, r"busy or broken \(503\): what it says"),
    ],
)
def test_a_refusal_says_who_can_help(service: RerankServer, status: int, kind: type[RagError], reason: str) -> None:
    service.answer = lambda asked: Reply(b"what\nit \x1b says", status, {"Location": "http://127.0.0.1:1/rerank"})
    with pytest.raises(kind, match=reason):
        ask(service.url)
    assert len(service.asked) == 1


def test_a_service_that_is_not_there_is_told(service: RerankServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TransientError, match="cannot be reached"):
        ask(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_the_deadline_is_kept_however_the_service_is_slow(service: RerankServer, drips: bool) -> None:
    def slow(asked) -> Reply:
        if not drips:
            service.released.wait(HELD)
        return Reply(b" " * 100_000)

    service.answer, service.drips = slow, drips
    with pytest.raises(TimeoutError):
        ask(service.url, seconds=0.3)


def test_a_slow_answer_is_not_waited_for_in_the_background_either(service: RerankServer) -> None:
    service.answer, service.drips = lambda asked: Reply(b" " * 100_000), True
    with pytest.raises(TimeoutError):
        ask(service.url, seconds=0.3)
    assert service.left.wait(120)


def test_many_questions_at_once_do_not_make_one_wait_longer(
    service: RerankServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerank_service, "_AT_ONCE", 1)
    service.answer = lambda asked: Reply(b"[]") if service.released.wait(HELD) else Reply(b"")
    reranker = ServiceReranker(service.url, "some/model", KEY_ENV)
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(reranker.scores, QUESTION, TEXTS, PATIENCE)
        while not service.asked:
            time.sleep(0.01)
        with pytest.raises(TimeoutError):
            reranker.scores(QUESTION, TEXTS, 0.3)
        service.released.set()
        assert isinstance(patient.exception(PATIENCE), PermanentError)
    assert len(service.asked) == 1


def test_a_flood_is_cut_off(service: RerankServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerank_service, "_LARGEST_ANSWER", 1000)
    service.answer = lambda asked: Reply(b" " * 1_000_000)
    with pytest.raises(PermanentError, match="more than 1,000 bytes"):
        ask(service.url)


@pytest.mark.parametrize("url", ["", "rerank", "http://", "ftp://host/rerank", "http:/host", "http://[::1/rerank"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="rerank_url is no address"):
        ServiceReranker(url, "some/model", KEY_ENV)


@pytest.mark.parametrize("key", ["two words", "ключ", "key\n"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, key)
    with pytest.raises(ConfigurationError, match=f"{KEY_ENV} holds what no key does") as caught:
        ServiceReranker("http://host", "some/model", KEY_ENV)
    assert key not in str(caught.value)


def test_a_search_goes_on_without_the_service(service: RerankServer) -> None:
    candidates = [candidate("a", "nothing", score=0.2), candidate("b", QUESTION, score=0.1)]
    reranker = ServiceReranker(service.url, "some/model", KEY_ENV)
    order, ranks, note = reranked(QUESTION, candidates, reranker, 2, 50, PATIENCE)
    assert ([one.chunk_id for one in order], ranks, note) == (["b", "a"], {"b": 1, "a": 2}, None)
    service.answer = lambda asked: Reply(b"", 500)
    order, ranks, note = reranked(QUESTION, candidates, reranker, 2, 50, PATIENCE)
    assert order == candidates
    assert ranks == {}
    assert note == "re-ranking failed; the order is that of the fused search"
    service.answer = common
    assert reranked(QUESTION, candidates, reranker, 2, 50, PATIENCE)[2] is None
