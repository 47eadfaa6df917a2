import ast
import codecs
import re
from collections.abc import Iterator
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.model import BlockKind, Document
from rag_pipeline.sources.media_types import LANGUAGES
from rag_pipeline_tests.costs import no_hang
from rag_pipeline_tests.unit.documents.generated import NASTY
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful, count, parsed

PYTHON = "text/x-python"
BUDGET = 40
Symbols = list[tuple[str, int, int]]

SOURCES: dict[str, tuple[str, str, str]] = {
    "text/x-python": (
        '''\
"""Invoices of a shop."""

import os

# Cached, because
# it is slow.
@cache
def total(items):
    """Sum it up."""
    return sum(items)


class Invoice(Base):
    """One invoice."""

    rate = 2

    @property
    def net(self):
        def inner():
            return 1
        return inner()

    async def send(self): ...


if __name__ == "__main__":
    main()
''',
        "Invoices of a shop.",
        "- 1-1, - 3-3, total 5-10, Invoice 13-14, Invoice 16-16, Invoice.net 18-22, Invoice.send 24-24, - 27-28",
    ),
    "text/javascript": (
        """\
import fs from "fs";

/** Adds. */
export function add(a, b) {
  return a + b;
}

// Doubles.
const double = (x) => {
  return 2 * x;
};

class Shop extends Base {
  // Opens.
  open() {
    return 1;
  }
}

add(1, 2);
""",
        "",
        "- 1-1, add 3-6, double 8-11, Shop 13-13, Shop.open 14-17, Shop 18-18, - 20-20",
    ),
    "text/typescript": (
        """\
import { a } from "a";

/** A shape. */
interface Shape {
  area(): number;
}

enum Color { Red, Green }

@sealed
export class Box<T> {
  /** Opens. */
  @log
  open(): T {
    return this.t;
  }
}

export default function run(): void {
  go();
}
""",
        "",
        "- 1-1, Shape 3-6, Color 8-8, Box 10-11, Box.open 12-16, Box 17-17, run 19-21",
    ),
    "text/tsx": (
        """\
import React from "react";

// A button.
export const Button = (props: Props) => {
  return <b>{props.label}</b>;
};

export default class Page extends React.Component {
  render() {
    return <Button label="é" />;
  }
}
""",
        "",
        "- 1-1, Button 3-6, Page 8-8, Page.render 9-11, Page 12-12",
    ),
    "text/x-go": (
        """\
package shop

import "fmt"

// Cart holds items.
type Cart struct {
	items []int
}

// Add adds.
func (c *Cart) Add(item int) {
	c.items = append(c.items, item)
}

func main() {
	fmt.Println(1)
}
""",
        "shop",
        "- 1-1, - 3-3, Cart 5-8, Cart.Add 10-13, main 15-17",
    ),
    "text/x-java": (
        """\
package org.shop;

import java.util.List;

/** A cart. */
@Entity
public class Cart<T> {
    private int size = 0;

    /** Makes one. */
    public Cart(int size) {
        this.size = size;
    }

    // Counts.
    @Override
    public int size() {
        return size;
    }
}
""",
        "org.shop",
        "- 1-1, - 3-3, Cart 5-8, Cart.Cart 10-13, Cart.size 15-19, Cart 20-20",
    ),
    "text/x-rust": (
        """\
use std::fmt;

/// A cart.
#[derive(Debug)]
pub struct Cart<T> {
    items: Vec<T>,
}

impl<T> Cart<T> {
    /// Adds.
    #[inline]
    pub fn add(&mut self, item: T) {
        self.items.push(item);
    }
}

fn main() {
    run();
}
""",
        "",
        "- 1-1, Cart 3-7, Cart 9-9, Cart.add 10-14, Cart 15-15, main 17-19",
    ),
    "text/x-c": (
        """\
#include <stdio.h>

/* A cart. */
typedef struct cart {
    int size;
} cart_t;

// Adds.
static int *add(cart_t *cart, int item)
{
    return 0;
}

#ifdef DEBUG
int debug(void) { return 1; }
#endif
""",
        "",
        "- 1-1, cart 3-6, add 8-12, debug 14-14, debug 15-15, - 16-16",
    ),
    "text/x-c++": (
        """\
#include <vector>

namespace shop {

// A cart.
template <typename T>
class Cart {
public:
    // Adds.
    void add(T item) {
        items.push_back(item);
    }
};

}

int shop::Cart::size() const {
    return 0;
}
""",
        "",
        "- 1-1, shop 3-3, shop.Cart 5-8, shop.Cart.add 9-12, shop.Cart 13-13, shop 15-15, shop.Cart.size 17-19",
    ),
    "text/x-ruby": (
        """\
require "set"

# A shop.
module Shop
  class Cart
    # Adds.
    def add(item)
      @items << item
    end

    def self.open
      new
    end
  end
end

puts 1
""",
        "",
        "- 1-1, Shop 3-4, Shop.Cart 5-5, Shop.Cart.add 6-9, Shop.Cart.open 11-13, Shop.Cart 14-14, Shop 15-15, - 17-17",
    ),
    "text/x-shellscript": (
        """\
#!/bin/bash
set -e

# Builds.
build() {
  make all
}

function clean {
  rm -f out
}

build
""",
        "",
        "- 1-2, build 4-7, clean 9-11, - 13-13",
    ),
    "text/x-sql": (
        """\
SELECT 1;

-- The carts.
CREATE TABLE shop.cart (
    id integer PRIMARY KEY,
    name text
);

CREATE VIEW open AS SELECT id FROM shop.cart;
""",
        "",
        "- 1-1, shop.cart 3-7, open 9-9",
    ),
}
"""Of each language: a source, its title, and the symbol (or a dash) and the lines of each of its blocks."""


def listed(places: str) -> Symbols:
    entries = re.findall(r"(\S+) (\d+)-(\d+)", places)
    return [(symbol.strip("-"), int(first), int(last)) for symbol, first, last in entries]


FIXTURES = {kind: (source, title, listed(places)) for kind, (source, title, places) in SOURCES.items()}

KINDS = pytest.mark.parametrize("kind", LANGUAGES)


def symbols(document: Document) -> Symbols:
    return [(b.place.symbol, *b.place.lines) for b in document.blocks if b.place and b.place.lines]


def assert_on_its_lines(document: Document) -> None:
    """A block's text lies on the lines of the text that its place names."""
    lines = document.text.split("\n")
    for block in document.blocks:
        if block.kind is BlockKind.HEADING:
            continue
        assert block.place is not None
        assert block.place.lines is not None
        first, last = block.place.lines
        assert document.text[block.start : block.end] in "\n".join(lines[first - 1 : last])
        assert document.text.count("\n", 0, block.start) == first - 1


def block_of(document: Document, symbol: str) -> str:
    """The text of the one block of a symbol."""
    [text] = [document.text[b.start : b.end] for b in document.blocks if b.place and b.place.symbol == symbol]
    return text


def test_every_language_has_a_fixture():
    assert FIXTURES.keys() == LANGUAGES.keys()


@KINDS
def test_symbols_and_lines_are_exact(kind: str):
    source, title, expected = FIXTURES[kind]
    document = parse(source.encode(), kind)
    assert_lawful(document)
    assert_chunks_cover(document)
    assert_on_its_lines(document)
    assert document.text == source
    assert (document.title, symbols(document)) == (title, expected)
    assert document.metadata == {"language": LANGUAGES[kind]}


def test_headings_are_the_outline():
    document = parse(FIXTURES[PYTHON][0].encode(), PYTHON)
    headings = [(b.level, b.title) for b in document.blocks if b.kind is BlockKind.HEADING]
    assert headings == [(1, "total"), (1, "Invoice"), (2, "net"), (2, "send"), (1, "")]
    assert all(b.start == b.end for b in document.blocks if b.kind is BlockKind.HEADING)


@st.composite
def sources(draw: st.DrawFn, kind: str) -> str:
    """Pieces of the language's fixture, from whole paragraphs to single lines, in any order, with dirt between."""
    fixture = FIXTURES[kind][0]
    piece = st.sampled_from([*fixture.split("\n\n"), *fixture.split("\n"), fixture])
    dirt = st.text("(){}[];:,'\"`#/*-=<>@\\$ \t\nif" + NASTY, max_size=12)
    joint = st.sampled_from(["", " ", "\n", "\n\n", "\n    ", "\n\t"])
    parts = draw(st.lists(st.tuples(st.one_of(piece, piece, piece, dirt), joint), max_size=12))
    return "".join(text + end for text, end in parts)


@KINDS
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_source_is_lawful(kind: str, data: st.DataObject):
    source = data.draw(sources(kind))
    document = parsed(source.encode(), kind)
    assert_lawful(document)
    assert_chunks_cover(document, data.draw(st.sampled_from([5, 12, 40])))
    assert_on_its_lines(document)
    assert document == parsed(source.encode(), kind)


@KINDS
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_line_ends_and_marks_make_no_difference(kind: str, data: st.DataObject):
    source = data.draw(sources(kind)).replace("\r", "").lstrip("\ufeff")
    plain = parsed(source.encode(), kind)
    assert parsed(source.replace("\n", "\r\n").encode(), kind) == plain
    assert parsed(codecs.BOM_UTF8 + source.encode(), kind) == plain
    assert parsed(codecs.BOM_UTF8 + source.replace("\n", "\r\n").encode(), kind) == plain


COMMENT = dict.fromkeys(LANGUAGES, "//") | {PYTHON: "#", "text/x-ruby": "#", "text/x-shellscript": "#"}
COMMENT |= {"text/x-sql": "--", "text/x-c": "//"}


def test_a_comment_that_opens_a_class_is_with_the_method_below_it():
    python = parse(b"class C:  # of C\n    # Of f.\n    def f(self): ...\n", PYTHON)
    assert symbols(python) == [("C", 1, 1), ("C.f", 2, 3)]
    ruby = parse(b"class C < D # of C\n  # Of f,\n  # too.\n  def f\n  end\nend\n", "text/x-ruby")
    assert symbols(ruby) == [("C", 1, 1), ("C.f", 2, 5), ("C", 6, 6)]


@KINDS
def test_what_is_not_ascii_moves_no_border(kind: str):
    source, title, expected = FIXTURES[kind]
    before = f"{COMMENT[kind]} Größe 日本語 👩‍👩‍👧 \u00a0 e\u0301 🇩🇪\n\n"
    document = parse((before + source).encode(), kind)
    assert_lawful(document)
    assert_on_its_lines(document)
    assert document.text == before + source
    moved = [(symbol, first + 2, last + 2) for symbol, first, last in expected]
    assert [entry for entry in symbols(document) if entry[1] > 2] == moved
    assert document.title == title


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        (PYTHON, 's = "👩‍👩‍👧é"\n\ndef größe(日):\n    return "🎉"\n\ndef b(): pass\n'),
        ("text/javascript", 'let s = "👩‍👩‍👧é";\n\nfunction größe(日) { return "🎉"; }\n\nfunction b() {}\n'),
        ("text/typescript", 'let s = "👩‍👩‍👧é";\n\nfunction größe(日) { return "🎉"; }\n\nfunction b() {}\n'),
        ("text/tsx", 'let s = "👩‍👩‍👧é";\n\nfunction größe(日) { return <b>🎉</b>; }\n\nfunction b() {}\n'),
        ("text/x-go", 'var s = "👩‍👩‍👧é"\n\nfunc größe() string { return "🎉" }\n\nfunc b() {}\n'),
        ("text/x-rust", "const S: &str = \"👩‍👩‍👧é\";\n\nfn größe() -> char { '🎉' }\n\nfn b() {}\n"),
        ("text/x-c", 'char *s = "👩‍👩‍👧é";\n\nchar *größe(void) { return "🎉"; }\n\nvoid b(void) {}\n'),
        ("text/x-c++", 'auto s = "👩‍👩‍👧é";\n\nauto größe() { return "🎉"; }\n\nvoid b() {}\n'),
        ("text/x-ruby", 's = "👩‍👩‍👧é"\n\ndef größe(日) = "🎉"\n\ndef b; end\n'),
        ("text/x-shellscript", 's="👩‍👩‍👧é"\n\ngröße() { echo "🎉"; }\n\nb() { :; }\n'),
    ],
)
def test_names_beyond_ascii_are_exact(kind: str, source: str):
    document = parse(source.encode(), kind)
    assert_lawful(document)
    _, first, second = source.rstrip("\n").split("\n\n")
    assert block_of(document, "größe") == first
    assert block_of(document, "b") == second


def test_java_and_sql_names_beyond_ascii_are_exact():
    document = parse('class Größe {\n  String 日() { return "🎉é"; }\n}\n'.encode(), "text/x-java")
    assert symbols(document) == [("Größe", 1, 1), ("Größe.日", 2, 2), ("Größe", 3, 3)]
    document = parse("SELECT '🎉é';\n\nCREATE TABLE größe (id integer);\n".encode(), "text/x-sql")
    assert block_of(document, "größe") == "CREATE TABLE größe (id integer);"


@KINDS
def test_comments_and_decorators_stay_with_their_definition(kind: str):
    """No block ends in a comment, a decorator or an attribute: the fixtures have each only before a definition."""
    source, _, expected = FIXTURES[kind]
    document = parse(source.encode(), kind)
    leads = ("//", "/*", "--", "@", "# ", "#[")
    for line_number, line in enumerate(source.split("\n"), 1):
        if line.lstrip().startswith(leads) and not line.lstrip().startswith(("#!", "@items")):
            [(symbol, _, last)] = [entry for entry in expected if entry[1] <= line_number <= entry[2]]
            assert symbol
            assert last > line_number
    assert symbols(document) == expected


def test_a_docstring_and_a_decorator_on_many_lines_are_in_the_block():
    source = (
        "x = 1\n\n# Why.\n@cache(\n    size=1,\n)\n@other\ndef f():\n"
        '    """What.\n\n    More.\n    """\n    return 1\n\n\ny = 2\n'
    )
    document = parse(source.encode(), PYTHON)
    assert block_of(document, "f") == source.partition("\n\n")[2].partition("\n\n\n")[0]


EXPRESSIONS = st.sampled_from(
    ["1", "call(a, b)", "[\n    1,\n    2,\n]", '"""two\n\nlines"""', "é + '🎉'", "{'k': (1, 2)}"]
)
SIMPLE = st.one_of(EXPRESSIONS.map(lambda value: f"name = {value}"), st.just("pass"), st.just("# A comment.\npass"))


def _body(statements: list[str]) -> str:
    """Statements as a body; inside strings the indentation does no harm."""
    return "\n".join("    " + line if line else "" for line in "\n".join(statements).split("\n"))


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bodies = st.lists(inner, min_size=1, max_size=4).map(_body)
    return st.one_of(
        bodies.map(lambda body: f'@wraps\ndef f(a):\n    """Doc."""\n{body}'),
        bodies.map(lambda body: f"class C:\n{body}"),
        st.tuples(bodies, bodies).map(lambda pair: f"if a:\n{pair[0]}\nelif b:\n{pair[1]}\nelse:\n{pair[0]}"),
        st.tuples(bodies, bodies).map(lambda pair: f"try:\n{pair[0]}\nexcept E:\n{pair[1]}"),
        bodies.map(lambda body: f"for a in b:\n{body}"),
    )


MODULES = st.lists(st.recursive(SIMPLE, _compound, max_leaves=12), min_size=1, max_size=8).map("\n".join)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_OUTLINED = (*_FUNCTIONS, ast.ClassDef)


def statements(text: str) -> Iterator[tuple[int, int]]:
    """Spans of statements by Python itself; not of what the outline opens: classes, and ``if`` around definitions."""
    lines = text.split("\n")
    offsets = [0, *accumulate(len(line) + 1 for line in lines)]

    def offset(line: int, column: int) -> int:
        return offsets[line - 1] + len(lines[line - 1].encode()[:column].decode())

    pending: list[tuple[ast.AST, bool]] = [(ast.parse(text), False)]
    while pending:
        node, inside = pending.pop()
        inside = inside or isinstance(node, _FUNCTIONS)
        pending += ((child, inside) for child in ast.iter_child_nodes(node))
        if not isinstance(node, ast.stmt) or isinstance(node, ast.ClassDef):
            continue
        start = offset(node.lineno, node.col_offset)
        outlined = not inside and any(isinstance(below, _OUTLINED) for below in ast.walk(node))
        if outlined or (isinstance(node, ast.If) and text.startswith("elif", start)):
            continue
        if isinstance(node, _FUNCTIONS) and node.decorator_list:
            start = text.rindex("@", 0, offset(node.decorator_list[0].lineno, node.decorator_list[0].col_offset))
        yield start, offset(node.end_lineno or 0, node.end_col_offset or 0)


def cut_statements(text: str, budget: int) -> list[str]:
    """The statements that a chunk's border lies in, although their lines fit into a chunk."""
    document = parse(text.encode(), PYTHON)
    sections = split(document, count, budget, 4 * budget)
    starts = [section.start + chunk.start for section in sections for chunk in section.chunks]
    borders = [start + len(text[start:]) - len(text[start:].lstrip()) for start in starts]
    found: list[str] = []
    for start, end in statements(text):
        last = text.find("\n", end)
        lines = text[text.rfind("\n", 0, start) + 1 : last if last >= 0 else len(text)]
        if count([lines])[0] <= budget and any(start < border < end for border in borders):
            found.append(text[start:end])
    return found


@settings(max_examples=150, deadline=None)
@given(MODULES, st.sampled_from([8, 15, BUDGET]))
def test_no_border_lies_in_a_python_statement_that_fits(text: str, budget: int):
    assert cut_statements(text, budget) == []


def test_a_function_that_is_too_large_is_cut_between_its_statements():
    text = "def f(a):\n" + "".join(f"    name_{i} = call(a, {i}, [\n        1,\n    ])\n" for i in range(40))
    sections = split(parse(text.encode(), PYTHON), count, BUDGET, 4 * BUDGET)
    chunks = [chunk for section in sections for chunk in section.chunks]
    assert len(chunks) > 10
    assert not any(chunk.forced for chunk in chunks)
    assert cut_statements(text, BUDGET) == []
    assert {chunk.place.symbol for chunk in chunks} == {"f"}


@KINDS
def test_a_syntax_error_leaves_the_rest_its_structure(kind: str):
    source, _, expected = FIXTURES[kind]
    document = parse((source + "\n)]} ???\n").encode(), kind)
    assert_lawful(document)
    assert_chunks_cover(document)
    assert {symbol for symbol, _, _ in expected} <= {symbol for symbol, _, _ in symbols(document)}


@KINDS
def test_what_is_not_of_the_language_is_read_as_paragraphs(kind: str):
    document = parse(b")]} %% ^^ ??? }\n\n" * 3, kind)
    assert_lawful(document)
    assert_chunks_cover(document)
    assert symbols(document) == [("", 1, 1), ("", 3, 3), ("", 5, 5)]


HOSTILE = {
    "parentheses": b"(" * 50_000 + b")" * 50_000,
    "open parentheses": b"(" * 50_000,
    "open braces": b"{" * 50_000,
    "calls": b"a = " + b"f(" * 50_000 + b")" * 50_000,
    "parentheses on lines": b"(\n" * 25_000 + b")\n" * 25_000,
    "parentheses on lines, after code": b"x = 1;\n" + b"(\n" * 25_000 + b")\n" * 25_000,
    "open ifs": b"if (x) {\n" * 5_000,
    "errors": b"def f( {\n) class ??? ;\n" * 2_000,
}


@KINDS
@pytest.mark.parametrize("name", HOSTILE)
def test_nesting_is_lawful_and_hangs_nothing(kind: str, name: str):
    with no_hang():
        document = parsed(HOSTILE[name], kind)
    assert_lawful(document)


@KINDS
def test_a_minified_file_is_lawful_and_hangs_nothing(kind: str):
    line = b"x=f(1);" * 150_000
    with no_hang():
        document = parse(line, kind)
    assert_lawful(document)
    assert symbols(document) == [("", 1, 1)]
    assert document.text.encode() == line
