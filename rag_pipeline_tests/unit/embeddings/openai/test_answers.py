"""An answer is used only if it is one."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.embeddings.openai.answers import InvalidAnswer, largest_answer, read_answer
from rag_pipeline_tests.embedding_server import encoded

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NUMBERS = st.floats(-1, 1, width=32).filter(lambda number: number == 0 or abs(number) > 1e-6)


def written(vectors: list[list[float]], plain: bool = False, **more: Any) -> bytes:
    data = [{"index": index, "embedding": encoded(vector, plain)} for index, vector in enumerate(vectors)]
    return json.dumps({"data": data, "model": "m", "usage": {"total_tokens": 7}} | more).encode()


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=6), st.booleans(), st.randoms())
def test_vectors_come_in_order_and_with_length_one(vectors: list[list[float]], plain: bool, random: Any) -> None:
    body = json.loads(written(vectors, plain))
    random.shuffle(body["data"])
    answer = read_answer(json.dumps(body).encode(), len(vectors), 3)
    assert (answer.tokens, answer.answered_as) == (7, "m")
    for place, vector in enumerate(vectors):
        norm = np.linalg.norm(vector)
        assert (place in answer.faults) == (norm == 0)
        if norm:
            assert np.allclose(answer.vectors[place], np.asarray(vector) / norm, atol=1e-5)


@given(JSON)
def test_whatever_is_written_in_it_an_answer_is_whole_or_none(value: Any) -> None:
    for body in (
        value,
        {"data": value},
        {"data": [value]},
        {"data": [{"index": 0, "embedding": value}], "usage": value},
    ):
        try:
            answer = read_answer(json.dumps(body).encode(), 1, 2)
        except InvalidAnswer:
            continue
        assert answer.vectors.shape == (1, 2)
        assert answer.faults or abs(np.linalg.norm(answer.vectors[0]) - 1) < 1e-5


@given(st.binary(max_size=40))
def test_bytes_are_no_answer(body: bytes) -> None:
    with pytest.raises(InvalidAnswer):
        read_answer(body, 1, 2)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e39, 0.0])
def test_a_vector_without_direction_is_a_fault_of_it_alone(number: float) -> None:
    answer = read_answer(written([[1.0, 0.0], [number, 0.0], [0.0, 1.0]], plain=True), 3, 2)
    assert list(answer.faults) == [1]
    assert answer.vectors[[0, 2]].tolist() == [[1, 0], [0, 1]]


def test_the_tokens_of_a_wrong_answer_are_known() -> None:
    with pytest.raises(InvalidAnswer, match="1 vectors for 2 texts") as raised:
        read_answer(written([[1.0, 0.0]]), 2, 2)
    assert raised.value.tokens == 7


def test_deep_nesting_is_no_answer() -> None:
    with pytest.raises(InvalidAnswer):
        read_answer(b"[" * 200_000, 1, 2)


@given(st.integers(1, 50), st.integers(1, 30))
def test_no_good_answer_is_too_large(count: int, dimensions: int) -> None:
    vectors = [[-1.2345678901234567e-38] * dimensions] * count
    assert len(written(vectors, plain=True)) < largest_answer(count, dimensions)
