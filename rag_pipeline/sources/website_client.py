"""HTTP for reading from strangers: where a connection may lead, how long and how much an answer may be.

- Every connection is made by `rag_pipeline.sources.website_network`, to addresses that were checked. There is
  no other way out: no proxy, no netrc, no cookies.
- Redirects are followed here, at most five; each hop is a new request, which `admit` is asked about first.
- One deadline covers a request up to the last byte of its answer, however slowly that drips. Its body is
  limited as it is received and as it is unpacked.
- Requests keep a distance from each other. A server that says when to come back is believed, within limits.
"""

import ssl
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import RLock

import httpcore2

from rag_pipeline import __version__
from rag_pipeline.errors import DocumentError, TransientError
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline.sources.website_addresses import Resolver, resolve
from rag_pipeline.sources.website_network import Network
from rag_pipeline.sources.website_urls import Url, parse_url

AGENT = "rag-pipeline"
"""The name by which robots.txt knows this program."""

MAX_HOPS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (429, 503)
_BUSY_TRIES = 3
_LONGEST_WAIT = 60.0
_PATIENCE = 1_200.0
"""Seconds that a client spends, all in all, on waiting as it is told and on answers that never end."""

_IDLE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said last. `url` is where the redirects led; header names are in lower case."""

    url: Url
    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Reads one URL at a time. Calls from several threads wait for each other."""

    def __init__(
        self,
        requests_per_second: float,
        private_hosts: Collection[str] = (),
        resolver: Resolver = resolve,
        seconds: float = 60.0,
    ) -> None:
        """`private_hosts` may lie in an intranet; `seconds` is the deadline of one request."""
        self.delay = 1 / requests_per_second
        self._seconds = seconds
        self._next_at = 0.0
        self._patience = _PATIENCE
        self._lock = RLock()
        self._network = Network(private_hosts, resolver)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            network_backend=self._network,
            max_connections=4,
            keepalive_expiry=_IDLE_SECONDS,
        )

    def get(
        self,
        url: Url,
        admit: Callable[[Url], None],
        conditions: Mapping[Url, Mapping[str, str]] | None = None,
    ) -> Answer:
        """Return the answer to a GET; only one of status 200 has a body.

        `admit` raises for a URL that must not be asked for. `conditions` are headers that make the request
        for one URL conditional. Raises `DocumentError` for an answer that is refused, too large, too slow or
        broken, `TransientError` when there is no connection, or when the server tried this client's patience.
        """
        with self._lock:
            for tries_left in reversed(range(_BUSY_TRIES)):
                if self._patience < 0:
                    raise TransientError(f"{url.authority}: is too slow, or asks too often to come back later")
                answer = self._followed(url, admit, conditions or {})
                wait = _seconds_to_wait(answer) if answer.status in _BUSY else None
                if wait is None or wait > _LONGEST_WAIT or not tries_left:
                    return answer
                self._patience -= wait
                self._next_at = time.monotonic() + wait
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _followed(self, url: Url, admit: Callable[[Url], None], conditions: Mapping[Url, Mapping[str, str]]) -> Answer:
        for _ in range(MAX_HOPS + 1):
            admit(url)
            time.sleep(max(0.0, self._next_at - time.monotonic()))
            self._next_at = time.monotonic() + self.delay
            answer = self._asked(url, conditions.get(url, {}))
            if answer.status not in _REDIRECTS:
                return answer
            try:
                url = parse_url(answer.headers.get("location", ""), url)
            except ValueError as error:
                raise DocumentError(f"{url}: redirects to a URL that is refused: {error}") from error
        raise DocumentError(f"{url}: more than {MAX_HOPS} redirects")

    def _asked(self, url: Url, conditions: Mapping[str, str]) -> Answer:
        asked = {
            "Host": url.authority,
            "User-Agent": f"{AGENT}/{__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
            **conditions,
        }
        request = httpcore2.Request(
            "GET",
            httpcore2.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target),
            headers=[(name.encode(), value.encode("latin-1", "replace")) for name, value in asked.items()],
        )
        started = time.monotonic()
        self._network.deadline = started + self._seconds
        try:
            response = self._answered(request)
            try:
                headers = _headers(response.headers)
                return Answer(url, response.status, headers, _body(response, headers, MAX_DOCUMENT_BYTES))
            finally:
                response.close()
        except httpcore2.ConnectTimeout as error:
            raise TransientError(f"{url}: no connection within {self._seconds:g} seconds") from error
        except httpcore2.TimeoutException as error:
            self._patience -= time.monotonic() - started
            raise DocumentError(f"{url}: took longer than {self._seconds:g} seconds") from error
        except httpcore2.ConnectError as error:
            raise TransientError(f"{url}: {error}") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise DocumentError(f"{url}: broken answer: {str(error) or type(error).__name__}") from error
        except DocumentError as error:
            raise DocumentError(f"{url}: {error}") from error

    def _answered(self, request: httpcore2.Request) -> httpcore2.Response:
        try:
            return self._pool.handle_request(request)
        except (httpcore2.ReadError, httpcore2.WriteError, httpcore2.RemoteProtocolError):
            return self._pool.handle_request(request)  # an idle connection may end just as it is used again


def inflated(parts: Iterable[bytes], limit: int) -> bytes:
    """Unpack what gzip packed. Raises `DocumentError` beyond `limit` bytes and for what is cut off or broken."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    unpacked: list[bytes] = []
    size = 0
    try:
        for part in parts:
            unpacked.append(unpacker.decompress(part, limit + 1 - size))
            size += len(unpacked[-1])
            if size > limit:
                raise DocumentError(f"unpacks to more than the {limit:,} bytes allowed")
            if unpacker.unused_data:
                raise DocumentError("more follows after what gzip packed")
    except zlib.error as error:
        raise DocumentError(f"is no valid gzip: {error}") from error
    if not unpacker.eof:
        raise DocumentError("what gzip packed is cut off")
    return b"".join(unpacked)


def _body(response: httpcore2.Response, headers: Mapping[str, str], limit: int) -> bytes:
    """Return what a 200 holds; of other answers nothing is read."""
    if response.status == 304:
        response.read()  # it is empty; having read it keeps the connection
    if response.status != 200:
        return b""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise DocumentError(f"is encoded as {encoding[:40]!r}, which was not asked for")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise DocumentError(f"more than the {limit:,} bytes allowed")
    parts = _limited(response.iter_stream(), limit)
    return inflated(parts, limit) if encoding.endswith("gzip") else b"".join(parts)


def _limited(parts: Iterable[bytes], limit: int) -> Iterable[bytes]:
    size = 0
    for part in parts:
        size += len(part)
        if size > limit:
            raise DocumentError(f"more than the {limit:,} bytes allowed")
        yield part


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.decode("latin-1").lower()
        headers[key] = f"{headers[key]}, {value.decode('latin-1')}" if key in headers else value.decode("latin-1")
    return headers


def _seconds_to_wait(answer: Answer) -> float | None:
    """Return what Retry-After says, in seconds; None when it says nothing."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isdecimal() and value.isascii():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
