"""The model that writes: any service that speaks the chat API of OpenAI, asked once for each answer.

What it writes comes in pieces and is handed on at once. Time is bounded in all, however slowly it drips, and so is
how much it may write. A request that never reached the model is sent again while there is time; one that may have been
charged is not.
"""

import asyncio
import queue
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rag_pipeline.embeddings.openai.client import Connection
from rag_pipeline.query.plain import visible
from rag_pipeline.storable import storable

if TYPE_CHECKING:
    from rag_pipeline.settings import Answers

_ATTEMPTS = 3
_CHANGES = 4
"""Parameters that a service may refuse, one after the other, before its refusal is taken for one of the request."""

_DELAY = 0.5
_SAID = 200
"""Characters of an error's words that are logged, and of a model's name."""

_TOKEN_CHARACTERS = 16
"""Characters that a token of an answer has, at most, on average: what writes more disregards its bound."""

_LARGEST_REPLY, _TOKEN_BYTES = 8 * 2**20, 2048
"""Bytes of a stream that are read, in all and for each token more: an event has some 300 around its token."""

_BROKEN_OFF = (None, "content_filter", "tool_calls", "function_call", "error", "abort")
"""Why a text may have ended where it is not finished, and not at its bound either."""

_TOO_MUCH = re.compile(r"context (?:length|window|size)|too (?:large|long|many|high|big)|exceed", re.IGNORECASE)
"""A refusal of this question, or of a value: the same would be refused under any name, and the bound is needed."""

Because = Literal["it took too long", "it is busy or away", "it refused the request", "what it sent is no answer"]


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote for one request. `model` is what the service calls itself.

    `read` and `wrote` are tokens, None where the service does not say. `cut` says that it was stopped at its bound.
    """

    text: str
    model: str
    read: int | None
    wrote: int | None
    cut: bool


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Why there is nothing of use, in words for a caller, and in those of the service, for the log.

    `charged`: the model may have been at work; `text` is what came of it.
    """

    because: Because
    detail: str
    charged: bool
    text: str = ""


class ChatModel:
    """A model of a service. Nothing is contacted before it is asked; any number of threads may ask at once."""

    def __init__(self, settings: "Answers", model: str) -> None:
        """Take the name of the model. Raises `ConfigurationError` for an address or a key that is none."""
        self._settings = settings
        self.model = model
        largest = _LARGEST_REPLY + settings.answer_tokens * _TOKEN_BYTES
        self._connection = Connection(settings.base_url, settings.seconds, "answers", largest)
        # Older servers know the one name, OpenAI's newer models only the other.
        ours = "max_completion_tokens" if self._connection.host == "api.openai.com" else "max_tokens"
        self._optional: dict[str, Any] = {ours: settings.answer_tokens, "stream_options": {"include_usage": True}}
        if settings.temperature is not None:
            self._optional["temperature"] = settings.temperature

    @property
    def parameters(self) -> dict[str, Any]:
        """What it is asked with, beside the prompt, as JSON values."""
        settings = self._settings
        return {"base_url": str(self._connection.client.base_url), "answer_tokens": settings.answer_tokens} | (
            {} if settings.temperature is None else {"temperature": settings.temperature}
        )

    def write(
        self, instructions: str, question: str, on_piece: Callable[[str], None], seconds: float | None = None
    ) -> Written | Unwritten:
        """Ask, and return what came of it. `on_piece` is called in this thread with each piece of the text.

        It takes at most `seconds`; None: those of the settings.
        """
        deadline = time.monotonic() + (self._settings.seconds if seconds is None else seconds)
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": question}]
        heard: queue.SimpleQueue[str | Written | Unwritten] = queue.SimpleQueue()
        under_way = self._connection.run(self._asked(messages, heard, deadline))
        pieces: list[str] = []
        try:
            while True:
                try:
                    # The thread gives up by itself at the deadline; this is for the case that it does not.
                    item = heard.get(timeout=max(0.0, deadline - time.monotonic()) + 1)
                except queue.Empty:
                    return Unwritten("it took too long", "the client hangs", charged=True, text="".join(pieces))
                if not isinstance(item, str):
                    return item
                pieces.append(item)
                on_piece(item)
        finally:
            under_way.cancel()

    async def _asked(
        self, messages: list[Any], heard: "queue.SimpleQueue[str | Written | Unwritten]", deadline: float
    ) -> None:
        attempts, changes, delay = 1, _CHANGES, _DELAY
        optional = dict(self._optional)
        while True:
            # Of each attempt its own: what came before a failure was handed on already.
            text: list[str] = []
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    came = await self._once(messages, optional, heard, text)
                # What was refused here may have been refused for this question alone, unless the rest was taken.
                self._optional = optional
                heard.put(came)
                return
            except Exception as error:  # whatever a client or a service comes up with is no answer
                failed = _understood(error, self._connection.key, "".join(text))
            if failed.because == "it refused the request" and changes and _left_out(optional, failed.detail):
                changes -= 1
                continue
            again = failed.because == "it is busy or away" and not failed.charged and attempts < _ATTEMPTS
            if not again or time.monotonic() + delay >= deadline:
                heard.put(failed)
                return
            await asyncio.sleep(delay)
            attempts, delay = attempts + 1, delay * 3

    async def _once(
        self, messages: list[Any], optional: Mapping[str, Any], heard: "queue.SimpleQueue[Any]", text: list[str]
    ) -> Written | Unwritten:
        stream: Any = await self._connection.client.chat.completions.create(
            model=self.model, messages=messages, stream=True, extra_body=dict(optional)
        )
        most = self._settings.answer_tokens * _TOKEN_CHARACTERS
        model, ended, usage, size = "", None, None, 0
        spoken = _Spoken()
        async with stream:
            async for event in stream:
                model = str(getattr(event, "model", None) or model)
                usage = getattr(event, "usage", None) or usage
                for choice in (getattr(event, "choices", None) or [])[:1]:
                    ended = choice.finish_reason or ended
                    piece = getattr(choice.delta, "content", None) if choice.delta else None
                    if isinstance(piece, str) and piece:
                        room, size = most - size, size + len(piece)
                        if said := spoken.feed(piece[:room]):
                            text.append(said)
                            heard.put(said)
                if size > most:
                    ended = "length"
                    break
        whole = "".join(text)
        something = bool(visible(whole).strip())
        if not something or ended in _BROKEN_OFF:
            what = f"it ended early (finish_reason {ended})" if something else f"it is empty (finish_reason {ended})"
            return Unwritten("what it sent is no answer", what, charged=True, text=whole)
        read, wrote = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        return Written(whole, storable(model)[:_SAID] or self.model, read, wrote, cut=ended == "length")


def _left_out(optional: dict[str, Any], refusal: str) -> bool:
    """Leave out a parameter that the service says it does not know, or name it otherwise; tell whether one was."""
    if _TOO_MUCH.search(refusal):
        return False
    for name in list(optional):
        if name in refusal:
            value = optional.pop(name)
            if name == "max_tokens" and "max_completion_tokens" in refusal:
                optional["max_completion_tokens"] = value
            elif name == "max_completion_tokens":
                optional["max_tokens"] = value
            return True
    return False


class _Spoken:
    """Leaves out what some models write before they answer: their thoughts, between tags, at the very beginning."""

    _BEGIN, _END = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._speaks = False

    def feed(self, piece: str) -> str:
        """Return what is said, of a piece and of those that were held back."""
        if self._speaks:
            return piece
        self._held += piece
        begun = self._held.lstrip()
        if begun.startswith(self._BEGIN):
            _, end, begun = begun.partition(self._END)
            if not end:
                return ""
            self._held = begun = begun.lstrip()
        if self._BEGIN.startswith(begun):
            return ""
        self._speaks = True
        return begun


def _understood(error: Exception, secret: str, text: str) -> Unwritten:
    """Return what an error of the client means; `secret` is kept out of it."""
    import httpx2
    import openai

    said = _said(error, secret)
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        unsent = isinstance(error.__cause__, httpx2.ConnectTimeout)
        return Unwritten("it took too long", said, charged=not unsent, text=text)
    if isinstance(error, openai.APIStatusError):
        busy = error.status_code in (408, 409, 425, 429) or error.status_code >= 500
        return Unwritten("it is busy or away" if busy else "it refused the request", said, charged=False)
    if isinstance(error, openai.APIConnectionError | httpx2.HTTPError):
        unsent = isinstance(error.__cause__, httpx2.ConnectError)
        return Unwritten("it is busy or away", said, charged=not unsent, text=text)
    return Unwritten("what it sent is no answer", said, charged=True, text=text)


def _said(error: Exception, secret: str) -> str:
    """The words of an error on one line, as they may be logged."""
    text = f"{type(error).__name__}: {error.__cause__ or error}"[: 4 * _SAID]
    if secret:
        text = text.replace(secret, "…")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_SAID]


def _count(usage: Any, name: str) -> int | None:
    number = getattr(usage, name, None)
    return number if type(number) is int and number >= 0 else None
