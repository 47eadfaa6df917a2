from typing import Any

import pptx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.oxml import parse_xml
from pptx.util import Inches, Pt

from rag_pipeline.documents.pptx import parse
from rag_pipeline.documents.writer import one_line
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import Document, Place
from rag_pipeline_tests.unit.documents.generated import WORDS
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful
from rag_pipeline_tests.unit.documents.office import XML_NASTY, changed, saved, shown, texts, unzipped, zipped

TITLE_SLIDE, TITLE_AND_CONTENT, TWO_CONTENTS, TITLE_ONLY, BLANK = 0, 1, 3, 5, 6
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
TEXT = st.one_of(WORDS, st.text("ab \n\t-|" + XML_NASTY, max_size=12))
SLIDES = st.lists(st.tuples(TEXT, st.lists(st.tuples(TEXT, st.integers(0, 8)), max_size=4), TEXT, TEXT), max_size=4)


class Deck:
    """A presentation that is made slide by slide."""

    def __init__(self) -> None:
        self.made: Any = pptx.Presentation()

    def slide(self, layout: int, title: str = "") -> Any:
        slide = self.made.slides.add_slide(self.made.slide_layouts[layout])
        if title:
            slide.shapes.title.text = title
        return slide

    def data(self) -> bytes:
        return saved(self.made)

    def parsed(self) -> Document:
        return parse(self.data())


def box(shapes: Any, text: str, left: float, top: float) -> Any:
    made = shapes.add_textbox(Inches(left), Inches(top), Inches(1), Inches(1))
    made.text_frame.text = text
    return made


@settings(max_examples=25, deadline=None)
@given(SLIDES)
def test_presentations_keep_the_laws_and_every_word(slides):
    deck = Deck()
    for title, points, loose, note in slides:
        slide = deck.slide(TITLE_AND_CONTENT, title)
        frame = slide.placeholders[1].text_frame
        for text, level in points:
            paragraph = frame.add_paragraph()
            paragraph.text, paragraph.level = text, level
        box(slide.shapes, loose, 1, 5)
        slide.notes_slide.notes_text_frame.text = note
    data = deck.data()
    document = parse(data)
    assert_lawful(document)
    assert_chunks_cover(document)
    assert parse(data) == document
    for title, points, loose, note in slides:
        for text in (title, loose, note, *(text for text, _ in points)):
            assert set(one_line(text).split()) <= set(document.text.split())


def test_a_slide_is_a_heading_with_its_points_and_notes():
    deck = Deck()
    first = deck.slide(TITLE_SLIDE, "The\vplan")
    first.placeholders[1].text = "for this year"
    second = deck.slide(TITLE_AND_CONTENT, "Steps")
    frame = second.placeholders[1].text_frame
    frame.text = "one"
    paragraph = frame.add_paragraph()
    paragraph.text, paragraph.level = "deeper", 1
    second.notes_slide.notes_text_frame.text = "say this\nand that"
    deck.slide(BLANK)
    box(deck.slide(BLANK).shapes, "loose", 1, 1)
    document = deck.parsed()
    assert shown(document) == [
        ("heading", 1, "The plan"),
        ("paragraph", 0, "for this year"),
        ("heading", 1, "Steps"),
        ("list_item", 1, "- one"),
        ("list_item", 2, "  - deeper"),
        ("quote", 0, "say this\nand that"),
        ("heading", 1, "(Slide 3)"),
        ("heading", 1, "(Slide 4)"),
        ("paragraph", 0, "loose"),
    ]
    assert document.title == "The plan"
    places = [block.place.pages for block in document.blocks if block.place]
    assert places == [(1, 1), (1, 1), (2, 2), (2, 2), (2, 2), (2, 2), (4, 4)]


def test_bullets_are_those_that_are_seen():
    deck = Deck()
    slide = deck.slide(TITLE_AND_CONTENT, "T")
    frame = slide.placeholders[1].text_frame
    kinds = ["", "<a:buNone/>", '<a:buAutoNum type="arabicPeriod" startAt="3"/>', '<a:buAutoNum type="arabicPeriod"/>']
    kinds += [
        "",
        '<a:buAutoNum type="romanUcParenBoth"/>',
        '<a:buAutoNum type="alphaLcParenR"/>',
        "<a:buChar char='*'/>",
    ]
    for number, kind in enumerate(kinds):
        paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
        paragraph.text = "x"
        paragraph._p.get_or_add_pPr().extend(parse_xml(f'<a:p xmlns:a="{A}">{kind}</a:p>'))
    box(slide.shapes, "plain", 1, 6)
    expected = ["- x", "x", "3. x", "4. x", "- x", "(I) x", "a) x", "- x", "plain"]
    assert texts(deck.parsed())[1:] == expected


def test_numbers_begin_anew_below_a_shallower_point():
    deck = Deck()
    frame = deck.slide(TITLE_AND_CONTENT, "T").placeholders[1].text_frame
    for number, level in enumerate([0, 1, 1, 0, 1]):
        paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
        paragraph.text, paragraph.level = "x", level
        kind = parse_xml(f'<a:buAutoNum xmlns:a="{A}" type="{"alphaLcPeriod" if level else "arabicPeriod"}"/>')
        paragraph._p.get_or_add_pPr().append(kind)
    assert [text.strip() for text in texts(deck.parsed())[1:]] == ["1. x", "a. x", "b. x", "2. x", "a. x"]


def test_shapes_are_read_from_top_to_bottom_and_left_to_right():
    deck = Deck()
    slide = deck.slide(TITLE_ONLY)
    box(slide.shapes, "bottom", 1, 6)
    box(slide.shapes, "right", 5, 2)
    box(slide.shapes, "left", 1, 2.1)
    group = slide.shapes.add_group_shape()
    box(group.shapes, "group below", 3, 4)
    box(group.shapes, "group above", 3, 3.2)
    slide.shapes.title.text = "Title"
    assert texts(deck.parsed()) == ["Title", "left", "right", "group above", "group below", "bottom"]


def test_placeholders_stand_where_their_layout_puts_them():
    deck = Deck()
    slide = deck.slide(TWO_CONTENTS, "T")
    right, left = slide.placeholders[2], slide.placeholders[1]
    right.text, left.text = "right", "left"
    left._element.getparent().append(left._element)
    box(slide.shapes, "above", 1, 0.1)
    assert texts(deck.parsed()) == ["T", "above", "- left", "- right"]


def test_what_is_hidden_or_furniture_is_left_out():
    deck = Deck()
    slide = deck.slide(TITLE_ONLY, "Seen")
    box(slide.shapes, "HIDDEN", 1, 3)._element.nvSpPr.cNvPr.set("hidden", "1")
    for number, role in enumerate(("sldNum", "dt", "ftr")):
        furniture = box(slide.shapes, "FURNITURE", 1, number)._element
        name = "http://schemas.openxmlformats.org/presentationml/2006/main"
        furniture.nvSpPr.nvPr.append(parse_xml(f'<p:ph xmlns:p="{name}" type="{role}"/>'))
    field = box(slide.shapes, "page ", 1, 5).text_frame.paragraphs[0]._p
    field.append(parse_xml(f'<a:fld xmlns:a="{A}" id="{{1}}" type="slidenum"><a:t>7</a:t></a:fld>'))
    deck.slide(TITLE_ONLY, "HIDDEN")._element.set("show", "0")
    deck.slide(TITLE_ONLY, "Third")
    document = deck.parsed()
    assert texts(document) == ["Seen", "page", "Third"]
    assert document.blocks[-1].place == Place(pages=(3, 3))


def test_tables_and_charts_are_tables():
    deck = Deck()
    slide = deck.slide(TITLE_ONLY, "T")
    grid = slide.shapes.add_table(3, 3, Inches(1), Inches(2), Inches(3), Inches(1)).table
    for number, text in enumerate("abcdefghi"):
        grid.cell(number // 3, number % 3).text = text
    grid.cell(1, 0).merge(grid.cell(1, 1))
    days = CategoryChartData(number_format="0.00")
    days.categories = ["Mon", "Tue"]
    days.add_series("Sales", (1.5, None))
    days.add_series("Costs", (2, 3.25))
    where = Inches(1), Inches(4), Inches(3), Inches(2)
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *where, days).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "By day"
    document = deck.parsed()
    assert texts(document) == [
        "T",
        "a | b | c\nd e |  | f\ng | h | i",
        "By day",
        "| Sales | Costs\nMon | 1.50 | 2.00\nTue |  | 3.25",
    ]
    assert document.text[document.blocks[1].start : document.blocks[1].header_end] == "a | b | c\n"
    grid.first_row = False
    assert deck.parsed().blocks[1].header_end is None
    points = XyChartData()
    series = points.add_series("Curve")
    series.add_data_point(0.1 + 0.2, 7)
    other = Deck()
    other.slide(BLANK).shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, *where, points)
    assert texts(other.parsed())[1:] == ["| Curve\n0.3 | 7"]


def test_diagrams_are_lists():
    diagram = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
    point = '<d:pt type="{}"><d:t><a:p><a:r><a:t>{}</a:t></a:r></a:p></d:t></d:pt>'
    points = point.format("node", "first") + point.format("pres", "HIDDEN") + point.format("node", "second")
    deck = Deck()
    frame = deck.slide(BLANK).shapes.add_table(1, 1, Pt(1), Pt(1), Pt(1), Pt(1))
    data = frame._element.graphic.graphicData
    data.clear()
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    data.append(parse_xml(f'<d:relIds xmlns:d="{diagram}" xmlns:r="{relation}" r:dm="rId99"/>'))
    found = unzipped(deck.data())
    found["ppt/diagrams/data1.xml"] = (
        f'<d:dataModel xmlns:d="{diagram}" xmlns:a="{A}"><d:ptLst>{points}</d:ptLst></d:dataModel>'.encode()
    )
    name = "ppt/slides/_rels/slide1.xml.rels"
    link = f'<Relationship Id="rId99" Type="{relation}/diagramData" Target="../diagrams/data1.xml"/></Relationships>'
    found[name] = found[name].replace(b"</Relationships>", link.encode())
    assert texts(parse(zipped(found)))[1:] == ["- first", "- second"]


def test_a_slide_that_is_not_in_the_file_is_missed():
    deck = Deck()
    deck.slide(TITLE_ONLY, "T")
    found = unzipped(deck.data())
    del found["ppt/slides/slide1.xml"]
    with pytest.raises(DocumentError, match=r"slides/slide1\.xml is missing"):
        parse(zipped(found))


@pytest.mark.parametrize("value", [b'y="9999999999999999999"', b'y="x"', b'y="-5"', b""])
def test_a_position_that_is_none_loses_nothing(value):
    deck = Deck()
    slide = deck.slide(BLANK)
    box(slide.shapes, "a", 1, 1)
    box(slide.shapes, "b", 1, 2)
    data = changed(deck.data(), "ppt/slides/slide1.xml", lambda xml: xml.replace(b' y="914400"', b" " + value))
    assert sorted(texts(parse(data))[1:]) == ["a", "b"]


def test_shapes_in_alternatives_are_read_once():
    deck = Deck()
    slide = deck.slide(BLANK)
    box(slide.shapes, "math", 1, 1)

    def wrap(xml: bytes) -> bytes:
        start, end = xml.index(b"<p:sp>"), xml.index(b"</p:sp>") + 7
        shape, name = xml[start:end], b"http://schemas.openxmlformats.org/markup-compatibility/2006"
        made = (
            b'<mc:AlternateContent xmlns:mc="%s"><mc:Choice Requires="a14">%s</mc:Choice><mc:Fallback>%s</mc:Fallback>'
        )
        return xml[:start] + made % (name, shape, shape) + b"</mc:AlternateContent>" + xml[end:]

    assert texts(parse(changed(deck.data(), "ppt/slides/slide1.xml", wrap)))[1:] == ["math"]
