"""What the PDF benchmark compares with: the text version's words, of which lists of contents are no part."""

from collections import Counter

from benchmarks.manuals import undrawn, wanted, with_parents, without_contents

TITLES = {"stones", "how stones are counted by hand", "leaves", "rivers", "the sea"}
LIST = """* 1. Stones

  * 1.1. How stones are counted
    by hand

  * 1.2. Leaves

* 2. Rivers
* 3. The sea
"""


def test_a_list_of_contents_is_left_out_and_its_surroundings_are_not() -> None:
    text = f"Before.\n\n{LIST}\nAfter.\n"
    assert without_contents(text, TITLES).split() == ["Before.", "After."]
    assert without_contents(LIST, TITLES).strip() == ""


def test_fewer_titles_or_other_lines_among_them_are_no_list() -> None:
    for text in ("1. Stones\n\n2. Leaves\n\n3. Rivers\n\n4. The sea\n", LIST.replace("  * 1.2. Leaves", "Not a title")):
        assert without_contents(text, TITLES) == text


def test_captions_are_listed_too() -> None:
    names = [f"Birds of kind {name}" for name in "abcde"]
    contents = "\n".join(f"1.{number}. {name}" for number, name in enumerate(names, 1))
    tables = "\n\n".join(f"Table 1.{number}. {name}\n\n    rows" for number, name in enumerate(names, 1))
    found = wanted(f"{contents}\n\nText.\n\n{tables}\n", Counter())
    assert found.listed == 5 * 6
    assert found.words[:5] == ["text", "table", "1", "1", "birds"]
    assert len(found.words) == 1 + 5 * (3 + 4 + 1)


def test_a_note_begins_with_its_number_and_what_is_indented_below_belongs_to_it() -> None:
    text = "See below. [1]\n\n[1] One\n    two.\n\n    three:\n\n       four\n\nFive [2] six.\n"
    found = wanted(text, Counter())
    noted = [word for word, in_note in zip(found.words, found.noted, strict=True) if in_note]
    assert noted == ["1", "one", "two", "three", "four"]


def test_a_drawn_table_is_read_cell_by_cell() -> None:
    table = "+----+-----+\n|one |two  |\n|more|again|\n|----+-----|\n|a   |b    |\n+----+-----+"
    assert [line for line in undrawn(table).split("\n") if line] == ["one more", "two again", "a", "b"]


def test_titles_have_the_parent_that_is_above_them() -> None:
    headings = [(1, "1. Stones"), (2, "1.1. Grey"), (3, "Flat"), (2, "1.2. White"), (1, "Appendix A. Sand")]
    assert list(with_parents(headings)) == [
        ("stones", ""),
        ("grey", "stones"),
        ("flat", "grey"),
        ("white", "stones"),
        ("sand", ""),
    ]
