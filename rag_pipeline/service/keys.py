"""The keys that tokens are verified with: a secret, a file, or an address from which they are fetched.

A key is used for the one algorithm of the settings and for nothing else, so that a public key can never pass
for a shared secret. Keys that are fetched are fetched again when they are old or when a token names one that
is unknown, but never more often than every half minute, however many tokens ask for it.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.settings import Service

SECRET_BYTES = 32
PAUSE = 30.0
"""Seconds between two attempts to fetch keys, at least."""
FRESH = 600.0
"""Seconds after which keys are fetched again."""
KEPT = 3600.0
"""Seconds for which keys serve while they cannot be fetched again."""
_RSA_BITS = 2048
_LARGEST = 1 << 20
_FETCH_SECONDS = 5.0
_LOCAL = ("localhost", "127.0.0.1", "::1")

Key = bytes | RSAPublicKey | EllipticCurvePublicKey
Known = Mapping[str | None, Key]
"""Keys by their id; a single key without an id stands under None."""


class Keys(Protocol):
    """Where the key of a token is looked up."""

    def find(self, kid: str | None) -> Key | None:
        """Return the key that a token names (None: it names none). Raises `TransientError`."""
        ...


class FixedKeys:
    """Keys that stay as they are until the service is started again."""

    def __init__(self, known: Known) -> None:
        """Take the keys by their id."""
        self._known = known

    def find(self, kid: str | None) -> Key | None:
        """Return the key of an id."""
        return choose(self._known, kid)


class FetchedKeys:
    """The keys that an identity provider publishes at an address."""

    def __init__(self, url: str, algorithm: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Fetch the keys for the first time. Raises `ConfigurationError` or `TransientError`."""
        self._url, self._algorithm, self._clock = url, algorithm, clock
        self._lock = threading.Lock()
        self._tried = self._fetched = clock()
        self._known = from_jwks(fetch(url), algorithm, url)

    def find(self, kid: str | None) -> Key | None:
        """Return the key of an id, fetching anew where that may help. Raises `TransientError`."""
        key = choose(self._known, kid)
        if key is None or self._clock() - self._fetched > FRESH:
            # Whoever has a key need not wait for others; whoever has none must.
            if self._lock.acquire(blocking=key is None):
                try:
                    self._renew()
                finally:
                    self._lock.release()
            key = choose(self._known, kid)
        if self._clock() - self._fetched > KEPT:
            raise TransientError("the keys that tokens are verified with cannot be fetched; ask again later")
        return key

    def _renew(self) -> None:
        if self._clock() - self._tried < PAUSE:
            return
        self._tried = self._clock()
        try:
            self._known = from_jwks(fetch(self._url), self._algorithm, self._url)
            self._fetched = self._clock()
        except (ConfigurationError, TransientError):
            # The keys at hand stay good for a while; `find` says when they no longer are.
            return


def open_keys(service: Service, folder: Path, environ: Mapping[str, str]) -> Keys:
    """Return the keys of the settings. Raises `ConfigurationError`, or `TransientError` if they cannot be fetched."""
    if service.algorithm == "HS256":
        secret = environ.get(service.secret_env, "").encode()
        if len(secret) < SECRET_BYTES:
            raise ConfigurationError(
                f"{service.secret_env} must hold the secret of the tokens, at least {SECRET_BYTES} bytes; "
                f"it holds {len(secret)} ([service] secret_env, algorithm)"
            )
        return FixedKeys({None: secret})
    if not service.keys:
        raise ConfigurationError(
            f"[service] keys is missing: {service.algorithm} needs a PEM file, a JWKS file or the https URL of a JWKS"
        )
    if "://" in service.keys:
        parts = urlsplit(service.keys)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
            raise ConfigurationError("[service] keys must be fetched by https; whoever changes them decides who asks")
        return FetchedKeys(service.keys, service.algorithm)
    file = folder / service.keys
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"[service] keys: {file}: {error.strerror}") from error
    if content.lstrip().startswith(b"{"):
        return FixedKeys(from_jwks(content, service.algorithm, str(file)))
    return FixedKeys({None: from_pem(content, service.algorithm, str(file))})


def choose(known: Known, kid: str | None) -> Key | None:
    """Return the key of an id. A single key serves tokens that name none, one without an id serves all."""
    if kid is None:
        return next(iter(known.values())) if len(known) == 1 else None
    return known.get(kid) or known.get(None)


def fetch(url: str) -> bytes:
    """Return what is at an address, without following it elsewhere. Raises `TransientError`."""
    content = b""
    try:
        with httpx2.stream("GET", url, timeout=_FETCH_SECONDS, follow_redirects=False) as answer:
            if answer.status_code != httpx2.codes.OK:
                raise TransientError(f"[service] keys: {url} answers {answer.status_code}")
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > _LARGEST:
                    raise TransientError(f"[service] keys: {url} is larger than any set of keys")
    except httpx2.HTTPError as error:
        raise TransientError(f"[service] keys: {url} does not answer: {error}") from error
    return content


def from_jwks(content: bytes, algorithm: str, place: str) -> Known:
    """Return the public keys of a JWKS that are for an algorithm. Raises `ConfigurationError` if there is none."""
    try:
        entries = json.loads(content)["keys"]
        listed = [entry for entry in entries if _is_for(entry, algorithm)]
        keys = [(entry.get("kid"), jwt.PyJWK(entry, algorithm).key) for entry in listed]
        known: dict[str | None, Key] = {kid: _strong(key, algorithm, place) for kid, key in keys}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, jwt.PyJWTError) as error:
        raise ConfigurationError(f"[service] keys: {place} holds no JWKS that can be read") from error
    if not known:
        raise ConfigurationError(f"[service] keys: {place} has no public key for {algorithm}")
    if len(known) < len(keys) or (None in known and len(known) > 1):
        raise ConfigurationError(f"[service] keys: in {place} every key for {algorithm} needs a kid of its own")
    return known


def from_pem(content: bytes, algorithm: str, place: str) -> Key:
    """Return a public key in PEM. Raises `ConfigurationError`."""
    if b"PRIVATE KEY" in content:
        raise ConfigurationError(f"[service] keys: {place} is a private key; the service needs the public one alone")
    try:
        return _strong(load_pem_public_key(content), algorithm, place)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"[service] keys: {place} is neither a public key in PEM nor a JWKS") from error


def _is_for(entry: Any, algorithm: str) -> bool:
    return (
        entry.get("kty") == ("RSA" if algorithm == "RS256" else "EC")
        and entry.get("crv", "P-256") == "P-256"
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", algorithm) == algorithm
    )


def _strong(key: Any, algorithm: str, place: str) -> Key:
    """Return a public key that fits the algorithm. Raises `ConfigurationError`."""
    if algorithm == "RS256" and isinstance(key, RSAPublicKey) and key.key_size >= _RSA_BITS:
        return key
    if algorithm == "ES256" and isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    wanted = f"an RSA key of {_RSA_BITS} bits or more" if algorithm == "RS256" else "a key on the curve P-256"
    raise ConfigurationError(f"[service] keys: {place}: {algorithm} needs {wanted}")
