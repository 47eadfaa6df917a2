"""The service at the other end: a request goes out with the client of OpenAI, and an outcome comes back.

Requests run in a thread of their own, so that answers come in while others are committed. Time is bounded in all,
however slowly an answer drips, and so is its size. The client repeats nothing by itself: whether to pay again is
decided in `rag_pipeline.embeddings.openai.buying`. Nothing is followed to another address, because of the key.
"""

import asyncio
import os
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from rag_pipeline.embeddings.openai.answers import InvalidAnswer, largest_answer, read_answer
from rag_pipeline.embeddings.openai.outcomes import Answered, Failed, Heard, Refused, of_status
from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import openai

_KEY, _URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_NO_KEY = "unused"
"""Sent to servers that want none."""

_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Address:
    """What is asked, and where: `url` None is what the environment says, else OpenAI.

    With `send_dimensions` the service is asked for vectors of that length; without it they must have it anyhow.
    """

    url: str | None
    model: str
    dimensions: int
    send_dimensions: bool


class Service:
    """Sends requests. Opening it reads the environment and starts the thread; nothing is contacted yet."""

    def __init__(self, address: Address, seconds: float) -> None:
        """Raises `ConfigurationError` for an address or a key that is none. A request takes `seconds`, at most."""
        import openai

        self._address = address
        self._seconds = seconds
        self._encoding: Literal["base64", "float"] = "base64"
        url = address.url or os.environ.get(_URL) or None
        self._key = _key(url)
        self._client = openai.AsyncOpenAI(
            api_key=self._key or _NO_KEY,
            base_url=url,
            max_retries=0,
            timeout=openai.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(self._loop,), name="embeddings", daemon=True)
        thread.start()
        self.close = weakref.finalize(self, _close, self._loop, self._client, thread)

    def send(self, texts: Sequence[str]) -> "Future[Heard]":
        """Send a request; what comes of it is never an exception."""
        return asyncio.run_coroutine_threadsafe(self._heard(list(texts)), self._loop)

    async def _heard(self, texts: list[str]) -> Heard:
        heard = await self._once(texts)
        if isinstance(heard.outcome, Refused) and "encoding_format" in heard.outcome.reason:
            if self._encoding == "base64":
                self._encoding = "float"
            return await self._once(texts)
        return heard

    async def _once(self, texts: list[str]) -> Heard:
        import httpx2
        import openai

        asked = self._client.embeddings.with_streaming_response
        dimensions = self._address.dimensions if self._address.send_dimensions else openai.omit
        largest = largest_answer(len(texts), self._address.dimensions)
        body = bytearray()
        try:
            async with (
                asyncio.timeout(self._seconds),
                # As part of the extra body the texts are not walked through one by one before they are sent.
                asked.create(
                    model=self._address.model,
                    input=[],
                    encoding_format=self._encoding,
                    dimensions=dimensions,
                    extra_body={"input": texts},
                ) as response,
            ):
                async for piece in response.iter_bytes():
                    body += piece
                    if len(body) > largest:
                        return Heard(
                            Failed(f"the answer has more than {largest:,} bytes", tokens=None, invalid=True),
                            response.headers,
                        )
                headers = response.headers
        except (TimeoutError, openai.APITimeoutError) as error:
            unsent = isinstance(error.__cause__, httpx2.ConnectTimeout)
            reason = f"no answer within {self._seconds:g} seconds"
            return Heard(Failed(reason, tokens=0 if unsent else None, slow=not unsent))
        except openai.APIConnectionError as error:
            unsent = isinstance(error.__cause__, httpx2.ConnectError)
            reason = f"the service cannot be reached: {error.__cause__ or error}"
            return Heard(Failed(reason, tokens=0 if unsent else None))
        except openai.APIStatusError as error:
            return of_status(error, self._key)
        except httpx2.HTTPError as error:
            return Heard(Failed(f"the answer was cut off: {error}", tokens=None))
        except openai.OpenAIError as error:
            return Heard(Failed(f"the answer is of no use: {error}", tokens=None, invalid=True))
        except UnicodeError:
            return Heard(Refused("it holds characters that cannot be sent"))
        try:
            outcome: Answered | Failed = read_answer(bytes(body), len(texts), self._address.dimensions)
        except InvalidAnswer as error:
            outcome = Failed(f"the answer is of no use: {error}", tokens=error.tokens, invalid=True)
        return Heard(outcome, headers)


def _key(url: str | None) -> str:
    """Read the key. Raises `ConfigurationError` when it is missing where one is needed, or no key at all."""
    try:
        parts = urlsplit(url or "https://api.openai.com/v1")
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("[embedding] base_url is no address of the web; write https://HOST/v1")
    key = os.environ.get(_KEY, "")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError(f"{_KEY} holds what no key does; set it to the key alone")
    if not key and parts.hostname == "api.openai.com":
        raise ConfigurationError(f"{_KEY} is not set; set it, or name another service: [embedding] base_url")
    return key


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _close(loop: asyncio.AbstractEventLoop, client: "openai.AsyncOpenAI", thread: threading.Thread) -> None:
    """End what is under way, then the connections, then the thread."""

    async def end() -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await client.close()
        loop.stop()

    asyncio.run_coroutine_threadsafe(end(), loop)
    if thread is not threading.current_thread():
        thread.join(_CLOSE_SECONDS)
