"""What comes out of a cache is exactly what went into it, or nothing."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag_pipeline.query.cache import value as value_module
from rag_pipeline.query.cache.value import CachedAnswer, nano_usd, read, written

KEY, SECRET = "0" * 64, b"s" * 32
ANSWER = CachedAnswer("Yearly [1].", ("a-1", "b-2"), ("a note",), "some-model-2026", 812, Decimal("0.000412"))

characters = st.characters(exclude_categories=[])
texts = st.lists(st.text(characters, max_size=8), max_size=4).map(tuple)
answers = st.builds(
    CachedAnswer,
    st.text(characters),
    texts,
    texts,
    st.text(characters, max_size=20),
    st.integers(0, 10**9),
    st.none() | st.decimals(0, 900, places=12),
)


@given(st.text("0123456789abcdef", min_size=64, max_size=64), answers)
@example(KEY, CachedAnswer("a lone \ud800 surrogate", (), (), "m", 0, None))
def test_what_is_written_is_read(key: str, answer: CachedAnswer) -> None:
    assert read(key, written(key, answer, SECRET), SECRET) == answer


@given(answers, st.text("0123456789abcdef", min_size=64, max_size=64))
def test_an_answer_to_another_question_is_none(answer: CachedAnswer, other: str) -> None:
    assert read(other, written(KEY, answer, SECRET), SECRET) is None or other == KEY


@given(answers, st.binary(min_size=32, max_size=32).filter(lambda secret: secret != SECRET))
def test_what_is_sealed_with_another_secret_is_no_answer(answer: CachedAnswer, other: bytes) -> None:
    """As somebody seals it who knows everything but the secret."""
    assert read(KEY, written(KEY, answer, other), SECRET) is None


@given(answers, st.data())
def test_a_changed_byte_is_no_answer(answer: CachedAnswer, data: st.DataObject) -> None:
    value = written(KEY, answer, SECRET)
    place = data.draw(st.integers(0, len(value) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != value[place]))
    assert read(KEY, value[:place] + bytes([byte]) + value[place + 1 :], SECRET) is None


@given(answers, st.data())
def test_a_cut_value_is_no_answer(answer: CachedAnswer, data: st.DataObject) -> None:
    value = written(KEY, answer, SECRET)
    assert read(KEY, value[: data.draw(st.integers(0, len(value) - 1))], SECRET) is None
    assert read(KEY, value + data.draw(st.binary(min_size=1)), SECRET) is None


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@given(
    st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
@example(b"")
@example(b"null")
@example(b"NaN")
@example(b'{"answer": null}')
@example(b'{"answer": {}, "format": 2, "seal": ""}')
@example(nested(100_000))
@example(b"9" * 5000)
@example(b"\x80\x04\x95.")
def test_anything_else_is_no_answer(found: bytes) -> None:
    assert read(KEY, found, SECRET) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"text": None},
        {"text": ["Yearly"]},
        {"model": 7},
        {"notes": [None]},
        {"tokens": True},
        {"tokens": -1},
        {"tokens": 10**18},
        {"tokens": 812.0},
        {"nano_usd": "412000"},
        {"nano_usd": -1},
        {"chunk_ids": "a-1"},
        {"chunk_ids": [1]},
        {"chunk_ids": None},
        {"more": 1},
    ],
    ids=str,
)
def test_another_shape_is_no_answer_even_if_it_is_sealed(changed: dict[str, Any]) -> None:
    """As another version of this software, or somebody who knows it, may have written it."""
    contents = json.loads(written(KEY, ANSWER, SECRET))["answer"] | changed
    sealed = {"format": 2, "answer": contents, "seal": value_module._seal(KEY, contents, SECRET)}
    assert read(KEY, value_module._canonical(sealed), SECRET) is None


def test_dollars_are_billionths() -> None:
    assert nano_usd(Decimal("0.000412")) == 412_000
    assert CachedAnswer("", (), (), "m", 1, Decimal("1e-10")).cost_usd == 0
