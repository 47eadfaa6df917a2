"""A signed token becomes a caller, or is refused. What is not certain about it is refused."""

from collections.abc import Mapping
from typing import Any

import jwt

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query import Caller
from rag_pipeline.service.keys import Keys
from rag_pipeline.service.problems import Unauthenticated
from rag_pipeline.settings import Service

LARGEST = 16_384
MOST_GROUPS = 1_000
_CLOCKS_DIFFER = 10
_REASONS = {
    jwt.ExpiredSignatureError: "has expired; get a new one",
    jwt.ImmatureSignatureError: "is not valid yet",
    jwt.InvalidAudienceError: "is made for another audience",
    jwt.InvalidIssuerError: "comes from another issuer",
    jwt.MissingRequiredClaimError: "lacks a claim that is required",
}


class Tokens:
    """Verifies tokens: signature, issuer, audience, expiry, and then who it is about."""

    def __init__(self, service: Service, keys: Keys) -> None:
        """Take the settings and the keys. Raises `ConfigurationError` where issuer or audience are missing."""
        for name in ("issuer", "audience"):
            if not getattr(service, name):
                raise ConfigurationError(
                    f"[service] {name} is missing; without it a token that was made for another purpose would do"
                )
        self._service = service
        self._keys = keys

    def caller(self, token: str) -> Caller:
        """Return who a token is about. Raises `Unauthenticated`, or `TransientError` when keys cannot be had."""
        if len(token) > LARGEST:
            raise Unauthenticated("the token is too long")
        try:
            key = self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise Unauthenticated("the token is signed with a key that is not known here")
            claims = jwt.decode(
                token,
                key,
                # The one algorithm of the settings; what the token says of itself decides nothing.
                algorithms=[self._service.algorithm],
                audience=self._service.audience,
                issuer=self._service.issuer,
                leeway=_CLOCKS_DIFFER,
                options={"require": ["exp", "iss", "aud", self._service.user_claim]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            reason = _REASONS.get(type(error), "cannot be verified")
            raise Unauthenticated(f"the token {reason}") from error
        return self._described(claims)

    def _described(self, claims: Mapping[str, Any]) -> Caller:
        """Return the caller whom the claims of a verified token describe. Raises `Unauthenticated`."""
        user = claims.get(self._service.user_claim)
        groups = self._groups(claims) if self._service.groups_claim else []
        try:
            if not isinstance(user, str):
                raise ValueError("the user is no text")
            return Caller(f"user:{user}", *(f"group:{group}" for group in groups))
        except ValueError as error:
            raise Unauthenticated(f"the token describes nobody: {error}") from error

    def _groups(self, claims: Mapping[str, Any]) -> list[str]:
        """Return all groups. One that is left out could be one that may not read, so a gap is refused."""
        name = self._service.groups_claim
        groups = claims.get(name)
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            raise Unauthenticated(f"the token needs the claim {name!r}, a list of all groups of the user")
        if len(groups) > MOST_GROUPS:
            raise Unauthenticated(f"the token names more than {MOST_GROUPS:,} groups")
        return groups
