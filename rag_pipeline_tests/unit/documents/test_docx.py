import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_BREAK
from docx.oxml.parser import parse_xml
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.chunks import split
from rag_pipeline.documents.docx import parse
from rag_pipeline.documents.writer import one_line
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document
from rag_pipeline_tests.unit.documents.generated import WORDS
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful, count
from rag_pipeline_tests.unit.documents.office import (
    XML_NASTY,
    W,
    relations,
    saved,
    shown,
    texts,
    unzipped,
    word,
    zipped,
)

TEXT = st.one_of(WORDS, st.text("ab \n\t-|" + XML_NASTY, max_size=12))
STYLES = st.sampled_from(
    ["Normal", "Heading 1", "Heading 5", "Title", "List Bullet 2", "List Number", "Quote", "macro"]
)
PIECES = st.lists(
    st.one_of(st.tuples(STYLES, TEXT), st.lists(st.lists(TEXT, min_size=2, max_size=2), min_size=1, max_size=4)),
    max_size=10,
)


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def table(*rows: list[str], cell: str = "", row: str = "") -> str:
    """A table of cells that are XML."""
    made = "".join(
        f"<w:tr><w:trPr>{row}</w:trPr>{''.join(f'<w:tc><w:tcPr>{cell}</w:tcPr>{text}</w:tc>' for text in cells)}</w:tr>"
        for cells in rows
    )
    return f"<w:tbl>{made}</w:tbl>"


def styled(*styles: str) -> str:
    """A part of styles; each is ``id|name|base|properties``."""
    made = ""
    for style in styles:
        identifier, name, base, properties = style.split("|")
        made += f'<w:style w:type="paragraph" w:styleId="{identifier}"><w:name w:val="{name}"/>'
        made += f'<w:basedOn w:val="{base}"/>{properties}</w:style>'
    return f"<w:styles {W}>{made}</w:styles>"


def box(text: str) -> str:
    """A text box as Word writes it: once for readers of today, and once for those of before."""
    inside = f"<w:txbxContent>{paragraph(text)}</w:txbxContent>"
    return (
        '<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><a:graphic><a:graphicData><wps:wsp><wps:txbx>'
        f"{inside}</wps:txbx></wps:wsp></a:graphicData></a:graphic></w:drawing></mc:Choice><mc:Fallback><w:pict>"
        f"<v:textbox>{inside}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )


@settings(max_examples=40, deadline=None)
@given(PIECES)
def test_documents_keep_the_laws_and_every_word(pieces):
    made = docx.Document()
    for piece in pieces:
        if isinstance(piece, tuple):
            made.add_paragraph(piece[1], style=piece[0])
        else:
            grid = made.add_table(len(piece), 2)
            for cells, row in zip(piece, grid.rows, strict=True):
                for text, cell in zip(cells, row.cells, strict=True):
                    cell.text = text
    data = saved(made)
    document = parse(data)
    assert_lawful(document)
    assert_chunks_cover(document)
    assert parse(data) == document
    for piece in pieces:
        for text in [piece[1]] if isinstance(piece, tuple) else [cell for row in piece for cell in row]:
            assert one_line(text) in one_line(document.text)


def test_styles_say_what_a_paragraph_is():
    made = docx.Document()
    for style, text in [("Title", "Guide"), ("Heading 1", "One"), ("Normal", "A\tb"), ("Heading 3", "Deep")]:
        made.add_paragraph(text, style)
    for style, text in [("List Bullet", "a"), ("List Bullet 2", "b"), ("List Number", "c"), ("List Number", "d")]:
        made.add_paragraph(text, style)
    for style, text in [("Quote", "q"), ("Intense Quote", "r"), ("macro", "x = 1"), ("macro", ""), ("macro", "  y")]:
        made.add_paragraph(text, style)
    made.styles.add_style("Source Code", WD_STYLE_TYPE.PARAGRAPH)
    made.add_paragraph("  indented", "Source Code")
    made.paragraphs[2].add_run("c").add_break(WD_BREAK.LINE)
    made.paragraphs[2].add_run("d")
    document = parse(saved(made))
    assert shown(document) == [
        ("heading", 1, "Guide"),
        ("heading", 1, "One"),
        ("paragraph", 0, "A\tbc\nd"),
        ("heading", 3, "Deep"),
        ("list_item", 1, "- a"),
        ("list_item", 2, "  - b"),
        ("list_item", 1, "1. c"),
        ("list_item", 1, "2. d"),
        ("quote", 0, "q"),
        ("quote", 0, "r"),
        ("code", 0, "x = 1\n\n  y\n  indented"),
    ]
    assert document.title == "Guide"


def test_a_style_inherits_and_a_paragraph_may_say_otherwise():
    styles = styled(
        "H|heading 2||<w:pPr><w:outlineLvl w:val='1'/></w:pPr>",
        "Mine|My chapter|H|",
        "Toc|TOC Heading|H|<w:pPr><w:outlineLvl w:val='9'/></w:pPr>",
        "Ring|ring|Ring|",
    )
    body = paragraph("a", '<w:pStyle w:val="Mine"/>') + paragraph("b", '<w:pStyle w:val="Toc"/>')
    body += paragraph("c", '<w:pStyle w:val="Ring"/>') + paragraph("d", '<w:pStyle w:val="Gone"/>')
    body += paragraph("e", '<w:outlineLvl w:val="7"/>') + paragraph(
        "f", '<w:pStyle w:val="H"/><w:outlineLvl w:val="9"/>'
    )
    found = [
        ("heading", 2, "a"),
        *(("paragraph", 0, text) for text in "bcd"),
        ("heading", 6, "e"),
        ("paragraph", 0, "f"),
    ]
    assert shown(parse(word(body, styles=styles))) == found


def test_the_title_is_the_one_shown_else_the_declared_else_the_first_heading():
    made = docx.Document()
    made.add_heading("Chapter", 1)
    made.core_properties.title = ""
    assert parse(saved(made)).title == "Chapter"
    made.core_properties.title = "Declared"
    assert parse(saved(made)).title == "Declared"
    made.add_heading("Shown", 0)
    assert parse(saved(made)).title == "Shown"


def test_what_was_inserted_stays_and_what_was_deleted_goes():
    body = (
        "<w:p><w:r><w:t>a</w:t></w:r><w:ins><w:r><w:t>IN</w:t></w:r></w:ins><w:del><w:r><w:delText>OUT</w:delText></w:r>"
        "</w:del><w:moveTo><w:r><w:t>TO</w:t></w:r></w:moveTo><w:moveFrom><w:r><w:t>OUT</w:t></w:r></w:moveFrom></w:p>"
        f"<w:ins>{paragraph('new')}</w:ins><w:del>{paragraph('OUT')}</w:del>"
    )
    body += table([paragraph("x"), paragraph("y")]) + table([paragraph("OUT")] * 2, row="<w:del/>")
    body += table([paragraph("OUT")] * 2, cell="<w:cellDel/>")
    assert texts(parse(word(body))) == ["aINTO", "new", "x | y"]


def test_what_is_not_seen_is_left_out():
    hidden = "<w:rPr><w:vanish/></w:rPr>"
    styles = styled("Ghost|ghost||" + hidden) + ""
    body = (
        f"<w:p><w:r><w:t>a</w:t></w:r><w:r>{hidden}<w:t>OUT</w:t></w:r>"
        '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>b</w:t></w:r><w:r><w:rPr><w:rStyle w:val="Ghost"/></w:rPr>'
        "<w:t>OUT</w:t></w:r><w:commentRangeStart/><w:r><w:commentReference/></w:r></w:p>"
        '<w:p><w:pPr><w:pStyle w:val="Ghost"/></w:pPr><w:r><w:t>OUT</w:t></w:r>'
        '<w:r><w:rPr><w:vanish w:val="false"/></w:rPr><w:t>seen</w:t></w:r></w:p>'
        f"<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{paragraph('OUT')}</w:sdtContent></w:sdt>"
        f"<w:sdt><w:sdtPr/><w:sdtContent>{paragraph('filled in')}</w:sdtContent></w:sdt>"
        '<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
        f"<w:sdtContent>{paragraph('OUT')}</w:sdtContent></w:sdt>"
    )
    body += table([paragraph("OUT")] * 2, row="<w:hidden/>")
    comments = f"<w:comments {W}><w:comment>{paragraph('OUT')}</w:comment></w:comments>"
    header = f"<w:hdr {W}>{paragraph('OUT')}</w:hdr>"
    assert texts(parse(word(body, styles=styles, comments=comments, header=header))) == ["ab", "seen", "filled in"]


def test_tables_of_contents_are_left_out_by_their_styles():
    styles = styled("T1|toc 1||", "T2|TOC 2||")
    body = (
        paragraph("One\t3", '<w:pStyle w:val="T1"/>') + paragraph("Two\t4", '<w:pStyle w:val="T2"/>') + paragraph("a")
    )
    assert texts(parse(word(body, styles=styles))) == ["a"]


def test_words_in_links_fields_formulas_and_signs_stay():
    field = '<w:r><w:fldChar w:fldCharType="{}"/></w:r>'
    nested = field.format("begin") + "<w:r><w:t>OUT</w:t></w:r>" + field.format("separate")
    body = (
        '<w:p><w:hyperlink r:id="gone"><w:r><w:t>link</w:t></w:r></w:hyperlink><w:r><w:tab/><w:t>x</w:t>'
        "<w:noBreakHyphen/><w:t>y</w:t><w:br/><w:t>z</w:t><w:softHyphen/></w:r>"
        f"{nested}<w:r><w:t>result</w:t></w:r>{field.format('end')}"
        f"{field.format('begin')}<w:r><w:instrText>OUT</w:instrText></w:r>{field.format('end')}"
        "<w:fldSimple w:instr='PAGE'><w:r><w:t>7</w:t></w:r></w:fldSimple>"
        "<m:oMath><m:r><m:t>a=b</m:t></m:r></m:oMath>"
        "<w:r><w:ruby><w:rt><w:r><w:t>OUT</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>base</w:t></w:r></w:rubyBase></w:ruby>"
        '<w:sym w:font="Symbol" w:char="03B1"/><w:sym w:char="F0B7"/><w:sym w:char="-1"/><w:sym w:char="x"/>'
        "</w:r></w:p>"
    )
    assert texts(parse(word(body))) == ["link\tx-y\nzresult7a=bbaseα"]


def test_text_boxes_follow_the_paragraph_that_holds_them_and_are_read_once():
    body = f"<w:p><w:r><w:t>a</w:t></w:r>{box('boxed')}</w:p>{paragraph('b')}"
    body += table([f"<w:p><w:r><w:t>c</w:t></w:r>{box('in a cell')}</w:p>", paragraph("d")])
    assert texts(parse(word(body))) == ["a", "boxed", "b", "c | d", "in a cell"]


def test_notes_follow_the_block_that_refers_to_them_first():
    def notes(kind: str) -> str:
        made = f'<w:{kind} w:id="0" w:type="separator">{paragraph("")}</w:{kind}>'
        made += f'<w:{kind} w:id="1">{paragraph("said")}{paragraph("twice")}</w:{kind}>'
        return f'<w:{kind}s {W}>{made}<w:{kind} w:id="2">{paragraph("more")}</w:{kind}></w:{kind}s>'

    def reference(kind: str, number: int) -> str:
        return f'<w:r><w:t>x</w:t><w:{kind}Reference w:id="{number}"/></w:r>'

    body = f"<w:p>{reference('footnote', 2)}{reference('footnote', 1)}{reference('endnote', 1)}</w:p>"
    body += f"<w:p>{reference('footnote', 1)}{reference('footnote', 99)}</w:p>"
    body += table([f"<w:p>{reference('endnote', 2)}</w:p>", paragraph("y")])
    document = parse(word(body, footnotes=notes("footnote"), endnotes=notes("endnote")))
    expected = ["x[1]x[2]x[i]", "[1] more", "[2] said\ntwice", "[i] said\ntwice", "x[2]x", "x[ii] | y", "[ii] more"]
    assert texts(document) == expected
    assert [block.clings for block in document.blocks] == [False, True, True, True, False, False, True]


def test_tables_keep_rows_headers_and_merged_cells():
    made = docx.Document()
    grid = made.add_table(4, 3)
    for number, text in enumerate(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]):
        grid.cell(number // 3, number % 3).text = text
    grid.cell(0, 0).merge(grid.cell(0, 1)).text = "a b"
    grid.cell(2, 2).merge(grid.cell(3, 2)).text = "i l"
    grid.rows[0]._tr.get_or_add_trPr().append(parse_xml(f"<w:tblHeader {W}/>"))
    grid.rows[1]._tr.get_or_add_trPr().append(parse_xml(f"<w:tblHeader {W}/>"))
    document = parse(saved(made))
    assert document.text == "a b | c\nd | e | f\ng | h | i l\nj | k"
    assert document.text[: document.blocks[0].header_end] == "a b | c\nd | e | f\n"


def test_a_table_for_the_layout_is_read_as_the_page():
    single = table([paragraph("boxed") + paragraph("twice")])
    outer = table([paragraph("left"), table([paragraph("1"), paragraph("2")])], [paragraph("below"), paragraph("")])
    assert shown(parse(word(single + outer))) == [
        ("paragraph", 0, "boxed"),
        ("paragraph", 0, "twice"),
        ("paragraph", 0, "left"),
        ("table", 0, "1 | 2"),
        ("paragraph", 0, "below"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "".join([table([paragraph("x")])] * 3),
        "<w:ins>" * 200 + paragraph("deep") + "</w:ins>" * 200,
        "<w:tbl><w:tr><w:tc>" * 80 + paragraph("deep") + "</w:tc></w:tr></w:tbl>" * 80,
        "<w:p><w:r><w:pict><v:textbox><w:txbxContent>" * 40
        + paragraph("deep")
        + "</w:txbxContent></v:textbox></w:pict></w:r></w:p>" * 40,
    ],
)
def test_depth_is_no_danger(body):
    assert parse(word(body)).text in ("x\n\nx\n\nx", "deep")


def test_a_document_within_the_document_is_not_passed_over_in_silence():
    with pytest.raises(DocumentError, match="holds another document"):
        parse(word(paragraph("a") + '<w:altChunk r:id="x"/>'))


def test_an_empty_document_is_empty():
    assert parse(word("")) == Document("", ())
    assert parse(word(paragraph("\u200b", '<w:outlineLvl w:val="0"/>'))) == Document("", ())


def test_charts_are_the_tables_behind_them():
    chart = (
        '<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"><c:chart><c:plotArea><c:barChart>'
        "<c:ser><c:tx><c:v>Sales</c:v></c:tx><c:cat><c:strLit><c:pt idx='0'><c:v>Mon</c:v></c:pt></c:strLit></c:cat>"
        "<c:val><c:numLit><c:formatCode>0.0</c:formatCode>"
        "<c:pt idx='0'><c:v>1.25</c:v></c:pt></c:numLit></c:val></c:ser>"
        "</c:barChart></c:plotArea></c:chart></c:chartSpace>"
    )
    drawing = (
        '<w:r><w:drawing><a:graphic><a:graphicData><c:chart xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
        ' r:id="chart"/></a:graphicData></a:graphic></w:drawing></w:r>'
    )
    document = parse(word(f"<w:p><w:r><w:t>See:</w:t></w:r>{drawing}</w:p>", chart=chart))
    assert texts(document) == ["See:", "| Sales\nMon | 1.3"]
    gone = unzipped(word(f"<w:p>{drawing}</w:p>")) | {"word/_rels/document.xml.rels": relations()}
    with pytest.raises(DocumentError, match="names another that is not in the file"):
        parse(zipped(gone))


def test_no_row_of_a_wide_table_is_lost():
    header = [paragraph(f"column {n}") for n in range(300)]
    rows = [[paragraph(f"r{row}c{n}") for n in range(300)] for row in range(5)]
    document = parse(word(table(header, *rows)))
    assert [block.kind for block in document.blocks] == [BlockKind.TABLE]
    assert_chunks_cover(document, 60)
    chunks = [chunk.text for section in split(document, count, 60, 160) for chunk in section.chunks]
    assert {f"r{row}c{n}" for row in range(5) for n in range(300)} <= {w for chunk in chunks for w in chunk.split()}
