"""Notes at the foot of a page: out of the sentences that they interrupt, at the end of the chapter they belong to."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.documents.pdf import parse
from rag_pipeline.model import BlockKind, Document
from rag_pipeline_tests.unit.documents.laws import assert_lawful
from rag_pipeline_tests.unit.documents.pdf_files import BOTTOM, LEFT, TOP, Heading, Sheet, width, written

LOREM = "a sentence that goes on for so long that it fills more than one line of the page before it comes to its end"

PAGES = ("stone", "leaf", "river", "wind", "sea", "sky")
ONES = ("none", "once", "twice", "thrice")


def cited(sheet: Sheet, y: float, text: str, *numbers: int) -> None:
    """Draw a line of text and the raised numbers of notes behind it."""
    sheet.text(LEFT, y, text)
    x = LEFT + width(text, 10)
    for number in numbers:
        sheet.text(x, y + 4, str(number), 6)
        x += width(str(number), 6)


def note(sheet: Sheet, y: float, number: int, text: str) -> None:
    """Draw a note whose number is raised."""
    sheet.text(LEFT, y + 3, str(number), 5)
    sheet.text(LEFT + 5, y, text, 8)


def told(document: Document) -> list[str]:
    """The blocks' texts, and titles in brackets where a heading has no text of its own."""
    assert_lawful(document)
    return [document.text[block.start : block.end] or f"[{block.title}]" for block in document.blocks]


def paths(document: Document) -> dict[str, tuple[str, ...]]:
    """The heading path of each block that is no heading."""
    path: list[tuple[int, str]] = []
    found: dict[str, tuple[str, ...]] = {}
    for block in document.blocks:
        if block.kind is BlockKind.HEADING:
            path = [*((level, title) for level, title in path if level < block.level), (block.level, block.title)]
        else:
            found[document.text[block.start : block.end]] = tuple(title for _, title in path)
    return found


def chapters() -> tuple[list[Sheet], list[Heading]]:
    """Two chapters of two sections, a page each; the first page has two notes, the third one again a note 1."""
    sheets = [Sheet() for _ in range(4)]
    outline: list[Heading] = []
    for number, sheet in enumerate(sheets, 1):
        if number % 2:
            sheet.text(LEFT, TOP, f"Chapter {'AB'[number // 2]}", 16, "F2")
            outline.append((1, f"Chapter {'AB'[number // 2]}", number, TOP + 16))
        sheet.text(LEFT, TOP - 30, f"Section {number}", 12, "F2")
        outline.append((2, f"Section {number}", number, TOP - 18))
    cited(sheets[0], TOP - 60, "Stones are counted.", 1)
    cited(sheets[0], TOP - 90, "Leaves are not.", 2)
    note(sheets[0], 100, 1, "By hand.")
    note(sheets[0], 88, 2, "There are too many.")
    cited(sheets[1], TOP - 60, "Nothing is left to say.")
    cited(sheets[2], TOP - 60, "Rivers are measured.", 1)
    note(sheets[2], 100, 1, "In spring.")
    cited(sheets[3], TOP - 60, "The end.")
    return sheets, outline


def test_notes_stand_at_the_end_of_their_chapter_and_belong_to_it() -> None:
    document = parse(written(*chapters()))
    texts = told(document)
    assert texts.index("[Chapter A]") == texts.index("Nothing is left to say.") + 1
    assert texts[texts.index("[Chapter A]") + 1 :][:2] == ["1 By hand.", "2 There are too many."]
    assert paths(document)["2 There are too many."] == ("Chapter A",)
    assert paths(document)["1 In spring."] == ("Chapter B",)
    assert paths(document)["Nothing is left to say."] == ("Chapter A", "Section 2")
    assert next(block.place.pages for block in document.blocks if block.place and block.kind is BlockKind.PARAGRAPH)


def test_where_numbers_begin_again_is_where_notes_end() -> None:
    sheets, outline = chapters()
    cited(sheets[1], TOP - 90, "One more.", 1)
    note(sheets[1], 100, 1, "It counts anew.")
    document = parse(written(sheets, outline))
    assert paths(document)["1 By hand."] == ("Chapter A", "Section 1")
    assert paths(document)["1 It counts anew."] == ("Chapter A", "Section 2")


def test_a_note_goes_on_at_the_foot_of_the_next_page() -> None:
    sheets = [Sheet(), Sheet()]
    cited(sheets[0], TOP, "Said in short.", 1)
    note(sheets[0], 80, 1, "Said at length, and so much so that it comes to")
    sheets[1].text(LEFT, TOP, "Next.")
    sheets[1].text(LEFT, 80, "its end on another page.", 8)
    texts = told(parse(written(sheets)))
    assert texts == [
        "Said in short.¹",
        "1 Said at length, and so much so that it comes to its end on another page.",
        "Next.",
    ]


def test_without_headings_a_note_follows_what_refers_to_it() -> None:
    sheet = Sheet()
    cited(sheet, TOP, "Twice over.", 1, 2)
    sheet.text(LEFT, TOP - 40, "Unconcerned.")
    note(sheet, 100, 1, "Once.")
    note(sheet, 88, 2, "And again.")
    assert told(parse(written([sheet]))) == ["Twice over.¹²", "1 Once.", "2 And again.", "Unconcerned."]


def test_below_a_short_rule_a_number_that_counts_on_makes_a_note() -> None:
    sheets, outline = chapters()
    for page, number, ruled in ((1, 3, True), (3, 2, False)):
        sheets[page].text(LEFT, 80, f"{number}Set without a blank, and without a raised number {number}.", 8)
        if ruled:
            sheets[page].line(LEFT, 92, LEFT + 180, 92)
    found = paths(parse(written(sheets, outline)))
    assert found["3Set without a blank, and without a raised number 3."] == ("Chapter A",)
    assert found["2Set without a blank, and without a raised number 2."] == ("Chapter B", "Section 4")


def test_raised_digits_are_the_number_of_a_note_too() -> None:
    sheet = Sheet()
    sheet.text(LEFT, TOP, "Counted.\xb9")
    sheet.text(LEFT, TOP - 40, "Not counted.")
    sheet.text(LEFT, 80, "\xb9By hand.", 8)
    data = written([sheet]).replace(b"/BaseFont /Helvetica ", b"/BaseFont /Helvetica /Encoding /WinAnsiEncoding ")
    assert told(parse(data)) == ["Counted.¹", "¹By hand.", "Not counted."]


def test_small_print_to_which_nothing_refers_stays_where_it_is() -> None:
    sheets, outline = chapters()
    sheets[1].text(LEFT, 100, "3 stones weigh more than this line", 8)
    texts = told(parse(written(sheets, outline)))
    assert texts.index("3 stones weigh more than this line") == texts.index("Nothing is left to say.") + 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.booleans())
def test_notes_interrupt_nothing_and_none_is_lost(counts: list[int], headed: bool) -> None:
    sheets: list[Sheet] = []
    expected: Counter[str] = Counter()
    for page, count in enumerate(counts):
        sheet = Sheet()
        y: float = TOP
        if headed:
            sheet.text(LEFT, y, f"Heading {PAGES[page]}", 16, "F2")
            expected[f"Heading {PAGES[page]}"] += 1
            y -= 30
        for number in range(1, count + 1):
            cited(sheet, y, f"Claim {PAGES[page]} {ONES[number]}", number)
            expected[f"Claim {PAGES[page]} {ONES[number]}{'⁰¹²³'[number]}"] += 1
            y -= 30
            note(sheet, BOTTOM + 12 * (count - number), number, f"Note {PAGES[page]} {ONES[number]}.")
            expected[f"{number} Note {PAGES[page]} {ONES[number]}."] += 1
        sheet.prose(y, f"Then {LOREM}")
        expected[f"Then {LOREM}"] += 1
        sheets.append(sheet)
    outline = [(1, f"Heading {PAGES[page]}", page + 1, TOP + 16.0) for page in range(len(counts))] if headed else []
    found = told(parse(written(sheets, outline)))
    assert Counter(found) == expected
