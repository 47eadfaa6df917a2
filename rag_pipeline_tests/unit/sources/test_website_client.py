"""The client alone: where its connections lead, whatever names, redirects and environments say."""

import gzip
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_pipeline.errors import DocumentError, TransientError
from rag_pipeline.sources import website_client
from rag_pipeline.sources.website_addresses import resolve
from rag_pipeline.sources.website_client import Client, inflated
from rag_pipeline.sources.website_urls import Url, parse_url
from rag_pipeline_tests.unit.sources.web_server import Reply, WebServer, certificate, redirect, web_server


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.replies["/a"] = Reply(b"a")
        yield server


def anything(url: Url) -> None:
    pass


class Names:
    """A resolver that gives the answers it was told, one after the other, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture(autouse=True)
def _idle_connections_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(website_client, "_IDLE_SECONDS", 3600)


def client(names: Names, *private_hosts: str) -> Client:
    return Client(100, private_hosts, names, seconds=600)


def test_the_address_that_was_checked_is_connected_to_and_the_name_is_kept(web: WebServer) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    reader = client(names, "docs.example")
    url = parse_url(f"http://docs.example:{web.server.server_port}/a")
    assert reader.get(url, anything).body == b"a"
    assert reader.get(url, anything).body == b"a"
    reader.close()
    assert names.asked == 1
    assert {request.host for request in web.requests} == {f"docs.example:{web.server.server_port}"}


def test_a_name_that_turns_private_is_refused_when_it_is_resolved_again(web: WebServer) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.1", "169.254.169.254"])
    url = parse_url(f"http://docs.example:{web.server.server_port}/a")
    web.replies["/a"] = Reply(b"a", headers={"Connection": "close"})
    reader = client(names, "docs.example")
    assert reader.get(url, anything).body == b"a"
    with pytest.raises(DocumentError, match=r"169\.254"):
        reader.get(url, anything)
    reader.close()
    assert len(web.requests) == 1


RESOLVED = {
    "metadata.google.internal": "169.254.169.254",
    "instance-data": "169.254.169.254",
    "intranet.example": "10.1.2.3",
    "home.example": "192.168.0.1",
    "office.example": "172.20.0.1",
    "carrier.example": "100.64.3.4",
    "here.example": "127.0.0.1",
    "six.example": "::1",
    "mapped.example": "::ffff:127.0.0.1",
    "local6.example": "fe80::1",
    "unique6.example": "fd00::1",
    "nat64.example": "64:ff9b::a00:1",
    "6to4.example": "2002:c0a8:1::1",
    "zero.example": "0.0.0.0",
    "many.example": "224.0.0.251",
    "all.example": "255.255.255.255",
}
FORGED = [
    *(f"http://{host}/latest/meta-data" for host in RESOLVED),
    "http://127.0.0.1/",
    "http://127.0.0.1:22/",
    "http://127.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://017700000001/",
    "http://0177.0.0.01/",
    "http://localhost/",
    "http://localhost./",
    "http://LOCALHOST/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fe80::1%25lo]/",
    "http://[fd00:ec2::254]/",
    "http://[64:ff9b::7f00:1]/",
    "http://169.254.169.254/",
    "http://169.254.169.254.:80/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://user:password@1.1.1.1/",
    "http://1.1.1.1@127.0.0.1/",
    "http://127.0.0.1\\@1.1.1.1/",
    "http://127.0.0.1#@1.1.1.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stat",
    "ftp://127.0.0.1/",
    "unix:///var/run/docker.sock",
]


@pytest.mark.parametrize("text", FORGED)
def test_a_forged_url_is_refused_before_anything_is_connected_to(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connected.append(address))
    monkeypatch.setattr(socket, "create_connection", lambda address, *_, **__: connected.append(address))
    reader = Client(100, (), lambda host, port: [RESOLVED[host]] if host in RESOLVED else resolve(host, port))
    try:
        with pytest.raises(DocumentError, match="refused"):
            reader.get(parse_url(text), anything)
    except ValueError:
        pass
    finally:
        reader.close()
    assert not connected


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["::1", "127.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["0.0.0.0"]])
def test_refused_addresses_are_not_connected_to(web: WebServer, addresses: list[str]) -> None:
    reader = client(Names(addresses))
    with pytest.raises(DocumentError, match="refused"):
        reader.get(parse_url(f"http://docs.example:{web.server.server_port}/a"), anything)
    reader.close()
    assert not web.requests


def test_a_redirect_to_a_private_address_is_refused(web: WebServer) -> None:
    with web_server() as inside:
        inside.replies["/secret"] = Reply(b"secret")
        web.replies["/a"] = redirect(f"{inside.url}/secret")
        reader = client(Names(["127.0.0.1"]), "docs.example")
        with pytest.raises(DocumentError, match="is private"):
            reader.get(parse_url(f"http://docs.example:{web.server.server_port}/a"), anything)
        reader.close()
        assert len(web.requests) == 1
        assert not inside.requests


def test_every_hop_is_asked_about(web: WebServer) -> None:
    web.replies |= {"/1": redirect("/2", 302), "/2": redirect("/3", 307), "/3": redirect("/a", 308)}
    met: list[str] = []
    reader = client(Names(["127.0.0.1"]), "127.0.0.1")
    answer = reader.get(parse_url(f"{web.url}/1"), lambda url: met.append(url.target))
    assert (answer.body, answer.url.target, met) == (b"a", "/a", ["/1", "/2", "/3", "/a"])

    def not_three(url: Url) -> None:
        if url.target == "/3":
            raise DocumentError("not there")

    web.requests.clear()
    with pytest.raises(DocumentError, match="not there"):
        reader.get(parse_url(f"{web.url}/1"), not_three)
    reader.close()
    assert [request.path for request in web.requests] == ["/1", "/2"]


def test_proxies_of_the_environment_are_not_used(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        reader = client(Names(["127.0.0.1"]), "127.0.0.1")
        assert reader.get(parse_url(f"{web.url}/a"), anything).body == b"a"
        reader.close()
        assert not proxy.requests


def test_the_next_address_is_tried_when_one_does_not_answer(web: WebServer) -> None:
    reader = client(Names(["127.0.0.2", "127.0.0.1"]), "docs.example")
    assert reader.get(parse_url(f"http://docs.example:{web.server.server_port}/a"), anything).body == b"a"
    reader.close()


def test_a_name_that_cannot_be_resolved_is_tried_again_later() -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    for names in (nobody, lambda host, port: []):
        reader = Client(100, (), names)
        with pytest.raises(TransientError, match=r"docs\.example"):
            reader.get(parse_url("http://docs.example/"), anything)
        reader.close()


def test_tls_is_checked_against_the_name_and_no_other(
    web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = tmp_path / "docs.pem"
    trusted.write_bytes(certificate("docs.example"))
    named: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted)
    context.sni_callback = lambda connection, name, _: named.append(name)
    web.server.socket = context.wrap_socket(web.server.socket, server_side=True)
    web.server.handle_error = lambda request, client_address: None
    port = web.server.server_port
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    reader = client(Names(["127.0.0.1"]), "docs.example", "other.example")
    assert reader.get(parse_url(f"https://docs.example:{port}/a"), anything).body == b"a"
    with pytest.raises(TransientError, match="certificate"):
        reader.get(parse_url(f"https://other.example:{port}/a"), anything)
    reader.close()
    assert named == ["docs.example", "other.example"]
    assert len(web.requests) == 1


def test_unpacking_is_limited_exactly() -> None:
    packed = gzip.compress(b"x" * 1000)
    assert inflated([packed], 1000) == b"x" * 1000
    assert inflated([packed[at : at + 1] for at in range(len(packed))], 1000) == b"x" * 1000
    with pytest.raises(DocumentError, match="more than the 999"):
        inflated([packed], 999)
    with pytest.raises(DocumentError, match="more follows"):
        inflated([packed + packed], 5000)
