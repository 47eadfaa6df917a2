"""What came of a request, as a value: who can do something about it decides which one it is.

=========  ==============================================================================
outcome    whose turn it is
=========  ==============================================================================
`Answered`  ours: vectors to keep
`Failed`    nobody's: the world was in the way, or the service is busy; it is sent again
`Refused`   the texts': at least one of them is not accepted
`Stopped`   a person's: a key, a bill or a setting; nothing else is sent
=========  ==============================================================================
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag_pipeline.errors import ConfigurationError, PermanentError, RagError

if TYPE_CHECKING:
    import openai

_OUT_OF_QUOTA = re.compile(r"insufficient_quota|billing|exceeded_current_quota|insufficient_balance")
_SETTINGS = {"dimensions": "dimensions", "model": "model", "user": "base_url"}
"""What a service may complain about that is no text, and the setting behind it."""

_SAID = 200
"""Characters of an error's words that are shown."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that is whole: one vector a text (texts × dimensions), unit ones save for those in `faults`.

    `faults` says of some texts, by their place, why what came is no vector. `tokens` is what was charged, None
    when the service does not say it.
    """

    vectors: NDArray[np.float32]
    faults: Mapping[int, str]
    tokens: int | None
    answered_as: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or none that can be used. `tokens` is what it cost: None when nobody knows, 0 when nothing.

    `busy` services are asked more slowly, `slow` ones for less at a time, and one that answers nonsense
    (`invalid`) is not asked for long. `wait` is after how many seconds the service wants to be asked again.
    """

    reason: str
    tokens: int | None = 0
    busy: bool = False
    slow: bool = False
    invalid: bool = False
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The request was understood and not accepted; nothing was charged."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing can be bought until a person has done something. `tokens` is what finding that out cost."""

    error: RagError
    tokens: int | None = 0


Outcome = Answered | Failed | Refused | Stopped


@dataclass(frozen=True, slots=True)
class Heard:
    """An outcome, with the headers that came with it."""

    outcome: Outcome
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def of_status(error: "openai.APIStatusError", secret: str) -> Heard:
    """Return what an answer with an error's status means; `secret` is kept out of what is shown."""
    headers = error.response.headers
    body: Any = error.body if isinstance(error.body, dict) else {}
    code = " ".join(str(body.get(key) or "") for key in ("code", "type"))
    said = _said(body.get("message") or error.response.text, secret)
    status = error.status_code
    if status == 402 or (status in (403, 429) and _OUT_OF_QUOTA.search(code)):
        return Heard(
            Stopped(
                PermanentError(
                    f"the embedding service takes no more requests on this account ({status}){said}. Add credit or "
                    "raise the limit of the account; what was embedded is kept, and the next run goes on from there"
                )
            )
        )
    if status in (401, 403):
        return Heard(
            Stopped(
                ConfigurationError(
                    f"the embedding service refused the key ({status}){said}. Set OPENAI_API_KEY; what was embedded "
                    "is kept"
                )
            )
        )
    if status == 404 or 300 <= status < 400:
        return Heard(
            Stopped(
                ConfigurationError(
                    f"the embedding service does not know this address or model ({status}){said}. "
                    "Correct [embedding] model or base_url"
                )
            )
        )
    if status == 429 or status in (503, 529):
        return Heard(Failed(f"the service is busy ({status}){said}", busy=True, wait=_wait(headers)), headers)
    if status in (408, 409, 425) or status >= 500:
        return Heard(Failed(f"the service failed ({status}){said}", wait=_wait(headers)), headers)
    if setting := _SETTINGS.get(str(body.get("param"))):
        return Heard(
            Stopped(ConfigurationError(f"the embedding service refused [embedding] {setting} ({status}){said}"))
        )
    return Heard(Refused(f"the embedding service refused it ({status}){said}"), headers)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Return in how many seconds the service wants to be asked again, if it says so."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        after = headers.get("retry-after")
        return None if after is None else max(0.0, float(after))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(headers["retry-after"])
    except (ValueError, KeyError):
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _said(words: Any, secret: str) -> str:
    """The beginning of an error's words on one line, as it may be shown."""
    text = str(words)[: 4 * _SAID]
    if secret:
        text = text.replace(secret, "…")
    shown = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f": {shown[:_SAID]}" if shown else ""
