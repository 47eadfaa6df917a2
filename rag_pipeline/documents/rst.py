"""reStructuredText, with or without Sphinx, becomes blocks: the tree is docutils', the text what a reader would see.

Promises: no words are lost, save comments, targets, the options of directives, and what directives such as
``raw``, ``include``, ``index`` or ``contents`` name. Directives that nobody knows give their arguments as a
paragraph and their content as what it is; admonitions begin with their name. Nothing outside the document is
read. Substitutions that the document itself defines are made.
"""

import re

from docutils import nodes

from rag_pipeline.documents import front_matter
from rag_pipeline.documents.canonical import canonical
from rag_pipeline.documents.rst_directives import Rows
from rag_pipeline.documents.rst_states import doctree
from rag_pipeline.documents.writer import Writer
from rag_pipeline.model import BlockKind, Document

_REFERENCE = re.compile(r"\|([^|\s](?:[^|\n]*[^|\s])?)\|_{0,2}")
_WORD = re.compile(r"\w")
_MAX_GROWTH = 1_000_000
_ERROR = 3
_INVISIBLE = (nodes.comment, nodes.target, nodes.label, nodes.transition, nodes.substitution_definition)


def parse(data: bytes) -> Document:
    """Parse reStructuredText; the title is the front matter's, else that of the first heading of the highest level.

    Raises `DocumentError` when it is nested too deeply, or too damaged for docutils.
    """
    text = canonical(data)
    declared = front_matter.read(text)
    root, substitutions = doctree(text[declared.end :])
    tree = _Tree(substitutions)
    tree.children(root, BlockKind.PARAGRAPH, 0, 0)
    return tree.writer.document(declared.title or tree.writer.headline, declared.metadata)


class _Tree:
    """Writes the tree in order. A `kind` and a list depth `level` say what running text becomes."""

    def __init__(self, substitutions: dict[str, str]) -> None:
        self.writer = Writer()
        self._substitutions = substitutions
        self._room = _MAX_GROWTH
        self._prefix = ""  # bullet, term or label that stands before the text to come

    def children(self, node: nodes.Element, kind: BlockKind, level: int, section: int) -> None:
        """Write what is inside a node, under a heading of level `section`."""
        for child in node.children:
            if isinstance(child, nodes.Element):
                self._node(child, kind, level, section)

    def _node(self, node: nodes.Element, kind: BlockKind, level: int, section: int) -> None:
        match node:
            case nodes.section():
                self.children(node, kind, level, section + 1)
            case nodes.title() if isinstance(node.parent, nodes.section):
                self._text(BlockKind.HEADING, node.astext(), section)
            case nodes.system_message():
                self._message(node)
            case nodes.literal_block() | nodes.doctest_block():
                self._flush(kind, level)
                self.writer.add(BlockKind.CODE, node.astext())
            case nodes.table():
                self._flush(kind, level)
                self._table(node)
            case Rows():
                self.writer.table([[self._seen(cell) for cell in row] for row in node.rows], node.header)
            case nodes.block_quote():
                self.children(node, kind if kind is BlockKind.LIST_ITEM else BlockKind.QUOTE, level, section)
            case nodes.container():
                self._directive(node, kind, level, section)
            case nodes.bullet_list() | nodes.enumerated_list():
                self._list(node, level + 1, section)
            case nodes.definition_list() | nodes.field_list() | nodes.option_list():
                for item in node.children:
                    self._named(item, level + 1, section)
            case nodes.footnote():
                self._below(f"[{node.children[0].astext()}] ", node, kind, level, section)
            case nodes.line_block():
                self._text(kind, "\n".join(line.astext() for line in node.findall(nodes.line)), level)
            case nodes.TextElement() if not isinstance(node, _INVISIBLE):
                self._text(kind, node.astext(), level)
            case _ if not isinstance(node, _INVISIBLE):
                self.children(node, kind, level, section)

    def _list(self, node: nodes.Element, level: int, section: int) -> None:
        number = node.get("start", 1)
        for item in node.children:
            if isinstance(item, nodes.list_item):
                marker = f"{number}. " if isinstance(node, nodes.enumerated_list) else "- "
                self._below(marker, item, BlockKind.LIST_ITEM, level, section)
                number += 1

    def _named(self, item: nodes.Node, level: int, section: int) -> None:
        """Write a term with its definition, a field with its value, an option with its description."""
        if not isinstance(item, nodes.Element) or isinstance(item, nodes.system_message):
            return
        *names, body = item.children
        match item:
            case nodes.definition_list_item():
                prefix = " : ".join(name.astext() for name in names) + "\n  "
            case nodes.field():
                prefix = f"{names[0].astext()}: "
            case _:
                prefix = ", ".join(option.astext() for option in item.findall(nodes.option)) + "  "
        if isinstance(body, nodes.Element):
            self._below(prefix, body, BlockKind.LIST_ITEM, level, section)

    def _below(self, prefix: str, node: nodes.Element, kind: BlockKind, level: int, section: int) -> None:
        """Write what is inside a node, with something before its first text."""
        self._prefix += prefix
        self.children(node, kind, level, section)
        self._flush(kind, level)

    def _directive(self, node: nodes.Element, kind: BlockKind, level: int, section: int) -> None:
        header, items = node.get("header"), [child for child in node.children if isinstance(child, nodes.bullet_list)]
        if header is not None and len(items) == 1 and all(_is_row(item) for item in items[0].children):
            for child in node.children:
                if isinstance(child, nodes.paragraph):
                    self._text(kind, child.astext(), level)
            rows = [[self._seen(_joined(cell)) for cell in item.children[0].children] for item in items[0].children]
            self.writer.table(rows, header)
        else:
            self._below(node.get("label", ""), node, kind, level, section)

    def _table(self, table: nodes.Element) -> None:
        rows = [
            [self._seen(_joined(cell)) for cell in row.children if isinstance(cell, nodes.entry)]
            for row in table.findall(nodes.row)
        ]
        header = sum(len(list(head.findall(nodes.row))) for head in table.findall(nodes.thead))
        self.writer.table(rows, header)

    def _message(self, node: nodes.Element) -> None:
        """Of docutils' complaints keep the source that it could not place; warnings are about text that it could."""
        if node.get("level", 0) >= _ERROR:
            for source in node.findall(nodes.literal_block):
                self._text(BlockKind.PARAGRAPH, source.astext(), 0)

    def _text(self, kind: BlockKind, text: str, level: int) -> None:
        if text.strip():
            prefix, self._prefix = self._prefix, ""
            self.writer.add(kind, prefix + self._seen(text), level)

    def _flush(self, kind: BlockKind, level: int) -> None:
        """Write a prefix that found no text to stand before, unless it is a mere bullet."""
        if _WORD.search(self._prefix):
            self.writer.add(kind, self._prefix.rstrip(": "), level)
        self._prefix = ""

    def _seen(self, text: str) -> str:
        """Put in what substitutions stand for; they may let the document grow by a bounded length only."""
        return _REFERENCE.sub(self._substituted, text) if self._substitutions else text

    def _substituted(self, match: re.Match[str]) -> str:
        value = self._substitutions.get(" ".join(match[1].split()))
        if value is None or len(value) > self._room:
            return match[0]
        self._room -= len(value)
        return value


def _is_row(item: nodes.Node) -> bool:
    return len(item.children) == 1 and isinstance(item.children[0], nodes.bullet_list)


def _joined(cell: nodes.Node) -> str:
    return " ".join(child.astext() for child in cell.children)
