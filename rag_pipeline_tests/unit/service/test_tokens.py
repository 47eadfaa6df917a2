"""A token is a caller only if everything about it is certain."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query import Caller
from rag_pipeline.service.keys import FixedKeys, from_pem
from rag_pipeline.service.problems import Unauthenticated
from rag_pipeline.service.tokens import LARGEST, MOST_GROUPS, Tokens
from rag_pipeline.settings import Service
from rag_pipeline_tests.unit.service.signing import (
    AUDIENCE,
    EC,
    ISSUER,
    OTHER_RSA,
    RSA,
    SECRET,
    claims,
    private_pem,
    public_pem,
    service,
    signed,
)

BY_SECRET = Tokens(service(), FixedKeys({None: SECRET.encode()}))
BY_RSA = Tokens(service(algorithm="RS256"), FixedKeys({None: from_pem(public_pem(RSA), "RS256", "")}))
BY_EC = Tokens(service(algorithm="ES256"), FixedKeys({None: from_pem(public_pem(EC), "ES256", "")}))
NAMES = st.text(st.characters(codec="utf-8"), max_size=30)


def refused(tokens: Tokens, token: str, words: str = "the token") -> None:
    with pytest.raises(Unauthenticated, match=words):
        tokens.caller(token)


def encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("tokens", "token"),
    [
        (BY_SECRET, signed(claims())),
        (BY_RSA, signed(claims(), private_pem(RSA), "RS256")),
        (BY_EC, signed(claims(), private_pem(EC), "ES256")),
        (BY_SECRET, signed(claims(aud=["another", AUDIENCE]))),
    ],
    ids=["HS256", "RS256", "ES256", "several audiences"],
)
def test_a_good_token_is_its_subject_and_groups(tokens: Tokens, token: str) -> None:
    assert tokens.caller(token) == Caller("user:ana", "group:eng")


@given(NAMES, st.lists(NAMES, max_size=4))
def test_a_token_gives_exactly_its_own_principals_or_nobody(user: str, groups: list[str]) -> None:
    named = [f"user:{user}", *(f"group:{group}" for group in groups)]
    token = signed(claims(sub=user, groups=groups))
    try:
        expected = Caller(*named)
    except ValueError:
        refused(BY_SECRET, token, "describes nobody")
    else:
        assert BY_SECRET.caller(token) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exp": int(time.time()) - 60}, "has expired"),
        ({"exp": None}, "lacks a claim"),
        ({"nbf": int(time.time()) + 600}, "not valid yet"),
        ({"iss": "https://login.example.com"}, "another issuer"),
        ({"iss": None}, "lacks a claim"),
        ({"aud": "billing"}, "another audience"),
        ({"aud": []}, "lacks a claim"),
        ({"aud": None}, "lacks a claim"),
        ({"sub": None}, "lacks a claim"),
        ({"sub": ""}, "describes nobody"),
        ({"sub": " ana"}, "describes nobody"),
        ({"sub": "ana\u2028\n"}, "describes nobody"),
        ({"groups": None}, "needs the claim 'groups'"),
        ({"groups": "eng"}, "needs the claim 'groups'"),
        ({"groups": {"eng": True}}, "needs the claim 'groups'"),
        ({"groups": ["eng", 7]}, "needs the claim 'groups'"),
        ({"groups": ["eng", ""]}, "describes nobody"),
        ({"groups": [f"g{number}" for number in range(MOST_GROUPS + 1)]}, "more than 1,000 groups"),
    ],
)
def test_a_token_that_is_not_certain_is_refused(changes: dict[str, Any], words: str) -> None:
    refused(BY_SECRET, signed(claims(**changes)), words)


def test_a_subject_that_is_no_text_is_refused() -> None:
    tokens = Tokens(service(user_claim="employee"), FixedKeys({None: SECRET.encode()}))
    refused(tokens, signed(claims(employee=7)), "describes nobody")
    refused(tokens, signed(claims(employee=["ana"])), "describes nobody")
    assert tokens.caller(signed(claims(employee="e7"))) == Caller("user:e7", "group:eng")


def test_without_a_claim_for_groups_there_are_none() -> None:
    tokens = Tokens(service(groups_claim=""), FixedKeys({None: SECRET.encode()}))
    assert tokens.caller(signed(claims())) == Caller("user:ana")


@pytest.mark.parametrize(
    "token",
    [
        signed(claims(), "another secret that is long enough to sign with"),
        signed(claims(), algorithm="HS512"),
        signed(claims(), None, None),
        f"{encoded({'alg': 'none'})}.{encoded(claims())}.",
        signed(claims(), private_pem(RSA), "RS256"),
        signed(claims())[:-2],
        "a.b.c",
        "",
        "Bearer",
        "\x00",
        "é",
        signed(claims(much="x" * LARGEST)),
    ],
    ids=range(12),
)
def test_another_signature_or_none_is_refused(token: str) -> None:
    refused(BY_SECRET, token)


def test_a_public_key_is_no_secret() -> None:
    """The classic confusion: a token signed by HMAC with the public key, which everybody has."""
    head, body = encoded({"alg": "HS256", "typ": "JWT"}), encoded(claims())
    for secret in (public_pem(RSA), public_pem(RSA).strip(), public_pem(EC)):
        digest = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        signature = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        for tokens in (BY_RSA, BY_EC, BY_SECRET):
            refused(tokens, f"{head}.{body}.{signature}", "cannot be verified")


def test_the_key_of_somebody_else_is_refused_though_the_token_brings_it() -> None:
    key = private_pem(OTHER_RSA)
    for headers in ({}, {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example/cert"}):
        refused(BY_RSA, signed(claims(), key, "RS256", headers), "cannot be verified")


@given(
    st.dictionaries(
        st.sampled_from(["kid", "typ", "crit", "b64", "jwk", "cty"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.lists(st.text(max_size=4), max_size=2),
    )
)
def test_no_header_confuses(header: dict[str, Any]) -> None:
    refused(BY_SECRET, f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims())}.AAAA")


def test_a_header_of_any_depth_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 9_000).decode()
    refused(BY_SECRET, f"{deep}.{encoded(claims())}.AAAA")


@pytest.mark.parametrize("missing", ["issuer", "audience"])
def test_issuer_and_audience_must_be_configured(missing: str) -> None:
    given = Service.model_validate({"issuer": ISSUER, "audience": AUDIENCE} | {missing: None})
    with pytest.raises(ConfigurationError, match=rf"\[service\] {missing} is missing"):
        Tokens(given, FixedKeys({None: SECRET.encode()}))
