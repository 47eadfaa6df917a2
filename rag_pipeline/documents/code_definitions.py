"""What a piece of code defines and what it is called: a function, class or module, whatever its grammar says for it.

Names are dotted (``Type.method``) in every language; type arguments and the words around a name are left out.
"""

import re
from typing import NamedTuple

from tree_sitter import Node

from rag_pipeline.documents.code_grammars import Grammar

_NAMED_BY = {
    "variable_declarator": "name",
    "assignment_expression": "left",
    "field_definition": "property",
    "public_field_definition": "name",
    "type_spec": "name",
    "type_definition": "declarator",
}
"""Wrappers that give a name to what they hold, and the field that has it."""

_MAX_WRAPPERS = 8
_MAX_NAME = 200  # every block of a definition carries its name, so a long one must not multiply
_NAME = re.compile(r"[^\s()\[\]{};,\"'`][^\n\"'`;{}]*")
_PLAIN_NAME = re.compile(r"[\w$.#]+")


class Definition(NamedTuple):
    """A definition: its dotted name, and the node whose body holds further definitions, None for one kept whole."""

    name: str
    scope: Node | None


class Definitions:
    """Recognises the definitions of one text; a node's byte offsets are the text's character offsets."""

    def __init__(self, text: str, grammar: Grammar) -> None:
        self._text = text
        self._grammar = grammar

    def of(self, node: Node) -> Definition | None:
        """Return what `node` defines, looking through what wraps a single definition."""
        return self._of(node, "", 0)

    def text(self, node: Node) -> str:
        """Return the source of a node, on one line."""
        return " ".join(self._text[node.start_byte : min(node.end_byte, node.start_byte + _MAX_NAME)].split())

    def _of(self, node: Node, given: str, depth: int) -> Definition | None:
        grammar, kind = self._grammar, node.type
        if not node.is_named:
            return None
        if kind in grammar.scopes or kind in grammar.leaves or (kind in grammar.values and given):
            if kind not in grammar.bodiless and node.child_by_field_name("body") is None:
                return None
            name = given if kind in grammar.values and given else self._name(node) or given
            return Definition(name, node if kind in grammar.scopes else None) if name else None
        if kind not in grammar.wrappers or depth == _MAX_WRAPPERS:
            return None
        if kind in _NAMED_BY:
            given = self._given(node, _NAMED_BY[kind])
        elif kind == "export_statement":
            given = "default"
        found = [child for child in node.named_children if child.type not in grammar.leads]
        if len(found) > 1 and kind in grammar.transparent and kind == "type_declaration":
            return None
        return next(filter(None, (self._of(child, given, depth + 1) for child in found)), None)

    def _given(self, wrapper: Node, field: str) -> str:
        node = wrapper.child_by_field_name(field)
        name = self.text(node) if node else ""
        return name if _PLAIN_NAME.fullmatch(name) else ""

    def _name(self, node: Node) -> str:
        """The name that a definition itself has, or nothing."""
        match node.type:
            case "impl_item":
                named = _unparametrised(node.child_by_field_name("type"))
            case kind if kind.startswith("create_"):
                named = next((child for child in node.named_children if child.type in _SQL_NAMES), None)
            case "function_definition":
                named = _declared(node)
            case _:
                named = node.child_by_field_name("name")
        if named is None:
            return ""
        if named.type == "qualified_identifier":
            return self._qualified(named)
        name = self.text(named).strip("\"'`").replace("::", ".")
        owner = node.child_by_field_name("receiver") or node.child_by_field_name("object")
        receiver = re.findall(r"\w+", self.text(owner).partition("[")[0])[-1:] if owner else []
        return ".".join([*receiver, name] if receiver != ["self"] else [name])

    def _qualified(self, node: Node | None) -> str:
        parts: list[str] = []
        while node is not None and node.type == "qualified_identifier" and len(parts) < _MAX_WRAPPERS:
            scope = _unparametrised(node.child_by_field_name("scope"))
            parts += [self.text(scope)] if scope else []
            node = node.child_by_field_name("name")
        node = _unparametrised(node)
        return ".".join([*parts, self.text(node)] if node else parts)


_SQL_NAMES = ("object_reference", "identifier")


def _unparametrised(node: Node | None) -> Node | None:
    """The node without its type arguments."""
    if node is not None and node.type in ("generic_type", "template_type", "template_function"):
        return node.child_by_field_name("type") or node.child_by_field_name("name")
    return node


def _declared(node: Node) -> Node | None:
    """The name of a function: the field of that name, or what is innermost in the declarators of C."""
    if named := node.child_by_field_name("name"):
        return named
    inner = node.child_by_field_name("declarator")
    while inner is not None and inner.type.endswith("_declarator"):
        inner = inner.child_by_field_name("declarator") or next(iter(inner.named_children[:1]), None)
    return inner
