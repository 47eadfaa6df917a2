"""Replies of a service as far as they are read: what comes after so many bytes is left with whoever sends it.

The client of the API reads an error to its end before it says a word of it, and a line of a stream however long it is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2

_LARGEST_REFUSAL = 2**16
"""Bytes of a reply that is an error, as they are sent; a few hundred are shown of it."""


def bounded(largest: int | None) -> Callable[[httpx2.Response], Awaitable[None]]:
    """Return a hook that ends a reply after `largest` bytes, and an error sooner; None: whoever reads counts himself.

    A reply with a bound must not be compressed, or a small one could be large; one that is raises `DecodingError`.
    """

    async def end_in_time(response: httpx2.Response) -> None:
        most = largest if response.is_success else _LARGEST_REFUSAL
        if most is None:
            return
        if response.is_success and response.headers.get("Content-Encoding", "identity") != "identity":
            raise httpx2.DecodingError("the reply is compressed, which it was asked not to be")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _AtMost(response.stream, most)

    return end_in_time


class _AtMost(httpx2.AsyncByteStream):
    """The first so many bytes of a stream."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for piece in self._stream:
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._stream.aclose()
