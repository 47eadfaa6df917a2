import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.cli.migrations import duration, print_plan, print_status, size
from rag_pipeline.index.migration import MigrationStatus, Plan, SourceProgress
from rag_pipeline.recipe import Difference

MODEL = Difference("model", "small/384", "large/1024")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "under a minute"),
        (59, "under a minute"),
        (60, "1 minute"),
        (5_399, "1 hour"),
        (9_000, "2 hours"),
        (864_000, "10 days"),
    ],
)
def test_a_length_of_time_is_told_in_its_largest_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.integers(min_value=0, max_value=2**60))
def test_a_size_keeps_its_order_of_magnitude(count: int) -> None:
    number, unit = size(count).replace(",", "").split()
    factor = 1024 ** ["bytes", "KiB", "MiB", "GiB", "TiB"].index(unit)
    assert abs(float(number) * factor - count) <= factor / 2 + count / 1000
    assert unit == "TiB" or float(number) <= 1024


def test_a_plan_names_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(
        Plan(1, 2, "large/1024", 1024, (MODEL,), 9_000, 500, False, 70_000, 60_000, 9_000_000, None, None, 3 << 30)
    )
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "generation 2, model large/1024, instead of 1"
    assert "'small/384' in the index and 'large/1024' in the settings" in shown[1]
    assert shown[3].split() == ["9,000", "70,000", "60,000", "9,000,000", "not", "known", "not", "known", "3", "GiB"]
    assert shown[4] == "projected from 500 of 9,000 documents"


def test_a_status_tells_shares_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    done = SourceProgress("docs", 10, 10, 80, 80, 75, 75, True, True, 0, None)
    begun = SourceProgress("notes", 0, 20, 0, 200, 64, 190, False, False, 2, "the model went away")
    unknown = SourceProgress("tickets", 0, 5, 0, None, 0, None, False, False, 0, None)
    status = MigrationStatus(
        1, "small/384", 2, "large/1024", (MODEL,), (done, begun, unknown), False, 3.0, 7_300.0, 0.5, 1.25, ()
    )
    print_status(status)
    assert [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[4:]] == [
        "docs 10 of 10 80 of 80 75 of 75 equal 0",
        "notes 0 of 20 0 of 200 64 of 190 to build, failed 2",
        "tickets 0 of 5 0 of ? 0 of ? to build 0",
        "3.0 texts a second, time left: 2 hours, cost so far $0.50, left $1.25",
    ]
