"""Narrowing: published documents get the list of those whom their own list and another admit; their chunks follow."""

from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

from psycopg import Connection

from rag_pipeline.database.statements import statements
from rag_pipeline.model import NOBODY, Access


def narrow(
    connection: Connection[Any],
    pairs: Iterable[Mapping[str, Any]],
    narrow_documents: LiteralString,
    names: Mapping[str, Any],
) -> int:
    """Narrow the documents of each pair of lists; returns how many that were.

    A pair is a row of ``allow``, ``deny`` and ``other_allow``, ``other_deny``; where the second list is null, nobody is
    left. The statement `narrow_documents` gives the documents of one pair the list of ``digest``; it is given the row
    and `names`.
    """
    queries = statements("narrowing")
    narrowed = 0
    for pair in pairs:
        own = Access(tuple(pair["allow"]), tuple(pair["deny"]))
        gone = pair["other_allow"] is None
        both = NOBODY if gone else own.narrowed(Access(tuple(pair["other_allow"]), tuple(pair["other_deny"])))
        if both != own:
            values = {**names, **pair, "allow": list(both.allow), "deny": list(both.deny), "digest": both.digest}
            connection.execute(queries["intern_list"], values)
            narrowed += connection.execute(narrow_documents, values).rowcount
    if narrowed:
        for name in ("narrow_chunks", "narrow_vectors", "narrow_terms"):
            connection.execute(queries[name])
    return narrowed
