"""Bytes that leave no doubt win; text is what it is declared to be."""

import gzip
import io
import sys
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.documents import declared_access, parse
from rag_pipeline.documents.detect import HEAD, detect
from rag_pipeline.errors import DocumentError
from rag_pipeline.sources import media_types as types
from rag_pipeline_tests.costs import no_hang, work
from rag_pipeline_tests.unit.documents.generated import MARKDOWN, TEXT

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
OLE2 = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(600)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def archive(*names: str, comment: bytes = b"", before: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names:
            made.writestr(name, b"<x/>")
        made.comment = comment
    return before + file.getvalue()


DOCX = archive("[Content_Types].xml", "_rels/.rels", "docProps/core.xml", "word/document.xml")
XLSX = archive("[Content_Types].xml", "xl/workbook.xml", comment=b"made by hand")


@pytest.mark.parametrize(
    ("data", "declared", "name", "kind"),
    [
        (PDF, None, "", types.PDF),
        (PDF, "text/plain", "x.txt", types.PDF),
        (PDF, "text/markdown", "x.md", types.PDF),
        (PDF, "application/octet-stream", "x", types.PDF),
        (PDF, types.DOCX, "x.docx", types.PDF),
        (b"\n\n" + PDF, None, "", types.PDF),
        (b"%PDF is a format", "text/plain", "", types.TEXT),
        (DOCX, None, "", types.DOCX),
        (DOCX, types.PPTX, "x.pptx", types.DOCX),
        (DOCX, "application/zip", "x.zip", types.DOCX),
        (XLSX, "text/csv", "x.csv", types.XLSX),
        (archive("ppt/presentation.xml"), None, "", types.PPTX),
        (archive("word/document.xml", before=b"PK\3\4" + bytes(99)), None, "", types.DOCX),
        (DOCX[:200], types.DOCX, "", types.DOCX),
        (archive("a.txt"), None, "x.docx", types.DOCX),
        (OLE2, types.DOCX, "", types.DOCX),
        (b"<!doctype html><p>x", None, "", types.HTML),
        (b"<!doctype html><p>x", "text/plain", "page", types.HTML),
        (b"\xef\xbb\xbf \n<!-- a --><!-- b --><HTML lang=en><p>x", None, "a.unknown", types.HTML),
        (b'<?xml version="1.0"?>\n<!DOCTYPE html>', None, "", types.HTML),
        (b"<!doctype html><p>x", "text/plain", "page.txt", types.TEXT),
        (b"<!doctype html><p>x", "text/markdown", "page", types.MARKDOWN),
        (b"<!doctype html><p>x", None, "page.md", types.MARKDOWN),
        (b"```\n<!doctype html>\n```", None, "", types.TEXT),
        (b"x <html>", None, "", types.TEXT),
        (b"<htmlx>", None, "", types.TEXT),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\na", "text/plain", "a.txt", types.VTT),
        ("\ufeffWEBVTT - talk\r\n\r\n00:01.000 --> 00:02.000\r\na".encode(), None, "", types.VTT),
        (b"WEBVTT is a format", None, "", types.TEXT),
        (b"WEBVTTS --> x", None, "", types.TEXT),
        (b"#!/usr/bin/env python3\nx", None, "bin/tool", "text/x-python"),
        (b"#! /usr/bin/python3.11 -E\nx", "text/plain", "tool", "text/x-python"),
        (b"#!/bin/sh", None, "configure", "text/x-shellscript"),
        (b"#!/usr/bin/env -S bash -e\n", None, "run", "text/x-shellscript"),
        (b"#!/usr/bin/env ruby\r\nputs", None, "rake", "text/x-ruby"),
        (b"#!/usr/bin/env node\n", None, "cli", "text/javascript"),
        (b"#!/usr/bin/perl\n", None, "cli", types.SOURCE),
        (b"#!/usr/bin/pythonic\n", None, "cli", types.SOURCE),
        (b"#!/home/ruby/bin/x\n", None, "cli", types.SOURCE),
        (b"#!/bin/sh", None, "notes.txt", types.TEXT),
        (b"#!/bin/sh", None, "x.py", "text/x-python"),
        (b"# a", "Text/Markdown; charset=utf-8", "", types.MARKDOWN),
        (b"# a", None, "x/README.MD", types.MARKDOWN),
        (b"a", "binary/octet-stream", "x.csv", types.CSV),
        (b"a", "application/x-foo", "x.md", "application/x-foo"),
        (b"# a", "markdown", "x.md", types.MARKDOWN),
        (b"# a", "text/\udcff", "x.md", types.MARKDOWN),
        (b"# a", "text/" + "x" * 100_000, "x.md", types.MARKDOWN),
        (b"", None, "", types.TEXT),
        (PNG, types.TICKET, "", types.TICKET),
        (b"%PDF-1.4", types.TICKET, "", types.TICKET),
        ("<html>ü".encode("utf-16"), None, "", types.HTML),
    ],
)
def test_what_a_document_is(data: bytes, declared: str | None, name: str, kind: str) -> None:
    assert detect(data, declared, name) == kind


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0" + bytes(9), "image/jpeg"),
        (b"GIF89a\1\0", "image/gif"),
        (b"RIFF\1\2\3\4WEBPVP8 ", "image/webp"),
        (gzip.compress(b"x", mtime=0), "application/gzip"),
        (b"\x7fELF\2\1\1", "application/x-elf"),
        (b"MZ\x90\0\3", "executable"),
        (b"SQLite format 3\0", "sqlite3"),
        (b"{\\rtf1\\ansi hello}", "application/rtf"),
        (b"ID3\4\0", "audio/mpeg"),
        (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"x" * 257 + b"ustar\0", "x-tar"),
        (archive("a.txt", "b/word/x"), "application/zip"),
        (b"PK\5\6" + bytes(18), "application/zip"),
        (OLE2, "before 2007"),
        (b"\1\2\3\4\5\6\7\x08" * 20, "looks binary"),
        (b"\xff\xfe" + b"\x00\xd8" * 50, "undecodable"),
    ],
)
def test_binary_is_skipped_with_its_kind_and_a_remedy(data: bytes, named: str) -> None:
    for declared in (None, "application/octet-stream"):
        with pytest.raises(DocumentError, match=rf"^skipped: binary .*{named}.*(exclude|save)"):
            detect(data, declared, "thing.bin")
    with pytest.raises(DocumentError, match=r"^a/thing\.bin: skipped: binary"):
        parse(data, None, "a/thing.bin")
    assert declared_access(data, None, "thing.bin") is None


@pytest.mark.parametrize("signature", [PNG, gzip.compress(b"x", mtime=0), b"\x7fELF\2\1\1", archive("x")])
@pytest.mark.parametrize("declared", ["text/plain", "text/markdown", "text/html", "text/x-python", types.PDF])
def test_a_wrong_declaration_does_not_help_binary(signature: bytes, declared: str) -> None:
    with pytest.raises(DocumentError, match=r"^skipped: binary"):
        detect(signature, declared, "x.md")


@settings(max_examples=100, deadline=None)
@given(st.one_of(MARKDOWN, TEXT), st.sampled_from(["text/markdown", "text/html", "text/x-source", "text/csv"]))
def test_declared_text_stays_what_it_is(text: str, declared: str) -> None:
    with suppress(DocumentError):
        assert detect(text.encode("utf-8", "replace"), declared, "x") == declared


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["a: b\nc: d\n", "- x", ""]), TEXT)
def test_what_may_restrict_access_is_read_as_prose(front: str, rest: str) -> None:
    """Nothing that a text says of its readers may get lost because the text looks like something else."""
    data = f"---\naccess: [group:hr]\n{front}---\n{rest}".encode("utf-8", "replace")
    assert detect(data, "text/plain", "notes.txt") == types.TEXT
    assert detect(data, None, "notes") == types.TEXT


MAGIC = st.sampled_from([b"", PDF, OLE2, DOCX, XLSX, PNG, b"PK\5\6", b"#!", b"<!--", b"WEBVTT", b"\xff\xfe", b"---\n"])


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(MAGIC, st.binary(max_size=200), MAGIC).map(b"".join),
    st.none() | st.sampled_from(["text/plain", "", ";", "application/zip", types.PDF]) | st.text(max_size=9),
    st.sampled_from(["", "x", "x.md", "x.docx", "a/b.\udcff"]),
)
def test_every_input_has_one_answer(data: bytes, declared: str | None, name: str) -> None:

    def answer() -> str:
        try:
            return detect(data, declared, name)
        except DocumentError as error:
            return str(error) if str(error).startswith("skipped: binary") else ""

    assert answer() == answer() != ""


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([b"word ", b"<!-- -->", b"A: b\n", b"#!/", b"<?xml", PNG]), st.binary(max_size=50))
def test_what_comes_after_the_head_does_not_matter(start: bytes, rest: bytes) -> None:
    head = (start * HEAD)[: HEAD - 1] + b"\n"

    def answer(data: bytes) -> str:
        with suppress(DocumentError):
            return detect(data, None)
        return "binary"

    assert answer(head + b"x" + rest * 1000) == answer(head + b"x")


@pytest.mark.parametrize(
    "data",
    [
        b"<!--" * 300_000,
        b"<!-- -->" * 200_000,
        b" " * 1_000_000,
        b"#!" + b"/" * 1_000_000,
        b"#!env" + b" -" * 500_000,
        b"<?xml" * 200_000,
        b"A: " * 400_000,
        b"a\n" * 500_000,
        b"PK\3\4" + b"PK\1\2" * 500_000 + b"PK\5\6" + bytes(18),
        b"PK\3\4" + b"PK\5\6" * 500_000,
    ],
)
def test_no_shape_hangs_a_look(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Though a whole megabyte is looked at, in which what grows as the square takes minutes."""
    monkeypatch.setattr(sys.modules[detect.__module__], "HEAD", len(data))
    with suppress(DocumentError), no_hang():
        detect(data, None)


def test_of_many_names_in_an_archive_no_more_are_looked_at() -> None:
    some, many = (archive(*map(str, range(number))) for number in (3_000, 9_000))
    assert work(lambda: detect(some, None, "a.docx")) == work(lambda: detect(many, None, "a.docx"))
