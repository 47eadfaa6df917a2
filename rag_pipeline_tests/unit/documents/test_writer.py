import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.documents.writer import Writer, one_line
from rag_pipeline.model import BlockKind, Document, Place
from rag_pipeline_tests.unit.documents.generated import NASTY, SENTENCES
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful
from rag_pipeline_tests.unit.documents.office import shown

TEXT = st.one_of(SENTENCES, st.text("ab |:\t\n\r " + NASTY, max_size=20), st.text(max_size=20))
ROWS = st.lists(st.lists(TEXT, max_size=4), max_size=6)
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(BlockKind), TEXT, st.integers(-1, 30)),
        st.tuples(st.just("outline"), TEXT, st.integers(-1, 9)),
        st.tuples(st.just("table"), ROWS, st.integers(0, 3)),
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(CALLS)
def test_whatever_is_written_keeps_the_laws_and_no_word_is_lost(calls):
    writer = Writer()
    for name, *arguments in calls:
        getattr(writer, name)(*arguments)
    document = writer.document()
    assert_lawful(document)
    assert_chunks_cover(document)
    added = [call[2] for call in calls if call[0] == "add"]
    added += [cell for call in calls if call[0] == "table" for row in call[1] for cell in row]
    for text in added:
        assert one_line(text) in one_line(document.text)


def test_gaps_say_what_belongs_together():
    writer = Writer()
    writer.add(BlockKind.PARAGRAPH, " p ")
    writer.add(BlockKind.LIST_ITEM, "- a", 1)
    writer.add(BlockKind.LIST_ITEM, "- b", 2)
    writer.outline("Here", 2)
    writer.add(BlockKind.LIST_ITEM, "- c", 1)
    writer.add(BlockKind.CODE, "\n \n  x\n\n y \n")
    assert writer.document().text == "p\n\n- a\n  - b\n\n- c\n\n  x\n\n y"


def test_a_heading_has_a_title_on_one_line_and_a_level_that_exists():
    writer = Writer()
    writer.add(BlockKind.HEADING, "A\nb", 0)
    writer.add(BlockKind.HEADING, "1. C", 9, title="C")
    document = writer.document(" T\n t ", {"author": "x"})
    assert [(block.level, block.title) for block in document.blocks] == [(1, "A b"), (6, "C")]
    assert (document.title, document.metadata) == ("T t", {"author": "x"})


@pytest.mark.parametrize(("levels", "headline"), [([], ""), ([2, 1, 1], "1: second"), ([3, 2], "3: first")])
def test_the_headline_is_the_first_heading_of_the_first_level(levels, headline):
    writer = Writer()
    for level, name in zip(levels, ("first", "second", "third"), strict=False):
        writer.add(BlockKind.HEADING, f"{level}: {name}", level)
    assert writer.headline == headline


def test_what_is_invisible_leaves_no_trace():
    writer = Writer()
    writer.add(BlockKind.HEADING, "\u200b", 1)
    writer.add(BlockKind.LIST_ITEM, " \ufeff\n", 2)
    writer.table([["", "\u200b"], [" "]])
    writer.table([])
    assert writer.document() == Document("", ())


def test_a_heading_of_the_outline_stands_where_the_next_text_begins():
    writer = Writer()
    writer.add(BlockKind.PARAGRAPH, "before")
    writer.outline("Class", 1)
    writer.outline("method", 2)
    writer.add(BlockKind.PARAGRAPH, "inside")
    writer.outline("", 1)
    document = writer.document()
    assert shown(document)[1:4] == [("heading", 1, "(Class)"), ("heading", 2, "(method)"), ("paragraph", 0, "inside")]
    assert [block.start for block in document.blocks] == [0, 8, 8, 8, 14]


@pytest.mark.parametrize(
    ("rows", "header_rows", "text", "header"),
    [
        ([["a", "b"], ["c", "d"]], 1, "a | b\nc | d", "a | b\n"),
        ([["a", "b"]], 1, "a | b", ""),
        ([["a", "b"], ["c", "d"]], 0, "a | b\nc | d", ""),
        ([["", ""], ["a\nb", ""], ["", "d"]], 1, "a b\n| d", "a b\n"),
        ([["\u200b"], ["a", "", "c", ""], ["|"]], 1, "a |  | c\n|", "a |  | c\n"),
    ],
)
def test_a_table_is_a_row_a_line(rows, header_rows, text, header):
    writer = Writer()
    writer.table(rows, header_rows, Place(pages=(2, 2)))
    document = writer.document()
    [block] = document.blocks
    assert (document.text, document.text[: block.header_end or 0]) == (text, header)
    assert block.place == Place(pages=(2, 2))


def test_the_header_stays_where_it_is_when_cleaning_makes_text_shorter():
    writer = Writer()
    header = "\n\u200b a\u200b | b\r\n"
    writer.add(BlockKind.TABLE, f"{header}1 | 2", header=len(header))
    [block] = writer.document().blocks
    assert writer.document().text[: block.header_end] == "a | b\n"
