"""Who is believed about who asks."""

import pytest
from starlette.requests import Request

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query import Caller
from rag_pipeline.service.callers import ByProxy, ByToken, Fixed
from rag_pipeline.service.keys import FixedKeys
from rag_pipeline.service.problems import Unauthenticated
from rag_pipeline.service.tokens import Tokens
from rag_pipeline.settings import Service
from rag_pipeline_tests.unit.service.signing import SECRET, claims, service, signed

PROXY = "10.0.0.7"
PROXY_SECRET = "said by the proxy alone"
GOOD = [("X-Forwarded-User", "ana"), ("X-Forwarded-Groups", "eng, hr")]


def request(*headers: tuple[str, str | bytes], peer: str | None = PROXY) -> Request:
    listed = [(name.lower().encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]
    return Request({"type": "http", "headers": listed, "client": None if peer is None else (peer, 4321)})


def by_proxy(**settings: object) -> ByProxy:
    given = {"auth": "header", "trusted_proxies": [PROXY, "192.168.1.0/24", "fd00::/8"], **settings}
    return ByProxy(Service.model_validate(given), {"SAID": PROXY_SECRET, "SHORT": "short"})


def refused(identify: ByProxy | ByToken, asked: Request, words: str) -> None:
    with pytest.raises(Unauthenticated, match=words):
        identify(asked)


def test_the_header_of_a_trusted_proxy_is_believed() -> None:
    assert by_proxy()(request(*GOOD)) == Caller("user:ana", "group:eng", "group:hr")
    assert by_proxy()(request(("X-Forwarded-User", "zoé"))) == Caller("user:zoé")
    other = by_proxy(user_header="Remote-User", groups_header="Remote-Groups")
    assert other(request(("Remote-User", "ana"), ("Remote-Groups", "eng"))) == Caller("user:ana", "group:eng")


@pytest.mark.parametrize("groups", [[], [("X-Forwarded-Groups", "")], [("X-Forwarded-Groups", "  ")]])
def test_without_groups_from_the_proxy_the_caller_is_the_user_alone(groups: list[tuple[str, str]]) -> None:
    # Nothing that a client sends beside them, nor another spelling of the header, makes up for it.
    other = [("Remote-Groups", "eng"), ("X_Forwarded_Groups", "eng"), ("X-Auth-Request-Groups", "eng")]
    assert by_proxy()(request(GOOD[0], *groups, *other)) == Caller("user:ana")


@pytest.mark.parametrize("peer", [PROXY, "192.168.1.200", "fd00::1", "::ffff:10.0.0.7", "fd00::1%eth0"])
def test_every_trusted_address_is_believed(peer: str) -> None:
    assert by_proxy()(request(*GOOD, peer=peer)) == Caller("user:ana", "group:eng", "group:hr")


@pytest.mark.parametrize("peer", ["10.0.0.8", "127.0.0.1", "::1", "fe80::1", "::ffff:10.0.0.8", "", "unix", None])
def test_no_other_address_is_believed(peer: str | None) -> None:
    refused(by_proxy(), request(*GOOD, ("X-Forwarded-For", PROXY), peer=peer), "from the proxy only")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([], "X-Forwarded-User is missing"),
        ([("X-Forwarded-User", "")], "X-Forwarded-User is missing"),
        ([("X-Forwarded-User", "  ")], "X-Forwarded-User is missing"),
        ([("X-Forwarded-Groups", "eng")], "X-Forwarded-User is missing"),
        ([*GOOD, ("x-forwarded-user", "boss")], "more than once"),
        ([*GOOD, ("X-FORWARDED-GROUPS", "boss")], "more than once"),
        ([("X-Forwarded-User", b"zo\xe9")], "no UTF-8"),
        ([("X-Forwarded-User", "ana\x01")], "describe nobody"),
        ([("X-Forwarded-User", "ana"), ("X-Forwarded-Groups", "eng,,hr")], "describe nobody"),
    ],
)
def test_headers_that_are_not_certain_are_refused(headers: list[tuple[str, str]], words: str) -> None:
    refused(by_proxy(), request(*headers), words)


def test_a_shared_secret_is_asked_for_as_well() -> None:
    identify = by_proxy(proxy_secret_env="SAID")
    assert identify(request(*GOOD, ("X-Proxy-Secret", PROXY_SECRET))) == Caller("user:ana", "group:eng", "group:hr")
    refused(identify, request(*GOOD), "X-Proxy-Secret is missing or wrong")
    refused(identify, request(*GOOD, ("X-Proxy-Secret", PROXY_SECRET + "!")), "missing or wrong")
    refused(identify, request(*GOOD, *[("X-Proxy-Secret", PROXY_SECRET)] * 2), "more than once")
    refused(identify, request(*GOOD, ("X-Proxy-Secret", PROXY_SECRET), peer="10.0.0.8"), "from the proxy only")
    for name in ("SHORT", "MISSING"):
        with pytest.raises(ConfigurationError, match=f"{name} must hold the secret"):
            by_proxy(proxy_secret_env=name)


def test_a_token_stands_in_one_header() -> None:
    identify = ByToken(Tokens(service(), FixedKeys({None: SECRET.encode()})))
    token = signed(claims())
    for scheme in ("Bearer", "bearer", "BEARER "):
        assert identify(request(("Authorization", f"{scheme} {token}"))) == Caller("user:ana", "group:eng")
    for given in ("", token, "Bearer", "Bearer ", f"Basic {token}", f"Bearer{token}"):
        refused(identify, request(("Authorization", given)), "Authorization: Bearer TOKEN")
    refused(identify, request(), "Authorization: Bearer TOKEN")
    refused(identify, request(*[("Authorization", f"Bearer {token}")] * 2), "more than once")
    refused(identify, request(("Authorization", f"Bearer {token} {token}")), "cannot be verified")


def test_nothing_in_a_request_changes_a_caller_who_is_fixed() -> None:
    asked = request(*GOOD, ("Authorization", f"Bearer {signed(claims())}"))
    assert Fixed(Caller("public"))(asked) == Caller("public")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"auth": "header"}, "needs trusted_proxies"),
        ({"keys": "keys.pem"}, "keys are public keys"),
        ({"algorithm": "none"}, "RS256"),
        ({"trusted_proxies": ["10.0.0.7/8"]}, "host bits"),
        ({"trusted_proxies": ["proxy.internal"]}, "proxy.internal"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Service.model_validate(settings)
