"""Lists of contents go, because every title that they list stands elsewhere; other lists with numbers stay."""

import pytest

from rag_pipeline.documents.pdf import parse
from rag_pipeline.documents.pdf_contents import key
from rag_pipeline_tests.unit.documents.pdf_files import LEFT, RIGHT, TOP, Heading, Sheet, width, written
from rag_pipeline_tests.unit.documents.test_pdf_notes import told

TITLES = ("Stones and how they are counted", "Leaves", "Rivers", "Wind", "The sea and what is beyond it")


def entry(sheet: Sheet, y: float, title: str, page: int | str, *, dots: bool = True) -> None:
    """Draw an entry of a list of contents: the title, dots, and the page's number at the right margin."""
    x = RIGHT - width(str(page), 10)
    sheet.text(LEFT, y, title)
    if dots:
        count = int((x - LEFT - width(title, 10) - 8) / width(".", 10))
        sheet.text(x - 4 - width("." * count, 10), y, "." * count)
    sheet.text(x, y, str(page))


def book(listed: tuple[str, ...], *, dots: bool = True, name: str = "Contents") -> tuple[list[Sheet], list[Heading]]:
    """The book's title, a list of contents, and then each title as a heading with a paragraph below it."""
    front, body = Sheet(), Sheet()
    front.text(LEFT, TOP + 60, "All there is", 24, "F2")
    front.text(LEFT, TOP + 30, name, 18, "F2")
    for number, title in enumerate(listed):
        entry(front, TOP - 14 * number, f"{number + 1}.  {title}", number + 1, dots=dots)
    outline: list[Heading] = []
    for number, title in enumerate(TITLES):
        body.text(LEFT, TOP - 60 * number, f"{number + 1}. {title}", 14, "F2")
        body.text(LEFT, TOP - 60 * number - 20, f"Of this there is much to say, which is chapter {number}.")
        outline.append((1, f"{number + 1}. {title}", 2, TOP - 60 * number + 14))
    return [front, body], outline


@pytest.mark.parametrize("outlined", [True, False])
def test_a_list_of_contents_goes_with_its_name(outlined: bool) -> None:
    sheets, outline = book(TITLES)
    texts = told(parse(written(sheets, outline if outlined else ())))
    assert texts[:2] == ["All there is", f"1. {TITLES[0]}"]
    assert len(texts) == 1 + 2 * len(TITLES)


def test_without_dots_titles_and_numbers_at_the_margin_tell() -> None:
    sheets, outline = book(TITLES, dots=False)
    assert told(parse(written(sheets, outline)))[:2] == ["All there is", f"1. {TITLES[0]}"]


def test_a_list_of_what_is_not_in_the_document_stays() -> None:
    sheets, outline = book(("Bread", "Salt", "Oil", "Wine", TITLES[1]), name="Prices")
    texts = told(parse(written(sheets, outline)))
    assert texts[1:7] == ["Prices", "1. Bread … 1", "2. Salt … 2", "3. Oil … 3", "4. Wine … 4", "5. Leaves … 5"]


def test_what_stands_beside_a_list_stays() -> None:
    sheets, outline = book(TITLES)
    sheets[0].text(LEFT, TOP - 200, "Printed on paper of our own.")
    assert told(parse(written(sheets, outline)))[1] == "Printed on paper of our own."


def test_a_title_above_a_list_is_no_name_of_the_list() -> None:
    sheets, outline = book(TITLES)
    del sheets[0].operators[1]
    assert told(parse(written(sheets, outline)))[:2] == ["All there is", f"1. {TITLES[0]}"]


def test_a_list_of_tables_goes_when_its_captions_are_there() -> None:
    front, body = Sheet(), Sheet()
    for number, name in enumerate(("Weights", "Heights", "Depths")):
        entry(front, TOP - 14 * number, f"Table {number + 1}: {name}", number + 1)
        body.text(LEFT, TOP - 150 * number, f"Table {number + 1}: {name}")
        body.table(TOP - 150 * number - 20, [("what", "much"), (f"it{number}", "9")])
    texts = told(parse(written([front, body])))
    assert texts == [
        text
        for number, name in enumerate(("Weights", "Heights", "Depths"))
        for text in (f"Table {number + 1}: {name}", f"what | much\nit{number} | 9")
    ]


def test_titles_are_compared_without_numbers_and_signs() -> None:
    assert key("Chapter 3. The “File’s” name") == key("3 the file's name") == "thefilesname"
    assert key("A.1 Ice") == key("Ice")
    assert key("Debian") == "debian"
