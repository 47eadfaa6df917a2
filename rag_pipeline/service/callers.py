"""Who asks: never what a request's body or address says, only what has been verified.

Three ways, one of which is in force: a signed token, headers of a proxy that is trusted, or a caller whom
the person who started the service has fixed. Whatever is missing, twice there or malformed is refused.
"""

import hmac
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Protocol

from starlette.requests import Request

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query import Caller
from rag_pipeline.service.keys import open_keys
from rag_pipeline.service.problems import Unauthenticated
from rag_pipeline.service.tokens import Tokens
from rag_pipeline.settings import Service, Settings

PROXY_SECRET = "X-Proxy-Secret"  # noqa: S105 - the name of a header
_SECRET_LENGTH = 16


class Identify(Protocol):
    """Says who made a request."""

    @property
    def challenge(self) -> str | None:
        """What WWW-Authenticate answers those who are refused."""
        ...

    def __call__(self, request: Request) -> Caller:
        """Return the caller. Raises `Unauthenticated`."""
        ...


class Fixed:
    """Everyone is the same caller: for one's own machine."""

    challenge = None

    def __init__(self, caller: Caller) -> None:
        """Take the caller."""
        self._caller = caller

    def __call__(self, request: Request) -> Caller:
        """Return the caller."""
        return self._caller


class ByToken:
    """The caller is whom ``Authorization: Bearer TOKEN`` names."""

    challenge = "Bearer"

    def __init__(self, tokens: Tokens) -> None:
        """Take what verifies tokens."""
        self._tokens = tokens

    def __call__(self, request: Request) -> Caller:
        """Return the caller. Raises `Unauthenticated`, or `TransientError` when keys cannot be had now."""
        given = _single(request, "Authorization") or ""
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("say who asks: send the header Authorization: Bearer TOKEN")
        return self._tokens.caller(token.strip())


class ByProxy:
    """The caller is whom the headers of a trusted proxy name."""

    challenge = None

    def __init__(self, service: Service, environ: Mapping[str, str]) -> None:
        """Take the settings. Raises `ConfigurationError` where the shared secret is missing or too short."""
        self._service = service
        self._secret: bytes | None = None
        if service.proxy_secret_env:
            self._secret = environ.get(service.proxy_secret_env, "").encode()
            if len(self._secret) < _SECRET_LENGTH:
                raise ConfigurationError(
                    f"{service.proxy_secret_env} must hold the secret that the proxy sends, at least "
                    f"{_SECRET_LENGTH} bytes ([service] proxy_secret_env)"
                )

    def __call__(self, request: Request) -> Caller:
        """Return the caller. Raises `Unauthenticated`."""
        if not _among(request.client.host if request.client else None, self._service.trusted_proxies):
            raise Unauthenticated("questions are taken from the proxy only")
        if self._secret is not None:
            sent = (_single(request, PROXY_SECRET) or "").encode()
            if not hmac.compare_digest(sent, self._secret):
                raise Unauthenticated(f"the proxy's header {PROXY_SECRET} is missing or wrong")
        user = _single(request, self._service.user_header)
        groups = _single(request, self._service.groups_header)
        if not user:
            raise Unauthenticated(f"the proxy's header {self._service.user_header} is missing")
        named = [group.strip() for group in groups.split(",")] if groups else []
        try:
            return Caller(f"user:{user}", *(f"group:{group}" for group in named))
        except ValueError as error:
            raise Unauthenticated(f"the proxy's headers describe nobody: {error}") from error


def open_callers(settings: Settings, environ: Mapping[str, str]) -> Identify:
    """Return the way that the settings ask for. Raises `ConfigurationError`, or `TransientError` for keys."""
    if settings.service.auth == "header":
        return ByProxy(settings.service, environ)
    return ByToken(Tokens(settings.service, open_keys(settings.service, settings.folder, environ)))


def _single(request: Request, name: str) -> str | None:
    """Return a header; None if it is missing. Raises `Unauthenticated` if it is there twice, or no UTF-8.

    A second header of the same name is how a client would slip one past its proxy.
    """
    wanted = name.lower().encode()
    values = [value for key, value in request.scope["headers"] if key == wanted]
    if len(values) > 1:
        raise Unauthenticated(f"the header {name} is there more than once")
    try:
        return values[0].decode().strip() if values else None
    except UnicodeDecodeError:
        raise Unauthenticated(f"the header {name} is no UTF-8") from None


def _among(address: str | None, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Tell whether a peer is in one of the networks; one whose address is unknown is in none."""
    try:
        peer = ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return any((mapped or peer) in network for network in networks)
