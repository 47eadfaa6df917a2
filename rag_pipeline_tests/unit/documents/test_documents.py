"""Laws of every parser, on generated documents; and what is refused."""

import subprocess
import sys
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.documents import declared_access, parse
from rag_pipeline.documents.canonical import clean
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document
from rag_pipeline_tests.unit.documents.generated import DOCUMENTS, MARKDOWN, TEXT


def parsed(text: str, media_type: str) -> Document:
    """Parse, and take a refusal (broken front matter, nothing visible) for an empty document."""
    try:
        return parse(text.encode("utf-8", "replace"), media_type)
    except DocumentError:
        return Document("", ())


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_blocks_are_in_order_visible_and_exact(case):
    document = parsed(*case)
    end = 0
    for block in document.blocks:
        text = document.text[block.start : block.end]
        assert end <= block.start < block.end <= len(document.text)
        assert text.strip()
        assert text == text.rstrip()
        if block.kind is BlockKind.HEADING:
            assert 1 <= block.level <= 6
            assert "\n" not in block.title
        if block.header_end is not None:
            assert block.kind is BlockKind.TABLE
            assert block.start < block.header_end <= block.end
        end = block.end
    assert clean(document.text) == document.text
    assert "\r" not in document.text
    document.text.encode()


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_text_between_blocks_is_blank(case):
    document = parsed(*case)
    covered = 0
    for block in document.blocks:
        assert not document.text[covered : block.start].strip()
        covered = block.end
    assert not document.text[covered:].strip()


@given(DOCUMENTS)
@settings(max_examples=60, deadline=None)
def test_line_ends_and_byte_order_mark_do_not_matter(case):
    text, media_type = case
    text = text.replace("\r", "")
    document = parsed(text, media_type)
    assert parsed(text.replace("\n", "\r\n"), media_type) == document
    assert parsed(text.replace("\n", "\r"), media_type) == document
    assert parsed("\ufeff" + text, media_type) == document


@given(MARKDOWN, st.sampled_from(["utf-16", "utf-32", "utf-8-sig"]))
@settings(max_examples=50, deadline=None)
def test_unicode_encodings_do_not_matter(text, encoding):
    text = text.replace("\x00", "")
    if not text.startswith("\ufeff"):
        assert parse(text.encode(encoding), "text/markdown") == parse(text.encode(), "text/markdown")


@given(st.binary(max_size=400), st.sampled_from(["text/markdown", "text/html", "text/plain", None, "application/pdf"]))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_a_document_or_a_document_error(data, media_type):
    with suppress(DocumentError):
        parse(data, media_type)
    with suppress(DocumentError):
        declared_access(data, media_type)


@given(TEXT)
@settings(max_examples=50, deadline=None)
def test_no_word_of_plain_text_is_lost(text):
    document = parsed(f"start\n\n{text}", "text/plain")
    words = [word for block in document.blocks for word in document.text[block.start : block.end].split()]
    assert words == clean(f"start\n\n{text}").split()


@pytest.mark.parametrize("media_type", ["text/markdown", "text/html", "text/plain", "text/x-source"])
@pytest.mark.parametrize("data", [b"", b" \n\t\n ", b"\xef\xbb\xbf"])
def test_an_empty_document_has_no_blocks(data, media_type):
    assert parse(data, media_type).blocks == ()


@pytest.mark.parametrize(
    ("data", "media_type", "reason"),
    [
        (bytes(range(256)) * 10, "text/plain", "binary"),
        ("héllo wörld, ".encode("utf-16-le") * 9, "text/markdown", "binary"),
        (b"%PDF-1.7", "application/pdf", "no parser"),
        (b"\xff\xfe" + b"\x00\xd8" * 50, "text/plain", "undecodable"),
        (b"---\na: [\n---\nx", "text/markdown", "YAML"),
        (b"<nav>menu</nav><p hidden>x</p>", "text/html", "nothing to index"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason_and_its_name(data, media_type, reason):
    with pytest.raises(DocumentError, match=rf"^guide\.md: .*{reason}"):
        parse(data, media_type, "guide.md")


def test_the_name_decides_when_there_is_no_media_type():
    assert parse(b"# a", None, "x/README.MD").blocks[0].kind is BlockKind.HEADING
    assert parse(b"<p>a</p>", "application/octet-stream", "x.html").text == "a"
    assert parse(b"# a", None, "script.py").blocks[0].kind is BlockKind.CODE
    assert parse(b"# a", None).blocks[0].kind is BlockKind.PARAGRAPH
    assert parse(b"# a", "Text/Markdown; charset=utf-8").blocks[0].kind is BlockKind.HEADING


PATHOLOGICAL = {
    "brackets": ("text/markdown", lambda n: "[" * n),
    "quotes": ("text/markdown", lambda n: ">" * n),
    "wide table": (
        "text/markdown",
        lambda n: "|a" * (n // 20) + "\n" + "|-" * (n // 20) + ("\n" + "|b" * (n // 20)) * 9,
    ),
    "one line": ("text/markdown", lambda n: "word " * n * 20),
    "blank line": ("text/plain", lambda n: " " * n * 20),
    "open comments": ("text/markdown", lambda n: "<!--\n\n" * n),
    "nested lists": ("text/markdown", lambda n: "".join("  " * (i % 60) + "- a\n" for i in range(n // 10))),
    "heading of backticks": ("text/markdown", lambda n: "# " + "`" * n),
    "open tags": ("text/html", lambda n: "x<a " * n),
    "open html comments": ("text/html", lambda n: "x<!--" * n),
    "open declarations": ("text/html", lambda n: "x<![CDATA[" * n),
    "open scripts": ("text/html", lambda n: "x<script>" * n),
    "attributes": ("text/html", lambda n: "<p " + " ".join(f"a{i}=1" for i in range(n)) + ">x"),
    "deep": ("text/html", lambda n: "<div>" * n + "x"),
    "deep lists": ("text/html", lambda n: "<ul><li>a" * n),
    "deep tables": ("text/html", lambda n: "<table><tr><td>a" * n),
    "marks": ("text/plain", lambda n: "a" + "\u0301" * n * 5),
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_time_is_linear_in_size(name):
    media_type, make = PATHOLOGICAL[name]
    sizes = (3_000, 12_000)
    taken = []
    for size in sizes:
        data = make(size).encode()
        taken.append(min(cpu_seconds(data, media_type) for _ in range(3)))
    assert taken[1] < 10 * max(taken[0], 0.03), f"{name}: {taken}"  # 4 when linear, 16 when quadratic


def cpu_seconds(data, media_type):
    started = time.process_time()
    parse(data, media_type)
    return time.process_time() - started


def test_a_page_may_nest_deeper_than_the_stack():
    assert parse(b"<div>" * 50_000 + b"x", "text/html").text == "x"


def test_the_hash_seed_does_not_matter():
    program = (
        "from rag_pipeline.documents import parse\n"
        "print(parse(b'---\\ntags: !!set {b, a, c}\\n---\\n# T\\n\\n- a\\n- b\\n\\n[x]: y', 'text/markdown'))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
