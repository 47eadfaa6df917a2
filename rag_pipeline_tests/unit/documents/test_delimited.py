import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.chunks import split
from rag_pipeline.documents.delimited import parse_csv, parse_tsv
from rag_pipeline.documents.writer import one_line
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import Document
from rag_pipeline_tests.costs import assert_linear
from rag_pipeline_tests.unit.documents.generated import NASTY, WORDS
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful, count

CELL = st.one_of(WORDS, st.text("ab,;|\t\n\"' 1.5-" + NASTY, max_size=12))
TABLES = st.lists(st.lists(CELL, min_size=1, max_size=5), max_size=8)


def written(rows: list[list[str]], delimiter: str) -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue().encode("utf-8", "replace")


@settings(max_examples=80, deadline=None)
@given(TABLES, st.sampled_from(",;\t|"))
def test_written_tables_keep_the_laws_and_every_cell(rows, delimiter):
    data = written(rows, delimiter)
    document = parse_tsv(data) if delimiter == "\t" else parse_csv(b"sep=" + delimiter.encode() + b"\n" + data)
    assert_lawful(document)
    assert_chunks_cover(document)
    expected = " ".join(one_line(cell) for row in rows for cell in row).split()
    assert [word for word in document.text.split() if word != "|"] == [word for word in expected if word != "|"]


@settings(max_examples=120, deadline=None)
@given(st.text('ab,;\n" \t|é1.', max_size=60))
def test_broken_tables_keep_the_laws_and_every_letter_whatever_their_line_ends(text):
    data = text.encode()
    document = parse_csv(data)
    assert_lawful(document)
    assert [char for char in document.text if char.isalnum()] == [char for char in text if char.isalnum()]
    assert parse_csv(data.replace(b"\n", b"\r\n")) == document
    assert parse_csv(b"\xef\xbb\xbf" + data) == document


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a,b\n1,2\n", "a | b\n1 | 2"),
        ("a;b\n1,5;2,5\n3,1;4,0", "a | b\n1,5 | 2,5\n3,1 | 4,0"),
        ("a|b|c\n1|2|3", "a | b | c\n1 | 2 | 3"),
        ("a\tb\n1,2\t3,4\n5,6\t7,8", "a | b\n1,2 | 3,4\n5,6 | 7,8"),
        ("sep=;\na,b;c\n", "a,b | c"),
        ("sep=é\na,b\n1,2", "sep=é\na | b\n1 | 2"),
        ('x,"y\nz"\n1,"2 ""3"""\n', 'x | y z\n1 | 2 "3"'),
        ("remark\nHello, world\nno comma\nnor here", "remark\nHello, world\nno comma\nnor here"),
        ("title\n\na,b\n1,2,3\n4\n,5\n6,7", "title\na | b\n1 | 2 | 3\n4\n| 5\n6 | 7"),
        ('a,b\n"1,2\n3,4', 'a | b\n"1 | 2\n3 | 4'),
        ('"a"b,c\n1, "2"', "ab | c\n1 | 2"),
        ("a,b\0\n1,2", "a | b\n1 | 2"),
        ('"', '"'),
        (",,\n , \n", ""),
        ("", ""),
    ],
)
def test_a_row_is_a_line(source, text):
    assert parse_csv(source.encode()).text == text


def test_the_first_row_is_the_header():
    document = parse_csv(b"\n,\na,b\n1,2\n3,4\n")
    [block] = document.blocks
    assert document.text[: block.header_end] == "a | b\n"


def test_an_empty_file_is_an_empty_document_and_a_binary_one_is_refused():
    assert parse_csv(b" \n\n") == parse_tsv(b"") == Document("", ())
    with pytest.raises(DocumentError, match="binary"):
        parse_csv(bytes(range(32)) * 10)


def test_a_field_may_be_long():
    field = "word " * 100_000
    assert parse_csv(f'a,b\n1,"{field}"\n2,x'.encode()).text == f"a | b\n1 | {field.strip()}\n2 | x"


def test_work_is_linear_in_rows():
    def rows(number: int) -> bytes:
        return b"id,name,amount\n" + b"".join(b'%d,"item, %d",%d.5\n' % (row, row, row) for row in range(number))

    small, large = rows(5_000), rows(20_000)
    assert parse_csv(large).text.count("\n") == 20_000
    assert_linear(lambda: parse_csv(small), lambda: parse_csv(large))


@pytest.mark.parametrize("columns", [3000, 20])
def test_no_row_of_a_wide_table_is_lost(columns):
    header = ",".join(f"column {number}" for number in range(columns))
    rows = [",".join(f"r{row}c{number}" for number in range(columns)) for row in range(10)]
    document = parse_csv("\n".join([header, *rows]).encode())
    assert_chunks_cover(document, 60)
    chunks = [chunk.text for section in split(document, count, 60, 160) for chunk in section.chunks]
    found = {word for chunk in chunks for word in chunk.split()}
    assert {cell for row in rows for cell in row.split(",")} <= found
