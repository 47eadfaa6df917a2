"""Laws of every parser, on generated, sampled and damaged documents; and what is refused."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.documents import declared_access, parse
from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.isolation import Job, Parsers
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document
from rag_pipeline.settings import Parsing
from rag_pipeline.sources.media_types import LANGUAGES
from rag_pipeline_tests.costs import no_hang
from rag_pipeline_tests.unit.documents.generated import DOCUMENTS, MARKDOWN, TEXT
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful, parsed
from rag_pipeline_tests.unit.documents.pathological import PATHOLOGICAL
from rag_pipeline_tests.unit.documents.samples import LINES, SAMPLES

KINDS = sorted({kind for kind, _ in SAMPLES.values()} | LANGUAGES.keys())
OF_LINES = sorted({SAMPLES[name][0] for name in LINES} | LANGUAGES.keys())
SYNTAX = """WEBVTT|00:01.000 --> 00:02.000|1|<v Ada>so|Ada: so|a,b|"a|a\tb|def f():|  x = 1|}|class A {|Title|=====|
.. note:: x|=== ===|:a: b|Subject: x|{|[]|{"cells": []}"""
LINE = st.one_of(st.sampled_from(SYNTAX.split("|")), st.text("ab:-=#\"'{}()[]<>,;\\/|*`é日\t \x00\u200b", max_size=12))
CASES = st.one_of(
    DOCUMENTS,
    st.tuples(st.lists(LINE, max_size=12).map("\n".join), st.sampled_from(KINDS)),
    st.tuples(MARKDOWN, st.sampled_from(KINDS)),
)


@cache
def small_sample(name):
    return SAMPLES[name][1](2)


@pytest.fixture(scope="module")
def parsers() -> Iterator[Parsers]:
    with Parsers(Parsing(seconds=600, processes=2)) as made:
        yield made


@settings(max_examples=150, deadline=None)
@given(CASES)
def test_whatever_it_is_given_a_parser_keeps_the_laws(case):
    text, media_type = case
    assert_lawful(parsed(text.encode("utf-8", "replace"), media_type))


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_chunks_hold_every_visible_character(case):
    text, media_type = case
    assert_chunks_cover(parsed(text.encode("utf-8", "replace"), media_type))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_of_every_kind_is_understood(name):
    media_type, make = SAMPLES[name]
    document = parse(make(7), media_type)
    assert_lawful(document)
    assert_chunks_cover(document)
    assert len(document.text.split()) > 10


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_damage_is_refused_or_put_up_with(parsers, name, data):
    """No parser fails in a way that it did not foresee; where it runs, the laws are checked on the way here."""
    media_type, _ = SAMPLES[name]
    whole = small_sample(name)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)) | st.just(len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=8)) + whole[end:]
    ((_, found),) = parsers.parse_each([Job(None, damaged, media_type)])
    if isinstance(found, Document):
        assert_lawful(found)
    else:
        assert not any(words in str(found) for words in ("its parser", "took longer", "needs more"))


@given(CASES)
@settings(max_examples=80, deadline=None)
def test_line_ends_and_byte_order_mark_do_not_matter(case):
    text, media_type = case
    if media_type not in OF_LINES:
        return
    text = text.replace("\r", "").removeprefix("\ufeff")
    document = parsed(text.encode("utf-8", "replace"), media_type)
    for twin in (text.replace("\n", "\r\n"), text.replace("\n", "\r"), "\ufeff" + text):
        assert parsed(twin.encode("utf-8", "replace"), media_type) == document


@pytest.mark.parametrize("name", LINES)
def test_line_ends_and_byte_order_mark_do_not_matter_to_a_sample(name):
    media_type, make = SAMPLES[name]
    data = make(5)
    document = parse(data, media_type)
    for twin in (data.replace(b"\n", b"\r\n"), data.replace(b"\n", b"\r"), b"\xef\xbb\xbf" + data):
        assert parse(twin, media_type) == document


@given(MARKDOWN, st.sampled_from(["utf-16", "utf-32", "utf-8-sig"]))
@settings(max_examples=50, deadline=None)
def test_unicode_encodings_do_not_matter(text, encoding):
    text = text.replace("\x00", "")
    if not text.startswith("\ufeff"):
        assert parse(text.encode(encoding), "text/markdown") == parse(text.encode(), "text/markdown")


@given(st.binary(max_size=400), st.sampled_from([*KINDS, None]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_give_a_document_or_a_document_error(data, media_type):
    with suppress(DocumentError):
        parse(data, media_type)
    with suppress(DocumentError):
        declared_access(data, media_type)


@pytest.mark.parametrize("media_type", [*KINDS, None])
def test_front_matter_that_a_parser_takes_out_of_the_text_is_obeyed(media_type):
    data = b"---\naccess: [group:hr]\n---\n\nA: b\n\nB: c\n"
    if "group:hr" not in parsed(data, media_type).text:
        declared = declared_access(data, media_type)
        assert declared == ("group:hr",) or not parsed(data, media_type).text
    else:
        assert declared_access(data, media_type) is None


@given(TEXT)
@settings(max_examples=50, deadline=None)
def test_no_word_of_plain_text_is_lost(text):
    document = parsed(f"start\n\n{text}".encode("utf-8", "replace"), "text/plain")
    words = [word for block in document.blocks for word in document.text[block.start : block.end].split()]
    assert words == clean(f"start\n\n{text}").split()


@pytest.mark.parametrize("media_type", ["text/markdown", "text/html", "text/plain", "text/x-source", "text/x-rst"])
@pytest.mark.parametrize("data", [b"", b" \n\t\n ", b"\xef\xbb\xbf"])
def test_an_empty_document_has_no_blocks(data, media_type):
    assert parse(data, media_type).blocks == ()


@pytest.mark.parametrize(
    ("data", "media_type", "reason"),
    [
        (bytes(range(256)) * 10, "text/plain", "binary"),
        ("héllo wörld, ".encode("utf-16-le") * 9, "text/markdown", "binary"),
        (b"a", "application/x-unheard-of", "no parser"),
        (b"\xff\xfe" + b"\x00\xd8" * 50, "text/plain", "undecodable"),
        (b"---\na: [\n---\nx", "text/markdown", "YAML"),
        (b"<nav>menu</nav><p hidden>x</p>", "text/html", "nothing to index"),
        (b"\x89PNG\r\n\x1a\n", "text/markdown", "skipped: binary"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason_and_its_name(data, media_type, reason):
    with pytest.raises(DocumentError, match=rf"^guide\.md: .*{reason}"):
        parse(data, media_type, "guide.md")


def test_the_name_decides_when_there_is_no_media_type():
    assert parse(b"# a", None, "x/README.MD").blocks[0].kind is BlockKind.HEADING
    assert parse(b"<p>a</p>", "application/octet-stream", "x.html").text == "a"
    assert parse(b"# a", None, "script.toml").blocks[0].kind is BlockKind.CODE
    assert parse(b"# a", None).blocks[0].kind is BlockKind.PARAGRAPH
    assert parse(b"# a", "Text/Markdown; charset=utf-8").blocks[0].kind is BlockKind.HEADING


@pytest.mark.parametrize("name", [name for name in PATHOLOGICAL if not name.startswith(("deep", "wide"))])
def test_no_shape_hangs_a_parser(name):
    """What no count of calls shows: a search inside C that begins again at each character."""
    media_type, make = PATHOLOGICAL[name]
    data = make(200_000).encode()
    with no_hang():
        parse(data, media_type)


def test_a_page_may_nest_deeper_than_the_stack():
    assert parse(b"<div>" * 50_000 + b"x", "text/html").text == "x"


def test_the_hash_seed_does_not_matter():
    program = (
        "import sys, pickle\n"
        "from rag_pipeline.documents import parse\n"
        "for kind, data in pickle.load(sys.stdin.buffer):\n"
        "    print(kind, parse(data, kind))\n"
    )
    cases = [(kind, make(3)) for kind, make in SAMPLES.values()]
    cases.append(("text/markdown", b"---\ntags: !!set {b, a, c}\n---\n# T\n\n- a\n- b\n\n[x]: y"))
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=pickle.dumps(cases),
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert b"Manual" in outputs.pop()
