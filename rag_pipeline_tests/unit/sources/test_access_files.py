import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.model import Access
from rag_pipeline.sources.access_files import parse_access


def test_reads_both_lists_with_and_without_a_byte_order_mark() -> None:
    text = b'access = ["group:hr", "user:ana"]\ndeny = ["user:bob"]\n'
    expected = Access(("group:hr", "user:ana"), ("user:bob",))
    assert parse_access(text) == parse_access(b"\xef\xbb\xbf" + text) == expected


def test_an_empty_list_means_nobody() -> None:
    assert parse_access(b"access = []") == Access()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'deny = ["user:bob"]',
        b'access = "public"',
        b"access = [1]",
        b'access = ["everyone"]',
        b'access = ["group:hr "]',
        b'access = ["group:hr\\nuser:eve"]',
        b'access = ["public"]\nalow = ["user:ana"]',
        b'access = ["public"]\n[access]',
        b'access = ["public"',
        b"\xff\xfe\x00",
        b"access = " + b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"[a-z]{3}"):
        parse_access(data)


@given(st.binary(max_size=60) | st.text("access=[]\"deny', \npublicgroup:#", max_size=60).map(str.encode))
def test_whatever_is_accepted_is_what_the_file_says(data: bytes) -> None:
    try:
        access = parse_access(data)
    except ValueError:
        return
    values = tomllib.loads(data.decode("utf-8-sig"))
    assert set(access.allow) == set(values["access"])
    assert set(access.deny) == set(values.get("deny", []))
