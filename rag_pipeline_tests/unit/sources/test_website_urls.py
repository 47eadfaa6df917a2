"""The canonical form of URLs: what is one page, and what is refused before anything is resolved."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.sources.website_urls import canonical_host, parse_url


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("HTTP://Docs.Example.COM", "http://docs.example.com/"),
        ("https://h:443/a#part", "https://h/a"),
        ("http://h:80/", "http://h/"),
        ("http://h:443/", "http://h:443/"),
        ("http://h./a", "http://h/a"),
        ("http://h/a/./b/../c", "http://h/a/c"),
        ("http://h/../../a", "http://h/a"),
        ("http://h/a/..", "http://h/"),
        ("http://h/a/.", "http://h/a/"),
        ("http://h/a//b", "http://h/a//b"),
        ("http://h/%2e%2e/a", "http://h/a"),
        ("http://h/%7Euser/%c3%a9", "http://h/~user/%C3%A9"),
        ("http://h/é b", "http://h/%C3%A9%20b"),
        ("http://h/100%", "http://h/100%25"),
        ("http://h/a?q=1&r=%2f#x", "http://h/a?q=1&r=%2F"),
        ("http://h/a?", "http://h/a"),
        ("http://münchen.example/", "http://xn--mnchen-3ya.example/"),
        ("http://[2606:4700:0::1111]:80/", "http://[2606:4700::1111]/"),
        ("http://1.2.3.4:8080/", "http://1.2.3.4:8080/"),
        ("  http://h/a\n", "http://h/a"),
    ],
)
def test_one_form(text: str, canonical: str) -> None:
    assert str(parse_url(text)) == canonical
    assert parse_url(canonical) == parse_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/a",
        "h",
        "//h/a",
        "file:///etc/passwd",
        "gopher://h/",
        "ftp://h/",
        "javascript:alert(1)",
        "data:text/html,x",
        "http:///a",
        "http://",
        "http://me@h/",
        "http://me:secret@h/",
        "http://h@127.0.0.1/",
        "http://1.1.1.1 &@2.2.2.2# @3.3.3.3/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://2130706433/",
        "http://017700000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://1.2.3.4.5/",
        "http://127.0.0.0x1/",
        "http://h.0x1/",
        "http://[::1%25eth0]/",
        "http://[::ffff:127.0.0.1/",
        "http://[127.0.0.1]/",
        "http://h:port/",
        "http://h:99999/",
        "http://h\\@evil/",
        "http://h\x00.evil/",
        "http://h\tx/",
        "http://h\r\nX: y/",
        "http://h h/",
        "http://h%2f.evil/",
        "http://h,evil/",
        "http://-h/",
        "http://h..evil/",
        "http://" + "a" * 64 + "/",
        "http://" + ".".join(["a" * 60] * 5) + "/",
        "http://h/" + "a" * 2048,
    ],
)
def test_what_is_refused(text: str) -> None:
    try:
        url = parse_url(text)
    except ValueError:
        return
    pytest.fail(f"taken for {url}")


def test_spellings_of_this_machine_come_down_to_its_plain_name() -> None:
    for text in ("127.0.0.1.", "１２７.0.0.1", "①27.0.0.1"):
        assert canonical_host(text) == "127.0.0.1"
    assert canonical_host("LOCALHOST.") == canonical_host("ⓛocalhost") == "localhost"


def test_a_relative_url_starts_at_its_base() -> None:
    base = parse_url("https://h:8443/a/b?q")
    assert str(parse_url("c", base)) == "https://h:8443/a/c"
    assert str(parse_url("/c", base)) == "https://h:8443/c"
    assert str(parse_url("//other/c", base)) == "https://other/c"
    assert str(parse_url("", base)) == str(base)


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["http", "https"]))
@settings(max_examples=300, deadline=None)
def test_the_form_is_stable_and_plain(path: str, query: str, scheme: str) -> None:
    try:
        url = parse_url(f"{scheme}://h/{path}?{query}")
    except ValueError:
        return
    assert parse_url(str(url)) == url
    assert str(url).isascii()
    assert not set(str(url)) & set(' "<>\\^`{|}#\n\t')
    assert "/../" not in url.path
    assert url.host == "h"
