"""The server under the service."""

from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp

_CONNECTIONS = 256
_GOODBYE_SECONDS = 10


def serve(app: ASGIApp, host: str, port: int) -> None:
    """Serve an app until the process is told to stop; requests under way are answered first."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        # The peer is who is at the other end, not whom a header names: trusted proxies are told by it.
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GOODBYE_SECONDS,
    )


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
