"""Code becomes an outline of its classes and functions, each function one block that knows where it may be cut.

Promises: the text is the file's own, line for line; every visible character lies in a block of whole lines, as far
as definitions do not share one; a definition's decorators, doc comments and the comments directly above it are in
its block. Headings are empty: they name what follows, as the outline of a document does. Code that cannot be
trusted, because it is minified or because much of it is not of its language, is read as paragraphs.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from tree_sitter import Node, Parser, QueryCursor

from rag_pipeline.documents.canonical import canonical
from rag_pipeline.documents.code_grammars import load
from rag_pipeline.documents.code_lines import Lines
from rag_pipeline.documents.code_outline import Heading, Outline, Stretch
from rag_pipeline.documents.code_seams import Seams
from rag_pipeline.documents.text import paragraphs
from rag_pipeline.model import Block, BlockKind, Document, Place

_LONG_LINE = 1000
_MAX_MINIFIED = 0.5
_MAX_ERRORS = 0.2
_MAX_TITLE = 200
_SPACES = re.compile(r"[^\S\x00-\x7f]")
_TITLES = ("string_content", "package_identifier", "scoped_identifier", "identifier")
_TITLE_IS_IN = {
    "expression_statement": ("string",),
    "string": ("string_content",),
    "package_clause": _TITLES,
    "package_declaration": _TITLES,
}
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def parse(data: bytes, language: str) -> Document:
    """Parse a file of one of `rag_pipeline.sources.media_types.LANGUAGES`; the title is what the code declares.

    Syntax errors are tolerated: what is around them keeps its structure. Raises `DocumentError`.
    """
    text = canonical(data)
    lines = Lines(text)
    title, blocks = "", []
    if text.strip() and not _minified(text):
        title, blocks = _structured(text, language, lines)
    blocks = blocks or [_placed(block, lines) for block in paragraphs(text, 0, len(text), BlockKind.CODE)]
    return Document(text, tuple(blocks), title, {"language": language} if blocks else {})


def _structured(text: str, language: str, lines: Lines) -> tuple[str, list[Block]]:
    """The title and the blocks that the syntax tree tells; no blocks if there are too many errors in it."""
    grammar_language, grammar, query = load(language)
    root = Parser(grammar_language).parse(_one_byte_each(text)).root_node
    if root.is_error:  # first: a query takes quadratic time over the many children that such a root has
        return "", []
    found = QueryCursor(query).captures(root)
    if _extent(found.get("error", [])) > _MAX_ERRORS * len(text):
        return "", []
    seams = Seams(text, found.get("body", []), grammar, lines)
    outline = Outline(text, grammar, lines).of(root)
    return _title(text, root), list(_blocks(text, outline, seams, lines))


def _one_byte_each(text: str) -> bytes:
    """The text as the grammars read it, in which byte offsets are character offsets.

    Grammars count bytes. Beyond ASCII they care for letters alone, and for spaces, so that a letter or a space can
    stand for each other character.
    """
    if not text.isascii():
        text = _BEYOND_ASCII.sub(lambda match: "x" * len(match[0]), _SPACES.sub(" ", text))
    return text.encode("ascii")


def _minified(text: str) -> bool:
    return sum(len(line) for line in text.split("\n") if len(line) > _LONG_LINE) > _MAX_MINIFIED * len(text)


def _extent(nodes: list[Node]) -> int:
    """How many characters lie in any of the nodes."""
    extent = covered = 0
    for start, end in sorted(node.byte_range for node in nodes):
        extent += max(0, end - max(start, covered))
        covered = max(covered, end)
    return extent


def _blocks(text: str, parts: Iterable[Heading | Stretch], seams: Seams, lines: Lines) -> Iterator[Block]:
    """Lay the parts of the outline out as blocks, each up to the next one, so that nothing lies between them."""
    first = Stretch(lines.visible(0), "")
    for part, following in pairwise((*parts, Stretch(len(text), ""))):
        start, end = lines.border(min(first.start, part.start)), lines.border(following.start)
        first = following
        if isinstance(part, Heading):
            yield Block(BlockKind.HEADING, start, start, part.level, part.title)
            continue
        end = lines.stripped(start, end)
        place = Place(lines=lines.span(start, end), symbol=part.symbol)
        yield Block(BlockKind.CODE, start, end, seams=seams.inside(start, end), clings=part.clings, place=place)


def _title(text: str, root: Node) -> str:
    """What the code says that it is: the first line of a Python module's docstring, or its package."""
    node = next((child for child in root.named_children if not child.type.endswith("comment")), None)
    while node and node.type in _TITLE_IS_IN:
        wanted = _TITLE_IS_IN[node.type]
        node = next((child for child in node.named_children if child.type in wanted), None)
    if node is None or node.type not in _TITLES:
        return ""
    title, _, _ = text[node.start_byte : node.end_byte].strip().partition("\n")
    return " ".join(title.split())[:_MAX_TITLE].rstrip()


def _placed(block: Block, lines: Lines) -> Block:
    return replace(block, place=Place(lines=lines.span(block.start, block.end)))
