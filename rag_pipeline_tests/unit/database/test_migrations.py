from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.database.migrate import MigrationFile, pending, read_migrations
from rag_pipeline.errors import ConfigurationError

_COUNTS = st.integers(0, 8)


def _migrations(count: int) -> list[MigrationFile]:
    return [MigrationFile(number, f"m{number}", f"sum{number}", "select 1") for number in range(1, count + 1)]


@given(_COUNTS, _COUNTS)
def test_what_is_pending_follows_what_is_applied(applied: int, further: int) -> None:
    known = _migrations(applied + further)
    assert pending(known[:applied], known) == known[applied:]


@given(st.integers(1, 8), _COUNTS, st.data())
def test_an_edited_migration_is_refused(applied: int, further: int, data: st.DataObject) -> None:
    known = _migrations(applied + further)
    edited = data.draw(st.integers(0, applied - 1))
    before = known[:applied]
    before[edited] = MigrationFile(edited + 1, before[edited].name, "another sum")
    with pytest.raises(ConfigurationError, match=rf"{edited + 1:04}_m{edited + 1}.sql has changed"):
        pending(before, known)


def test_a_database_of_a_later_version_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="0003_m3, which this version of rag-pipeline does not know"):
        pending(_migrations(3), _migrations(2))


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["0001_a.sql", "0003_c.sql"], "number 0002 is missing"),
        (["0002_b.sql"], "number 0001 is missing"),
        (["0001_a.sql", "0001_b.sql"], "two have the number 0001"),
        (["0000_a.sql"], "two have the number 0000|0001"),
        (["1_a.sql"], "is called NNNN_name.sql"),
        (["0001-a.sql"], "is called NNNN_name.sql"),
    ],
)
def test_misnumbered_files_are_refused(tmp_path: Path, names: list[str], complaint: str) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1")
    with pytest.raises(ConfigurationError, match=complaint):
        read_migrations(tmp_path)


def test_the_checksum_is_that_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "0001_a.sql").write_bytes(b"select 1\r\n")
    (tmp_path / "0002_b.sql").write_bytes(b"select 1\n")
    (tmp_path / "0003_c.sql").write_bytes(b"select 2\n")
    first, second, third = read_migrations(tmp_path)
    assert (first.number, first.name, first.checksum) == (1, "a", second.checksum)
    assert third.checksum != second.checksum
