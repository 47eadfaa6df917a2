import pytest

from rag_pipeline.documents.numerals import numeral


@pytest.mark.parametrize(
    ("number", "form", "text"),
    [
        (7, "decimal", "7"),
        (7, "decimalZero", "07"),
        (1994, "lowerRoman", "mcmxciv"),
        (4000, "upperRoman", "4000"),
        (0, "upperRoman", "0"),
        (3, "upperLetter", "C"),
        (28, "lowerLetter", "bb"),
        (1_000_000, "lowerLetter", "1000000"),
        (5, "chineseCounting", "5"),
    ],
)
def test_numbers_as_office_writes_them(number, form, text):
    assert numeral(number, form) == text
