"""An answer as it is kept: JSON with a seal over its key and contents, read as something that a stranger wrote.

What was cut, changed, written for another question, by another version of this software or by who does not know the
secret is no answer.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_FORMAT = 2
_MOST = 1_000_000_000_000
"""Tokens, or billionths of a dollar, of one answer."""
_NANO = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """What a model wrote, once its citations had been checked, and what that took.

    `chunk_ids` are the chunks that the text cites, and `notes` what one should know about the answer. `model` is what
    the service called itself. `tokens` are those read and written; `cost_usd` their dollars, rounded to a billionth;
    None where nobody knew the price.
    """

    text: str
    chunk_ids: tuple[str, ...]
    notes: tuple[str, ...]
    model: str
    tokens: int
    cost_usd: Decimal | None

    def __post_init__(self) -> None:
        if self.cost_usd is not None:
            object.__setattr__(self, "cost_usd", self.cost_usd.quantize(_NANO))


def written(key: str, answer: CachedAnswer, secret: bytes) -> bytes:
    """Return the bytes that are kept under a key, sealed with a secret."""
    contents = {
        "text": answer.text,
        "chunk_ids": list(answer.chunk_ids),
        "notes": list(answer.notes),
        "model": answer.model,
        "tokens": answer.tokens,
        "nano_usd": None if answer.cost_usd is None else nano_usd(answer.cost_usd),
    }
    return _canonical({"format": _FORMAT, "seal": _seal(key, contents, secret), "answer": contents})


def read(key: str, found: bytes, secret: bytes) -> CachedAnswer | None:
    """Return the answer that bytes found under a key hold; None unless `written` made exactly these."""
    try:
        value = json.loads(found)
        contents = value["answer"]
        answer = _answer(contents)
        # Whatever was changed underway, blanks and order included, is not what was written.
        return answer if answer is not None and hmac.compare_digest(found, written(key, answer, secret)) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def nano_usd(cost: Decimal) -> int:
    """Return dollars as billionths: whole numbers, which are added exactly."""
    return int(cost.scaleb(9))


def _answer(contents: Any) -> CachedAnswer | None:
    """Return the answer in decoded contents; None when they are of another shape."""
    if not isinstance(contents, dict):
        return None
    text, chunk_ids, notes = contents["text"], contents["chunk_ids"], contents["notes"]
    model, tokens, cost = contents["model"], contents["tokens"], contents["nano_usd"]
    if not isinstance(text, str) or not isinstance(model, str):
        return None
    if not (_texts(chunk_ids) and _texts(notes) and _count(tokens) and (cost is None or _count(cost))):
        return None
    dollars = None if cost is None else Decimal(cost).scaleb(-9)
    return CachedAnswer(text, tuple(chunk_ids), tuple(notes), model, tokens, dollars)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _seal(key: str, contents: Mapping[str, Any], secret: bytes) -> str:
    return hmac.digest(secret, key.encode() + b"\n" + _canonical(contents), "sha256").hex()


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
