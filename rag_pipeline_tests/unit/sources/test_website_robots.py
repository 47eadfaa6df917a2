"""robots.txt by the examples of its standard, and by a slow oracle."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.errors import DocumentError
from rag_pipeline.sources.website_robots import Robots, parse_robots
from rag_pipeline_tests.costs import no_hang


@pytest.mark.parametrize(
    ("text", "allowed", "disallowed"),
    [
        ("", ["/", "/a"], []),
        ("User-agent: *\nDisallow:", ["/a"], []),
        ("User-agent: *\nDisallow: /", [], ["/", "/a"]),
        ("User-agent: *\nDisallow: /a\nAllow: /a/b", ["/", "/a/b/c", "/b"], ["/a", "/a/c", "/abc"]),
        ("User-agent: *\nDisallow: /a\nAllow: /a", ["/a"], []),
        ("user-AGENT: RAG-pipeline/1.0\nDISALLOW: /a # no\n\nUser-agent: *\nDisallow: /", ["/b"], ["/a"]),
        ("User-agent: other\nDisallow: /\nUser-agent: *\nDisallow: /b", ["/a"], ["/b"]),
        ("User-agent: other\nUser-agent: rag-pipeline\nDisallow: /a", ["/b"], ["/a"]),
        (
            "User-agent: rag-pipeline\nDisallow: /a\nUser-agent: x\nUser-agent: rag-pipeline\nDisallow: /b",
            [],
            ["/a", "/b"],
        ),
        ("User-agent: rag-pipeline\nAllow: /\nUser-agent: *\nDisallow: /", ["/a"], []),
        ("User-agent: *\nDisallow: /*.pdf$", ["/a.pdfx", "/a.pdf?x"], ["/a.pdf", "/b/c.pdf"]),
        ("User-agent: *\nDisallow: /a*b$", ["/ab/c"], ["/ab", "/a/b", "/abbb"]),
        ("User-agent: *\nDisallow: /x$", ["/x/", "/xy"], ["/x"]),
        ("User-agent: *\nDisallow: *?print=", ["/a"], ["/a?print=1"]),
        ("User-agent: *\nDisallow: /é", ["/e"], ["/%C3%A9"]),
        ("User-agent: *\nDisallow: /%7euser", [], ["/~user"]),
        ("\ufeffUser-agent: *\r\nDisallow: /a\r\n", ["/b"], ["/a"]),
        ("Disallow: /a\nnonsense\n: x\nUser-agent\n", ["/a"], []),
    ],
)
def test_rules(text: str, allowed: list[str], disallowed: list[str]) -> None:
    robots = parse_robots(text.encode())
    assert [target for target in allowed if not robots.allows(target)] == []
    assert [target for target in disallowed if robots.allows(target)] == []


def test_sitemaps_and_delay() -> None:
    robots = parse_robots(
        b"Sitemap: http://h/1\nUser-agent: *\nCrawl-delay: 2.5\nsitemap:http://h/2\nSitemap: http://h/1"
    )
    assert robots.sitemaps == ("http://h/1", "http://h/2")
    assert robots.delay == 2.5
    assert parse_robots(b"User-agent: *\nCrawl-delay: 86400").delay == 30
    assert parse_robots(b"User-agent: *\nCrawl-delay: -1\nCrawl-delay: nan").delay == 0


_TEXTS = st.text("ab", max_size=6)


@given(st.text("ab*", max_size=6), st.booleans(), _TEXTS)
@settings(max_examples=400, deadline=None)
def test_patterns_match_as_regular_expressions_do(pattern: str, end: bool, target: str) -> None:
    oracle = ".*".join(map(re.escape, pattern.split("*"))) + ("$" if end else "")
    robots = Robots(((f"/{pattern}{'$' * end}", False),))
    assert robots.allows(f"/{target}") == (re.match(f"/{oracle}", f"/{target}") is None)


def test_hostile_rules_hang_nothing_or_are_refused() -> None:
    stars = "User-agent: *\n" + "\n".join(f"Disallow: /{'*a' * 40}{number}" for number in range(4_000))
    robots = parse_robots(stars.encode())
    with no_hang():
        assert robots.allows("/" + "a" * 2_000)
    with pytest.raises(DocumentError, match="rules"):
        parse_robots(("User-agent: *\n" + "\n".join(f"Allow: /{number}" for number in range(6_000))).encode())
    assert parse_robots(b"\xff\xfe\0" * 1000).rules == ()
