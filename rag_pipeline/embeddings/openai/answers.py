"""Answers read with distrust: an answer is used only if it holds one vector for each text, each named once.

The client of the API checks none of this. Numbers come as base64 of little-endian floats, or as a list where a
service does not know the former.
"""

import base64
import binascii
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_pipeline.embeddings.openai.outcomes import Answered


class InvalidAnswer(ValueError):
    """An answer that is none. `tokens` is what it says to have cost, None when it does not say it."""

    def __init__(self, reason: str, tokens: int | None = None) -> None:
        super().__init__(reason)
        self.tokens = tokens


def largest_answer(count: int, dimensions: int) -> int:
    """Return how many bytes an answer of so many vectors has, at most: written out as decimal numbers."""
    return 2**16 + count * (200 + 32 * dimensions)


def read_answer(body: bytes, count: int, dimensions: int) -> Answered:
    """Return the vectors of `count` texts, in their order, with length 1.

    Raises `InvalidAnswer` when vectors are missing, named twice, of another length or no numbers. A vector that has
    no direction (not finite, or zero) is a fault of that one alone.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidAnswer("it is no JSON") from error
    if not isinstance(answer, dict):
        raise InvalidAnswer("it is no object")
    tokens = _tokens(answer.get("usage"))
    data = answer.get("data")
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise InvalidAnswer("it has no list of vectors", tokens)
    if len(data) != count:
        raise InvalidAnswer(f"it has {len(data)} vectors for {count} texts", tokens)
    vectors = np.empty((count, dimensions), np.float32)
    seen: set[int] = set()
    for item in data:
        index = item.get("index")
        if type(index) is not int or not 0 <= index < count or index in seen:
            raise InvalidAnswer(f"it names text {str(index)[:20]} of {count}, or names it twice", tokens)
        seen.add(index)
        numbers = _numbers(item.get("embedding"), tokens)
        if numbers.shape != (dimensions,):
            raise InvalidAnswer(f"it has vectors of {numbers.size} numbers instead of {dimensions}", tokens)
        vectors[index] = numbers
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    faults = {
        int(place): "its vector is zero" if norms[place] == 0 else "its vector is not of finite numbers"
        for place in np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    }
    norms[list(faults)] = 1
    return Answered((vectors / norms[:, None]).astype(np.float32), faults, tokens, str(answer.get("model") or ""))


def _numbers(embedding: Any, tokens: int | None) -> NDArray[np.float32]:
    try:
        if isinstance(embedding, str):
            return np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
        with np.errstate(over="ignore"):
            return np.asarray([float(number) for number in embedding], np.float32)
    except (TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise InvalidAnswer("it has a vector that is no numbers", tokens) from error


def _tokens(usage: Any) -> int | None:
    if not isinstance(usage, dict):
        return None
    tokens = usage.get("total_tokens", usage.get("prompt_tokens"))
    return tokens if type(tokens) is int and tokens >= 0 else None
