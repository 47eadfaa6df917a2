"""The connections of the website source: made only to addresses that were checked, and over at the deadline.

The host is resolved once for each connection, refused unless all its addresses are admitted, and what was
checked is what is connected to. The pool above still knows the host by name, so the request and the TLS
handshake name it, and no connection serves a host that it was not made for.
"""

import ssl
import time
from collections.abc import Collection
from typing import Any

import httpcore2

from rag_pipeline.sources.website_addresses import Resolver, admitted

_CONNECT_SECONDS = 10.0


class Network(httpcore2.NetworkBackend):
    """Makes connections. `deadline`, of `time.monotonic`, is when the answer that is being read must be there."""

    def __init__(self, private_hosts: Collection[str], resolver: Resolver) -> None:
        self.deadline = 0.0
        self._private_hosts = private_hosts
        self._resolver = resolver
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        """Resolve, check, connect. Raises `DocumentError` when refused, else what httpcore2 raises."""
        try:
            addresses = admitted(host, port, host in self._private_hosts, self._resolver)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host}: cannot be resolved") from error
        trouble: Exception = httpcore2.ConnectError(f"{host}: has no address")
        for address in addresses:
            seconds = min(self.left(httpcore2.ConnectTimeout), _CONNECT_SECONDS)
            try:
                return _Stream(self._sockets.connect_tcp(address, port, seconds), self)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                trouble = httpcore2.ConnectError(f"{host}: {error}")
        raise trouble

    def left(self, late: type[Exception]) -> float:
        """Return how many seconds are left; raises `late` when none are."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise late("the time is over")
        return left


class _Stream(httpcore2.NetworkStream):
    """A connection whose every step ends at the deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, network: Network) -> None:
        self._stream = stream
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._network.left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._network.left(httpcore2.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._network.left(httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._network)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
