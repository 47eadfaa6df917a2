"""The website source as a whole, against a real server in this process."""

import gzip
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from rag_pipeline.errors import ConfigurationError, DocumentError, TransientError
from rag_pipeline.model import NOBODY, PUBLIC, Access, DocumentRef, Failure
from rag_pipeline.settings import WebsiteSettings
from rag_pipeline.sources.contract import assert_source_contract
from rag_pipeline.sources.source import MAX_DOCUMENT_BYTES
from rag_pipeline.sources.website import WebsiteSource
from rag_pipeline.sources.website_client import Answer, Client
from rag_pipeline.sources.website_urls import Url
from rag_pipeline_tests.unit.sources.listings import listing
from rag_pipeline_tests.unit.sources.web_server import Reply, WebServer, page, redirect, sitemap, web_server


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def sources() -> Iterator[list[WebsiteSource]]:
    """Sources that are closed when the test is over."""
    opened: list[WebsiteSource] = []
    yield opened
    for source in opened:
        source.close()


class Crawler:
    """Makes sources for one server and one cache folder, and closes them."""

    def __init__(self, web: WebServer, cache: Path, sources: list[WebsiteSource]) -> None:
        self.web, self.cache, self._sources = web, cache, sources

    def __call__(self, path: str = "/", seconds: float = 600.0, **changes: Any) -> WebsiteSource:
        values = {
            "name": "x",
            "type": "website",
            "url": self.web.url + path,
            "access": [PUBLIC],
            "requests_per_second": 100,
            "private_hosts": ["127.0.0.1"],
            **changes,
        }
        source = WebsiteSource(WebsiteSettings.model_validate(values), self.cache, seconds=seconds)
        self._sources.append(source)
        return source

    def site(self, **replies: Reply | Any) -> None:
        """Serve pages by their names, all of them in the sitemap."""
        self.web.replies |= {f"/{name}": reply for name, reply in replies.items()}
        self.web.replies["/sitemap.xml"] = sitemap(*(f"{self.web.url}/{name}" for name in replies))

    def ids(self, *names: str) -> list[str]:
        return [f"{self.web.url}/{name}" for name in names]


@pytest.fixture
def crawl(web: WebServer, tmp_path: Path, sources: list[WebsiteSource]) -> Crawler:
    return Crawler(web, tmp_path / "cache", sources)


def test_lists_and_fetches_a_whole_site(web: WebServer, crawl: Crawler) -> None:
    web.replies = {
        "/robots.txt": Reply(f"Sitemap: {web.url}/index.xml\nUser-agent: *\nDisallow: /private".encode()),
        "/index.xml": sitemap(f"{web.url}/one.xml", f"{web.url}/two.xml.gz", root="sitemapindex"),
        "/one.xml": sitemap(f"{web.url}/", f"{web.url}/a#part", f"{web.url}/private/b", lastmod="2024-05-06"),
        "/two.xml.gz": Reply(gzip.compress(sitemap(f"{web.url}/guide/c.pdf", f"{web.url}/a").body)),
        "/": page("root"),
        "/a": page("a"),
        "/guide/c.pdf": Reply(b"%PDF", headers={"Content-Type": "application/pdf"}),
    }
    source = crawl()
    source.check()
    found = listing(source)
    assert list(found.documents) == crawl.ids("", "a", "guide/c.pdf")
    assert found.end.complete
    assert not found.failures
    assert source.skipped == {"disallowed by robots.txt": 1}
    assert [source.fetch(ref) for ref in found.documents.values()] == [
        reply.body for path in ("/", "/a", "/guide/c.pdf") if isinstance(reply := web.replies[path], Reply)
    ]
    first, _, pdf = found.documents.values()
    assert first.modified_at == datetime(2024, 5, 6, tzinfo=UTC)
    assert (first.media_type, pdf.media_type, pdf.size) == ("text/html", "application/pdf", 4)
    assert first.access == Access((PUBLIC,))
    assert first.uri == first.document_id
    assert {request.agent.partition("/")[0] for request in web.requests} == {"rag-pipeline"}
    assert {request.host for request in web.requests} == {web.host}


def test_a_site_keeps_the_contract(web: WebServer, crawl: Crawler) -> None:
    crawl.site(a=page("a"), b=redirect("/c"), **{"guide/é.md": Reply(b"# d"), "empty": Reply(b"")})
    web.replies["/c"] = page("c")
    web.replies["/guide/%C3%A9.md"] = Reply(b"# d")
    whole = dict(web.replies)

    @contextmanager
    def outage() -> Iterator[None]:
        web.replies.update(dict.fromkeys(whole, Reply(status=503)))
        yield
        web.replies.update(whole)

    def remove(name: str) -> None:
        del web.replies[name.removeprefix(web.url)]

    assert_source_contract(crawl, remove=remove, outage=outage)


def test_an_unchanged_site_sends_no_bytes_and_is_listed_alike(web: WebServer, crawl: Crawler) -> None:
    dated = {"Last-Modified": "Wed, 01 May 2024 10:00:00 GMT", "Content-Type": "text/html"}
    crawl.site(
        a=page("a"), b=Reply(b"b", headers=dated, etag=False), c=page("c", f'<link rel=canonical href="{web.url}/a">')
    )
    web.replies["/robots.txt"] = Reply(b"User-agent: *\nAllow: /")
    before = listing(crawl())
    web.requests.clear()
    source = crawl()
    source.check()
    assert listing(source) == before
    assert before.documents[crawl.ids("b")[0]].modified_at == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert sum(request.sent for request in web.requests) == 0
    assert {request.status for request in web.requests} == {304}
    web.requests.clear()
    assert [source.fetch(ref)[:6] for ref in before.documents.values()] == [b"<html>", b"b"]
    assert not web.requests
    shutil.rmtree(crawl.cache)
    assert listing(crawl()) == before
    crawl.site(a=page("changed"), b=web.replies["/b"], c=web.replies["/c"])
    after = listing(crawl())
    assert [ref.version == before.documents[name].version for name, ref in after.documents.items()] == [False, True]


def test_the_time_of_unchanged_bytes_stays_when_the_server_says_now(web: WebServer, crawl: Crawler) -> None:
    for second in ("01", "02"):
        now = {"Last-Modified": f"Wed, 01 May 2024 10:00:{second} GMT"}
        crawl.site(a=Reply(b"same", headers=now, etag=False))
        found = listing(crawl()).documents[crawl.ids("a")[0]]
        assert found.modified_at == datetime(2024, 5, 1, 10, 0, 1, tzinfo=UTC)


def test_what_a_page_answers_decides_what_it_counts_as(web: WebServer, crawl: Crawler) -> None:
    crawl.site(
        fine=page("fine"),
        missing=Reply(status=404),
        gone=Reply(status=410),
        secret=Reply(status=403),
        login=Reply(status=401),
        broken=Reply(status=500),
        nothing=Reply(status=204),
    )
    source = crawl()
    items = {item.document_id: item for item in source.list() if isinstance(item, DocumentRef | Failure)}
    assert list(items) == crawl.ids("fine", "secret", "login", "broken", "nothing")
    failures = {name.rpartition("/")[2]: item.access for name, item in items.items() if isinstance(item, Failure)}
    assert failures == {"secret": NOBODY, "login": NOBODY, "broken": None, "nothing": None}
    assert source.skipped == {"gone": 2}
    assert listing(source).end.complete


def test_a_page_that_went_away(web: WebServer, crawl: Crawler) -> None:
    crawl.site(a=page("a"), b=page("b"))
    before = listing(crawl()).documents
    del web.replies["/a"]
    source = crawl()
    assert list(listing(source).documents) == crawl.ids("b")
    with pytest.raises(DocumentError, match="404"):
        source.fetch(before[crawl.ids("a")[0]])
    crawl.site(b=page("b"))
    assert list(listing(source).documents) == crawl.ids("b")
    assert len(list((crawl.cache / "pages").iterdir())) == 2


def test_a_cache_that_was_damaged_or_lost_is_read_again(web: WebServer, crawl: Crawler) -> None:
    crawl.site(a=page("a"), empty=Reply(b""))
    source = crawl()
    found = listing(source).documents
    for file in (crawl.cache / "pages").iterdir():
        file.write_bytes(file.read_bytes().replace(b"<p>", b"<q>")[:-1])
    assert [source.fetch(ref) for ref in found.values()] == [page("a").body, b""]
    for file in (crawl.cache / "pages").iterdir():
        file.write_bytes(b"[1]\nx")
    assert listing(crawl()).documents == found
    shutil.rmtree(crawl.cache)
    assert [source.fetch(ref) for ref in found.values()] == [page("a").body, b""]


def test_redirects_inside_the_site_are_followed_and_copies_left_out(web: WebServer, crawl: Crawler) -> None:
    crawl.site(a=page("a"), old=redirect("/a"), moved=redirect("new", 302), loop=redirect("/loop"))
    web.replies["/new"] = page("new")
    source = crawl()
    found = listing(source)
    assert list(found.documents) == crawl.ids("a", "moved")
    assert source.fetch(found.documents[crawl.ids("moved")[0]]) == page("new").body
    assert "more than 5 redirects" in found.failures[crawl.ids("loop")[0]]
    assert source.skipped == {"copies of other pages": 1}
    assert listing(crawl()) == found


def test_a_condition_is_not_carried_to_another_page(web: WebServer, crawl: Crawler) -> None:
    dated = {"Last-Modified": "Wed, 01 May 2024 10:00:00 GMT"}
    crawl.site(a=redirect("/one"))
    web.replies["/one"] = Reply(b"one", headers=dated, etag=False)
    web.replies["/two"] = Reply(b"two", headers=dated, etag=False)
    listing(crawl())
    web.replies["/a"] = redirect("/two")
    source = crawl()
    assert [source.fetch(ref) for ref in listing(source).documents.values()] == [b"two"]


def test_pages_that_name_another_are_copies_only_if_that_is_there(web: WebServer, crawl: Crawler) -> None:
    def names(target: str) -> Reply:
        return page("text", f"<link rel='canonical' href='{target}'>")

    crawl.site(a=names("/a"), a2=names("a"), b=names("/unlisted"), c=names("/d"), d=names("/c"), e=names("/f"))
    crawl.site(**{name[1:]: reply for name, reply in web.replies.items() if len(name) < 4}, f=Reply(status=404))
    web.replies["/g"] = Reply(
        b"x", headers={"Link": f'<{web.url}/a>; rel="canonical"', "Content-Type": "application/pdf"}
    )
    web.replies["/sitemap.xml"] = sitemap(*crawl.ids("a", "a2", "b", "c", "d", "e", "f", "g"))
    source = crawl()
    assert set(listing(source).documents) == set(crawl.ids("a", "b", "c", "e"))
    assert source.skipped == {"copies of other pages": 3, "gone": 1}


def test_globs_see_the_path(web: WebServer, crawl: Crawler) -> None:
    crawl.site(**{"guide/a": page("a"), "guide/old/b": page("b"), "blog/c": page("c"), "": page("root")})
    assert list(listing(crawl(include=["guide/**"], exclude=["**/old"])).documents) == crawl.ids("guide/a")
    assert list(listing(crawl(include=["index.html"])).documents) == crawl.ids("")
    assert len(listing(crawl()).documents) == 4


def test_other_hosts_are_left_out_and_never_asked(web: WebServer, crawl: Crawler) -> None:
    with web_server() as other:
        other.replies = {"/x": page("other"), "/y": page("y"), "/sitemap.xml": sitemap(f"{other.url}/y")}
        web.replies = {
            "/sitemap.xml": sitemap(f"{other.url}/x", f"{web.url}/a", f"{web.url}/b", "ftp://host/x"),
            "/a": page("a"),
            "/b": redirect(f"{other.url}/x"),
        }
        source = crawl()
        found = listing(source)
        assert list(found.documents) == crawl.ids("a")
        assert "another host" in found.failures[crawl.ids("b")[0]]
        assert found.end.complete
        assert source.skipped == {"URLs of other hosts": 1, "URLs that are refused": 1}
        web.replies["/sitemap.xml"] = sitemap(f"{other.url}/sitemap.xml", root="sitemapindex")
        assert "another host" in (listing(source).end.reason or "")
        assert not other.requests
        assert list(listing(crawl(hosts=[other.host])).documents) == [f"{other.url}/y"]


def test_named_hosts_belong_to_the_site_with_their_own_rules(web: WebServer, crawl: Crawler) -> None:
    with web_server() as other:
        other.replies = {"/x": page("x"), "/y": page("y"), "/robots.txt": Reply(b"User-agent: *\nDisallow: /y")}
        crawl.site(a=redirect(f"{other.url}/y"))
        web.replies["/sitemap.xml"] = sitemap(f"{other.url}/x", f"{other.url}/y", f"{web.url}/a")
        found = listing(crawl(hosts=[other.host]))
        assert list(found.documents) == [f"{other.url}/x"]
        assert "robots.txt disallows" in found.failures[crawl.ids("a")[0]]
        other.replies["/robots.txt"] = Reply(status=503)
        found = listing(crawl(hosts=[other.host]))
        assert not found.documents
        assert not found.end.complete
        assert [request.path for request in other.requests].count("/y") == 0


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Reply(status=500), "answered 500"),
        (Reply(status=404), "answered 404"),
        (Reply(b"<html><body>oops"), "no sitemap"),
        (Reply(b'{"pages": []}'), "no sitemap"),
        (Reply(sitemap("http://127.0.0.1/x").body[:-20]), "no sitemap"),
        (Reply(b'<!DOCTYPE urlset [<!ENTITY x "y">]><urlset><url><loc>&x;</loc></url></urlset>'), "document type"),
        (Reply(gzip.compress(sitemap("http://127.0.0.1/x").body, mtime=0)[:-9]), "cut off"),
        (Reply(b""), "no sitemap"),
    ],
)
def test_a_sitemap_that_cannot_be_read_makes_the_listing_incomplete(
    web: WebServer, crawl: Crawler, broken: Reply, words: str
) -> None:
    web.replies = {
        "/index.xml": sitemap(*crawl.ids("bad.xml", "good.xml"), root="sitemapindex"),
        "/bad.xml": broken,
        "/good.xml": sitemap(*crawl.ids("a")),
        "/a": page("a"),
    }
    found = listing(crawl("/index.xml"))
    assert list(found.documents) == crawl.ids("a")
    assert not found.end.complete
    assert words in (found.end.reason or "")
    with pytest.raises(TransientError if broken.status == 500 else ConfigurationError, match=words):
        crawl("/bad.xml").check()


def test_sitemaps_that_lead_in_circles_or_too_deep(web: WebServer, crawl: Crawler) -> None:
    web.replies = {
        "/1.xml": sitemap(*crawl.ids("1.xml", "2.xml"), root="sitemapindex"),
        "/2.xml": sitemap(*crawl.ids("1.xml", "3.xml"), root="sitemapindex"),
        "/3.xml": sitemap(*crawl.ids("a")),
        "/a": page("a"),
    }
    found = listing(crawl("/1.xml"))
    assert list(found.documents) == crawl.ids("a")
    assert found.end.complete
    web.replies["/3.xml"] = sitemap(*crawl.ids("4.xml"), root="sitemapindex")
    found = listing(crawl("/1.xml"))
    assert "more than 3 deep" in (found.end.reason or "")


def test_a_sitemap_of_text_and_a_limit_of_pages(web: WebServer, crawl: Crawler) -> None:
    web.replies = {"/map.txt": Reply("\r\n".join(crawl.ids("a", "b", "")).encode()), "/a": page("a"), "/b": page("b")}
    web.replies["/"] = page("root")
    assert listing(crawl("/map.txt")).end.complete
    found = listing(crawl("/map.txt", max_pages=2))
    assert list(found.documents) == crawl.ids("a", "b")
    assert "more than 2 pages" in (found.end.reason or "")


@pytest.mark.parametrize(("status", "complete"), [(404, True), (403, True), (500, False), (429, False)])
def test_without_rules_everything_may_be_read_and_with_unreadable_ones_nothing(
    web: WebServer, crawl: Crawler, status: int, complete: bool
) -> None:
    crawl.site(a=page("a"))
    web.replies["/robots.txt"] = Reply(status=status)
    for path in ("/", "/sitemap.xml"):
        found = listing(crawl(path))
        assert found.end.complete == complete
        assert len(found.documents) == complete
    if not complete:
        with pytest.raises(TransientError):
            crawl().check()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * (1 << 20))
    except OSError:
        pass


def dripping(handler: BaseHTTPRequestHandler) -> None:
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100):
            handler.wfile.write(b"X-%d: y\r\n" % number)
            time.sleep(0.05)
    except OSError:
        pass


def dripping_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)
    except OSError:
        pass


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x16\x03\x01 nonsense\r\n\r\n")


def short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"not a thousand")


def long(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(MAX_DOCUMENT_BYTES + 1))
    handler.end_headers()


BOMB = gzip.compress(bytes(MAX_DOCUMENT_BYTES + 1), mtime=0)
HOSTILE = {
    "endless": (endless, "more than the"),
    "dripping": (dripping, "took longer"),
    "drippingbody": (dripping_body, "took longer"),
    "hangup": (hang_up, "broken answer"),
    "nonsense": (nonsense, "broken answer"),
    "short": (short, "broken answer"),
    "long": (long, "more than the"),
    "bomb": (Reply(BOMB, headers={"Content-Encoding": "gzip"}), "unpacks to more"),
    "cut": (Reply(gzip.compress(b"text", mtime=0)[:-4], headers={"Content-Encoding": "gzip"}), "cut off"),
    "nogzip": (Reply(b"text", headers={"Content-Encoding": "gzip"}), "no valid gzip"),
    "brotli": (Reply(b"text", headers={"Content-Encoding": "br"}), "not asked for"),
    "nowhere": (Reply(status=302), "more than 5 redirects"),
    "away": (redirect("file:///etc/passwd"), "only http and https"),
    "inside": (redirect("http://169.254.169.254/latest/meta-data"), "another host"),
    "grows": (Reply(b"\xe9" * 30_000_000, headers={"Content-Type": "text/html; charset=iso-8859-1"}), "as UTF-8"),
    "odd": (Reply(status=304), "answered 304"),
}


def test_hostile_answers_cost_only_themselves(web: WebServer, crawl: Crawler, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Client._asked

    def impatient(client: Client, url: Url, conditions: Mapping[str, str]) -> Answer:
        client._seconds = 1.0 if "dripping" in url.target else 600.0
        return asked(client, url, conditions)

    monkeypatch.setattr(Client, "_asked", impatient)
    crawl.site(**{name: reply for name, (reply, _) in HOSTILE.items()}, last=page("last"))
    source = crawl()
    found = listing(source)
    assert list(found.documents) == crawl.ids("last")
    assert found.end.complete
    for name, (_, words) in HOSTILE.items():
        assert words in found.failures[crawl.ids(name)[0]], name
        with pytest.raises(DocumentError, match=words):
            source.fetch(DocumentRef(crawl.ids(name)[0], "", "unknown"))


def test_a_packed_page_is_unpacked(web: WebServer, crawl: Crawler) -> None:
    crawl.site(a=Reply(gzip.compress(b"text"), headers={"Content-Encoding": "gzip"}))
    source = crawl()
    assert [source.fetch(ref) for ref in listing(source).documents.values()] == [b"text"]


def test_the_older_encoding_that_only_the_header_names(web: WebServer, crawl: Crawler) -> None:
    kinds = ("iso-8859-1", "shift_jis", "utf-8", "zlib_codec")
    texts = ["“é”".encode("cp1252"), "日本".encode("shift_jis"), "é".encode(), b"\xff"]
    crawl.site(
        **{
            f"p{number}": Reply(text, headers={"Content-Type": f"text/html; charset={kind}"})
            for number, (kind, text) in enumerate(zip(kinds, texts, strict=True))
        }
    )
    source = crawl()
    bodies = [source.fetch(ref) for ref in listing(source).documents.values()]
    assert [body.decode("utf-8-sig") for body in bodies[:3]] == ["“é”", "日本", "é"]
    assert bodies[3] == b"\xff"


def test_what_says_nothing_about_its_kind_is_known_by_its_name(web: WebServer, crawl: Crawler) -> None:
    vague = {"Content-Type": "text/plain; charset=utf-8"}
    crawl.site(
        **{
            "a.md": Reply(b"# A", headers=vague),
            "b": Reply(b"b", headers=vague),
            "c.pdf": Reply(b"%PDF"),
            "d": Reply(b"d"),
        }
    )
    kinds = [ref.media_type for ref in listing(crawl()).documents.values()]
    assert kinds == ["text/markdown", "text/plain", "application/pdf", None]


def test_a_busy_server_is_given_time(web: WebServer, crawl: Crawler) -> None:
    times: list[float] = []

    def busy(handler: BaseHTTPRequestHandler) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            handler.wfile.write(b"HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")

    crawl.site(a=busy, later=Reply(status=503, headers={"Retry-After": "86400"}))
    found = listing(crawl())
    assert list(found.documents) == crawl.ids("a")
    assert list(found.failures) == crawl.ids("later")
    assert times[1] - times[0] >= 1


def test_requests_keep_the_distance_that_settings_and_robots_ask_for(web: WebServer, crawl: Crawler) -> None:
    crawl.site(a=page("a"), b=page("b"), c=page("c"))
    web.replies["/robots.txt"] = Reply(b"User-agent: rag-pipeline\nCrawl-delay: 0.2")
    started = time.monotonic()
    listing(crawl())
    assert time.monotonic() - started >= 0.6


def test_a_site_in_trouble_is_left_alone(web: WebServer, crawl: Crawler) -> None:
    crawl.site(**{f"p{number:02}": Reply(status=500) for number in range(30)})
    found = listing(crawl())
    assert not found.end.complete
    assert len(found.failures) == 20
    assert len([request for request in web.requests if request.status == 500]) == 20


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"private_hosts": []}, "is private; name the host in private_hosts"),
        ({"url": "file:///etc/passwd"}, "only http and https"),
        ({"url": "http://me:secret@127.0.0.1/"}, "credentials"),
        ({"hosts": ["http://x"]}, "hosts"),
        ({"private_hosts": ["a b"]}, "private_hosts"),
        ({"include": ["/x"]}, "can match nothing"),
    ],
)
def test_settings_that_can_never_work(web: WebServer, crawl: Crawler, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as error:
        crawl(**settings).check()
    assert "secret" not in str(error.value)
    assert not web.requests


def test_a_site_that_nobody_answers_for_is_tried_again_later(crawl: Crawler) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        source = crawl(url=f"http://127.0.0.1:{unused.getsockname()[1]}/")
        with pytest.raises(TransientError):
            source.check()
        assert not listing(source).end.complete
        with pytest.raises(TransientError):
            source.fetch(DocumentRef(f"http://127.0.0.1:{unused.getsockname()[1]}/a", "", "x"))


def test_ids_that_are_no_pages_of_the_site(crawl: Crawler) -> None:
    for name in ("a", "file:///etc/passwd", "http://169.254.169.254/"):
        with pytest.raises(DocumentError):
            crawl().fetch(DocumentRef(name, "", "x"))
