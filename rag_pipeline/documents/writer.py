"""A document written block by block, for parsers whose format has no text of its own to point into.

Promises: what is added comes out in order, cleaned and stripped; what has no visible text leaves no trace.
Blocks are one blank line apart, items of a list one line end; an item is indented by its level, a table is one
row a line, its cells joined by `` | ``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rag_pipeline.documents.canonical import clean
from rag_pipeline.model import Block, BlockKind, Document, Place

_MAX_INDENT = 10
_BLANK_LINES = re.compile(r"\A(?:[^\S\n]*+\n)+")


def one_line(text: str) -> str:
    """Return `text` cleaned, on one line, its words one blank apart."""
    return " ".join(clean(text).split())


class Writer:
    """Collects cleaned text and the blocks that cover it; `document` hands them over."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._pending: list[Block] = []  # headings of the outline, which stand where the next text begins

    @property
    def headline(self) -> str:
        """The title of the first heading of level 1, else of the first heading, else empty."""
        headings = [block for block in (*self._blocks, *self._pending) if block.title]
        first = next((block for block in headings if block.level == 1), headings[0] if headings else None)
        return first.title if first else ""

    def add(
        self,
        kind: BlockKind,
        text: str,
        level: int = 0,
        title: str = "",
        header: int | None = None,
        place: Place | None = None,
        clings: bool = False,
    ) -> None:
        """Add a block; nothing happens if `text` has nothing visible.

        `header` is the number of characters of a table's header rows inside `text`. A heading's level is
        brought into 1 to 6, and its title is its text on one line unless `title` says otherwise. Code keeps
        its indentation, an item of level n gets that of n.
        """
        header = len(clean(text[: header or 0]))
        text = clean(text)
        body = _BLANK_LINES.sub("", text) if kind is BlockKind.CODE else text.lstrip()
        header -= len(text) - len(body)
        body = body.rstrip()
        if not body:
            return
        if kind is BlockKind.LIST_ITEM:
            level = max(level, 1)
            body = "  " * min(level - 1, _MAX_INDENT) + body
        elif kind is BlockKind.HEADING:
            level = min(max(level, 1), 6)
            title = one_line(title or body)
        start = self._begin(kind)
        end = self._length = start + len(body)
        header_end = start + min(header, len(body)) if header > 0 else None
        self._parts.append(body)
        self._blocks.append(Block(kind, start, end, level, title, header_end, clings=clings, place=place))

    def outline(self, title: str, level: int) -> None:
        """Name what follows without adding text; without a title, close the headings of `level` and below."""
        self._pending.append(Block(BlockKind.HEADING, 0, 0, min(max(level, 1), 6), one_line(title)))

    def table(self, rows: Sequence[Sequence[str]], header_rows: int = 1, place: Place | None = None) -> None:
        """Add a table: a row a line, a cell one line; rows without visible text and empty last cells are left out.

        The first `header_rows` that remain are its header, unless nothing follows them.
        """
        lines = [line for line in map(_row, rows) if line]
        header = sum(len(line) + 1 for line in lines[:header_rows]) if header_rows < len(lines) else None
        self.add(BlockKind.TABLE, "\n".join(lines), header=header, place=place)

    def document(self, title: str = "", metadata: Mapping[str, Any] | None = None) -> Document:
        """Return what was written; `title` is put on one line."""
        ended = [replace(block, start=self._length, end=self._length) for block in self._pending]
        return Document("".join(self._parts), (*self._blocks, *ended), one_line(title), dict(metadata or {}))

    def _begin(self, kind: BlockKind) -> int:
        """Write the gap before a block of `kind`, place the pending headings, return where the block starts."""
        if self._parts:
            inside_list = not self._pending and kind is self._blocks[-1].kind is BlockKind.LIST_ITEM
            gap = "\n" if inside_list else "\n\n"
            self._parts.append(gap)
            self._length += len(gap)
        self._blocks += [replace(block, start=self._length, end=self._length) for block in self._pending]
        self._pending.clear()
        return self._length


def _row(cells: Sequence[str]) -> str:
    """The cells on one line, without the empty ones at the end; empty if all are."""
    texts = [one_line(cell) for cell in cells]
    while texts and not texts[-1]:
        texts.pop()
    return " | ".join(texts).lstrip()
