"""A document becomes sections of chunks: outline, cut, pack, name.

The outline is the headings'. A section is the text under one heading up to the next of any level; one that
exceeds the window is cut between chunks into several of the same heading path. Sections and chunks are named
by their content and their place in the outline alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from hashlib import sha256
from typing import NamedTuple

from rag_pipeline.chunks.cut import Piece, cut
from rag_pipeline.chunks.pack import Rank, pack
from rag_pipeline.chunks.ranks import clings, ranked
from rag_pipeline.model import Block, BlockKind, Chunk, Document, Place, Section, names_above, under

CHUNKER_VERSION = 3
"""Part of the recipe: raise it with every change that can alter a `Section` or a `Chunk`."""

_CHARACTERS_PER_TOKEN = 20
"""A token stands for at most this many characters: a megabyte of one "word" must not pass as one token."""

_BATCH = 1000
"""Texts counted in one call, so that a tokenizer's by-products stay small."""

Count = Callable[[list[str]], list[int]]


class _Part(NamedTuple):
    """The stretch under one heading: the index of that heading, unless it is the only block, and of the blocks."""

    path: tuple[str, ...]
    heading: int | None
    blocks: range


class _Passage(NamedTuple):
    """A chunk without its names: the document's text from `start` to `end`, after a repeated table header if any."""

    start: int
    end: int
    text: str
    cost: int
    forced: bool
    rank: Rank
    place: Place


class _Window(NamedTuple):
    """A section without its names."""

    path: tuple[str, ...]
    start: int
    passages: Sequence[_Passage]


def split(
    document: Document, count: Count, max_tokens: int, window_tokens: int, max_embed_tokens: int = 510
) -> list[Section]:
    """Split a document into sections of chunks; none for an empty document.

    `count` returns the number of tokens of each of many texts; two calls serve most documents. A chunk's
    text has at most `max_tokens`, a section's at most `window_tokens` besides its heading, and an embedded
    text at most `max_embed_tokens`: where the heading path leaves no room, its outermost names give way.
    """
    budget = min(max_tokens, window_tokens, max_embed_tokens)
    tokens = _Tokens(count, budget)
    windows = list(_windows(document, tokens, budget, window_tokens))
    embed_texts = iter(_embed_texts(document.title, windows, tokens, max_embed_tokens))
    occurrences: Counter[tuple[str, ...]] = Counter()
    sections: list[Section] = []
    for path, start, passages in windows:
        occurrence = occurrences[path]
        occurrences[path] += 1
        key = _section_key(path, occurrence)
        text = document.text[start : passages[-1].end]
        twins: Counter[str] = Counter()
        chunks: list[Chunk] = []
        for passage, size in zip(passages, tokens.counts([passage.text for passage in passages]), strict=True):
            embed_text = next(embed_texts)
            chunks.append(
                Chunk(
                    key=_chunk_key(key, passage.text, twins[passage.text]),
                    text=passage.text,
                    start=passage.start - start,
                    end=passage.end - start,
                    tokens=size,
                    forced=passage.forced,
                    embed_text=embed_text,
                    embed_hash=sha256(embed_text.encode()).digest(),
                    place=passage.place,
                )
            )
            twins[passage.text] += 1
        sections.append(Section(key, path, occurrence, start, text, tuple(chunks)))
    return sections


class _Tokens:
    """Counts each text once, in batches of bounded size, and never a text that is too large to fit anyway."""

    def __init__(self, count: Count, budget: int) -> None:
        self._count = count
        self._longest = (budget + 1) * _CHARACTERS_PER_TOKEN - 1
        self._known: dict[str, int] = {}

    def counts(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for first in range(0, len(new), _BATCH):
            batch = new[first : first + _BATCH]
            self._known.update(zip(batch, self._count(batch), strict=True))
        return [self._known[text] for text in texts]

    def costs(self, texts: list[str]) -> list[int]:
        """What each text takes of a budget: its tokens, but not fewer than its length demands."""
        self.counts([text for text in texts if len(text) <= self._longest])
        return [max(len(text) // _CHARACTERS_PER_TOKEN, self._known.get(text, 0)) for text in texts]


def _outline(blocks: Sequence[Block]) -> Iterator[_Part]:
    """Yield the parts in order; a heading without text makes none if sub-headings follow, else it is its own text.

    A heading without a title only ends those of its level and below.
    """
    stack: list[tuple[int, str]] = []
    borders = [index for index, block in enumerate(blocks) if block.kind is BlockKind.HEADING]
    if blocks and borders[:1] != [0]:
        yield _Part((), None, range(borders[0] if borders else len(blocks)))
    for heading, stop in zip(borders, [*borders, len(blocks)][1:], strict=True):
        level = blocks[heading].level
        while stack and stack[-1][0] >= level:
            stack.pop()
        if blocks[heading].title or blocks[heading].start < blocks[heading].end:
            stack.append((level, blocks[heading].title))
        path = tuple(title for _, title in stack)
        if heading + 1 < stop:
            yield _Part(path, heading, range(heading + 1, stop))
        elif blocks[heading].start < blocks[heading].end and (stop == len(blocks) or blocks[stop].level <= level):
            yield _Part(path, None, range(heading, stop))


def _windows(document: Document, tokens: _Tokens, budget: int, window_tokens: int) -> Iterator[_Window]:
    """Yield the sections' stretches with their passages: pieces packed into passages, passages into windows."""
    text, blocks = document.text, document.blocks
    joint, *_ = tokens.costs(["\n\n", *(text[block.start : block.end] for block in blocks)])
    cut_blocks = cut(text, blocks, tokens.costs, budget)
    for part in _outline(blocks):
        passages = _passages(text, blocks, part.blocks, cut_blocks, budget, joint)
        heading_cost = sum(piece.cost for piece in cut_blocks[part.heading]) if part.heading is not None else 0
        openings = [heading_cost] + [0] * (len(passages) - 1)
        ranks = [passage.rank for passage in passages]
        for group in pack([passage.cost for passage in passages], openings, ranks, window_tokens, joint):
            inside = passages[group.start : group.stop]
            opens = group.start == 0 and part.heading is not None
            yield _Window(part.path, blocks[part.blocks.start - 1].start if opens else inside[0].start, inside)


def _passages(
    text: str, blocks: Sequence[Block], indices: range, cut_blocks: list[list[Piece]], budget: int, joint: int
) -> list[_Passage]:
    """Pack the pieces of some blocks into passages."""
    pieces: list[Piece] = []
    places: list[Place | None] = []
    clinging: set[int] = set()
    for index in indices:
        if index > indices.start and clings(text, blocks[index - 1], blocks[index]):
            clinging.add(len(pieces))
        pieces += cut_blocks[index]
        places += [_place(text, blocks[index], piece) for piece in cut_blocks[index]]
    ranks = ranked(text, pieces, clinging, budget)
    passages: list[_Passage] = []
    for group in pack([p.cost for p in pieces], [p.header_cost for p in pieces], ranks, budget, joint):
        first, last = pieces[group.start], pieces[group.stop - 1]
        cost = sum(pieces[index].cost for index in group) + joint * (len(group) - 1)
        forced = first.forced or (group.stop < len(pieces) and pieces[group.stop].forced)
        body = text[first.start : last.end]
        place = reduce(Place.joined, filter(None, places[group.start : group.stop]), Place())
        rank = ranks[group.start]
        passages.append(_Passage(first.start, last.end, first.header + body, cost, forced, rank, place))
    return passages


def _place(text: str, block: Block, piece: Piece) -> Place | None:
    """Where a piece of a block stands: where the block does, but on its own lines."""
    if block.place is None or block.place.lines is None:
        return block.place
    first = block.place.lines[0] + text.count("\n", block.start, piece.start)
    return replace(block.place, lines=(first, first + text.count("\n", piece.start, piece.end)))


def _embed_texts(title: str, windows: Sequence[_Window], tokens: _Tokens, limit: int) -> list[str]:
    """The text to embed of each passage: title > heading path, a line end, the text; outermost names dropped to fit."""
    texts = [passage.text for window in windows for passage in window.passages]
    names = [names_above(title, window.path) for window in windows for _ in window.passages]
    embed_texts = [under(path, text) for path, text in zip(names, texts, strict=True)]
    tokens.counts([*texts, *embed_texts])
    pending = list(range(len(texts)))
    while pending := [
        index
        for index, size in zip(pending, tokens.counts([embed_texts[index] for index in pending]), strict=True)
        if size > limit and names[index]
    ]:
        for index in pending:
            names[index] = names[index][1:]
            embed_texts[index] = under(names[index], texts[index])
    return embed_texts


def _section_key(path: tuple[str, ...], occurrence: int) -> bytes:
    """Each name is preceded by its length, so that no two paths are spelled alike."""
    names = [name.encode() for name in path]
    parts = [len(names).to_bytes(8), *(part for name in names for part in (len(name).to_bytes(8), name))]
    return sha256(b"".join(parts) + occurrence.to_bytes(8)).digest()[:16]


def _chunk_key(section: bytes, text: str, occurrence: int) -> bytes:
    return sha256(section + occurrence.to_bytes(8) + text.encode()).digest()[:16]
