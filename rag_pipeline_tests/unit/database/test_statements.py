import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.database.statements import parse, sql_folder, statements

_NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,15}", fullmatch=True)
_LINES = st.lists(st.sampled_from(["select 1", "  from t", "-- why", "where a = 'x;y'", ""]), min_size=0, max_size=4)


@given(st.dictionaries(_NAMES, _LINES, max_size=5), st.booleans(), st.booleans())
def test_what_is_written_is_what_is_read(blocks: dict[str, list[str]], semicolon: bool, preamble: bool) -> None:
    expected = {name: "\n".join(["select 0", *lines]).strip() for name, lines in blocks.items()}
    text = "-- What this file is for.\n\n" if preamble else ""
    for name, statement in expected.items():
        text += f"-- name: {name}\n-- Why.\n-- And more of why.\n{statement}{';' if semicolon else ''}\n\n"
    assert parse(text, "a.sql") == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-- name: a\n-- Why.\nselect 1\n-- name: a\n-- Why.\nselect 2", "'a' is defined twice"),
        ("-- name: a\nselect 1", "'a' needs a line '-- …'"),
        ("-- name: a\n--\nselect 1", "'a' needs a line '-- …'"),
        ("-- name: a\n-- Why.\n", "'a' has no statement"),
        ("-- name: a\n-- Why.\n-- More.\n\n", "'a' has no statement"),
        ("-- name: a\n-- Why.\nselect 1;\nselect 2", "'a' has more than one statement"),
        ("-- name: A b\n-- Why.\nselect 1", "'A b' is no name"),
        ("-- name:\n-- Why.\nselect 1", "'' is no name"),
        ("select 1;\n-- name: a\n-- Why.\nselect 1", "SQL before the first"),
        ("select 1", "SQL before the first"),
    ],
)
def test_a_malformed_file_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as raised:
        parse(text, "a.sql")
    assert str(raised.value).startswith("a.sql: ")


@pytest.mark.parametrize("path", sorted((sql_folder() / "queries").glob("*.sql")), ids=lambda path: path.stem)
def test_every_file_of_the_product_parses(path) -> None:
    assert statements(path.stem)
    assert statements(path.stem) is statements(path.stem)
