"""Laws over generated PDFs: what was set is what is read, in its order, whatever the page looks like."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.documents.pdf import parse
from rag_pipeline.documents.pdf_hyphens import append, decide
from rag_pipeline.documents.pdf_layout import columns
from rag_pipeline.documents.pdf_page import Page, Word
from rag_pipeline.model import BlockKind
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful
from rag_pipeline_tests.unit.documents.pdf_files import BOTTOM, LEFT, RIGHT, TOP, Heading, Sheet, written

WORDS = st.lists(st.text("abcdefghijklmnop", min_size=1, max_size=12), min_size=1, max_size=60)


class Part(NamedTuple):
    """A section: its level, its heading, what is in it, in the order in which it is set."""

    level: int
    title: str
    paragraphs: list[list[str]]
    rows: list[list[str]]


def _cells() -> st.SearchStrategy[list[list[str]]]:
    cell = st.text("rstuvw", min_size=1, max_size=8)
    return st.integers(2, 3).flatmap(
        lambda wide: st.lists(st.lists(cell, min_size=wide, max_size=wide), min_size=2, max_size=4)
    )


PARTS = st.lists(
    st.builds(
        Part,
        st.integers(1, 3),
        st.text("ABCDEFGH", min_size=3, max_size=12),
        st.lists(WORDS, min_size=1, max_size=3),
        st.just(list[list[str]]()) | _cells(),
    ),
    min_size=2,
    max_size=6,
)


def _set(parts: list[Part], *, furniture: bool) -> tuple[list[Sheet], list[Heading]]:
    sheets, outline = [Sheet()], list[Heading]()
    y = float(TOP)
    for part in parts:
        if y < BOTTOM + 450:
            sheets.append(Sheet())
            y = TOP
        outline.append((part.level, part.title, len(sheets), y + 12))
        sheets[-1].text(LEFT, y, part.title, 12, "F2")
        y -= 24
        for words in part.paragraphs:
            y = sheets[-1].prose(y, " ".join(words)) - 10
        if part.rows:
            y = sheets[-1].table(y, part.rows) - 24
    if furniture:
        for number, sheet in enumerate(sheets, 1):
            sheet.text(LEFT, 770, "HEADER OF ALL")
            sheet.text(RIGHT - 40, 30, f"Page {number}")
    return sheets, outline


@settings(max_examples=40, deadline=None)
@given(PARTS, st.booleans(), st.booleans())
def test_what_was_set_is_what_is_read(parts: list[Part], with_outline: bool, furniture: bool) -> None:
    sheets, outline = _set(parts, furniture=furniture)
    document = parse(written(sheets, outline if with_outline else ()))
    assert_lawful(document)
    assert_chunks_cover(document)
    found = [(block.kind, document.text[block.start : block.end]) for block in document.blocks]
    expected = [
        word
        for part in parts
        for word in (part.title, *(w for p in part.paragraphs for w in p), *(c for row in part.rows for c in row))
    ]
    kept = expected if len(sheets) > 1 or not furniture else ["HEADER", "OF", "ALL", *expected, "Page", "1"]
    assert document.text.replace("|", " ").split() == kept
    tables = [text for kind, text in found if kind is BlockKind.TABLE]
    assert tables == ["\n".join(" | ".join(row) for row in part.rows) for part in parts if part.rows]
    if with_outline:
        titles = [(block.level, block.title) for block in document.blocks if block.kind is BlockKind.HEADING]
        levels = _nested([part.level for part in parts])
        assert titles == list(zip(levels, (part.title for part in parts), strict=True))


def _nested(levels: list[int]) -> list[int]:
    """The depths in the tree that the writer makes: an entry is below the last one before it of a lower level."""
    depths: list[int] = []
    for index, level in enumerate(levels):
        above = [other for other in range(index) if levels[other] < level]
        depths.append(depths[above[-1]] + 1 if above else 1)
    return depths


@settings(max_examples=30, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4), st.integers(2, 3))
def test_columns_keep_every_word(paragraphs: list[list[str]], count: int) -> None:
    sheet = Sheet()
    wide = (RIGHT - LEFT) / count
    for number in range(count):
        y = float(TOP)
        for words in paragraphs:
            y = sheet.prose(y, " ".join(words), left=LEFT + number * wide, right=LEFT + (number + 1) * wide - 24) - 8
    document = parse(written([sheet]))
    assert_lawful(document)
    assert sorted(document.text.split()) == sorted(word for words in paragraphs for word in words * count)


_PLACE = st.floats(-50, 850, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_PLACE, st.floats(0, 300), _PLACE, st.sampled_from([5.0, 10.0, 30.0])), max_size=80))
def test_every_word_is_in_one_line(places: list[tuple[float, float, float, float]]) -> None:
    words = tuple(
        Word(left, left + width, base, size, False, False, f"w{number}")
        for number, (left, width, base, size) in enumerate(places)
    )
    lines = [line for column in columns(Page(1, (0, 0, 600, 800), words)) for line in column]
    assert sorted(word for line in lines for word in line.words) == sorted(words)


@given(st.text("abcdef-­ ", max_size=60), st.data())
def test_line_ends_change_nothing_but_hyphens(text: str, data: st.DataObject) -> None:
    words = text.split()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=5)))
    lines = [" ".join(words[i:j]) for i, j in zip([0, *cuts], [*cuts, len(words)], strict=True) if i < j]
    parts: list[str] = []
    for line in lines:
        append(parts, line, mono=False)
    (whole,) = decide(["".join(parts)])
    signs = str.maketrans("", "", "-­ ")
    assert whole.translate(signs) == text.translate(signs)
    assert decide([whole]) == [whole]
