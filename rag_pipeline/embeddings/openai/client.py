"""The client of an API of OpenAI's making, in a thread of its own; what is under way when it is closed ends with it.

The client repeats nothing by itself, and follows nothing to another address, because of the key.
"""

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from rag_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    import openai

_KEY, _URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_NO_KEY = "unused"
"""Sent to servers that want none."""

_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_Value = TypeVar("_Value")


class Connection:
    """One client. Opening it reads the environment and starts the thread; nothing is contacted yet.

    `key` is sent with each request; empty: none. `host` is where requests go.
    """

    def __init__(self, url: str | None, seconds: float, section: str, largest: int | None = None) -> None:
        """Take an address; None is what the environment says, else OpenAI. A silence lasts `seconds`, at most.

        Of a reply `largest` bytes are read; None: all that are asked for, but of an error no more than can be shown.
        Raises `ConfigurationError`, naming the `section` of the settings, for an address or a key that is none.
        """
        import openai

        from rag_pipeline.embeddings.openai.bounded import bounded

        url = url or os.environ.get(_URL) or None
        self.host = _host(url, section)
        self.key = _key(self.host, section)
        self.client = openai.AsyncOpenAI(
            api_key=self.key or _NO_KEY,
            base_url=url,
            max_retries=0,
            timeout=openai.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
            default_headers=None if largest is None else {"Accept-Encoding": "identity"},
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False, event_hooks={"response": [bounded(largest)]}
            ),
        )
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(self._loop,), name=section, daemon=True)
        thread.start()
        self.close = weakref.finalize(self, _close, self._loop, self.client, thread)

    def run(self, coroutine: Coroutine[Any, Any, _Value]) -> "Future[_Value]":
        """Run a coroutine in the thread and return what will come of it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


def _host(url: str | None, section: str) -> str:
    """Return the host of an address. Raises `ConfigurationError` when it is no address of the web."""
    try:
        parts = urlsplit(url or "https://api.openai.com/v1")
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    if not host:
        raise ConfigurationError(f"[{section}] base_url is no address of the web; write https://HOST/v1")
    return host


def _key(host: str, section: str) -> str:
    """Read the key. Raises `ConfigurationError` when it is missing where one is needed, or no key at all."""
    key = os.environ.get(_KEY, "")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError(f"{_KEY} holds what no key does; set it to the key alone")
    if not key and host == "api.openai.com":
        raise ConfigurationError(f"{_KEY} is not set; set it, or name another service: [{section}] base_url")
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
