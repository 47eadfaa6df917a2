"""Where keys come from: which are taken, and how often they are fetched."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.service.keys import FRESH, KEPT, PAUSE, FetchedKeys, Key, from_jwks, open_keys
from rag_pipeline_tests.unit.service.signing import (
    EC,
    OTHER_RSA,
    RSA,
    SECRET,
    PrivateKey,
    jwk,
    jwks,
    private_pem,
    public_pem,
    service,
)
from rag_pipeline_tests.unit.sources.web_server import Reply, WebServer, redirect, web_server

WEAK_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
OTHER_CURVE = ec.generate_private_key(ec.SECP384R1())


def is_public_part(found: Key | None, of: PrivateKey) -> bool:
    return found is not None and not isinstance(found, bytes) and found == of.public_key()


@pytest.mark.parametrize(
    ("name", "content", "algorithm"),
    [
        ("key.pem", public_pem(RSA), "RS256"),
        ("keys.json", jwks(jwk(RSA, kid="one")), "RS256"),
        ("keys.json", jwks({"kty": "oct", "k": "AAAA", "kid": "x"}, jwk(EC), jwk(RSA, kid="one")), "RS256"),
        ("keys.json", jwks(jwk(RSA, kid="one", use="sig", alg="RS256"), jwk(OTHER_RSA, kid="e", use="enc")), "RS256"),
    ],
    ids=["PEM", "JWKS", "JWKS of many kinds", "JWKS with uses"],
)
def test_a_file_gives_the_keys_of_the_algorithm(tmp_path: Path, name: str, content: bytes, algorithm: str) -> None:
    (tmp_path / name).write_bytes(content)
    keys = open_keys(service(algorithm=algorithm, keys=name), tmp_path, {})
    assert is_public_part(keys.find(None), RSA)
    assert is_public_part(keys.find("one"), RSA)


def test_several_keys_are_told_by_their_id() -> None:
    known = from_jwks(jwks(jwk(RSA, kid="one"), jwk(OTHER_RSA, kid="two")), "RS256", "")
    assert is_public_part(known["one"], RSA)
    assert is_public_part(known["two"], OTHER_RSA)


@pytest.mark.parametrize(
    ("content", "algorithm", "words"),
    [
        (private_pem(RSA), "RS256", "is a private key"),
        (public_pem(RSA), "ES256", "ES256 needs a key on the curve P-256"),
        (public_pem(EC), "RS256", "RS256 needs an RSA key"),
        (public_pem(WEAK_RSA), "RS256", "2048 bits or more"),
        (public_pem(OTHER_CURVE), "ES256", "on the curve P-256"),
        (b"no key at all", "RS256", "neither a public key in PEM nor a JWKS"),
        (b"", "RS256", "neither a public key in PEM nor a JWKS"),
        (b"{}", "RS256", "holds no JWKS"),
        (b'{"keys": [1]}', "RS256", "holds no JWKS"),
        (b"{" * 100_000, "RS256", "holds no JWKS"),
        (jwks(), "RS256", "has no public key for RS256"),
        (jwks({"kty": "oct", "k": "AAAA"}), "RS256", "has no public key for RS256"),
        (jwks(jwk(RSA, alg="PS256")), "RS256", "has no public key for RS256"),
        (jwks(jwk(WEAK_RSA, kid="one")), "RS256", "2048 bits or more"),
        (jwks(jwk(OTHER_CURVE, kid="one")), "ES256", "has no public key for ES256"),
        (jwks(jwk(RSA), jwk(OTHER_RSA, kid="two")), "RS256", "needs a kid of its own"),
        (jwks(jwk(RSA, kid="one"), jwk(OTHER_RSA, kid="one")), "RS256", "needs a kid of its own"),
    ],
    ids=range(17),
)
def test_a_file_that_is_no_good_key_is_refused(tmp_path: Path, content: bytes, algorithm: str, words: str) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(ConfigurationError, match=words):
        open_keys(service(algorithm=algorithm, keys="keys"), tmp_path, {})


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="keys is missing"):
        open_keys(service(algorithm="RS256"), tmp_path, {})
    with pytest.raises(ConfigurationError, match="No such file"):
        open_keys(service(algorithm="RS256", keys="gone.pem"), tmp_path, {})
    with pytest.raises(ConfigurationError, match="must be fetched by https"):
        open_keys(service(algorithm="RS256", keys="http://login.example.com/jwks"), tmp_path, {})
    with pytest.raises(ConfigurationError, match="must be fetched by https"):
        open_keys(service(algorithm="RS256", keys="file:///etc/keys"), tmp_path, {})
    for secret in ({}, {"RAG_TOKEN_SECRET": ""}, {"RAG_TOKEN_SECRET": "short"}):
        with pytest.raises(ConfigurationError, match="RAG_TOKEN_SECRET must hold") as caught:
            open_keys(service(), tmp_path, secret)
        assert "short" not in str(caught.value)
    assert open_keys(service(secret_env="OURS"), tmp_path, {"OURS": SECRET}).find(None) == SECRET.encode()


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        publish(server, jwk(RSA, kid="one"))
        yield server


def publish(web: WebServer, *entries: dict[str, Any]) -> None:
    web.replies["/jwks"] = Reply(jwks(*entries))


def test_a_key_that_is_new_is_fetched_but_not_at_every_demand(web: WebServer) -> None:
    clock = Clock()
    keys = FetchedKeys(f"{web.url}/jwks", "RS256", clock)
    assert is_public_part(keys.find("one"), RSA)
    publish(web, jwk(RSA, kid="one"), jwk(OTHER_RSA, kid="two"))
    # Within the pause nobody can make it fetch, however many keys he thinks of.
    for number in range(50):
        assert keys.find(f"thought of {number}") is None
    assert len(web.requests) == 1
    clock.now += PAUSE
    assert is_public_part(keys.find("two"), OTHER_RSA)
    for number in range(50):
        assert keys.find(f"thought of {number}") is None
    assert len(web.requests) == 2


def test_a_key_that_is_withdrawn_ends_with_the_next_fetch(web: WebServer) -> None:
    clock = Clock()
    keys = FetchedKeys(f"{web.url}/jwks", "RS256", clock)
    publish(web, jwk(OTHER_RSA, kid="two"))
    clock.now += FRESH
    assert is_public_part(keys.find("one"), RSA)
    clock.now += 1
    assert keys.find("one") is None


@pytest.mark.parametrize("reply", [Reply(status=500), Reply(b"<html>"), Reply(b" " * 2_000_000), redirect("/other")])
def test_an_outage_is_bridged_for_an_hour(web: WebServer, reply: Reply) -> None:
    clock = Clock()
    keys = FetchedKeys(f"{web.url}/jwks", "RS256", clock)
    web.replies["/jwks"] = reply
    web.replies["/other"] = Reply(jwks(jwk(OTHER_RSA, kid="one")))
    clock.now += KEPT
    assert is_public_part(keys.find("one"), RSA)
    assert len(web.requests) == 2
    clock.now += 1
    with pytest.raises(TransientError, match="cannot be fetched"):
        keys.find("one")
    clock.now += PAUSE
    publish(web, jwk(RSA, kid="one"))
    assert is_public_part(keys.find("one"), RSA)


def test_a_service_does_not_start_without_its_keys(web: WebServer) -> None:
    with pytest.raises(TransientError, match="answers 404"):
        FetchedKeys(f"{web.url}/gone", "RS256")
    web.server.server_close()
    with pytest.raises(TransientError, match="does not answer"):
        FetchedKeys("http://127.0.0.1:1/jwks", "RS256")
