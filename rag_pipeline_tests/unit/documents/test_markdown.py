import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt

from rag_pipeline.documents import parse
from rag_pipeline.documents.canonical import clean
from rag_pipeline.model import BlockKind
from rag_pipeline_tests.handbook import BUNDLE, MISSING, History, git
from rag_pipeline_tests.unit.documents.generated import MARKDOWN


def blocks(source: str) -> list[tuple[str, int, str]]:
    document = parse(source.encode(), "text/markdown")
    return [(block.kind.value, block.level, document.text[block.start : block.end]) for block in document.blocks]


def headings(source: str) -> list[tuple[int, str]]:
    return [(b.level, b.title) for b in parse(source.encode(), "text/markdown").blocks if b.kind is BlockKind.HEADING]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# A\n\ntext\nmore", [("heading", 1, "# A"), ("paragraph", 0, "text\nmore")]),
        ("A\nB\n===\ntext", [("heading", 1, "A\nB\n==="), ("paragraph", 0, "text")]),
        ("```\n# no\n\n## no\n```\nend", [("code", 0, "```\n# no\n\n## no\n```"), ("paragraph", 0, "end")]),
        ("~~~\n# never closed\n\nx", [("code", 0, "~~~\n# never closed\n\nx")]),
        ("    # no\n\n    y", [("code", 0, "    # no\n\n    y")]),
        ("<div>\n# no\n</div>", [("paragraph", 0, "<div>\n# no\n</div>")]),
        ("> # no\n> - x\nlazy", [("quote", 0, "> # no\n> - x\nlazy")]),
        ("a\n\n***\n\nb", [("paragraph", 0, "a"), ("paragraph", 0, "b")]),
        ("a\n\n<!-- x\n\n# y -->\n\nb", [("paragraph", 0, "a"), ("paragraph", 0, "b")]),
        ("<!-- x --> seen <!-- y -->", [("paragraph", 0, "seen")]),
        ("<style>\np {}\n</style>\n\n<script>\n\nx()\n</script>\na", [("paragraph", 0, "a")]),
        ("<a name=x>\n\n<img src=y>\n\n</details>\na\n", [("paragraph", 0, "</details>\na")]),
        ("[x]: http://y 'z'\ntext", [("paragraph", 0, "[x]: http://y 'z'"), ("paragraph", 0, "text")]),
        ("text\n\n[x]: http://y", [("paragraph", 0, "text"), ("paragraph", 0, "[x]: http://y")]),
        ("- a\n- b", [("list_item", 1, "- a"), ("list_item", 1, "- b")]),
        ("1. a\n\n   b\n\n       code", [("list_item", 1, "1. a\n\n   b\n\n       code")]),
        (
            "- a\n  - b\n    - c\n\n    after b\n\n  after a\n- d",
            [
                ("list_item", 1, "- a"),
                ("list_item", 2, "  - b"),
                ("list_item", 3, "    - c"),
                ("list_item", 2, "    after b"),
                ("list_item", 1, "  after a"),
                ("list_item", 1, "- d"),
            ],
        ),
        ("- - a\n  - b", [("list_item", 2, "- - a"), ("list_item", 2, "  - b")]),
        ("- # no heading\n  ```\n  x\n  ```", [("list_item", 1, "- # no heading\n  ```\n  x\n  ```")]),
        ("- " * 45 + "deep\n\n# H", [("list_item", 45, "- " * 45 + "deep"), ("heading", 1, "# H")]),
        ("a | b\n--|--\n1 | 2\n\nc", [("table", 0, "a | b\n--|--\n1 | 2"), ("paragraph", 0, "c")]),
    ],
)
def test_blocks(source, expected):
    assert blocks(source) == expected


def test_a_table_knows_its_header():
    document = parse(b"x\n\n| a |\n|---|\n| 1 |\n| 2 |\n", "text/markdown")
    table = document.blocks[1]
    assert document.text[table.start : table.header_end] == "| a |\n|---|\n"
    assert parse(b"| a |\n|---|", "text/markdown").blocks[0].header_end == len("| a |\n|---|")


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("# A *b* **c** `d_e` [f](g) ![h *i*](j) <b>k</b> &amp; \\# l #", "A b c d_e f h i k & # l"),
        ("# [a][r]\n\n[r]: u", "a"),
        ("two\nlines\n---", "two lines"),
        ("# x&#x202e;y&#0;", "xy\ufffd"),
        ("#", ""),
    ],
)
def test_a_heading_has_a_plain_title(source, title):
    assert headings(source)[0][1] == title


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("---\ntitle: F\n---\n# H", "F"),
        ("## S\n\n# H\n", "H"),
        ("### S\n\n## T\n", "S"),
        ("text", ""),
    ],
)
def test_the_title_is_declared_or_the_first_h1_or_the_first_heading(source, title):
    assert parse(source.encode(), "text/markdown", "path/name.md").title == title


@settings(max_examples=80, deadline=None)
@given(MARKDOWN)
def test_headings_are_the_parsers_own(source):
    tokens = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table").parse(clean(source))
    expected = [int(token.tag[1]) for token in tokens if token.type == "heading_open" and token.level == 0]
    if not source.lstrip("\ufeff").startswith("---"):
        assert [level for level, _ in headings(source)] == expected


@pytest.mark.skipif(not BUNDLE.exists(), reason=MISSING)
def test_no_line_of_the_handbook_is_lost(tmp_path):
    repository = History.unpack(tmp_path).repository
    names = git(repository, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert len(names) > 150
    for name in names:
        source = clean(git(repository, "show", f"main:{name}"))
        document = parse(source.encode(), "text/markdown", name)
        kept = {line.strip() for line in document.text.split("\n")}
        if source.startswith("---\n"):
            source = source.split("\n---", 2)[1]
        lost = [line for line in source.split("\n") if line.strip() and line.strip() not in kept]
        markup = ("<", "---", "***", "* * *", "___")
        assert [line for line in lost if not line.strip().startswith(markup)] == [], name
