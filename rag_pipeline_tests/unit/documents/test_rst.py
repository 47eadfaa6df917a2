import re

import docutils.parsers.rst.directives as registry
import docutils.parsers.rst.roles as roles
import pytest
from docutils.parsers.rst import states
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.chunks import split
from rag_pipeline.documents import declared_access, parse
from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.rst_inline import plain
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document
from rag_pipeline_tests.unit.documents.generated_rst import MARKS, RST_TEXT, WORDS
from rag_pipeline_tests.unit.documents.laws import assert_chunks_cover, assert_lawful, count, parsed

RST = "text/x-rst"
MANUAL = """\
.. A comment.

.. _manual:

=============
The |product|
=============

:Author: Ana

.. |product| replace:: Release *Handbook*

Welcome to |product|, see :ref:`the start <start>`.

Uploading
=========

First part.

Queues
------

* one
* two

  more of two

  1. inner

Removing
========

Package : binary
    What is built.
"""


def blocks(source: str) -> list[tuple[str, int, str]]:
    document = parse(source.encode(), RST)
    assert_lawful(document)
    assert_chunks_cover(document)
    return [(block.kind.value, block.level, document.text[block.start : block.end]) for block in document.blocks]


def test_sections_structure_the_document():
    document = parse(MANUAL.encode(), RST)
    assert document.title == "The Release Handbook"
    assert [section.heading_path for section in split(document, count, 40, 160)] == [
        ("The Release Handbook",),
        ("The Release Handbook", "Uploading"),
        ("The Release Handbook", "Uploading", "Queues"),
        ("The Release Handbook", "Removing"),
    ]
    assert blocks(MANUAL) == [
        ("heading", 1, "The Release Handbook"),
        ("list_item", 1, "Author: Ana"),
        ("paragraph", 0, "Welcome to Release Handbook, see the start."),
        ("heading", 2, "Uploading"),
        ("paragraph", 0, "First part."),
        ("heading", 3, "Queues"),
        ("list_item", 1, "- one"),
        ("list_item", 1, "- two"),
        ("list_item", 1, "more of two"),
        ("list_item", 2, "  1. inner"),
        ("heading", 2, "Removing"),
        ("list_item", 1, "Package : binary\n  What is built."),
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "Code::\n\n    def f():\n\n        return 1\n\nend",
            [("paragraph", "Code:"), ("code", "def f():\n\n    return 1"), ("paragraph", "end")],
        ),
        ("Quoted::\n\n> a\n> b\n\nend", [("paragraph", "Quoted:"), ("code", "> a\n> b"), ("paragraph", "end")]),
        (">>> 1 + 1\n2", [("code", ">>> 1 + 1\n2")]),
        ("text\n\n    quoted\n\n    -- Ana", [("paragraph", "text"), ("quote", "quoted"), ("quote", "Ana")]),
        ("| one\n|   two", [("paragraph", "one\ntwo")]),
        ("3. three\n4. four", [("list_item", "3. three"), ("list_item", "4. four")]),
        ("- ::\n\n    code", [("code", "code")]),
        ("term\n  ::\n\n    code", [("list_item", "term"), ("code", "code")]),
        ("-o F, --out=F  where to\n-v  loud", [("list_item", "-o F, --out=F  where to"), ("list_item", "-v  loud")]),
        (".. [1] note\n.. [CIT] other", [("paragraph", "[1] note"), ("paragraph", "[CIT] other")]),
        ("..\n\n   quoted below two dots", [("quote", "quoted below two dots")]),
        (".. comment\n   more\n\n.. _t: http://x\n__ http://y\n\nend", [("paragraph", "end")]),
        (
            ".. |a| unicode:: U+2014 .. dash\n.. |b| image:: x.png\n   :alt: logo\n\n|a| |b| |c|",
            [("paragraph", "— logo |c|")],
        ),
    ],
)
def test_blocks(source, expected):
    assert [(kind, text) for kind, _, text in blocks(source)] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (".. note:: Mind :ref:`this`.\n   And that.", [("paragraph", "Note: Mind this.\nAnd that.")]),
        (".. warning::\n\n   * one\n   * two", [("list_item", "Warning: - one"), ("list_item", "- two")]),
        (".. versionadded:: 3.2\n   The thing.", [("paragraph", "Added in version 3.2: The thing.")]),
        (".. deprecated:: 4", [("paragraph", "Deprecated since version 4")]),
        (
            ".. code-block:: python\n   :caption: Cap\n\n   x = 1\n\n   y",
            [("paragraph", "Cap"), ("code", "x = 1\n\ny")],
        ),
        (".. math:: e = mc^2", [("code", "e = mc^2")]),
        (
            ".. py:function:: f(*args, **kw) -> int\n   :no-index:\n\n   Does it.",
            [("paragraph", "f(*args, **kw) -> int"), ("paragraph", "Does it.")],
        ),
        (".. toctree::\n   :maxdepth: 2\n\n   install\n   Usage <use>", [("paragraph", "install\nUsage <use>")]),
        (
            ".. nobody-knows:: this *one*\n   :x: y\n\n   Its text.",
            [("paragraph", "this one"), ("paragraph", "Its text.")],
        ),
        (
            ".. figure:: x.png\n   :alt: A plot\n\n   Its caption.",
            [("paragraph", "A plot"), ("paragraph", "Its caption.")],
        ),
        (".. only:: html\n\n   shown", [("paragraph", "shown")]),
        (".. raw:: html\n\n   <b>gone</b>", []),
        (".. index:: gone", []),
        (
            ".. list-table:: T\n   :header-rows: 1\n\n   * - a\n     - b\n   * - 1\n     -",
            [("paragraph", "T"), ("table", "a | b\n1")],
        ),
        ('.. csv-table::\n   :header: "a", b\n\n   "1, 2", 3', [("table", "a | b\n1, 2 | 3")]),
        ('.. csv-table::\n   :delim: ;;\n\n   "1', [("table", "1")]),
        ("+---+---+\n| a | b |\n+===+===+\n| 1 | 2 |\n|   | 3 |\n+---+---+", [("table", "a | b\n1 | 2 3")]),
        ("== ==\na  b\n== ==\n1  2\n== ==", [("table", "a | b\n1 | 2")]),
        ("== ==\na  b\n== ===\n\nend", [("paragraph", "== ==\na  b\n== ==="), ("paragraph", "end")]),
    ],
)
def test_directives_and_tables(source, expected):
    assert [(kind, text) for kind, _, text in blocks(source)] == expected


def test_a_table_knows_its_header():
    document = parse(b"== ==\na  b\n== ==\n1  2\n== ==", RST)
    assert document.text[: document.blocks[0].header_end] == "a | b\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("``a *b* `c` _d``", "a *b* `c` _d"),
        ("*a b* **c** `d`", "a b c d"),
        (":ref:`a <b>` :py:class:`~x.Y` `z <http://u>`_ `<only>`_ `t`:sub:", "a x.Y z only t"),
        ("see name_ and `two words`__, [1]_ [#a]_ [CIT]_ a_.", "see name and two words, [1] [#a] [CIT] a."),
        ("__init__ snake_case _private *args **kw 2*3*4", "__init__ snake_case _private *args **kw 2*3*4"),
        (r"\*not\* a\ b C:\dir", "*not* ab C:\\dir"),
        ("`open ``open *open", "`open ``open *open"),
        ("_`target` |sub|", "target |sub|"),
    ],
)
def test_inline_markup(source, expected):
    assert plain(source) == expected


def test_nothing_outside_the_document_is_read(tmp_path, capfd):
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET\n")
    for directive in (
        f".. include:: {secret}",
        f".. include:: {secret}\n   :literal:",
        f".. literalinclude:: {secret}",
        f".. csv-table::\n   :file: {secret}",
        f".. csv-table::\n   :url: {secret.as_uri()}",
        f".. raw:: html\n   :file: {secret}",
        f".. figure:: {secret}\n   :figwidth: image",
        ".. code:: python\n\n   import os",
        ":unknown:`role` |nothing| `missing`_ [#]_\n\n.. wrong::\n   :a",
    ):
        assert "SECRET" not in parse(directive.encode(), RST).text
    assert capfd.readouterr() == ("", "")


def test_nothing_is_left_behind_for_others():
    before = dict(vars(registry)["_directives"]), dict(vars(roles)["_roles"]), list(states.RSTState.nested_sm_cache)
    one = parse(MANUAL.encode(), RST)
    parse(b".. default-role:: math\n\n.. role:: x\n\n`a` :x:`b`\n\n* list\n\n  * deeper", RST)
    assert (
        dict(vars(registry)["_directives"]),
        dict(vars(roles)["_roles"]),
        list(states.RSTState.nested_sm_cache),
    ) == before
    assert parse(MANUAL.encode(), RST) == one


def test_front_matter_may_restrict_access():
    source = b"---\naccess: [group:hr]\ntitle: T\nx: 1\n---\n\nHead\n====\n\ntext"
    document = parse(source, RST)
    assert (document.title, document.metadata, document.text) == ("T", {"x": 1}, "Head\n\ntext")
    assert declared_access(source, RST) == ("group:hr",)


def test_a_substitution_cannot_blow_the_document_up():
    source = ".. |a| replace:: " + "x" * 1000 + "\n\n" + "|a| " * 100_000
    document = parse(source.encode(), RST)
    assert 1_000_000 < len(document.text) < 1_500_000


@pytest.mark.parametrize(
    "source",
    [
        "- " * 50_000 + "x",
        "\n\n".join("  " * depth + "x" for depth in range(300)),
        "".join("  " * depth + ".. note::\n\n" for depth in range(300)) + "  " * 300 + "x",
    ],
    ids=["lists", "quotes", "directives"],
)
def test_deep_nesting_is_refused(source):
    with pytest.raises(DocumentError, match="nested more than 50 deep"):
        parse(source.encode(), RST)


@pytest.mark.parametrize(
    "piece",
    [
        "`a ",
        "*a ",
        "**a ",
        "``a ",
        ":a",
        "a_ ",
        "a.",
        "|a| ",
        "[1]_ ",
        "\\",
        "word ",
        "a",
        "[",
        ":a: b\n",
        "| a\n",
        ".. [#] x\n",
        ">>> x\n",
        "= ",
        "+-",
    ],
)
def test_time_grows_with_size(piece):
    assert isinstance(parsed((piece * (40_000 // len(piece))).encode(), RST), Document)


def test_very_wide_tables_stay_as_they_are():
    border, row = "= " * 3000, "a " * 3000
    assert blocks(f"{border}\n{row}\n{border}")[0][0] == "code"


def test_damaged_markup_keeps_its_words():
    source = (
        "A\n=\n\ntext\n  in\nback\n\n- item\nno blank\n\nB\n---\n\nC\n~~\n\nD\n=====\n\n   E\n   ---\n\n==\n\nF: *open"
    )
    text = parse(source.encode(), RST).text
    assert [word for word in re.findall(r"\w+", source) if word not in text] == []


@settings(max_examples=80, deadline=None)
@given(RST_TEXT)
def test_no_word_is_lost(source):
    document = parse(source.encode(), RST)
    kept = set(re.findall(r"\w+", document.text))
    assert [word for word in re.findall(r"w\d+", source) if word not in kept] == []


@settings(max_examples=80, deadline=None)
@given(RST_TEXT | MARKS | st.lists(RST_TEXT | MARKS, max_size=4).map("\n".join))
def test_laws(source):
    source = clean(source)
    document = parsed(source.encode(), RST)
    assert_lawful(document)
    assert_chunks_cover(document)
    for twin in (source, source.replace("\n", "\r\n"), source.replace("\n", "\r"), "\ufeff" + source):
        assert parsed(twin.encode(), RST) == document


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WORDS, st.integers(0, 3)), min_size=1, max_size=8))
def test_headings_nest_as_their_underlines_say(titles):
    source = "\n\n".join(f"{title}\n{'=-~^'[level] * (len(title) + 3)}\n\ntext" for title, level in titles)
    styles: list[int] = []
    expected: list[int] = []
    for _, level in titles:
        known = styles.index(level) if level in styles else len(styles)
        if known > (expected[-1] if expected else 0):
            expected.append(-1)
            break
        if level not in styles:
            styles.append(level)
        expected.append(known + 1)
    headings = [block.level for block in parse(source.encode(), RST).blocks if block.kind is BlockKind.HEADING]
    consistent = expected[:-1] if expected[-1] == -1 else expected
    assert headings[: len(consistent)] == consistent
