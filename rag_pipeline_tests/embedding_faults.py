"""What can go wrong at a service, by name: each fault spoils some answers, and then the service works again."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import MappingProxyType
from typing import Any

import pytest

from rag_pipeline.embeddings.openai.outcomes import Failed, Heard
from rag_pipeline.embeddings.openai.service import Service
from rag_pipeline_tests.embedding_server import DIMENSIONS, Asked, Fault, Reply, answer, encoded, error
from rag_pipeline_tests.serving import HELD

SPOILT = (1, 3)
"""The requests that a fault spoils."""


def _spoiling(reply: Any) -> Fault:
    return lambda number, asked: reply(asked) if number in SPOILT else None


def _edited(edit: Any) -> Fault:
    """Spoil good answers: `edit` changes the object. A text that is asked once more, alone, is not spoilt again."""

    def reply(asked: Asked) -> Reply | None:
        if len(asked.texts) == 1:
            return None
        body = answer(asked)
        edit(body)
        return Reply(body)

    return _spoiling(reply)


def _short(body: dict[str, Any]) -> None:
    del body["data"][1]


def _duplicate(body: dict[str, Any]) -> None:
    body["data"][0]["index"] = 1


def _numbers(numbers: list[float]) -> Any:
    def edit(body: dict[str, Any]) -> None:
        body["data"][0]["embedding"] = encoded(numbers)

    return edit


def _reversed(number: int, asked: Asked) -> Reply:
    body = answer(asked)
    body["data"].reverse()
    return Reply(body)


def _date(asked: Asked) -> Reply:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    return error(429, "slow down", "rate_limit_exceeded", retry_after=soon)


def _html(status: int, charged: bool = False) -> Any:
    page = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    return lambda asked: Reply(page, status, {"Content-Type": "text/html"}, charged=charged)


def _storm(number: int, asked: Asked) -> Reply:
    return Reply(answer(asked), seconds=(number * 7 % 10) / 20)


MENDED: Mapping[str, Fault] = MappingProxyType(
    {
        "F30 busy, again in a second": _spoiling(lambda asked: error(429, "slow down", retry_after="1")),
        "F30 busy, again in some milliseconds": _spoiling(lambda asked: error(429, "slow down", retry_after_ms="90")),
        "F30 busy, again at a date": _spoiling(_date),
        "F30 busy, without a time": _spoiling(lambda asked: error(429, "slow down")),
        "F32 500": _spoiling(lambda asked: error(500, "oops")),
        "F32 502 with a page": _spoiling(_html(502)),
        "F32 503": _spoiling(lambda asked: error(503, "overloaded", retry_after="0.2")),
        "F32 529": _spoiling(lambda asked: error(529, "overloaded")),
        "F32 closed without a word, and not charged": _spoiling(lambda asked: Reply({}, charged=False, answers=False)),
        "F33 too late, and charged": _spoiling(lambda asked: Reply(answer(asked), seconds=HELD)),
        "F33 too late, and not charged": _spoiling(lambda asked: Reply(answer(asked), seconds=HELD, charged=False)),
        "F34 cut off": _spoiling(lambda asked: Reply(answer(asked), cut=300)),
        "F35 a page instead of an answer": _spoiling(_html(200, charged=True)),
        "F36 no JSON": _spoiling(lambda asked: Reply(json.dumps(answer(asked)).encode()[:-1])),
        "F36 no object": _spoiling(lambda asked: Reply([])),
        "F36 no data": _edited(lambda body: body.update(data=None)),
        "F37 too few vectors": _edited(_short),
        "F38 in another order": _reversed,
        "F39 a text named twice": _edited(_duplicate),
        "F40 a vector too short": _edited(_numbers([1.0] * (DIMENSIONS - 1))),
        "F40 a vector too long": _edited(_numbers([1.0] * (DIMENSIONS + 1))),
        "F41 not a number": _edited(_numbers([float("nan")] * DIMENSIONS)),
        "F41 infinite": _edited(_numbers([float("inf")] + [0.0] * (DIMENSIONS - 1))),
        "F41 zero": _edited(_numbers([0.0] * DIMENSIONS)),
        "F41 no numbers": _edited(lambda body: body["data"][0].update(embedding="%%%")),
        "F45 an answer that drips": _spoiling(lambda asked: Reply(answer(asked), drip=0.05)),
        "F46 now fast, now slow": _storm,
    }
)
"""Faults that pass: in the end every text has its vector."""


def request_seconds(name: str) -> float:
    """How long a request may take beside a fault: with patience, where the fault is not that it takes too long."""
    return 3 if name.startswith(("F33", "F45")) else 600


@contextmanager
def noting_late() -> Iterator[list[int]]:
    """Note how many texts each request had that was given up as too slow, be it for a fault or a pause of this machine.

    They are bought again, and nothing else is.
    """
    late: list[int] = []
    once = Service._once

    async def noted(service: Service, texts: list[str]) -> Heard:
        heard = await once(service, texts)
        if isinstance(heard.outcome, Failed) and heard.outcome.slow:
            late.append(len(texts))
        return heard

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Service, "_once", noted)
        yield late
