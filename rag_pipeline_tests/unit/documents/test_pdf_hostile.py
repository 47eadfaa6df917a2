"""Files that are broken, locked or meant to do harm: a reason, or a document, in a moment."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.documents import pdf, pdf_page
from rag_pipeline.documents.pdf import parse
from rag_pipeline.errors import DocumentError
from rag_pipeline_tests.costs import no_hang
from rag_pipeline_tests.unit.documents.laws import assert_lawful, parsed
from rag_pipeline_tests.unit.documents.pdf_files import LEFT, TOP, Sheet, assembled, written

PDF = "application/pdf"
TEXT = "A sentence that stands on the page."


def sheet(text: str = TEXT) -> Sheet:
    """A page with a line of text."""
    page = Sheet()
    page.text(LEFT, TOP, text)
    return page


WHOLE = written([sheet(f"{TEXT} {number}") for number in range(3)], [(1, "One", 1, 730), (1, "Two", 2, None)])


def test_no_text_layer() -> None:
    with pytest.raises(DocumentError, match=r"^no_text_layer"):
        parse(written([Sheet(), Sheet(["q 600 0 0 800 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q"])]))


def test_password_required() -> None:
    locked = "/Filter /Standard /V 1 /R 2 /P -4 /O <{0}> /U <{0}>".format("5a" * 32)
    with pytest.raises(DocumentError, match=r"^password_required"):
        parse(written([sheet()], trailer=f"/ID [<00> <00>] /Encrypt << {locked} >>"))


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n%%EOF\n", b"not a pdf %%EOF", WHOLE[:-8], WHOLE[: len(WHOLE) // 2]])
def test_what_is_no_whole_file_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^(truncated|damaged): "):
        parse(data)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(WHOLE) - 8))
def test_a_file_that_was_cut_off_is_never_half_read(length: int) -> None:
    with pytest.raises(DocumentError):
        parse(WHOLE[:length])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_ends_in_a_document_or_a_reason(data: st.DataObject) -> None:
    damaged = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(damaged) - 8))
        damaged[at : at + 1] = data.draw(st.binary(max_size=4))
    assert_lawful(parsed(bytes(damaged), PDF))


def _nodes(*nodes: bytes) -> bytes:
    return assembled([b"<< /Type /Catalog /Pages 2 0 R >>", *nodes], "/Root 1 0 R")


@pytest.mark.parametrize(
    "data",
    [
        _nodes(b"<< /Type /Pages /Count 1 /Kids [2 0 R] >>"),
        _nodes(
            b"<< /Type /Pages /Count 9 /Kids [3 0 R] >>", b"<< /Type /Pages /Count 9 /Parent 2 0 R /Kids [2 0 R] >>"
        ),
        _nodes(b"<< /Type /Pages /Count 1000000000 /Kids [] >>"),
        _nodes(b"<< /Type /Pages /Count -5 /Kids [] >>"),
        _nodes(b"<< /Type /Pages /Count 2 /Kids [7 0 R 8 0 R] >>"),
    ],
    ids=["itself", "each other", "a lie", "negative", "missing"],
)
def test_a_page_tree_without_pages_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        parse(data)


def test_too_many_pages_are_refused() -> None:
    count = pdf.MAX_PAGES + 1
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"
    data = _nodes(b"<< /Type /Pages /Count %d /Kids [%b] >>" % (count, b"3 0 R " * count), page)
    with pytest.raises(DocumentError, match=f"has {count} pages"):
        parse(data)


def test_an_outline_that_bites_its_tail_ends() -> None:
    data = written([sheet()], [(1, "One", 1, 730), (2, "Two", 1, 700), (1, "Three", 1, 600)])
    first = re.search(rb"/Next (\d+) 0 R", data)
    assert first
    for target in (b"5 0 R", b"6 0 R", b"7 0 R", b"8 0 R"):
        assert_lawful(parse(re.sub(rb"/(Next|First) \d 0 R", rb"/\1 " + target, data)))


def _spaces() -> bytes:
    return written([Sheet([" " * 20_000_000]), sheet()], compressed=True)


def _letters() -> bytes:
    drawing = Sheet()
    for number in range(pdf_page.MAX_CHARACTERS // 1000 + 1):
        drawing.text(0, 780 - 1.5 * number, f"{number:04}{'abcdefghij ' * 100}"[:1000], 2)
    return written([drawing], compressed=True)


def _entries() -> bytes:
    return written([sheet()], [(1, f"Title {number}", 1, None) for number in range(2_000)])


def _lines() -> bytes:
    drawing = Sheet([f"{n % 600} {n % 800} m {n % 599} 9 l S" for n in range(30_000)])
    drawing.text(LEFT, TOP, TEXT)
    return written([drawing], compressed=True)


def _grid() -> bytes:
    drawing = sheet()
    for at in range(200):
        drawing.line(0, at * 4, 600, at * 4)
        drawing.line(at * 3, 0, at * 3, 800)
        drawing.text(at * 3, at * 4, "ab", 2)
    return written([drawing], compressed=True)


def _scattered() -> bytes:
    drawing = Sheet()
    for number in range(20_000):
        drawing.text(number * 7919 % 590, number * 104_729 % 790, "ab", 2)
    return written([drawing], compressed=True)


def _captions() -> bytes:
    drawings: list[Sheet] = []
    for page in range(8):
        drawing = Sheet()
        for number in range(60):
            y = 790 - 13 * number
            drawing.text(5, y, f"Table {60 * page + number}: {'word and other words ' * 20}", 1.8)
            for row in range(3):
                drawing.line(5, y - 2 - 4 * row, 590, y - 2 - 4 * row)
            for column in (5, 300, 590):
                drawing.line(column, y - 2, column, y - 10)
            for row in range(2):
                drawing.text(8, y - 5 - 4 * row, "a b c d " * 8, 1.8)
                drawing.text(302, y - 5 - 4 * row, "e f", 1.8)
        drawings.append(drawing)
    return written(drawings, compressed=True)


def _notes() -> bytes:
    drawing = Sheet()
    for number in range(300):
        drawing.text(5, 790 - 1.2 * number, "a number", 4)
        drawing.text(40, 791 - 1.2 * number, str(number), 2)
        drawing.text(5, 390.5 - 1.2 * number, str(number), 1.7)
        drawing.text(12, 390 - 1.2 * number, "a note", 3)
    return written([drawing] * 20, compressed=True)


def _contents() -> bytes:
    drawings: list[Sheet] = []
    for page in range(10):
        drawing = Sheet()
        for number in range(390):
            drawing.text(5, 790 - 2 * number, f"Title {page} {number} {'.' * 400} {100 + number}", 1.8)
        drawings.append(drawing)
    return written(drawings, compressed=True)


BOMBS = [_spaces, _letters, _entries, _lines, _grid, _scattered, _captions, _notes, _contents]


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_hang_nothing(bomb: Callable[[], bytes]) -> None:
    data = bomb()
    assert len(data) < 1_000_000
    with no_hang():
        found = parsed(data, PDF)
    assert_lawful(found)


def test_a_page_with_too_many_characters_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"page 1 has 50.... characters"):
        parse(_letters())


def test_all_pages_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_CHARACTERS", 20)
    with pytest.raises(DocumentError, match="holds more than 20 characters"):
        parse(WHOLE)


def test_invisible_characters_are_cleaned() -> None:
    text = parse(written([sheet("soft\xadhyphen and \x00\x07control\x1b")])).text
    assert text.isprintable()
