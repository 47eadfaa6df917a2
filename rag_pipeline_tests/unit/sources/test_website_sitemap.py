"""Sitemaps of all shapes, from friends and strangers."""

import gzip
import tracemalloc
from datetime import UTC, datetime

import pytest

from rag_pipeline.errors import DocumentError
from rag_pipeline.sources.website_sitemap import MAX_BYTES, Entry, entries
from rag_pipeline_tests.costs import no_hang

SPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (f"<urlset {SPACE}/>", []),
        (f"<urlset {SPACE}><url><loc> http://h/a\n</loc></url></urlset>", [Entry("http://h/a")]),
        ("<urlset><url><loc>http://h/a&amp;b</loc></url></urlset>", [Entry("http://h/a&b")]),
        ("<urlset><url><loc><![CDATA[http://h/a]]></loc></url></urlset>", [Entry("http://h/a")]),
        ("<s:urlset xmlns:s='x'><s:url><s:loc>http://h/a</s:loc></s:url></s:urlset>", [Entry("http://h/a")]),
        (
            "<urlset><url><loc>http://h/a</loc><lastmod>2024-02-03</lastmod></url></urlset>",
            [Entry("http://h/a", datetime(2024, 2, 3, tzinfo=UTC))],
        ),
        (
            "<urlset><url><lastmod>2024-02-03T04:05:06+02:00</lastmod><loc>http://h/a</loc></url></urlset>",
            [Entry("http://h/a", datetime(2024, 2, 3, 2, 5, 6, tzinfo=UTC))],
        ),
        ("<urlset><url><loc>http://h/a</loc><lastmod>soon</lastmod></url></urlset>", [Entry("http://h/a")]),
        ("<urlset><url><lastmod>2024</lastmod></url><url><loc/></url></urlset>", []),
        (
            f"<urlset {SPACE} xmlns:i='image'><url><i:image><i:loc>http://h/i</i:loc></i:image>"
            "<loc>http://h/a</loc><i:loc>http://h/j</i:loc></url></urlset>",
            [Entry("http://h/a")],
        ),
        (
            f"<sitemapindex {SPACE}><sitemap><loc>http://h/b.xml</loc></sitemap><url><loc>x</loc></url></sitemapindex>",
            [Entry("http://h/b.xml", None, True)],
        ),
        ("\ufeff<?xml version='1.0' encoding='UTF-8'?>\n<urlset/>", []),
        ("http://h/a\r\n\r\n  https://h/b  \n", [Entry("http://h/a"), Entry("https://h/b")]),
        ("\ufeffhttp://h/é", [Entry("http://h/é")]),
    ],
)
def test_what_sitemaps_say(data: str, expected: list[Entry]) -> None:
    assert list(entries(data.encode())) == expected
    assert list(entries(gzip.compress(data.encode()))) == expected


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"http://h/a\nftp://h/b",
        b"<html><body>404</body></html>",
        b"<rss><channel/></rss>",
        b"<urlset><url><loc>http://h/a</loc></url>",
        b"<urlset><url><loc>http://h/a</url></urlset>",
        b"<urlset>&undefined;</urlset>",
        b"<urlset/>more",
        b"<" * 1000,
        b"<urlset>" + b"<a>" * 100_000,
        b"<urlset>\xff\xff</urlset>",
        "<urlset/>".encode("utf-16"),
        f"{BOMB}]><urlset><url><loc>&j;</loc></url></urlset>".encode(),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><urlset/>',
        b'<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><urlset><url><loc>&y;</loc></url></urlset>',
        b"<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE x+AD4-<urlset/>",
        gzip.compress(b"<urlset/>", mtime=0)[:-2],
        b"\x1f\x8bnot gzip",
        gzip.compress(b" " * (MAX_BYTES + 1)),
        b"http://h/" + b"a" * MAX_BYTES,
    ],
    ids=range(21),
)
def test_what_is_no_sitemap_is_refused(data: bytes) -> None:
    with no_hang(), pytest.raises(DocumentError):
        list(entries(data))


def test_what_came_before_the_damage_is_still_given() -> None:
    found = entries(b"<urlset>" + b"<url><loc>http://h/a</loc></url>" * 5_000 + b"<url><loc>")
    assert next(found) == Entry("http://h/a")
    with pytest.raises(DocumentError):
        list(found)


def test_more_entries_than_allowed_are_an_error_after_the_last() -> None:
    found: list[Entry] = []
    with pytest.raises(DocumentError, match="entries"):
        found.extend(entries(b"http://h/a\n" * 50_001))
    assert len(list(entries(b"http://h/a\n" * 50_000))) == 50_000


def test_large_and_odd_sitemaps_need_little_memory() -> None:
    data = b"<urlset><url>" + b"<a/>" * 200_000 + b"<loc>" + b"x" * 1_000_000 + b"</loc></url></urlset>"
    tracemalloc.start()
    (entry,) = entries(data)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    assert len(entry.url) == 4_096
