import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format

from rag_pipeline.documents.number_formats import NumberFormat

CUSTOM = 164


@pytest.mark.parametrize(
    ("code", "value", "text"),
    [
        ("General", "0.30000000000000004", "0.3"),
        ("General", "12", "12"),
        ("General", "1E3", "1000"),
        ("General", "1.0000000000000001E-2", "0.01"),
        ("0", "2.5", "3"),
        ("0.00", "2.675", "2.68"),
        ("0.00", "-0.001", "0.00"),
        ("#,##0.00", "-1234567.5", "-1234567.50"),
        ("0.##", "2.5", "2.5"),
        ("0.##", "2", "2"),
        ("0%", "0.125", "13%"),
        ("0.0 %", "0.125", "12.5 %"),
        ('0.0" kg"', "12.345", "12.3 kg"),
        ("[$€-407]\\ #,##0.00", "-1234.5", "-€ 1234.50"),
        ("$#,##0.00", "5", "$5.00"),
        ("_(* #,##0.00_);_(* (#,##0.00);_(@_)", "-1234.5", "-1234.50"),
        ("[Red]0;[Blue]-0", "7", "7"),
        ('"a;b"0', "3", "a;b3"),
        ("#,##0,", "12345", "12345"),
        ("0.00E+00", "12345.678", "12345.678"),
        ("# ?/?", "0.5", "0.5"),
        ("@", "5", "5"),
        ("", "5", "5"),
        ('"open', "3", "3"),
        ("yyyy-mm-dd", "45413", "2024-05-01"),
        ("dd/mm/yy;@", "45413.9", "2024-05-01"),
        ("[$-409]d mmm yyyy", "45413", "2024-05-01"),
        ("mmm yyyy", "45413", "2024-05"),
        ("yyyy", "45413", "2024"),
        ("yyyy-mm-dd h:mm:ss", "45413", "2024-05-01"),
        ("m/d/yy h:mm AM/PM", "45413.604166666664", "2024-05-01 14:30"),
        ("h:mm", "0.5", "12:00"),
        ("mm:ss", "0.00079861111111", "00:01:09"),
        ("[h]:mm", "1.5", "36:00:00"),
        ("[mm]:ss", "-0.5", "-12:00:00"),
        ("d.m.yyyy", "1", "1900-01-01"),
        ("d.m.yyyy", "59", "1900-02-28"),
        ("d.m.yyyy", "61", "1900-03-01"),
        ("d.m.yyyy", "-5", "-5"),
        ("d.m.yyyy", "99999999", "99999999"),
        ("0.00", "no number", "no number"),
        ("0.00", "nan", "nan"),
        ("0%", "1e308", "1e308"),
        ("0", "1" * 400, "1" * 400),
    ],
)
def test_a_number_reads_as_on_the_screen(code, value, text):
    assert NumberFormat.of(CUSTOM, code).show(value) == text


def test_days_may_count_from_1904():
    assert NumberFormat.of(14).show("43951", since_1904=True) == "2024-05-01"


@pytest.mark.parametrize(("number", "code"), BUILTIN_FORMATS.items())
def test_built_in_formats_are_known_by_their_numbers(number, code):
    known = NumberFormat.of(number)
    assert bool(known.moment or known.elapsed) == is_date_format(code)
    assert known.percent == ("%" in code)


@given(st.text('0#?.,%"\\[]$€-; ymdhsE@_*h' + "\n", max_size=300), st.floats().map(repr))
def test_every_format_shows_every_number_in_a_short_line(code, value):
    assert len(NumberFormat.of(CUSTOM, code).show(value)) < 700
