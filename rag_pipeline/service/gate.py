"""What every request passes before the service reads it: whom it is addressed to, how long and how large it may be.

Each gate is a piece of ASGI of its own, and all of them refuse with a problem.
"""

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_pipeline.service.problems import problem

THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class SafeHeaders:
    """Tells browsers to take nothing for what it is not, to frame nothing, and to keep no answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers that an answer does not set itself."""

        async def labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, labelled)


class KnownHosts:
    """Answers only under names that are known, and to pages of its own.

    A name that an attacker lets point to this machine (DNS rebinding) would make the attacker's page one of
    ours; a page of another origin has no business here either. `names` None: any name is served.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] | None) -> None:
        """Wrap an app."""
        self._app = app
        self._names = None if names is None else frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and (reason := self._reason(Headers(scope=scope))):
            await problem(*reason)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _reason(self, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "").lower()
        if self._names is not None and _name(host) not in self._names:
            return 421, "the service is not known under this name; whoever runs it adds names in [service] hosts"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin.lower()).netloc != host:
            return 403, "pages of other origins may not ask here"
        return None


class BodyLimit:
    """Reads a body before the service does, and refuses one that is too large."""

    def __init__(self, app: ASGIApp, largest: int) -> None:
        """Wrap an app; `largest` in bytes."""
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._largest:
                detail = f"the body is larger than {self._largest:,} bytes; ask a shorter question"
                await problem(413, detail, {"Connection": "close"})(scope, receive, send)
                return
        kept: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return kept.pop() if kept else await receive()

        await self._app(scope, replay, send)


class TimeLimit:
    """Answers 504 when a request takes too long; what it began is left to end unheard."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        """Wrap an app."""
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and wait for its end, or for the end of the time."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: MutableMapping[str, Any] = {"begun": False, "late": False}

        async def unless_late(message: Message) -> None:
            if not state["late"]:
                state["begun"] = True
                await send(message)

        # Not a time-out that cancels: a search in a thread cannot be cancelled, and would be waited for.
        task = asyncio.ensure_future(self._app(scope, receive, unless_late))
        try:
            done, _ = await asyncio.wait({task}, timeout=self._seconds)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if done:
            task.result()
            return
        task.add_done_callback(_heard)
        if not state["begun"]:
            state["late"] = True
            detail = f"this took longer than {self._seconds:g} s; ask for less, or again later"
            await problem(504, detail)(scope, receive, send)


def _heard(task: "asyncio.Future[None]") -> None:
    """Take note of how a late request ended, so that nobody complains that it was not looked at."""
    if not task.cancelled():
        task.exception()


def _name(host: str) -> str:
    """Return a Host header without its port."""
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
