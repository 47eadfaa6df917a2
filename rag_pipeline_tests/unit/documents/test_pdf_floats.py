"""Tables that a page sets where they fit: their caption before them, and no sentence interrupted."""

from rag_pipeline.documents.pdf import parse
from rag_pipeline_tests.unit.documents.pdf_files import BOTTOM, LEFT, TOP, Sheet, written
from rag_pipeline_tests.unit.documents.test_pdf_notes import LOREM, told

ROWS = [("Bird", "Weight"), ("wren", "9"), ("crane", "5500")]
TABLE = "Bird | Weight\nwren | 9\ncrane | 5500"
CAPTION = "Table 1: Weights of birds"
LONG = " ".join(f"sentence {number} is one of many and" for number in range(40))


def captioned(sheet: Sheet, y: float, caption: str = CAPTION, *, above: bool = False) -> float:
    """Draw a table with its caption; return the height below both."""
    if above:
        sheet.text(LEFT, y - 10, caption)
        return sheet.table(y - 18, ROWS) - 20
    below = sheet.table(y, ROWS)
    sheet.text(LEFT, below - 14, caption)
    return below - 40


def test_a_caption_below_its_table_comes_before_it() -> None:
    sheet = Sheet()
    sheet.prose(TOP, "Before.")
    below = captioned(sheet, TOP - 40)
    below = captioned(sheet, below - 20, "Table 2: The same again")
    sheet.prose(below - 20, "After.")
    assert told(parse(written([sheet]))) == ["Before.", CAPTION, TABLE, "Table 2: The same again", TABLE, "After."]


def test_captions_above_and_below_go_to_their_own_tables() -> None:
    sheet = Sheet()
    sheet.prose(TOP, "Before.")
    below = captioned(sheet, TOP - 40, above=True)
    captioned(sheet, below - 20, "Table 2: The same again", above=True)
    assert told(parse(written([sheet]))) == ["Before.", CAPTION, TABLE, "Table 2: The same again", TABLE]


def interrupted(first: str, *, foot: bool = False, caption: str = CAPTION) -> list[str]:
    """What is told by two pages over which a paragraph runs, with a table between its parts."""
    sheets = [Sheet(), Sheet()]
    words = LONG.split()
    y = sheets[0].prose(TOP, first) - 10
    y = sheets[0].prose(y if foot else BOTTOM + 60, " ".join(words[:100]))
    if foot:
        captioned(sheets[0], y - 20, caption)
        y = TOP
    else:
        y = captioned(sheets[1], TOP, caption)
    sheets[1].prose(y, " ".join(words[100:]) + " the last.")
    return told(parse(written(sheets)))


def test_a_table_at_the_top_or_the_foot_of_a_page_interrupts_no_sentence() -> None:
    for foot in (True, False):
        assert interrupted("Something else.", foot=foot) == ["Something else.", f"{LONG} the last.", CAPTION, TABLE]


def test_a_table_stands_after_what_cites_it() -> None:
    assert interrupted("As Table 1 shows, cranes are heavy.")[1:3] == [CAPTION, TABLE]
    assert interrupted("As Table 1.2 shows, cranes are heavy.")[1] == f"{LONG} the last."
    assert interrupted("As table 12 shows, cranes are heavy.")[1] == f"{LONG} the last."


def test_a_table_stands_after_what_says_its_caption_where_it_had_no_room() -> None:
    sheets = [Sheet(), Sheet()]
    sheets[0].text(LEFT, TOP, "Weights of birds are a matter of their own, far away.")
    sheets[0].text(LEFT, BOTTOM + 40, "Here are the weights of birds.")
    sheets[0].text(LEFT, BOTTOM, "Of fishes we know nothing.")
    sheets[1].prose(captioned(sheets[1], TOP), f"Then {LOREM}")
    texts = told(parse(written(sheets)))
    assert texts[1:] == [
        "Here are the weights of birds.",
        CAPTION,
        TABLE,
        "Of fishes we know nothing.",
        f"Then {LOREM}",
    ]


def test_a_table_over_two_pages_stays_one() -> None:
    sheets = [Sheet(), Sheet()]
    sheets[0].prose(TOP, LOREM)
    captioned(sheets[0], 160, above=True)
    sheets[1].table(TOP, [ROWS[0], ("swan", "9000")])
    texts = told(parse(written(sheets)))
    assert texts == [LOREM, CAPTION, f"{TABLE}\nswan | 9000"]


def test_a_caption_that_the_outline_calls_a_heading_stays_one() -> None:
    sheets = [Sheet(), Sheet()]
    sheets[0].prose(TOP, f"As Table 1 shows, {LOREM}")
    captioned(sheets[1], TOP, above=True)
    outline = [(1, "Table 1: Weights of birds", 2, TOP), (1, "Nothing", 2, 100.0)]
    texts = told(parse(written(sheets, outline)))
    assert texts[1:3] == [CAPTION, TABLE]


def test_a_page_of_nothing_but_a_table_is_told() -> None:
    sheet = Sheet()
    captioned(sheet, TOP)
    assert told(parse(written([sheet]))) == [CAPTION, TABLE]
