import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.cli.output import age, cell, cut, print_json, print_notes, print_table, printable, width

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@given(st.text(), st.integers(min_value=1, max_value=40))
def test_a_cut_line_fits_and_a_fitting_line_is_whole(text: str, columns: int) -> None:
    short = cut(text, columns)
    assert width(short) <= columns
    assert short == text if width(text) <= columns else short.endswith("…")


@given(st.text())
def test_nothing_printable_controls_a_terminal(text: str) -> None:
    clean = printable(text)
    assert printable(clean) == clean
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in clean)


def test_an_escape_sequence_and_reversed_text_are_disarmed() -> None:
    assert printable("\x1b[2Jsafe\u202egpj.exe\r\n") == "[2Jsafe gpj.exe"


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=-3), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=61), "1 minute ago"),
        (timedelta(minutes=119), "1 hour ago"),
        (timedelta(hours=47), "1 day ago"),
        (timedelta(days=400), "400 days ago"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(passed: timedelta, words: str) -> None:
    assert age(NOW - passed, NOW) == words


@pytest.mark.parametrize(("value", "text"), [(None, "-"), ("", "-"), (True, "yes"), (12345, "12,345"), (1.25, "1.2")])
def test_cells_are_for_people(value: object, text: str) -> None:
    assert cell(value) == text


def test_columns_are_aligned_numbers_right_and_empty_optional_ones_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "a", "count": 5, "gone": 0}, {"name": "文書", "count": 12345, "gone": 0}]
    print_table(rows, {"name": "name", "count": "n", "gone": "gone"}, optional=["gone"])
    assert capsys.readouterr().out == "name       n\na          5\n文書  12,345\n"


def test_an_optional_column_is_shown_when_one_row_has_something(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"gone": 0}, {"gone": 3}], {"gone": "gone"}, optional=["gone"])
    assert capsys.readouterr().out == "gone\n   0\n   3\n"


def test_json_keeps_letters_and_writes_iso_dates(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"at": NOW, "uri": "dé", "path": ("a", "b")})
    out = capsys.readouterr().out
    assert json.loads(out) == {"at": "2026-05-01T12:00:00+00:00", "uri": "dé", "path": ["a", "b"]}
    assert "dé" in out


def test_notes_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_notes(["one\ntwo \x1b[31mred"])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "one\ntwo  [31mred\n")
