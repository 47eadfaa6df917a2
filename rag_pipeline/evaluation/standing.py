"""Which of the places that a golden set expects are there to be found, for the caller who asks.

A document that its source no longer has, or that the caller may no longer read, is no fault of a search: it is taken
out of the question and named. One that waits in quarantine, or has lost the section, is expected all the same.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.database.statements import statements
from rag_pipeline.evaluation.golden import Question
from rag_pipeline.evaluation.results import Gone
from rag_pipeline.sources.snapshot import document_hash

_AWAITED = "its source is not in the index"


def findable(
    connection: Connection[Any], generation: int, questions: Sequence[Question]
) -> tuple[list[Question], dict[str, tuple[Gone, ...]]]:
    """Return the questions with those places that can be found, and of each the others, by its id.

    The session's unqualified tables are those of the generation. A question of which nothing is left expects nothing.
    """
    callers: dict[tuple[str, ...], list[Question]] = defaultdict(list)
    for question in questions:
        callers[question.caller].append(question)
    reasons: dict[tuple[str, str], str] = {}
    for caller, asked in callers.items():
        places = [(question.id, place) for question in asked for place in question.expected]
        values = {
            "generation": generation,
            "principals": list(caller),
            "sources": [place.source for _, place in places],
            "hashes": [document_hash(place.source, place.document) for _, place in places],
        }
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(statements("evaluation")["standing"], values).fetchall()
        for (question, place), row in zip(places, rows, strict=True):
            if why := _why_gone(row):
                reasons[question, str(place)] = why
    left: list[Question] = []
    gone: dict[str, tuple[Gone, ...]] = {}
    for question in questions:
        kept = tuple(place for place in question.expected if (question.id, str(place)) not in reasons)
        left.append(replace(question, expected=kept))
        gone[question.id] = tuple(
            Gone(question.id, str(place), why, awaited=why == _AWAITED)
            for place in question.expected
            if (why := reasons.get((question.id, str(place))))
        )
    return left, gone


def _why_gone(row: Mapping[str, Any]) -> str | None:
    """Say why a document cannot be found, None when it ought to be."""
    if row["present"]:
        return None if row["readable"] else "its caller may not read it any more"
    if row["quarantined"]:
        return None
    if row["removed_at"] is not None:
        return f"its source lost it on {row['removed_at']:%Y-%m-%d}"
    if not row["source_published"]:
        return _AWAITED
    return "no document has this name; if it was renamed, correct the golden set"
