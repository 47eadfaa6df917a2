"""Where code may be cut: between statements, the outermost first, and between the elements of large literals.

A level of statements gives three ranks of seams. The strongest lie between its statements. The next keep a comment
with the statement below it, and the head of a loop with its first statement, as long as there is room. The last lie
inside its statements, before an ``else`` or ``except``; then come the ranks of the bodies that these have.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from tree_sitter import Node

from rag_pipeline.documents.code_grammars import Grammar
from rag_pipeline.documents.code_lines import Lines

_END = re.compile(r"(?:end|fi|done|esac)\b")
_RANKS = 3
_DEEPEST = 24  # levels below share the last ranks, so that nesting cannot multiply the work of the chunker


class Seams:
    """The seams of one text, by rank."""

    def __init__(self, text: str, bodies: Iterable[Node], grammar: Grammar, lines: Lines) -> None:
        self._text = text
        self._grammar = grammar
        self._lines = lines
        ranks: dict[int, int] = {}
        open_ends: list[int] = []
        for body in sorted(bodies, key=lambda node: (node.start_byte, -node.end_byte)):
            while open_ends and open_ends[-1] <= body.start_byte:
                open_ends.pop()
            level = min(len(open_ends), _DEEPEST)
            outside = level - 1
            while grammar.indented and 0 <= outside < len(open_ends) and open_ends[outside] == body.end_byte:
                outside -= 1
            for offset, rank in self._of(body, _RANKS * level, _RANKS * max(0, outside) + 1):
                ranks[offset] = min(rank, ranks.get(offset, rank))
            open_ends.append(body.end_byte)
        by_rank: dict[int, list[int]] = {}
        for offset, rank in sorted(ranks.items()):
            by_rank.setdefault(rank, []).append(offset)
        self._by_rank = [by_rank[rank] for rank in sorted(by_rank)]

    def inside(self, start: int, end: int) -> tuple[tuple[int, ...], ...]:
        """Return the seams strictly inside a stretch, the strongest first, without empty ranks."""
        ranks = (tuple(seams[bisect_right(seams, start) : bisect_left(seams, end)]) for seams in self._by_rank)
        return tuple(seams for seams in ranks if seams)

    def _of(self, body: Node, rank: int, outside: int) -> Iterator[tuple[int, int]]:
        """Yield the seams before the members of a list of statements, and after its last one.

        Comments that end an indented body are no part of the statement that the body belongs to, although the
        grammar has them in it: they are cut off first, at the rank `outside`.
        """
        end, follows, after_lead = body.start_byte, False, False
        trailing: int | None = None
        for node in body.children:
            start = self._lines.visible(node.start_byte)
            if start >= node.end_byte or node.type in self._grammar.tails:
                continue
            begins, lead = self._lines.begins(start), node.is_named and node.type in self._grammar.leads
            if begins or (follows and node.is_named and not lead):
                weak = end == body.start_byte or not node.is_named
                weak = weak or (after_lead and self._lines.breaks(end, start) == 1)
                yield self._lines.border(start), rank + weak
            if node.is_named:
                end = self._lines.stripped(start, node.end_byte)
            follows, after_lead = (node.is_named and not lead) or node.type == ";", lead and begins
            if not after_lead:
                trailing = None
            elif trailing is None:
                trailing = self._lines.border(start)
        if self._grammar.indented and trailing is not None:
            yield trailing, outside
        rest = self._lines.visible(end)
        if self._lines.begins(rest):
            branch = rank > 0 and self._text[rest].isalpha() and not _END.match(self._text, rest)
            yield self._lines.border(rest), rank - 1 if branch else rank + 1
