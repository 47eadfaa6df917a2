"""Graphs over the vectors of single groups, for questions that are far from all that such a group may read.

The graph over all vectors leads a question to what is nearest of all; if the rights of a group follow topics, and the
question is about another one, it would lead through everything that is nearer and may not be read. A graph of what
the group may read leads there at once. It is worth its room for few, large groups.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from rag_pipeline.database.statements import statements

_logger = logging.getLogger(__name__)
_MOST = 4
"""Graphs of one generation: each that a chunk is in is one more to change with it."""
_CANDIDATES = 16
_MOST_LISTS, _MOST_LISTS_BEFORE_18 = 5_000, 1_000
"""Access lists of one group: the condition of its index names them all. Before 18, Postgres keeps it in one page."""
_SERVED, _LEFT = 0.95, 0.05
"""Share of a group's chunks that a graph must hold, the others are compared one by one; and that may have left it."""
_FAR = 0.1
"""Share of questions about something else that are far from the group, below which it needs no graph."""


@dataclass(frozen=True, slots=True)
class Group:
    """Who may read these access lists, and maybe others; `sizes` are the chunks of each list."""

    lists: Sequence[int]
    sizes: Sequence[int]

    @property
    def chunks(self) -> int:
        """How many chunks the group may read."""
        return sum(self.sizes)


@dataclass(frozen=True, slots=True)
class GroupGraph:
    """An index of the chunks of these access lists; `sizes` are the chunks of each list now."""

    name: str
    lists: Sequence[int]
    sizes: Sequence[int]

    def serves(self, group: Group) -> bool:
        """Whether it holds what the group may read, nearly all of it and next to nothing else."""
        readable = set(group.lists)
        inside = sum(size for acl_id, size in zip(self.lists, self.sizes, strict=True) if acl_id in readable)
        outside = sum(self.sizes) - inside
        return inside >= _SERVED * group.chunks and outside <= _LEFT * group.chunks


def maintain_group_graphs(
    connection: Connection[Any], exact_up_to: int, watched: Callable[[str, int], None], anew: bool
) -> bool:
    """Build the graphs that are missing and drop those that serve nobody any more; with `anew` make the others anew.

    `watched` executes a statement that builds a graph of so many chunks. Returns whether any was built.
    """
    queries = statements("group_graphs")
    with connection.cursor(row_factory=class_row(GroupGraph)) as cursor:
        standing = cursor.execute(queries["standing"]).fetchall()
    lists = _MOST_LISTS if connection.info.server_version >= 180_000 else _MOST_LISTS_BEFORE_18
    bounds = {"exact_up_to": exact_up_to, "most_lists": lists, "most": _CANDIDATES}
    with connection.cursor(row_factory=class_row(Group)) as cursor:
        groups = cursor.execute(queries["groups"], bounds).fetchall()
    connection.execute(queries["look_as_searches_do"])
    kept: set[str] = set()
    missing: list[Group] = []
    for group in groups:
        if len(kept) + len(missing) == _MOST:
            break
        graph = next((graph for graph in standing if graph.serves(group)), None)
        if graph is not None:
            if anew and graph.name not in kept:
                watched(_statement(connection, "rebuild", name=graph.name), group.chunks)
            kept.add(graph.name)
        elif any(GroupGraph("", other.lists, other.sizes).serves(group) for other in missing):
            continue
        elif _far_share(connection, group) >= _FAR:
            missing.append(group)
    for group in missing:
        _logger.info("building a graph for a group of %s chunks", f"{group.chunks:,}")
        watched(_statement(connection, "build", lists=group.lists), group.chunks)
    # Last: until the others are built, these serve some.
    for graph in standing:
        if graph.name not in kept:
            connection.execute(_statement(connection, "drop", name=graph.name).encode())
    return bool(missing)


def _far_share(connection: Connection[Any], group: Group) -> float:
    row = connection.execute(statements("group_graphs")["far_share"], {"lists": group.lists}).fetchone()
    assert row is not None
    return row[0]


def _statement(connection: Connection[Any], step: str, **values: Any) -> str:
    """Return a statement that takes no parameters, as the database puts it together."""
    row = connection.execute(statements("group_graphs")[step], values).fetchone()
    assert row is not None
    return row[0]
