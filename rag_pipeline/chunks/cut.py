"""Blocks become pieces that fit the budget: a block as it is or, only if it alone is too large, cut along its seams.

The seams that the parser names come first. Then prose is cut between paragraphs, also where a log writes their
blank lines as escapes (``\\n\\n``), else sentences, else lines, else words, else graphemes; code between blank
lines, else lines; a table between rows. Each seam is tried only on what the stronger ones left too large. Time
is linear in the text.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rag_pipeline.model import Block, BlockKind

Measure = Callable[[list[str]], list[int]]
"""Costs of many texts in tokens."""

_TOKENS_PER_CHARACTER = 4
"""No tokenizer spends more on a character: at worst one token a UTF-8 byte."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is never cut further: ``text[start:end]``.

    `depth` says how strong the seam before it is: 0 between blocks, more for weaker ones. `forced`: the parser did
    not name that seam. `header` is the text to repeat when a chunk begins with this piece (a table's
    header rows), `header_cost` its cost.
    """

    start: int
    end: int
    cost: int
    depth: int = 0
    forced: bool = False
    header: str = ""
    header_cost: int = 0


def cut(text: str, blocks: Sequence[Block], measure: Measure, budget: int) -> list[list[Piece]]:
    """Return the pieces of each block, each of at most `budget` tokens; what lies between pieces is white space."""
    costs = measure([text[block.start : block.end] for block in blocks])
    return [
        [Piece(block.start, block.end, cost)] if cost <= budget else _cut_block(text, block, cost, measure, budget)
        for block, cost in zip(blocks, costs, strict=True)
    ]


def _cut_block(text: str, block: Block, cost: int, measure: Measure, budget: int) -> list[Piece]:
    header_end = block.header_end or block.start
    pieces = [Piece(block.start, block.end, cost)]
    cascade = [*map(_named, block.seams), *_SEAMS.get(block.kind, _PROSE)]
    for depth, seams in enumerate(cascade, start=1):
        spans: list[tuple[int, int, int]] = []
        for piece in pieces:
            borders: Iterable[int] = seams(text, piece.start, piece.end, budget) if piece.cost > budget else ()
            if block.kind is BlockKind.TABLE and depth == 1:
                borders = (border for border in borders if border >= header_end)
            edges = pairwise((piece.start, *borders, piece.end))
            trimmed = ((start, start + len(text[start:end].rstrip())) for start, end in edges)
            kept = [(start, end) for start, end in trimmed if start < end]
            spans += [(start, end, depth if index else piece.depth) for index, (start, end) in enumerate(kept)]
        costs = measure([text[start:end] for start, end, _ in spans])
        pieces = [
            # a word put together again may cost more
            Piece(start, end, cost + (level == len(cascade)), level, level > len(block.seams))
            for (start, end, level), cost in zip(spans, costs, strict=True)
        ]
        if max(costs) <= budget:
            break
    return _with_header(text, block, pieces, measure, budget)


def _with_header(text: str, block: Block, pieces: list[Piece], measure: Measure, budget: int) -> list[Piece]:
    """Give a table's header to the pieces that begin with a row and have room for it; half the budget at most."""
    if block.header_end is None:
        return pieces
    header = text[block.start : block.header_end].rstrip() + "\n"
    [cost] = measure([header])
    if cost > budget // 2:
        return pieces
    return [
        replace(piece, header=header, header_cost=cost) if piece.depth == 1 and piece.cost + cost <= budget else piece
        for piece in pieces
    ]


Seams = Callable[[str, int, int, int], Iterable[int]]
"""Positions strictly inside ``text[start:end]`` at which it may be cut, given the budget."""


def _named(positions: Sequence[int]) -> Seams:
    def seams(text: str, start: int, end: int, budget: int) -> Sequence[int]:
        return positions[bisect_right(positions, start) : bisect_left(positions, end)]

    return seams


def _after(pattern: str) -> Seams:
    compiled = re.compile(pattern)

    def seams(text: str, start: int, end: int, budget: int) -> Iterator[int]:
        return (match.end() for match in compiled.finditer(text, start, end) if match.end() < end)

    return seams


def _between_words(text: str, start: int, end: int, budget: int) -> Iterator[int]:
    """Yield seams between runs of words that surely fit, so that a long text does not become a list of words."""
    room = max(1, budget // _TOKENS_PER_CHARACTER)
    begun = last = start
    for match in re.finditer(r"\s+", text[start:end]):
        position = start + match.end()
        if position - begun > room and last > begun:
            yield last
            begun = last
        if position - begun > room:
            yield position
            begun = position
        last = position
    if last > begun and end - begun > room:
        yield last


def _between_graphemes(text: str, start: int, end: int, budget: int) -> Iterator[int]:
    """Yield seams between runs of characters that surely fit, off combining sequences where that is possible."""
    room = max(1, budget // _TOKENS_PER_CHARACTER)
    begun = start
    while end - begun > room:
        position = begun + room
        while position > begun and _joined(text[position - 1], text[position]):
            position -= 1
        begun = position if position > begun else begun + room
        yield begun


def _joined(left: str, right: str) -> bool:
    """Whether two characters are (approximately, after UAX 29) of one grapheme: marks, joiners, skin tones, flags."""
    return (
        unicodedata.category(right).startswith("M")
        or "\u200d" in (left, right)
        or "\U0001f3fb" <= right <= "\U0001f3ff"
        or ("\U0001f1e6" <= left <= "\U0001f1ff" and "\U0001f1e6" <= right <= "\U0001f1ff")
    )


_BLANK_LINES = _after(r"\n(?:[^\S\n]*\n)+")
_SENTENCES = _after(r"(?<=[.!?…])[\"'”’»)\]]*+\s++(?![a-z])|(?<=[。！？])(?![。！？」』”])")
_LINES = _after(r"\n")
_PARAGRAPHS = _after(r"\n(?:[^\S\n]*\n)+|(?:(?:\\r)?\\n){2,}")
_PROSE = (_PARAGRAPHS, _SENTENCES, _LINES, _between_words, _between_graphemes)
_SEAMS = {
    BlockKind.CODE: (_BLANK_LINES, _LINES, _between_words, _between_graphemes),
    BlockKind.TABLE: (_LINES, _between_words, _between_graphemes),
}
