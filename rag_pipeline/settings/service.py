"""The section of rag.toml that says how the HTTP service knows who asks, and how much may be asked of it."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, InstanceOf, model_validator

from rag_pipeline.settings.sections import Section

Network = Annotated[InstanceOf[IPv4Network] | InstanceOf[IPv6Network], BeforeValidator(ip_network)]


class Service(Section):
    """Who asks the HTTP service, and within which limits."""

    auth: Literal["token", "header"] = Field(
        default="token", description="Who asks: as a signed token says, or as headers of a trusted proxy say."
    )
    algorithm: Literal["HS256", "RS256", "ES256"] = Field(
        default="HS256", description="How tokens are signed; one that is signed in any other way is refused."
    )
    secret_env: str = Field(
        default="RAG_TOKEN_SECRET", description="HS256: environment variable that holds the secret, 32 bytes or more."
    )
    keys: str | None = Field(
        default=None, description="RS256, ES256: a file (PEM or JWKS) or the https URL of a JWKS with the public keys."
    )
    issuer: str | None = Field(default=None, description="Tokens: who must have issued them (`iss`); required.")
    audience: str | None = Field(default=None, description="Tokens: for whom they must be made (`aud`); required.")
    user_claim: str = Field(default="sub", min_length=1, description="Claim with the name of the user.")
    groups_claim: str = Field(
        default="groups", description="Claim with the list of the user's groups, required; empty: there is none."
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), description="Headers: addresses or networks of the proxies that are believed; required."
    )
    proxy_secret_env: str | None = Field(
        default=None, description="Headers: environment variable with the secret that X-Proxy-Secret must repeat."
    )
    user_header: str = Field(default="X-Forwarded-User", description="Header with the name of the user.")
    groups_header: str = Field(
        default="X-Forwarded-Groups", description="Header with the user's groups, commas between them."
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="Names under which the service may be addressed, besides those of this machine."
    )
    request_seconds: float = Field(default=30, gt=0, le=600, description="Seconds that a request may take, at most.")
    max_body_kb: int = Field(default=256, ge=1, le=10_240, description="Size of a request's body in kB, at most.")

    @model_validator(mode="after")
    def _keys_fit_the_algorithm(self) -> "Service":
        if self.keys and self.algorithm == "HS256":
            raise ValueError('keys are public keys; set algorithm = "RS256" or "ES256" (HS256 takes secret_env)')
        if self.auth == "header" and not self.trusted_proxies:
            raise ValueError('auth = "header" needs trusted_proxies, the addresses whose headers are believed')
        return self
