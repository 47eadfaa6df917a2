"""A cross-encoder behind the common ``/rerank`` API: Cohere, Jina, vLLM, llama.cpp, Text Embeddings Inference.

The question and all passages are posted at once; the answer names passages by index and scores them. The last
of these services wants other names and at most 32 passages a request: the first question finds that out.

An answer is believed only if it is whole: every passage once, every score a finite number. It is bounded in
time, however slowly it drips, and in size. Nothing is followed to another address, because of the key.
"""

import json
import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import httpx2

from rag_pipeline.errors import ConfigurationError, PermanentError, TransientError
from rag_pipeline.query.rerank_local import sigmoid

_LARGEST_ANSWER = 16 * 2**20
"""Bytes; some services send the passages back."""

_LARGEST_BATCH = 32
_LARGEST_SCORE = 1e6
_AT_ONCE = 16
_SAID = 200
"""Characters of an error's body that are shown."""


class ServiceReranker:
    """One service. `url` ends with ``/rerank``, or that is added; `key_env` names the variable that holds its key."""

    def __init__(self, url: str, model: str, key_env: str) -> None:
        """Take the address and read the key; nothing is contacted yet. Raises `ConfigurationError`."""
        self._url = _endpoint(url)
        self._model = model
        self._key_env = key_env
        key = os.environ.get(key_env, "")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ConfigurationError(f"{key_env} holds what no key does; set it to the key alone")
        headers = {"Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._client = httpx2.Client(headers=headers, follow_redirects=False)
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rerank")
        self._wants_texts = False
        weakref.finalize(self, self._client.close)

    def scores(self, question: str, texts: Sequence[str], seconds: float) -> list[float]:
        """Return one relevance a text, in order, between 0 and 1.

        Scores between 0 and 1 are taken as they are; if any is not, all are logits, and their sigmoid is taken.
        Raises `TimeoutError` after `seconds`, `TransientError` when the service is away or busy,
        `ConfigurationError` when it refuses what the settings say, `PermanentError` for an answer that is none.
        """
        asked = self._pool.submit(self._answered, question, list(texts), monotonic() + seconds)
        try:
            found = asked.result(seconds)
        finally:
            asked.cancel()
        if all(0 <= score <= 1 for score in found):
            return found
        return [sigmoid(score) for score in found]

    def _answered(self, question: str, texts: list[str], deadline: float) -> list[float]:
        if not self._wants_texts:
            asked = {"model": self._model, "query": question, "documents": texts}
            status, body = self._posted(asked, deadline)
            if not (status == 422 and b"missing field `texts`" in body):
                return _scores(self._accepted(status, body), len(texts))
        found: list[float] = []
        for start in range(0, len(texts), _LARGEST_BATCH):
            batch = texts[start : start + _LARGEST_BATCH]
            status, body = self._posted({"query": question, "texts": batch, "truncate": True}, deadline)
            found += _scores(self._accepted(status, body), len(batch))
        self._wants_texts = True
        return found

    def _posted(self, asked: dict[str, Any], deadline: float) -> tuple[int, bytes]:
        """Post a request; return the status and the body of the answer, whatever they are."""
        body = bytearray()
        try:
            remaining = max(deadline - monotonic(), 0.001)
            with self._client.stream("POST", self._url, json=asked, timeout=remaining) as response:
                for piece in response.iter_raw():
                    body += piece
                    if len(body) > _LARGEST_ANSWER:
                        raise PermanentError(f"the re-ranking service sent more than {_LARGEST_ANSWER:,} bytes")
                    if monotonic() > deadline:
                        raise TimeoutError
        except httpx2.TimeoutException as error:
            raise TimeoutError from error
        except httpx2.TransportError as error:
            raise TransientError(f"the re-ranking service cannot be reached: {error}") from error
        return response.status_code, bytes(body)

    def _accepted(self, status: int, body: bytes) -> bytes:
        """Return the body of an answer that is one; raise what its status says otherwise."""
        if status == 200:
            return body
        if status in (401, 403):
            raise ConfigurationError(f"the re-ranking service refused the key ({status}); set {self._key_env}")
        if status == 429 or status >= 500:
            raise TransientError(f"the re-ranking service is busy or broken ({status}){_said(body)}")
        if 300 <= status < 400 or status == 404:
            raise ConfigurationError(f"[retrieval] rerank_url leads to no re-ranking service ({status}){_said(body)}")
        raise ConfigurationError(f"the re-ranking service refused the request ({status}){_said(body)}")


def _endpoint(url: str) -> httpx2.URL:
    """The full address; its query, which may carry a version, stays."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ConfigurationError("[retrieval] rerank_url is no address; write https://HOST/rerank") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError("[retrieval] rerank_url is no address of the web; write https://HOST/rerank")
    path = parsed.path.rstrip("/")
    return parsed.copy_with(path=path if path.endswith("/rerank") else f"{path}/rerank")


def _said(body: bytes) -> str:
    """The beginning of an error's body on one line, as it may be shown."""
    text = body[: 4 * _SAID].decode("utf-8", "replace")
    words = "".join(char if char.isprintable() else " " for char in text).split()
    return f": {' '.join(words)[:_SAID]}" if words else ""


def _scores(body: bytes, count: int) -> list[float]:
    """Return the scores of `count` passages, in order, from an answer. Raises `PermanentError` unless it is whole."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PermanentError("the re-ranking service answered with something that is no JSON") from error
    results = answer.get("results", answer.get("data")) if isinstance(answer, dict) else answer
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise PermanentError("the re-ranking service answered without a list of results")
    found: dict[int, float] = {}
    for result in results:
        index, score = result.get("index"), result.get("relevance_score", result.get("score"))
        if type(index) is not int or not 0 <= index < count or index in found:
            raise PermanentError(
                f"the re-ranking service named passage {str(index)[:20]} of {count}, or named it twice"
            )
        if type(score) not in (int, float) or not -_LARGEST_SCORE < score < _LARGEST_SCORE:
            raise PermanentError(f"the re-ranking service gave passage {index} a score that is no finite number")
        found[index] = float(score)
    if len(found) < count:
        raise PermanentError(f"the re-ranking service scored {len(found)} of {count} passages")
    return [found[index] for index in range(count)]
