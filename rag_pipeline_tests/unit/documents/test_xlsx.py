import datetime
import io
import re
import zipfile

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.comments import Comment
from openpyxl.utils import get_column_letter

from rag_pipeline.chunks import split
from rag_pipeline.documents import xlsx
from rag_pipeline.documents.xlsx import parse
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import Document
from rag_pipeline_tests.unit.documents.generated import WORDS
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful, count
from rag_pipeline_tests.unit.documents.office import changed, saved, shown, texts, unzipped, zipped

CELL = st.one_of(st.none(), WORDS, st.integers(-1000, 1000), st.booleans(), st.floats(-1e6, 1e6), st.dates())
SHEETS = st.lists(st.lists(st.lists(CELL, max_size=4), max_size=7), min_size=1, max_size=3)


def workbook(*rows: list, sheet: str = "Sheet") -> openpyxl.Workbook:
    made = openpyxl.Workbook()
    made.worksheets[0].title = sheet
    for row in rows:
        made.worksheets[0].append(row)
    return made


def rows_of(document: Document) -> list[str]:
    return document.text.split("\n")


def sheet_of(data: bytes, sheet_data: str, before: str = "") -> bytes:
    """A workbook whose first sheet holds this XML."""
    return changed(
        data,
        "xl/worksheets/sheet1.xml",
        lambda xml: re.sub(
            rb"<sheetData>.*</sheetData>|<sheetData ?/>", f"{before}<sheetData>{sheet_data}</sheetData>".encode(), xml
        ),
    )


@settings(max_examples=40, deadline=None)
@given(SHEETS)
def test_workbooks_keep_the_laws_and_every_word(sheets):
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for number, rows in enumerate(sheets):
        sheet = made.create_sheet(f"S{number}")
        for row in rows:
            sheet.append(row)
    data = saved(made)
    document = parse(data)
    assert_lawful(document)
    assert_chunks_cover(document)
    assert parse(data) == document
    words = {word for rows in sheets for row in rows for cell in row if isinstance(cell, str) for word in cell.split()}
    assert words <= set(document.text.split())


def test_sheets_are_headings_and_blank_rows_end_tables():
    made = workbook(["name", "amount"], ["pen", 2], [], [None, None], ["x", "y"], sheet="Stock")
    made.create_sheet("Empty")
    made.create_sheet("Other").append(["alone"])
    document = parse(saved(made))
    assert shown(document) == [
        ("heading", 1, "Stock"),
        ("table", 0, "name | amount\npen | 2"),
        ("table", 0, "x | y"),
        ("heading", 1, "Other"),
        ("paragraph", 0, "alone"),
    ]
    assert document.text[document.blocks[1].start : document.blocks[1].header_end] == "name | amount\n"


def test_captions_stand_before_their_table_and_empty_columns_are_closed():
    made = workbook(["Report 2024"], [None, None, "a", "b", None, "c"], [None, None, 1, 2, None, 3])
    assert texts(parse(saved(made)))[1:] == ["Report 2024", "a | b | c\n1 | 2 | 3"]
    made = workbook([None, "2024"], ["costs", 5])
    assert texts(parse(saved(made)))[1:] == ["| 2024\ncosts | 5"]


def test_values_read_as_on_the_screen():
    day = datetime.date(2024, 5, 1)
    when = datetime.datetime.combine(day, datetime.time(14, 30))
    made = workbook([0.1 + 0.2, day, when, datetime.time(7, 5), True, None, "a\nb"])
    sheet = made.worksheets[0]
    sheet["F1"] = 0.125
    sheet["F1"].number_format = "0.0%"
    assert rows_of(parse(saved(made)))[-1] == "0.3 | 2024-05-01 | 2024-05-01 14:30:00 | 07:05:00 | TRUE | 12.5% | a b"


def test_a_formula_is_its_last_result_or_what_is_written():
    data = saved(workbook(["x"]))
    cells = '<c r="A1"><f>1+1</f><v>2</v></c><c r="B1"><f>A1*2</f></c><c r="C1" t="str"><f>T(1)</f><v>so</v></c>'
    cells += '<c r="D1" t="e"><v>#N/A</v></c><c r="E1" t="b"><v>0</v></c><c r="F1" t="d"><v>2024-05-01</v></c>'
    cells += (
        '<c r="G1" t="inlineStr"><is><r><t>in</t></r><r><t>line_x000D__x005F_</t></r><rPh><t>kana</t></rPh></is></c>'
    )
    text = rows_of(parse(sheet_of(data, f"<row>{cells}</row>")))[-1]
    assert text == "2 | =A1*2 | so | #N/A | FALSE | 2024-05-01 | inline _"


def test_what_is_hidden_and_what_is_said_about_cells_is_left_out():
    made = workbook(["a", "HIDDEN", "b"], ["HIDDEN"], ["c", "HIDDEN", "d"], sheet="Shown")
    sheet = made.worksheets[0]
    sheet.column_dimensions["B"].hidden = True
    sheet.row_dimensions[2].hidden = True
    sheet["A1"].comment = Comment("HIDDEN", "author")
    assert sheet.oddHeader is not None
    sheet.oddHeader.center.text = "HIDDEN"
    for state in ("hidden", "veryHidden"):
        other = made.create_sheet(f"HIDDEN {state}")
        other.append(["HIDDEN"])
        other.sheet_state = state
    assert texts(parse(saved(made))) == ["Shown", "a | b\nc | d"]


def test_merged_cells_are_read_once():
    made = workbook(["Sales", None, "Costs"], [1, 2, 3])
    made.worksheets[0].merge_cells("A1:B1")
    assert rows_of(parse(saved(made)))[2:] == ["Sales |  | Costs", "1 | 2 | 3"]


def test_charts_on_sheets_of_their_own_are_left_out():
    made = workbook(["a", "b"], [1, 2])
    made.create_chartsheet("Chart")
    assert texts(parse(saved(made))) == ["Sheet", "a | b\n1 | 2"]


@pytest.mark.parametrize(
    ("sheet_data", "before", "reason"),
    [
        ('<row><c t="s"><v>99</v></c></row>', "", "not in the file"),
        ('<row><c t="s"><v>-1</v></c></row>', "", "'-1' stands where a number must be"),
        ('<row><c r="XFE1"><v>1</v></c></row>', "", "no sheet has a column 'XFE'"),
        ('<row><c r="ÄÖ1"><v>1</v></c></row>', "", "no sheet has a column"),
        ('<row r="x"><c><v>1</v></c></row>', "", "'x' stands where"),
        ("<row/>", '<cols><col min="1" max="3"/><col min="2" max="4"/></cols>', "overlap"),
        ("<row/>", '<cols><col min="1" max="16385"/></cols>', "do not exist"),
        ("<row><c>", "", "malformed"),
    ],
)
def test_a_sheet_that_contradicts_itself_is_refused(sheet_data, before, reason):
    with pytest.raises(DocumentError, match=reason):
        parse(sheet_of(saved(workbook(["x"])), sheet_data, before))


def test_a_million_rows_are_refused():
    data = sheet_of(saved(workbook(["x"])), "<row><c><v>1</v></c></row>" * 1_000_000)
    with pytest.raises(DocumentError, match="times its size"):
        parse(data)
    with pytest.raises(DocumentError, match="more than 500000 rows"):
        parse(zipped(unzipped(data), zipfile.ZIP_STORED))


def test_the_limit_of_rows_is_that_of_the_workbook(monkeypatch):
    monkeypatch.setattr(xlsx, "MAX_ROWS", 3)
    made = workbook([1], [2], [], [3])
    assert parse(saved(made)).text == "Sheet\n\n1\n2\n\n3"
    made.create_sheet("Other").append([4])
    with pytest.raises(DocumentError, match="more than 3 rows"):
        parse(saved(made))


def test_a_table_of_separators_is_refused():
    rows = "".join(
        f'<row r="{n}"><c><v>1</v></c><c r="{get_column_letter(n)}{n}"><v>1</v></c></row>' for n in range(1, 8_001)
    )
    with pytest.raises(DocumentError, match="more than 50000000 characters"):
        parse(sheet_of(saved(workbook(["x"])), rows))


def test_no_row_of_a_wide_table_is_lost():
    made = workbook([f"column {n}" for n in range(3000)], *([f"r{row}c{n}" for n in range(3000)] for row in range(4)))
    document = parse(saved(made))
    assert_chunks_cover(document, 60)
    chunks = [chunk.text for section in split(document, count, 60, 160) for chunk in section.chunks]
    found = {word for chunk in chunks for word in chunk.split()}
    assert {f"r{row}c{n}" for row in range(4) for n in range(3000)} <= found


def test_strings_may_be_shared():
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as made:
        sheet = made.add_worksheet("Shared")
        sheet.write_row(0, 0, ["name", "é\x01_x0041_"])
        sheet.write_rich_string(1, 0, "two ", made.add_format({"bold": True}), "words")
        sheet.write_string(1, 1, "name")
    data = file.getvalue()
    assert "xl/sharedStrings.xml" in unzipped(data)
    assert parse(data).text == "Shared\n\nname | é_x0041_\ntwo words | name"
    again = '<row><c t="s"><v>0</v></c></row>' * 3
    assert parse(sheet_of(data, again)).text == "Shared\n\nname\nname\nname"


def test_a_text_that_is_referred_to_again_and_again_counts_again_and_again():
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as made:
        made.add_worksheet().write_string(0, 0, "x" * 30_000)
    with pytest.raises(DocumentError, match="more than 50000000 characters"):
        parse(sheet_of(file.getvalue(), '<row><c t="s"><v>0</v></c></row>' * 2_000))
