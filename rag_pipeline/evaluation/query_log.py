"""What the log of questions tells: which questions are asked often, and which in vain.

Questions that differ only in case, blanks and the signs at their ends are one. How many people ask is counted by their
pseudonyms; of a question asked by somebody who is nobody in particular each time counts as one of them.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.database.statements import statements

_ENDS = " \t\n.,;:!?…¿¡\"'“”„‘’«»()[]"


@dataclass(frozen=True, slots=True)
class Logged:
    """A question that people asked, as most of them spelled it.

    `asked` is how often, `askers` by how many people, `in_vain` how often nothing good was found though everything was
    searched that the caller may read. Of the answers, so many were that nothing is known (`declined`), the others
    `answered`; there is none to a search. `cited` are the chunk_ids that answers cite, `found` those among the first
    three that were found, most often first; some of them may be gone.
    """

    question: str
    asked: int
    askers: int
    in_vain: int
    declined: int
    answered: int
    last_asked: datetime
    cited: tuple[str, ...]
    found: tuple[str, ...]


def key(question: str) -> str:
    """Return what equal questions have in common."""
    return " ".join(unicodedata.normalize("NFKC", question).casefold().split()).strip(_ENDS)


def read_log(connection: Connection[Any], days: int, min_evidence: float) -> tuple[Logged, ...]:
    """Return the questions of the last days, the most frequent first.

    Below `min_evidence` what was found is no good.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statements("query_log")["asked"], {"days": days, "min_evidence": min_evidence}).fetchall()
    spellings: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        spellings[key(row["question"])].append(row)
    merged = [_merged(alike) for name, alike in spellings.items() if name]
    return tuple(sorted(merged, key=lambda logged: (-logged.asked, -logged.askers, logged.question)))


def _merged(alike: Sequence[Mapping[str, Any]]) -> Logged:
    """Make one question of its spellings."""
    people = {bytes(asker) for row in alike for asker in row["askers"]}
    spelled = max(alike, key=lambda row: (row["asked"], row["last_asked"]))["question"]
    return Logged(
        question=" ".join(spelled.split()),
        asked=sum(row["asked"] for row in alike),
        askers=len(people) + sum(row["nameless"] for row in alike),
        in_vain=sum(row["in_vain"] for row in alike),
        declined=sum(row["declined"] for row in alike),
        answered=sum(row["answered"] for row in alike),
        last_asked=max(row["last_asked"] for row in alike),
        cited=_most_often(row["cited"] for row in alike),
        found=_most_often(row["found"] for row in alike),
    )


def _most_often(counts: Iterable[Mapping[str, int]]) -> tuple[str, ...]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return tuple(sorted(total, key=lambda chunk_id: (-total[chunk_id], chunk_id)))
