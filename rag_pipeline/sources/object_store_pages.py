"""The pages of a listing of an S3 bucket must lead on: s3fs asks for the next one for as long as a server names one."""

from collections.abc import AsyncIterator
from typing import Any


def refuse_circles(store: Any) -> None:
    """Let a driver end a listing whose pages lead back; one that does not follow pages by itself stays as it is."""
    if list_pages := getattr(store, "_list_pages", None):
        store._list_pages = lambda method, **kwargs: _onwards(list_pages(method, **kwargs))


async def _onwards(pages: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """Yield pages. Raises `OSError` when one names a token again, or begins as the one before it did."""
    tokens: set[str] = set()
    began: object = None
    async for page in pages:
        first = next(iter(page.get("Contents") or page.get("CommonPrefixes") or ()), None)
        token = page.get("NextContinuationToken")
        if token in tokens or (first is not None and first == began):
            raise OSError("a page of the listing leads back to an earlier one; is the server the right one?")
        began = first
        if token:
            tokens.add(token)
        yield page
