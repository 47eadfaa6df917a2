import pytest

from rag_pipeline.documents.docx import parse
from rag_pipeline_tests.unit.documents.office import W, texts, word


def level(depth: int, form: str, pattern: str, more: str = "") -> str:
    return f'<w:lvl w:ilvl="{depth}">{more}<w:numFmt w:val="{form}"/><w:lvlText w:val="{pattern}"/></w:lvl>'


def numbering(*levels: str, overrides: str = "") -> str:
    lists = f'<w:abstractNum w:abstractNumId="7">{"".join(levels)}</w:abstractNum>'
    lists += '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
    return f'<w:numbering {W}>{lists}<w:num w:numId="2"><w:abstractNumId w:val="7"/>{overrides}</w:num></w:numbering>'


def labels(numbered: str, *places: tuple[int, int] | None, outline: str = "") -> list[str]:
    """What the paragraphs read as, each in a list and at a depth, or in none."""
    body = ""
    for place in places:
        number = f'<w:numPr><w:ilvl w:val="{place[1]}"/><w:numId w:val="{place[0]}"/></w:numPr>' if place else ""
        body += f"<w:p><w:pPr>{number}{outline}</w:pPr><w:r><w:t>x</w:t></w:r></w:p>"
    return [text.strip() for text in texts(parse(word(body, numbering=numbered)))]


DECIMAL = (level(0, "decimal", "%1."), level(1, "decimal", "%1.%2"), level(2, "lowerLetter", "(%3)"))


def test_levels_count_on_and_begin_anew_below():
    places = [(1, 0), (1, 1), (1, 1), None, (1, 0), (1, 1), (1, 2), (1, 2)]
    assert labels(numbering(*DECIMAL), *places) == [
        "1. x",
        "1.1 x",
        "1.2 x",
        "x",
        "2. x",
        "2.1 x",
        "(a) x",
        "(b) x",
    ]


def test_a_level_that_was_skipped_counts_from_its_start():
    assert labels(numbering(*DECIMAL), (1, 1), (1, 0)) == ["1.1 x", "1. x"]


def test_lists_of_one_pattern_go_on_unless_they_are_told_to_begin_anew():
    assert labels(numbering(*DECIMAL), (1, 0), (2, 0), (1, 0)) == ["1. x", "2. x", "3. x"]
    anew = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>'
    assert labels(numbering(*DECIMAL, overrides=anew), (1, 0), (2, 0), (2, 0)) == ["1. x", "5. x", "6. x"]


def test_headings_bear_their_numbers_and_no_bullets():
    outline = '<w:outlineLvl w:val="0"/>'
    assert labels(numbering(*DECIMAL), (1, 0), (1, 1), outline=outline) == ["1. x", "1.1 x"]
    assert labels(numbering(level(0, "bullet", "o")), (1, 0), outline=outline) == ["x"]


@pytest.mark.parametrize(
    ("numbered", "label"),
    [
        (level(0, "bullet", "\uf0b7"), "- x"),
        (level(0, "upperRoman", "Article %1:", '<w:start w:val="4"/>'), "Article IV: x"),
        (level(0, "decimal", "%1)", '<w:start w:val="0"/>'), "0) x"),
        (level(0, "none", ""), "x"),
        (level(0, "decimal", ""), "x"),
        (level(3, "decimal", "%4"), "- x"),
        (level(0, "decimal", "%9%9%9"), "111 x"),
        (level(0, "decimal", "9" * 500_000), "9" * 40 + " x"),
    ],
)
def test_patterns(numbered, label):
    assert labels(numbering(numbered), (1, 0)) == [label]


def test_a_list_that_is_not_described_has_bullets_and_one_called_0_is_none():
    assert labels(numbering(), (9, 2), (0, 0)) == ["- x", "x"]


def test_roman_letters_below_arabic_ones_may_be_shown_as_arabic():
    levels = (level(0, "upperRoman", "%1"), level(1, "decimal", "%1.%2", "<w:isLgl/>"))
    assert labels(numbering(*levels), (1, 0), (1, 1)) == ["I x", "1.1 x"]
