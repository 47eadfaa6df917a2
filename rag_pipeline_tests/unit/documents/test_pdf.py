"""What a PDF says: its structure found again, its furniture gone, and nothing half read."""

import pytest

from rag_pipeline.documents.pdf import parse
from rag_pipeline.model import BlockKind, Document, Place
from rag_pipeline_tests.unit.documents.laws import assert_lawful
from rag_pipeline_tests.unit.documents.pdf_files import LEFT, RIGHT, TOP, Sheet, width, written

LOREM = (
    "a sentence about nothing that goes on for a while so that it fills more than one line of the page and then some "
    "more until it comes to its end."
)
BODY = " ".join([LOREM] * 3)


def blocks(document: Document) -> list[tuple[BlockKind, str]]:
    """The kinds and texts of a document's blocks."""
    assert_lawful(document)
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def headings(document: Document) -> list[tuple[int, str]]:
    """The levels and titles of its headings."""
    return [(block.level, block.title) for block in document.blocks if block.kind is BlockKind.HEADING]


def only(sheet: Sheet) -> list[tuple[BlockKind, str]]:
    """The blocks of a document of one page."""
    return blocks(parse(written([sheet])))


def page(text: str = BODY) -> Sheet:
    """A page with one paragraph."""
    sheet = Sheet()
    sheet.prose(TOP, text)
    return sheet


def test_lines_become_paragraphs() -> None:
    sheet = Sheet()
    below = sheet.prose(TOP, BODY)
    sheet.prose(below - 8, LOREM)
    assert only(sheet) == [(BlockKind.PARAGRAPH, BODY), (BlockKind.PARAGRAPH, LOREM)]


def test_a_paragraph_ends_where_the_next_word_would_have_fitted() -> None:
    sheet = Sheet()
    below = sheet.prose(TOP, BODY)
    sheet.prose(below, BODY)
    assert only(sheet) == [(BlockKind.PARAGRAPH, BODY)] * 2


def test_an_indent_begins_a_paragraph() -> None:
    full = "word " * 17 + "wordword"
    assert RIGHT - LEFT - width(full, 10) < width("word", 10)
    sheet = Sheet()
    for number in range(4):
        sheet.text(LEFT + (20 if number == 2 else 0), TOP - 12 * number, full)
    assert only(sheet) == [(BlockKind.PARAGRAPH, f"{full} {full}")] * 2


def test_every_block_knows_its_pages() -> None:
    document = parse(written([page(LOREM), page("Another one."), page("A third one.")]))
    assert [block.place.pages for block in document.blocks if block.place] == [(1, 1), (2, 2), (3, 3)]
    assert document.metadata == {"pages": 3}


def test_a_paragraph_goes_on_across_pages_around_a_note() -> None:
    first, second = Sheet(), Sheet()
    first.prose(200, " ".join(BODY.split()[:80]))
    first.text(LEFT, 100, "1 A note at the foot.", 8)
    second.prose(TOP, " ".join(BODY.split()[80:]))
    document = parse(written([first, second]))
    assert blocks(document) == [(BlockKind.PARAGRAPH, BODY), (BlockKind.PARAGRAPH, "1 A note at the foot.")]
    assert document.blocks[0].place == Place(pages=(1, 2))


def test_the_outline_decides_headings_and_levels() -> None:
    sheet, other = Sheet(), Sheet()
    sheet.text(LEFT, 700, "1 First", 10)
    sheet.prose(680, LOREM)
    sheet.text(LEFT, 600, "Large but no heading", 20, "F2")
    sheet.text(LEFT, 560, "1.1 Inner", 10)
    sheet.prose(540, LOREM)
    other.text(LEFT, 700, "CHAPTER TWO", 12)
    other.text(LEFT, 680, "SECOND", 20)
    other.prose(640, LOREM)
    outline = [(1, "First", 1, 712.0), (2, "Inner", 1, 572.0), (1, "Second", 2, 720.0)]
    document = parse(written([sheet, other], outline))
    assert headings(document) == [(1, "First"), (2, "Inner"), (1, "Second")]
    assert (BlockKind.HEADING, "CHAPTER TWO SECOND") in blocks(document)
    assert (BlockKind.PARAGRAPH, "Large but no heading") in blocks(document)


def test_a_heading_that_is_not_on_its_page_structures_all_the_same() -> None:
    sheet = Sheet()
    sheet.prose(700, LOREM)
    sheet.prose(600, "Second part.")
    document = parse(written([sheet], [(1, "Picture of a title", 1, 640.0), (2, "Nowhere", 1, None)]))
    assert blocks(document) == [
        (BlockKind.PARAGRAPH, LOREM),
        (BlockKind.HEADING, ""),
        (BlockKind.HEADING, ""),
        (BlockKind.PARAGRAPH, "Second part."),
    ]
    assert headings(document) == [(1, "Picture of a title"), (2, "Nowhere")]


def test_without_an_outline_size_and_weight_make_headings() -> None:
    sheet = Sheet()
    sheet.text(LEFT, 700, "The whole", 20, "F2")
    sheet.prose(670, BODY)
    sheet.text(LEFT, 590, "A part", 14, "F2")
    sheet.prose(570, BODY)
    sheet.text(LEFT, 490, "Bold at the size of the text", 10, "F2")
    sheet.prose(470, BODY)
    document = parse(written([sheet]))
    assert headings(document) == [(1, "The whole"), (2, "A part"), (3, "Bold at the size of the text")]
    assert document.title == "The whole"


@pytest.mark.parametrize(
    ("info", "title"),
    [
        ("/Title (A Good Title)", "A Good Title"),
        ("/Title (Microsoft Word - draft_7.doc)", "On the page"),
        ("/Title (untitled)", "On the page"),
        ("/Title (GSA2022)", "On the page"),
        ("", "On the page"),
    ],
)
def test_a_title_must_say_something(info: str, title: str) -> None:
    sheet = Sheet()
    sheet.text(LEFT, 700, "On the page", 20)
    sheet.prose(650, BODY)
    document = parse(written([sheet], info=f"{info} /Author (Somebody)"))
    assert document.title == title
    assert document.metadata["author"] == "Somebody"
    assert ("title" in document.metadata) == (title == "A Good Title")


@pytest.mark.parametrize("pages", [2, 3, 4, 9, 30])
def test_headers_footers_and_page_numbers_go(pages: int) -> None:
    sheets: list[Sheet] = []
    for number in range(1, pages + 1):
        sheet = page(f"{LOREM} This is number {'one' * number}")
        sheet.text(LEFT, 770, "The Manual")
        sheet.text(RIGHT - 60, 770, f"Chapter {1 + number // 4}")
        sheet.text(300, 30, f"Page {number}" if number % 2 or pages < 4 else f"- {number} -")
        sheets.append(sheet)
    text = parse(written(sheets)).text
    assert not any(word in text for word in ("Manual", "Chapter", "Page", "- "))
    assert text.count("This is number") == pages


def test_the_header_of_a_short_chapter_goes_with_its_page_number() -> None:
    sheets = [page(f"Body of page {number}. {LOREM}") for number in range(12)]
    for number, sheet in enumerate(sheets, 17):
        sheet.text(LEFT, 40, f"{number}   {'Uvwxyz'[number % 6]} is a section of one page")
    text = parse(written(sheets)).text
    assert "section of one page" not in text
    assert text.count("Body of page") == 12


def test_what_only_resembles_furniture_stays() -> None:
    sheets = [page(f"{number * 37 % 11} {number * 53 % 17} are the numbers") for number in range(8)]
    assert parse(written(sheets)).text.count("are the numbers") == 8
    assert parse(written([page() for _ in range(5)])).text.count("so that it fills") == 15
    sections = [page() for _ in range(6)]
    for number, sheet in enumerate(sections, 1):
        sheet.text(LEFT, TOP + 30, f"{number} {'Uvwxyz'[number - 1]} section", 14, "F2")
    assert len(headings(parse(written(sections)))) == 6


@pytest.mark.parametrize("pages", [2, 3])
def test_in_a_short_document_a_repeated_title_stays(pages: int) -> None:
    sheets = [page(f"Body {'one' * number}. {LOREM}") for number in range(pages)]
    for sheet in sheets:
        sheet.text(LEFT, TOP + 30, "Results", 14, "F2")
    assert parse(written(sheets)).text.count("Results") == pages


def test_the_odd_line_above_repeated_text_stays() -> None:
    sheets = [page(BODY), page(BODY), Sheet()]
    sheets[2].text(LEFT, TOP, "What follows is something else.")
    sheets[2].prose(TOP - 40, LOREM)
    assert "What follows is something else." in parse(written(sheets)).text


def test_a_number_before_a_large_title_makes_no_item_of_it() -> None:
    sheet = Sheet()
    for number, name in enumerate(("Stones", "Leaves"), 1):
        sheet.text(LEFT, TOP + 100 - 100 * number, f"{number}. {name}", 14, "F2")
        sheet.prose(TOP + 80 - 100 * number, LOREM)
    assert headings(parse(written([sheet]))) == [(1, "1. Stones"), (1, "2. Leaves")]


def test_what_runs_over_the_border_of_its_cell_is_not_joined_to_the_next() -> None:
    sheet = Sheet()
    sheet.table(TOP, [("name", "use"), ("", "")])
    sheet.text(LEFT + 63, TOP - 28, "overflowing", 10, "F3")  # 66 points wide in a cell of 120
    sheet.text(LEFT + 129.6, TOP - 28, "V:1")
    assert only(sheet) == [(BlockKind.TABLE, "name | use\noverflowing | V:1")]


def test_divided_words_become_whole_and_compounds_keep_their_hyphen() -> None:
    lines = (
        "A word that the end of the line divides is made up of two frag-",
        "ments. A compound of security and related words at this security-",
        "related line keeps it; so does the name of one woman, Anne-",
        "Elisabethandmore.",
    )
    sheet = Sheet()
    for number, line in enumerate(lines):
        sheet.text(LEFT, TOP - 12 * number, line)
    text = parse(written([sheet])).text
    assert "two fragments. A" in text
    assert "security-related line" in text
    assert "Anne-Elisabethandmore" in text


@pytest.mark.parametrize("order", ["column by column", "line by line"])
def test_columns_are_read_one_after_the_other(order: str) -> None:
    left, right = Sheet(), Sheet()
    left.prose(650, f"Left. {BODY}", left=72, right=290)
    right.prose(650, f"Right. {BODY}", left=310, right=528)
    sheet = Sheet()
    sheet.text(LEFT, TOP, "A title across both of the columns of this page, as wide as they are", 14)
    if order == "line by line":
        sheet.operators += [op for pair in zip(left.operators, right.operators, strict=True) for op in pair]
    else:
        sheet.operators += right.operators + left.operators
    found = only(sheet)
    assert [text.split()[0] for _, text in found] == ["A", "Left.", "Right."]
    assert found[1:] == [(BlockKind.PARAGRAPH, f"Left. {BODY}"), (BlockKind.PARAGRAPH, f"Right. {BODY}")]


def test_rows_without_rules_are_not_columns() -> None:
    sheet = Sheet()
    names = ("apple", "pear", "plum", "cherry", "quince", "medlar")
    for number, name in enumerate(names):
        sheet.text(LEFT, TOP - 12 * number, name)
        sheet.text(400, TOP - 12 * number, str(number))
    assert parse(written([sheet])).text.split() == [
        word for number, name in enumerate(names) for word in (name, str(number))
    ]


def test_list_items_and_their_depth() -> None:
    sheet = Sheet()
    y = sheet.prose(TOP, "A list:") - 4
    for left, marker, text in ((80, "\x95", LOREM), (100, "-", "Inner item"), (80, "\x95", "Last item")):
        sheet.text(left, y, marker)
        y = sheet.prose(y, text, left=left + 10) - 4
    for number in (1, 2):
        sheet.text(80, y, f"{number}.")
        y = sheet.prose(y, LOREM, left=95) - 4
    document = parse(
        written([sheet]).replace(b"/BaseFont /Helvetica ", b"/BaseFont /Helvetica /Encoding /WinAnsiEncoding ")
    )
    items = [(block.level, document.text[block.start : block.end]) for block in document.blocks if block.level]
    assert items == [(1, f"- {LOREM}"), (2, "- Inner item"), (1, "- Last item"), (1, f"1. {LOREM}"), (1, f"2. {LOREM}")]


def test_a_ruled_table_is_a_table() -> None:
    sheet = Sheet()
    sheet.prose(TOP, LOREM)
    below = sheet.table(660, [("Name", "Size", "Kind"), ("one", "12", ""), ("two", "", "big")])
    sheet.prose(below - 20, "After it.")
    document = parse(written([sheet]))
    assert blocks(document)[1:] == [
        (BlockKind.TABLE, "Name | Size | Kind\none | 12\ntwo |  | big"),
        (BlockKind.PARAGRAPH, "After it."),
    ]
    table = document.blocks[1]
    assert document.text[table.start : table.header_end] == "Name | Size | Kind"
    assert table.header_end == table.start + len("Name | Size | Kind")


def test_a_table_goes_on_across_pages_without_its_second_header() -> None:
    first, second = Sheet(), Sheet()
    first.table(200, [("Name", "Size"), ("one", "1")])
    second.table(TOP, [("Name", "Size"), ("two", "2")])
    document = parse(written([first, second]))
    assert blocks(document) == [(BlockKind.TABLE, "Name | Size\none | 1\ntwo | 2")]


def test_a_frame_is_no_table() -> None:
    sheet = Sheet()
    sheet.table(TOP, [("In a box",)], column=200)
    assert only(sheet) == [(BlockKind.PARAGRAPH, "In a box")]


def test_code_keeps_lines_indents_and_columns() -> None:
    sheet = Sheet()
    sheet.prose(TOP, LOREM)
    for number, line in enumerate(("def f(x):", "    if x:", "        return 1    # yes", "    return 2")):
        sheet.text(LEFT + 6 * (len(line) - len(line.lstrip())), 660 - 12 * number, line.lstrip(), 10, "F3")
    assert only(sheet)[1] == (BlockKind.CODE, "def f(x):\n    if x:\n        return 1    # yes\n    return 2")


def test_a_document_in_one_monospaced_type_is_prose() -> None:
    sheet = Sheet()
    for number in range(4):
        sheet.text(
            LEFT, TOP - 12 * number, "seventy-odd characters of typewritten prose that go to the margin of it", 10, "F3"
        )
    assert [kind for kind, _ in only(sheet)] == [BlockKind.PARAGRAPH]


@pytest.mark.parametrize(("turn", "matrix"), [(1, "0 1 -1 0"), (3, "0 -1 1 0"), (2, "-1 0 0 -1")])
def test_turned_pages_read_as_others_do(turn: int, matrix: str) -> None:
    places = {1: lambda n: (100 + 12 * n, 100), 2: lambda n: (500, 100 + 12 * n), 3: lambda n: (500 - 12 * n, 700)}
    sheet = Sheet()
    for number, line in enumerate(
        ("The first line of a turned page that is about as long as", "the second one of them is here.")
    ):
        x, y = places[turn](number)
        sheet.text(x, y, line, matrix=matrix)
    assert only(sheet) == [
        (
            BlockKind.PARAGRAPH,
            "The first line of a turned page that is about as long as the second one of them is here.",
        )
    ]


def test_what_no_reader_sees_is_left_out() -> None:
    sheet = Sheet()
    sheet.operators.append("0 0.3 0.3 rg 60 690 200 40 re f 1 g")
    sheet.text(LEFT, 700, "White on a dark ground")
    sheet.text(LEFT, 600, "white on white")
    sheet.operators.append("0 g")
    sheet.text(LEFT, 500, "far too small", 0.8)
    sheet.text(LEFT, -300, "below the page")
    sheet.text(LEFT, 400, "Seen")
    assert [text for _, text in only(sheet)] == ["White on a dark ground", "Seen"]


def test_the_number_of_a_note_is_not_part_of_the_word() -> None:
    sheet = Sheet()
    sheet.text(LEFT, TOP, "divided into areas")
    sheet.text(LEFT + width("divided into areas", 10), TOP + 4, "12", 7)
    assert only(sheet) == [(BlockKind.PARAGRAPH, "divided into areas¹²")]


def test_pages_without_text_are_named() -> None:
    document = parse(written([page(), Sheet(), page(), Sheet()]))
    assert document.metadata["pages_without_text"] == [2, 4]


def test_a_contents_page_keeps_its_lines() -> None:
    sheet = Sheet()
    for number, title in enumerate(("One", "Two", "Three")):
        dots = "." * 120
        sheet.text(LEFT, TOP - 12 * number, f"{title} {dots} {number}")
    assert only(sheet) == [(BlockKind.PARAGRAPH, f"{title} … {n}") for n, title in enumerate(("One", "Two", "Three"))]


def test_the_same_bytes_give_the_same_document() -> None:
    data = written([page(), page(LOREM)], [(1, "Nowhere", 2, None), (1, "Here", 1, 3.0)])
    assert parse(data) == parse(data)


def test_order_of_drawing_does_not_matter_within_a_column() -> None:
    sheet = Sheet()
    below = sheet.prose(TOP, BODY)
    sheet.prose(below - 8, LOREM)
    shuffled = Sheet(sheet.operators[::-1])
    assert only(shuffled) == only(sheet)
