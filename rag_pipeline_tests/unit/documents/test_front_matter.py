import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.documents import declared_access, parse
from rag_pipeline.documents.front_matter import MAX_CHARACTERS
from rag_pipeline.errors import DocumentError


def access(front: str) -> tuple[str, ...] | None:
    return declared_access(f"---\n{front}\n---\nbody".encode(), "text/markdown")


def test_title_and_metadata_are_json():
    source = b"---\ntitle: ' The\n  Guide '\ndate: 2020-02-03\nat: 2020-02-03 04:05:06\ntags: !!set {b, a}\n"
    source += b"n: 1\nf: .nan\nyes: true\nnone:\nnested: {1: [x, {y: z}]}\naccess: [group:hr]\n---\n# H\n"
    document = parse(source, "text/markdown")
    assert document.title == "The Guide"
    assert document.text == "# H"
    assert json.loads(json.dumps(document.metadata, allow_nan=False)) == {
        "date": "2020-02-03",
        "at": "2020-02-03T04:05:06",
        "tags": ["a", "b"],
        "n": 1,
        "f": None,
        "True": True,
        "none": None,
        "nested": {"1": ["x", {"y": "z"}]},
    }


@pytest.mark.parametrize(
    "source",
    [
        "# no\n",
        "---\nsome text\n---\nmore",
        "---\n\n- a\n- b\n---\n",
        "text\n---\na: b\n---\n",
        "----\na: b\n----",
        "---\nnever closed",
    ],
)
def test_what_is_not_front_matter_stays_text(source):
    document = parse(source.encode(), "text/markdown")
    assert document.metadata == {}
    assert len(document.blocks) >= 1
    assert declared_access(source.encode(), "text/markdown") is None


@pytest.mark.parametrize(
    "front",
    [
        "a: [",
        "a: &x 1\nb: *x",
        "a: *x",
        "a: !!python/object:os.system x",
        "a: 2020-13-45",
        "a: 1\na: 2",
        "a: " + "[" * 50 + "]" * 50,
        "a: " + "7" * 9000,
        "\ta: b",
    ],
)
def test_broken_front_matter_is_refused_but_declares_no_access(front):
    with pytest.raises(DocumentError, match="front matter"):
        parse(f"---\n{front}\n---\nbody".encode(), "text/markdown")
    assert access(front) is None


def test_access_is_sorted_distinct_and_canonical():
    assert access("access: [user:zoe, group:hr, group:hr]") == ("group:hr", "user:zoe")
    assert access("access: []") == ()
    assert access("title: access to the building") is None
    assert access("nested: {level: x}") is None
    assert declared_access(b"\xef\xbb\xbf---\r\naccess:\r\n  - public\r\n---\r\n", "text/plain") == ("public",)
    assert declared_access("---\naccess: [public]\n---\n".encode("utf-16"), "text/markdown") == ("public",)
    assert declared_access(b"---\naccess: [public]\n---\n", "text/html") is None
    assert declared_access(b"---\naccess: [public]\n---\n", "text/x-source") is None
    assert declared_access(b"---\naccess: [public]\n---\n", None, "x.md") == ("public",)


@pytest.mark.parametrize(
    "front",
    [
        "access: public",
        "access:",
        "access: [hr]",
        "access: [group:hr, 3]",
        "access: ['group: hr ']",
        "access: {group: hr}",
        "access: [group:hr",
        "access: [group:hr]\naccess: [public]",
        "Access: [public]",
        '"ac\\x63ess": [hr]',
        "{title: [, access: [public]}",
        "a: &x [group:hr]\naccess: *x",
        'access: ["group:\\u0000hr"]',
    ],
)
def test_access_that_cannot_be_understood_raises(front):
    with pytest.raises(DocumentError) as caught:
        access(front)
    assert type(caught.value) is DocumentError
    with pytest.raises(DocumentError):
        parse(f"---\n{front}\n---\nbody".encode(), "text/markdown")


@pytest.mark.parametrize("filler", ["", "x: y\n" * MAX_CHARACTERS])
def test_access_in_front_matter_that_never_ends_raises(filler):
    with pytest.raises(DocumentError, match="close it"):
        declared_access(f"---\naccess: [group:hr]\n{filler}body".encode(), "text/markdown")


@given(st.text(max_size=60), st.sampled_from(["access", "a", "title"]))
def test_any_front_matter_gives_principals_none_or_a_document_error(value, key):
    try:
        declared = access(f"{key}: {value}")
    except DocumentError:
        return
    assert declared is None or declared == tuple(sorted(set(declared)))


def test_only_the_head_is_read():
    data = b"---\naccess: [group:hr]\n---\n" + "é".encode() * 1_000_000 + b"\xff" * 10
    assert declared_access(data, "text/markdown") == ("group:hr",)
    assert declared_access(bytes(100), "text/markdown") is None
