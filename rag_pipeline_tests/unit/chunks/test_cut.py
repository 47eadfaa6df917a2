from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_pipeline.chunks.cut import Piece, cut
from rag_pipeline.model import Block, BlockKind
from rag_pipeline_tests.unit.documents.generated import SENTENCES, count


def pieces(text: str, kind: BlockKind, budget: int, header_end: int | None = None) -> list[Piece]:
    [found] = cut(text, [Block(kind, 0, len(text), header_end=header_end)], count, budget)
    return found


def texts(text: str, kind: BlockKind, budget: int) -> list[str]:
    return [text[piece.start : piece.end] for piece in pieces(text, kind, budget)]


@settings(deadline=None)
@given(
    st.one_of(st.text("ab .\n|é́日。👩‍", min_size=1, max_size=300), st.lists(SENTENCES).map("\n\n".join)),
    st.sampled_from([BlockKind.PARAGRAPH, BlockKind.CODE, BlockKind.TABLE]),
    st.integers(4, 20),
)
def test_pieces_fit_and_lose_only_white_space(text, kind, budget):
    text = text.strip() or "x"
    found = pieces(text, kind, budget)
    assert all(piece.cost <= budget for piece in found)
    assert "".join("".join(text[p.start : p.end] for p in found).split()) == "".join(text.split())
    assert all(first.end <= second.start for first, second in pairwise(found))


@pytest.mark.parametrize(
    ("text", "kind", "budget", "expected"),
    [
        ("a b c", BlockKind.PARAGRAPH, 3, ["a b c"]),
        (
            "One two. Three four? Five, e.g. six.",
            BlockKind.PARAGRAPH,
            9,
            ["One two.", "Three four?", "Five, e.g. six."],
        ),
        ("- a a a\n\n  b b b", BlockKind.LIST_ITEM, 5, ["- a a a", "  b b b"]),
        ("a a a\nb b b", BlockKind.QUOTE, 4, ["a a a", "b b b"]),
        (r"One one. Two\n\nthree. Four", BlockKind.PARAGRAPH, 9, [r"One one. Two\n\n", "three. Four"]),
        (r"f(one, 'two\n\nthree')" + "\nfour", BlockKind.CODE, 12, [r"f(one, 'two\n\nthree')", "four"]),
        ("日本語。中国語。", BlockKind.PARAGRAPH, 3, ["日本語。", "中国語。"]),
        ("f. g\n\n  x\n  y", BlockKind.CODE, 3, ["f. g", "  x\n  y"]),
        ("f. g\n  x. y", BlockKind.CODE, 3, ["f. g", "  x. y"]),
        ("| a |\n| b |\n| c |", BlockKind.TABLE, 3, ["| a |", "| b |", "| c |"]),
    ],
)
def test_the_strongest_seams_are_cut_first(text, kind, budget, expected):
    assert texts(text, kind, budget) == expected


def test_depth_tells_the_seam():
    text = "One one. Two two.\n\nthree"
    assert [piece.depth for piece in pieces(text, BlockKind.PARAGRAPH, 4)] == [0, 2, 1]


def test_graphemes_stay_whole():
    text = "e\u0301" * 40 + "👩‍👩‍👧" * 40

    def characters(pieces: list[str]) -> list[int]:
        return [len(piece) for piece in pieces]

    [found] = cut(text, [Block(BlockKind.PARAGRAPH, 0, len(text))], characters, 32)
    assert len(found) > 10
    for piece in found:
        assert text[piece.start] in "e👩"
        assert text[piece.start - 1] != "\u200d"


def test_rows_repeat_the_header():
    header = "| a | b |\n|---|---|\n"
    text = header + "\n".join(f"| {n} | {n} |" for n in range(30))
    found = pieces(text, BlockKind.TABLE, 40, len(header))
    assert [piece.header for piece in found] == ["", *[header] * 30]
    assert all(piece.header_cost == count([header])[0] for piece in found[1:])


def test_a_header_above_half_the_budget_is_not_repeated():
    header = "| a | b | c | d |\n|-|-|-|-|\n"
    text = header + "\n".join(f"| {n} |" for n in range(30))
    assert {piece.header for piece in pieces(text, BlockKind.TABLE, 20, len(header))} == {""}


def test_one_call_serves_a_document_whose_blocks_fit():
    calls = 0

    def counting(texts: list[str]) -> list[int]:
        nonlocal calls
        calls += 1
        return count(texts)

    cut("a\n\nb", [Block(BlockKind.PARAGRAPH, 0, 1), Block(BlockKind.PARAGRAPH, 3, 4)], counting, 5)
    assert calls == 1
