"""The service at the other end: a request goes out with the client of OpenAI, and an outcome comes back.

Requests run in a thread of their own, so that answers come in while others are committed. Time is bounded in all,
however slowly an answer drips, and so is its size. The client repeats nothing by itself: whether to pay again is
decided in `rag_pipeline.embeddings.openai.buying`. Nothing is followed to another address, because of the key.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

from rag_pipeline.embeddings.openai.answers import InvalidAnswer, largest_answer, read_answer
from rag_pipeline.embeddings.openai.client import Connection
from rag_pipeline.embeddings.openai.outcomes import Answered, Failed, Heard, Refused, of_status


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
        self._address = address
        self._seconds = seconds
        self._encoding: Literal["base64", "float"] = "base64"
        self._connection = Connection(address.url, seconds, "embedding")
        self.close = self._connection.close

    def send(self, texts: Sequence[str]) -> "Future[Heard]":
        """Send a request; what comes of it is never an exception."""
        return self._connection.run(self._heard(list(texts)))

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

        asked = self._connection.client.embeddings.with_streaming_response
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
            return of_status(error, self._connection.key)
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
