"""Which URL a page wants to be known by, and which of several pages are copies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.sources.website_canonical import canonical_link, copies
from rag_pipeline.sources.website_urls import parse_url
from rag_pipeline_tests.costs import assert_linear, no_hang

HERE = parse_url("https://h/dir/page")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<link rel="canonical" href="https://h/a">', "https://h/a"),
        ("<LINK HREF=/a REL=Canonical />", "https://h/a"),
        ("<head><meta charset=utf-8><link\nrel='x canonical'\nhref='b?x=1&amp;y=2'>", "https://h/dir/b?x=1&y=2"),
        ('<link rel="stylesheet" href="x"><link rel="canonical" href="https://h/a">', "https://h/a"),
        ('<!-- <link rel="canonical" href="/no"> --><link rel="canonical" href="/a">', "https://h/a"),
        ("<script>'<link rel=canonical href=/no>'</script><link rel=canonical href=/a>", "https://h/a"),
        ("<head></head><link rel=canonical href=/no>", None),
        ("<body><link rel=canonical href=/no>", None),
        ("<link rel=canonical>", None),
        ('<link rel=canonical href="">', None),
        ('<link rel="canonical" href="javascript:x">', None),
        ("<!-- <link rel=canonical href=/no>", None),
        ("<link rel=alternate href=/no>", None),
        ("", None),
    ],
)
def test_the_head_tells(html: str, expected: str | None) -> None:
    assert canonical_link(HERE, html.encode()) == expected


def test_the_header_tells_before_the_head() -> None:
    header = '<https://h/x>; rel="next", <https://h/a>; rel="canonical"'
    assert canonical_link(HERE, b"<link rel=canonical href=/b>", header) == "https://h/a"
    assert canonical_link(HERE, b"", '<https://h/a>; title="canonical"') is None


@pytest.mark.parametrize("piece", [b"<!--", b"<script>", b"<link ", b"<link rel=", b"<", b"<link a", b"</scrip"])
def test_hostile_heads_hang_nothing(piece: bytes) -> None:
    with no_hang():
        assert canonical_link(HERE, piece * (10_000_000 // len(piece))) is None


@pytest.mark.parametrize(
    ("targets", "present", "expected"),
    [
        ({"b": "a"}, {"a"}, {"b"}),
        ({"b": "a"}, set[str](), set[str]()),
        ({"c": "b", "b": "a"}, {"a"}, {"b", "c"}),
        ({"c": "b", "b": "a"}, set[str](), {"c"}),
        ({"a": "b", "b": "a"}, set[str](), {"b"}),
        ({"c": "b", "b": "a", "a": "b"}, set[str](), {"b", "c"}),
        ({"a": "b", "b": "c", "c": "a", "d": "a"}, set[str](), {"b", "c", "d"}),
    ],
)
def test_copies(targets: dict[str, str], present: set[str], expected: set[str]) -> None:
    assert copies(targets, present) == expected


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 12)), st.sets(st.integers(0, 12)), st.randoms())
@settings(max_examples=200, deadline=None)
def test_every_page_leads_to_one_that_is_kept(numbers: dict[int, int], others: set[int], dice: object) -> None:
    targets = {str(page): str(target) for page, target in numbers.items() if page != target}
    present = {str(other) for other in others} - targets.keys()
    found = copies(targets, present)
    assert found <= targets.keys()
    for page in targets:
        at, steps = page, 0
        while at in found:
            at, steps = targets[at], steps + 1
            assert steps <= len(targets)
        assert at in present or at in targets
    assert copies(dict(reversed(targets.items())), present) == found


def test_a_chain_costs_in_proportion_to_its_length() -> None:
    small, large = ({f"{n:06}": f"{n + 1:06}" for n in range(length)} for length in (5_000, 20_000))
    assert len(copies(large, {"020000"})) == 20_000
    assert_linear(lambda: copies(small, {"005000"}), lambda: copies(large, {"020000"}))
