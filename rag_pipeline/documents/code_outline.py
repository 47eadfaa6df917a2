"""The outline of code: which stretches stand under which heading, told by the definitions in the syntax tree.

A definition opens a heading; a class or module has its own stretches, then the headings of what it holds. Code
after a definition that belongs to the level above is reached again by that level's heading. Comments stay with
what they precede; a closing brace or a label never opens a stretch of its own. Depth is bounded, and every node
is looked at once, so that the time is linear.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from tree_sitter import Node

from rag_pipeline.documents.code_definitions import Definition, Definitions
from rag_pipeline.documents.code_grammars import Grammar
from rag_pipeline.documents.code_lines import Lines

_MAX_LEVEL = 6
_MAX_DEPTH = 40


class Heading(NamedTuple):
    """The outline's name for the stretches that follow; without a title it closes what is open."""

    start: int
    level: int
    title: str


class Stretch(NamedTuple):
    """Code from `start` to where the next stretch starts; `clings` is a block's."""

    start: int
    symbol: str
    clings: bool = False


class _Role(Enum):
    DEFINITION = "definition"
    STATEMENT = "statement"
    LEAD = "lead"  # a comment or an attribute: goes with what follows
    OPENER = "opener"  # what stands before a definition in its ``if`` or ``#ifdef``: goes with what follows
    CLOSER = "closer"  # a brace, an ``end``: goes with what precedes


@dataclass(frozen=True, slots=True)
class _Member:
    """What stands in a level, from its first visible character to its last."""

    role: _Role
    start: int
    end: int
    definition: Definition | None = None


class Outline:
    """Finds the headings and stretches of one syntax tree whose byte offsets are character offsets."""

    def __init__(self, text: str, grammar: Grammar, lines: Lines) -> None:
        self._grammar = grammar
        self._lines = lines
        self._definitions = Definitions(text, grammar)

    def of(self, root: Node) -> Iterator[Heading | Stretch]:
        """Yield headings and stretches in order."""
        return self._level(self._members(root.children, 0), 0, "", "")

    def _level(self, members: Iterable[_Member], level: int, title: str, symbol: str) -> Iterator[Heading | Stretch]:
        """Yield what a level holds; its own heading, or none for a file, is open when it begins."""
        is_open, end, previous = True, -1, ""
        waiting: list[_Member] = []
        for member in self._joined(members):
            if definition := member.definition:
                name = f"{symbol}.{definition.name}".removeprefix(".")
                if is_open or waiting or name != previous:
                    yield Heading((*waiting, member)[0].start, level + 1, definition.name)
                yield from self._run(waiting, -1, name)
                if definition.scope and level + 1 < _MAX_LEVEL:
                    yield from self._level(self._inside(member, definition.scope), level + 1, definition.name, name)
                else:
                    yield Stretch(member.start, name)
                    previous = name
                is_open, waiting = False, []
            elif is_open:
                yield from self._run([member], end, symbol)
            elif member.role is _Role.STATEMENT:
                waiting.append(member)
                yield Heading(waiting[0].start, max(level, 1), title)
                yield from self._run(waiting, -1, symbol)
                is_open, waiting = True, []
            elif member.role is _Role.CLOSER:
                yield from (Stretch(rest.start, symbol, clings=True) for rest in (*waiting, member))
                waiting = []
            else:
                waiting.append(member)
            end = member.end
        yield from (Stretch(rest.start, symbol, clings=True) for rest in waiting)

    def _run(self, members: Iterable[_Member], end: int, symbol: str) -> Iterator[Stretch]:
        """Yield a stretch for what follows a blank line, or is the first; `end` is that of the member before, or -1."""
        for member in members:
            if end < 0 or (member.role is not _Role.CLOSER and self._lines.breaks(end, member.start) > 1):
                yield Stretch(member.start, symbol)
            end = member.end

    def _joined(self, members: Iterable[_Member]) -> Iterator[_Member]:
        """Put together what shares a line, and comments with what stands directly below them."""
        previous: _Member | None = None
        for member in members:
            if previous is None:
                previous = member
            elif joined := self._join(previous, member):
                previous = joined
            else:
                yield previous
                previous = member
        if previous:
            yield previous

    def _join(self, first: _Member, second: _Member) -> _Member | None:
        breaks = self._lines.breaks(first.end, second.start)
        if first.role is _Role.LEAD and breaks <= (second.role is not _Role.CLOSER):
            return replace(second, start=first.start)
        if breaks > 0:
            return None
        if second.definition:
            return replace(second, start=first.start) if first.role is _Role.OPENER else None
        if first.definition and second.role not in (_Role.CLOSER, _Role.LEAD):
            return None
        return replace(first, end=second.end)

    def _inside(self, member: _Member, scope: Node) -> list[_Member]:
        """The head of a definition, then what its body holds, then what closes it."""
        body = scope.child_by_field_name("body")
        if body is None:
            return [replace(member, role=_Role.STATEMENT, definition=None)]
        leads = self._leads(scope, body)
        start = leads[0].start_byte if leads else body.start_byte
        begin, end = self._lines.visible(start), self._lines.stripped(body.start_byte, body.end_byte)
        head = _Member(_Role.STATEMENT, member.start, self._lines.stripped(member.start, begin))
        tail = self._lines.visible(end)
        closers = [_Member(_Role.CLOSER, tail, member.end)] if tail < member.end else []
        return [head, *self._members([*leads, *body.children], 0), *closers]

    def _leads(self, scope: Node, body: Node) -> list[Node]:
        """The comments on lines of their own that some grammars put before a body instead of into it."""
        leads: list[Node] = []
        for node in scope.children:
            if node.start_byte >= body.start_byte:
                break
            if node.type not in self._grammar.leads:
                leads = []
            elif leads or self._lines.begins(node.start_byte):
                leads.append(node)
        return leads if leads and leads[0].start_byte > scope.start_byte else []

    def _members(self, nodes: Iterable[Node], depth: int) -> list[_Member]:
        """The members among some siblings; what is transparent is replaced by its own if definitions are in it."""
        members: list[_Member] = []
        for node in nodes:
            start = self._lines.visible(node.start_byte)
            end = self._lines.stripped(start, node.end_byte)
            if start >= end:
                continue
            if definition := self._definitions.of(node):
                members.append(_Member(_Role.DEFINITION, start, end, definition))
                continue
            if node.is_named and node.type in self._grammar.transparent and depth < _MAX_DEPTH:
                inner = self._members(node.children, depth + 1)
                if any(member.definition for member in inner):
                    if inner[0].role is _Role.CLOSER:
                        inner[0] = replace(inner[0], role=_Role.OPENER)
                    members += inner
                    continue
            members.append(_Member(self._role(node), start, end))
        return members

    def _role(self, node: Node) -> _Role:
        if not node.is_named or node.type in self._grammar.tails:
            return _Role.CLOSER
        if node.type in self._grammar.leads:
            return _Role.LEAD
        return _Role.OPENER if node.type in self._grammar.labels else _Role.STATEMENT
