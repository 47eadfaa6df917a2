"""The page of figures: one section can be measured again and nothing else changes."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.page import merged
from benchmarks.report import Report, figure

ORDER = ("one", "two", "three")
TEXTS = st.text(st.characters(exclude_characters="<\r"), max_size=40).map(lambda text: f"## {text}\n")


@given(st.lists(st.tuples(st.sampled_from(ORDER), TEXTS), min_size=1, max_size=6))
def test_the_page_holds_the_last_section_of_each_name_in_order(written: list[tuple[str, str]]) -> None:
    page, latest = "", dict[str, str]()
    for name, text in written:
        page = merged(page, name, text, ORDER)
        latest[name] = text
    positions = [page.index(f"<!-- begin {name} -->\n{latest[name]}<!-- end") for name in ORDER if name in latest]
    assert positions == sorted(positions)
    assert page.count("<!-- begin") == len(latest)
    assert merged(page, written[-1][0], written[-1][1], ORDER) == page


def test_a_section_that_no_benchmark_writes_any_more_is_dropped() -> None:
    assert "old" not in merged(merged("", "one", "old\n", ("one",)), "two", "new\n", ("two",))


def test_figures_keep_three_digits() -> None:
    assert [figure(value) for value in (0.12345, 12.345, 1234.5, 12345, 0, None, "text")] == [
        "0.123",
        "12.3",
        "1,234",
        "12,345",
        "0",
        "–",
        "text",
    ]


def test_goals_stand_at_the_head_and_say_when_they_were_missed() -> None:
    report = Report("Title")
    report.text("Method.")
    report.goal("speed", "≥ 2", 1.5, "×", reached=False)
    assert report.markdown() == (
        "## Title\n\n"
        "| figure | to reach | measured | reached |\n| --- | ---: | ---: | ---: |\n| speed | ≥ 2 | 1.5 × | **no** |\n\n"
        "Method.\n"
    )
