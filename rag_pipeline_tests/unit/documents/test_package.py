"""What every Office file has in common, and what a stranger may put into one."""

import socketserver
import threading
import zipfile
from collections import deque
from collections.abc import Iterator

import docx
import openpyxl
import pptx
import pytest
from pptx.util import Pt

from rag_pipeline.documents import parse
from rag_pipeline.documents.package import Package
from rag_pipeline.errors import DocumentError
from rag_pipeline.sources.media_types import MEDIA_TYPES
from rag_pipeline_tests.unit.documents.office import MAINS, changed, relations, saved, unzipped, word, zipped

WORD = "Wednesday"


def made(kind: str) -> bytes:
    """A file with one visible word, and a title, an author and a date."""
    if kind == "docx":
        document = docx.Document()
        document.add_paragraph(WORD)
        properties = document.core_properties
    elif kind == "pptx":
        document = pptx.Presentation()
        document.slides.add_slide(document.slide_layouts[6]).shapes.add_textbox(
            Pt(0), Pt(0), Pt(9), Pt(9)
        ).text_frame.text = WORD
        properties = document.core_properties
    else:
        document = openpyxl.Workbook()
        document.worksheets[0]["A1"] = WORD
        properties = document.properties
        properties.creator = "Ada"
    properties.title = "On \u200bdays"
    if kind != "xlsx":
        properties.author = "Ada"
    return saved(document)


def read(data: bytes, kind: str):
    return parse(data, MEDIA_TYPES[f".{kind}"])


def with_entity(doctype: str):
    def change(data: bytes) -> bytes:
        start = data.index(b"?>") + 2 if data.startswith(b"<?xml") else 0
        return data[:start] + doctype.encode() + data[start:].replace(WORD.encode(), b"&x;")

    return change


@pytest.fixture
def hits() -> Iterator[list[bytes]]:
    """Every request that reaches a server on this machine, whose address is `hits.address` in the tests below."""
    seen: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            seen.append(self.request.recv(1000))

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        seen.append(f"127.0.0.1:{server.server_address[1]}".encode())
        yield seen
        server.shutdown()


@pytest.mark.parametrize("kind", MAINS)
def test_the_file_says_who_wrote_what(kind):
    document = read(made(kind), kind)
    assert WORD in document.text
    assert document.metadata["author"] == "Ada"
    assert document.metadata["title"] == "On days"
    assert document.title == "On days"


@pytest.mark.parametrize("kind", MAINS)
def test_both_spellings_of_the_namespaces_and_both_encodings_are_read(kind):
    transitional, strict = b"http://schemas.openxmlformats.org/", b"http://purl.oclc.org/ooxml/"
    entries = {
        name: data.replace(transitional, strict).replace(b"/2006/", b"/") if not name.startswith("docProps") else data
        for name, data in unzipped(made(kind)).items()
    }
    entries["_rels/.rels"] = entries["_rels/.rels"].replace(strict + b"package/", transitional + b"package/2006/")
    assert read(zipped(entries), kind).text == read(made(kind), kind).text
    wide = changed(made(kind), MAINS[kind], lambda data: data.decode().replace("utf-8", "UTF-16").encode("utf-16"))
    assert read(wide, kind).text == read(made(kind), kind).text


@pytest.mark.parametrize("kind", MAINS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]>',
        '<!DOCTYPE a [<!ENTITY b "yyyyyyyyyy">' + "<!ENTITY b{0} '&b;&b;&b;'>" * 3 + '<!ENTITY x "&b;&b;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file://FILE">]>',
        '<!DOCTYPE a SYSTEM "http://HOST/a.dtd">',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://HOST/p"> %p;]>',
    ],
)
def test_a_document_type_is_refused_whatever_it_declares(kind, encoding, doctype, tmp_path, hits):
    secret = tmp_path / "secret"
    secret.write_text("CANARY")
    doctype = doctype.replace("FILE", str(secret)).replace("HOST", hits[0].decode())
    data = changed(made(kind), MAINS[kind], lambda xml: with_entity(doctype)(xml).decode().encode(encoding))
    with pytest.raises(DocumentError, match="declares a document type") as refusal:
        read(data, kind)
    assert "CANARY" not in str(refusal.value)
    assert len(hits) == 1


def test_the_encoding_that_a_part_claims_hides_nothing():
    hidden = '<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a [+ADwAIQ-ENTITY x "y"+AD4AXQA+-<a>&x;</a>'
    data = changed(made("docx"), MAINS["docx"], lambda _: hidden.encode())
    with pytest.raises(DocumentError, match="malformed"):
        read(data, "docx")
    ebcdic = '<?xml version="1.0" encoding="cp037"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'
    with pytest.raises(DocumentError, match="malformed"):
        read(changed(made("docx"), MAINS["docx"], lambda _: ebcdic.encode("cp037")), "docx")


@pytest.mark.parametrize("kind", MAINS)
def test_inclusions_and_style_sheets_are_not_followed(kind, hits):
    address = f"http://{hits[0].decode()}/x".encode()
    include = b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="' + address + b'" parse="text"/>'

    def change(xml: bytes) -> bytes:
        start = xml.index(b"?>") + 2 if xml.startswith(b"<?xml") else 0
        end = xml.rindex(b"</")
        style = b'<?xml-stylesheet href="' + address + b'" type="text/xsl"?>'
        return xml[:start] + style + xml[start:end] + include + xml[end:]

    assert WORD in read(changed(made(kind), MAINS[kind], change), kind).text
    assert len(hits) == 1


def test_what_is_linked_from_outside_is_never_fetched(hits):
    address = f"http://{hits[0].decode()}"
    picture = '<w:r><w:drawing><a:graphicData><a:blip r:link="image"/></a:graphicData></w:drawing></w:r>'
    data = unzipped(word(f"<w:p><w:r><w:t>{WORD}</w:t></w:r>{picture}</w:p>"))
    linked = {kind: f"{address}/{kind}" for kind in ("image", "attachedTemplate", "styles", "footnotes", "numbering")}
    data["word/_rels/document.xml.rels"] = relations(**linked, settings="settings.xml")
    data["word/settings.xml"] = b"<settings/>"
    data["word/_rels/settings.xml.rels"] = relations(attachedTemplate=f"{address}/template.dotm")
    assert read(zipped(data), "docx").text == WORD
    assert len(hits) == 1


def test_a_main_part_from_outside_is_none(hits):
    data = unzipped(word("<w:p/>")) | {"_rels/.rels": relations(officeDocument=f"http://{hits[0].decode()}/a")}
    with pytest.raises(DocumentError, match="no Office file"):
        read(zipped(data), "docx")
    assert len(hits) == 1


def test_names_that_lead_elsewhere_are_only_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = unzipped(made("docx")) | {"../../escaped.txt": b"x", "/escaped.txt": b"y", "word/../../escaped.txt": b"z"}
    assert WORD in read(zipped(data), "docx").text
    assert not list(tmp_path.parent.rglob("escaped.txt"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda parts: parts | {"word/document.xml": b"<w:document"}, "malformed"),
        (lambda parts: parts | {"word/document.xml": b""}, "malformed"),
        (lambda parts: parts | {"word/document.xml": b"<a>" * 300 + b"</a>" * 300}, "malformed"),
        (lambda parts: parts | {"word/document.xml": b"<workbook/>"}, "holds a workbook where a document"),
        (lambda parts: parts | {"_rels/.rels": relations(officeDocument="gone.xml")}, "gone.xml is missing"),
        (lambda parts: parts | {"_rels/.rels": relations()}, "no Office file"),
        (lambda parts: {"readme.txt": b"x"}, "no Office file"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_reason(change, reason):
    with pytest.raises(DocumentError, match=reason):
        read(zipped(change(unzipped(made("docx")))), "docx")


def test_a_part_of_very_many_elements_is_refused_before_it_is_read():
    parts = {"_rels/.rels": relations(officeDocument="word/document.xml")}
    data = zipped(parts | {"word/document.xml": b"<a>" + b"<b/>" * 4_000_000 + b"</a>"}, zipfile.ZIP_STORED)
    with pytest.raises(DocumentError, match="more than 4000000 tags"):
        read(data, "docx")


def test_a_part_that_is_asked_for_again_and_again_is_refused():
    package = Package(zipped({"a.xml": b"<a>" + b"<b>abcdefghijklm</b>" * 500_000 + b"</a>"}))
    with pytest.raises(DocumentError, match="again and again"):
        deque((package.read("a.xml") for _ in range(30)), maxlen=0)
