"""The text of a page, written while its elements open and close: white space collapsed, one block after the other.

Promises: ``text[start:end]`` is the block; blocks are one blank line apart, items of a list one line end;
a table is one row a line, its cells joined by `` | ``; preformatted text is kept as it is.
"""

import re
from dataclasses import dataclass, field

from bs4 import Tag

from rag_pipeline.documents.canonical import clean
from rag_pipeline.model import Block, BlockKind

_SPACE = re.compile(r"\s+")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_MAX_INDENT = 10
_KINDS = {"table": BlockKind.TABLE, "blockquote": BlockKind.QUOTE, "pre": BlockKind.CODE}
_MARKERS = {"li": "- ", "dt": "", "dd": "  "}


def names(spaced: str) -> frozenset[str]:
    """The tag or attribute names that a text lists."""
    return frozenset(spaced.split())


_LISTS = names("ul ol dl menu")
_ROWS = names("tr thead tbody tfoot")
_BORDERS = names(
    "address article blockquote body caption center dd details div dl dt fieldset figcaption figure form h1 h2 h3 h4 h5"
    " h6 header hgroup hr html legend li main menu ol p pre section summary table tbody td tfoot th thead tr ul"
)


def _indent(level: int) -> str:
    return "  " * min(level - 1, _MAX_INDENT)


@dataclass(slots=True)
class _Context:
    """An open element that decides what kind of block the text in it makes."""

    tag: Tag | None = None
    kind: BlockKind = BlockKind.PARAGRAPH
    level: int = 0
    marker: str = ""

    @property
    def running(self) -> bool:
        """Whether elements inside make blocks of their own; elsewhere they are at most new lines."""
        return self.kind in (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM)


@dataclass(slots=True)
class _Table:
    """Rows of the open table; `header` counts those at its top that are headings, `plain` tells of the row begun."""

    rows: list[str] = field(default_factory=list[str])
    cells: list[str] = field(default_factory=list[str])
    header: int = 0
    in_cell: bool = False
    in_head: bool = False
    plain: bool = False

    def end_cell(self, text: str) -> None:
        if self.in_cell or text:
            self.cells.append(text)
        self.in_cell = False

    def end_row(self) -> None:
        if any(self.cells):
            self.header += self.header == len(self.rows) and (self.in_head or not self.plain)
            self.rows.append(" | ".join(self.cells).strip())
        self.cells.clear()
        self.plain = False


class PageText:
    """Collects text and blocks: call `open`, `text` and `close` in document order, then `finish` once."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._pending: list[str] = []
        self._contexts = [_Context()]
        self._table = _Table()
        self._lists = 0
        self._preformatted = 0

    def open(self, tag: Tag) -> None:
        """Enter an element."""
        if self._contexts[-1].kind is BlockKind.TABLE and (tag.name == "table" or tag.name in _HEADINGS):
            self._dissolve_table()
        if self._contexts[-1].running and (context := self._context(tag)):
            self._flush()
            self._contexts.append(context)
        else:
            self._border(tag, opening=True)
        self._lists += tag.name in _LISTS
        self._preformatted += tag.name == "pre"

    def close(self, tag: Tag) -> None:
        """Leave an element that was entered."""
        if self._contexts[-1].tag is tag:
            self._flush()
            self._contexts.pop()
        else:
            self._border(tag, opening=False)
        self._lists -= tag.name in _LISTS
        self._preformatted -= tag.name == "pre"

    def text(self, text: str) -> None:
        """Add a text node."""
        if not self._preformatted:
            text = _SPACE.sub(" ", text)
            if not self._pending or self._pending[-1][-1].isspace():
                text = text.lstrip()
        if text:
            self._pending.append(text)

    def finish(self) -> tuple[str, tuple[Block, ...]]:
        """Return the page's text and blocks."""
        self._flush()
        return "".join(self._written), tuple(self._blocks)

    def _context(self, tag: Tag) -> _Context | None:
        """The context that an element opens in running text, if it opens one."""
        if tag.name in _MARKERS:
            level = max(1, self._lists)
            return _Context(tag, BlockKind.LIST_ITEM, level, _indent(level) + _MARKERS[tag.name])
        if self._contexts[-1].kind is BlockKind.LIST_ITEM:
            return None
        if tag.name in _HEADINGS:
            return _Context(tag, BlockKind.HEADING, _HEADINGS[tag.name])
        if tag.name == "table" and tag.get("role") == "presentation":
            return None
        kind = _KINDS.get(tag.name)
        return _Context(tag, kind) if kind else None

    def _border(self, tag: Tag, opening: bool) -> None:
        """Separate what is before an element's edge from what is after it."""
        kind = self._contexts[-1].kind
        if kind is BlockKind.TABLE:
            self._border_in_table(tag, opening)
        elif tag.name in (_LISTS if kind is BlockKind.LIST_ITEM else _BORDERS) and self._contexts[-1].running:
            self._flush()
        elif tag.name in _BORDERS or tag.name == "br":
            self._new_line()

    def _border_in_table(self, tag: Tag, opening: bool) -> None:
        table = self._table
        if tag.name in ("td", "th"):
            table.end_cell(self._line())
            table.in_cell = opening
            table.plain |= tag.name == "td"
        elif tag.name in _ROWS:
            table.end_cell(self._line())
            table.end_row()
            table.in_head = opening if tag.name == "thead" else table.in_head and tag.name == "tr"
        elif tag.name == "caption":
            self._write(BlockKind.PARAGRAPH, self._line())
        elif tag.name == "br" or tag.name in _BORDERS:
            self.text(" ")

    def _dissolve_table(self) -> None:
        """A table that holds a table or a heading is there for the layout: what was read of it becomes paragraphs."""
        table, self._table = self._table, _Table()
        for line in (*table.rows, " | ".join(table.cells), self._line()):
            self._write(BlockKind.PARAGRAPH, line)
        self._contexts[-1].kind = BlockKind.PARAGRAPH

    def _new_line(self) -> None:
        if self._pending and not self._pending[-1].endswith("\n"):
            self._pending[-1] = self._pending[-1].removesuffix(" ") or "\n"
            self._pending.append("\n")

    def _line(self) -> str:
        """Take what is pending, on one line."""
        text = " ".join(clean("".join(self._pending)).split())
        self._pending.clear()
        return text

    def _flush(self) -> None:
        """Write what is pending as one block of the present context."""
        context = self._contexts[-1]
        if context.kind is BlockKind.TABLE:
            self._flush_table()
        elif context.kind is BlockKind.HEADING:
            title = self._line()
            self._write(context.kind, title, context.level, title)
        else:
            text = clean("".join(self._pending))
            text = text.strip("\n").rstrip() if context.kind is BlockKind.CODE else text.strip()
            self._pending.clear()
            if text:
                self._write(context.kind, context.marker + text, context.level)
                context.marker = _indent(context.level)

    def _flush_table(self) -> None:
        table, self._table = self._table, _Table()
        table.end_cell(self._line())
        table.end_row()
        header = sum(len(row) + 1 for row in table.rows[: table.header]) if table.header < len(table.rows) else 0
        self._write(BlockKind.TABLE, "\n".join(table.rows), header=header or None)

    def _write(self, kind: BlockKind, text: str, level: int = 0, title: str = "", header: int | None = None) -> None:
        if not text:
            return
        if self._blocks:
            gap = "\n" if kind is self._blocks[-1].kind is BlockKind.LIST_ITEM else "\n\n"
            self._written.append(gap)
            self._length += len(gap)
        start, end = self._length, self._length + len(text)
        self._blocks.append(Block(kind, start, end, level, title, None if header is None else start + header))
        self._written.append(text)
        self._length = end
