"""Markdown (CommonMark and GFM tables) becomes blocks; the parser decides what is a heading, a fence or an item.

Promises: every line lies in exactly one block or is left out of the text, as front matter, thematic breaks and
HTML without visible words (tags alone, comments, scripts, styles) are. A block is whole lines, less trailing
white space; between blocks there is white space only. Only headings at the top level structure the document:
one inside a quotation or an item belongs to it, as code and tables there do. A list becomes its items; what
follows a nested list inside an item is a further block of that item's level. Link reference definitions,
which the parser swallows, are paragraphs.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag_pipeline.documents import front_matter
from rag_pipeline.documents.canonical import canonical, clean
from rag_pipeline.documents.text import paragraphs
from rag_pipeline.model import Block, BlockKind, Document

# Beyond this depth the parser swallows the rest of the document; its preset's 20 are ten nested lists.
_PARSER = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table")
_PARSER.core.ruler.enableOnly(["normalize", "block"])
_INLINE = MarkdownIt("commonmark")
_INLINE_MARKUP = re.compile(r"[\\`*_\[\]<>&!\n]")
_MAX_INLINE = 1000

_KINDS = {
    "heading_open": BlockKind.HEADING,
    "paragraph_open": BlockKind.PARAGRAPH,
    "fence": BlockKind.CODE,
    "code_block": BlockKind.CODE,
    "table_open": BlockKind.TABLE,
    "blockquote_open": BlockKind.QUOTE,
}
_INVISIBLE = re.compile(
    r"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<![A-Z\[].*?(?:>|\Z)|<(script|style|template)\b.*?(?:</\1\s*>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_NO_TEXT = re.compile(r"<[^<>]*>|[\s*_-]+")


class _Span(NamedTuple):
    """Whole lines, `last` exclusive. `kind` None: HTML or a thematic break, whose visible text must be looked for."""

    kind: BlockKind | None
    first: int
    last: int
    level: int = 0
    heading: str = ""


def parse(data: bytes) -> Document:
    """Parse Markdown; the title is the front matter's, else the first H1, else the first heading.

    Raises `DocumentError`.
    """
    source = canonical(data)
    declared = front_matter.read(source)
    text, blocks = _compact(source, _blocks(source, declared.end))
    headings = [block for block in blocks if block.title]
    first = next((block for block in headings if block.level == 1), headings[0] if headings else None)
    return Document(text, blocks, declared.title or (first.title if first else ""), declared.metadata)


def _blocks(text: str, start: int) -> Iterator[Block]:
    body = text[start:]
    offsets = list(accumulate((len(line) + 1 for line in body.split("\n")), initial=start))
    offsets[-1] = len(text)
    references: dict[str, Any] = {}
    done = 0
    for span in _spans(_PARSER.parse(body, references)):
        begin, end = offsets[span.first], offsets[span.last]
        yield from paragraphs(text, offsets[done], begin, BlockKind.PARAGRAPH)  # reference definitions
        done = max(done, span.last)
        if span.kind is None:
            yield from _visible(text, begin, end)
            continue
        content = text[begin:end]
        blank = content[: len(content) - len(content.lstrip())]
        begin, end = begin + blank.rfind("\n") + 1, begin + len(content.rstrip())
        if begin < end:
            header_end = min(offsets[span.first + 2], end) if span.kind is BlockKind.TABLE else None
            title = _plain(span.heading, references) if span.heading else ""
            yield Block(span.kind, begin, end, span.level, title, header_end)
    yield from paragraphs(text, offsets[done], len(text), BlockKind.PARAGRAPH)


def _compact(source: str, blocks: Iterable[Block]) -> tuple[str, tuple[Block, ...]]:
    """Leave out what no block covers, save white space, so that comments cannot travel inside a stretch of text."""
    parts: list[str] = []
    moved: list[Block] = []
    length = previous = 0
    for block in blocks:
        gap = source[previous : block.start]
        gap = "" if not moved else "\n\n" if gap.strip() else gap
        shift = length + len(gap) - block.start
        parts += (gap, source[block.start : block.end])
        header_end = None if block.header_end is None else block.header_end + shift
        moved.append(Block(block.kind, block.start + shift, block.end + shift, block.level, block.title, header_end))
        previous, length = block.end, block.end + shift
    return "".join(parts), tuple(moved)


def _spans(tokens: list[Token]) -> Iterator[_Span]:
    """Flatten the parser's tree into spans in order; what is inside a span is not looked at again."""
    lists: list[int] = []  # for each open list, the line after it
    items: list[int] = []  # for each open item, the line after it
    begun = 0  # first line of the innermost item that no span covers yet
    inside: int | None = None  # level of the block whose inside is passed over
    for index, token in enumerate(tokens):
        lines = token.map or (0, 0)
        if inside is not None:
            if token.level == inside and token.nesting == -1:
                inside = None
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            if items:
                yield _Span(BlockKind.LIST_ITEM, begun, lines[0], len(lists))
            lists.append(lines[1])
        elif token.type == "list_item_open":
            items.append(lines[1])
            begun = lines[0]
        elif token.type == "list_item_close":
            end = items.pop()
            yield _Span(BlockKind.LIST_ITEM, begun, end, len(lists))
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            begun = lists.pop()
        elif not items and token.nesting >= 0:
            level = int(token.tag[1]) if token.type == "heading_open" else 0
            heading = tokens[index + 1].content if level else ""
            yield _Span(_KINDS.get(token.type), lines[0], lines[1], level, heading)
            inside = token.level if token.nesting == 1 else None


def _visible(text: str, start: int, end: int) -> Iterator[Block]:
    """Yield as paragraphs what a browser would show of an HTML block."""
    hidden = [match.span() for match in _INVISIBLE.finditer(text, start, end)]
    edges = [start, *(edge for span in hidden for edge in span), end]
    for begin, stop in zip(edges[::2], edges[1::2], strict=True):
        content = text[begin:stop]
        if _NO_TEXT.sub("", content):
            first = begin + len(content) - len(content.lstrip())
            yield Block(BlockKind.PARAGRAPH, first, begin + len(content.rstrip()))


def _plain(heading: str, references: dict[str, Any]) -> str:
    """A heading's words without inline markup, on one line."""
    if _INLINE_MARKUP.search(heading) and len(heading) <= _MAX_INLINE:
        heading = "".join(_words(_INLINE.parseInline(heading, references)[0].children or []))
    return " ".join(clean(heading).split())


def _words(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "image":
            yield from _words(token.children or [])
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type != "html_inline":
            yield token.content
