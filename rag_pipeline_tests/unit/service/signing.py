"""Tokens as an identity provider signs them, and the keys that it signs with."""

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from rag_pipeline.settings import Service

ISSUER = "https://login.example.com/"
AUDIENCE = "rag"
SECRET = "a secret that is long enough to sign with, whatever the algorithm may be"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def service(**changes: Any) -> Service:
    return Service.model_validate({"issuer": ISSUER, "audience": AUDIENCE, **changes})


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token; a change to None leaves the claim out."""
    good = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 300, "sub": "ana", "groups": ["eng"]}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(
    content: dict[str, Any], key: Any = SECRET, algorithm: str | None = "HS256", headers: dict[str, Any] | None = None
) -> str:
    return jwt.encode(content, key, algorithm, headers)


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def jwk(key: PrivateKey, **members: Any) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
    return {**json.loads(algorithm.to_jwk(key.public_key())), **members}


def jwks(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"keys": entries}).encode()
