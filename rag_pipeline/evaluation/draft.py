"""Drafts of golden questions: from what people ask, and from sections that no question asks for.

A draft is for a person to read, to correct and to accept; until then a golden set with it is refused. Whatever it
proposes as the answer's place was found by a search of its caller, or read by the rights of its caller.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import count
from typing import Any, Literal

from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.database.statements import statements
from rag_pipeline.evaluation.golden import Expected, Question
from rag_pipeline.evaluation.query_log import Logged, key
from rag_pipeline.query import Caller, Hits

_PLACES = 3
"""Places that are proposed for a question, at most."""

_LEAST_CHARACTERS = 200
"""A shorter section, such as one of a heading and a link, is not asked for."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A question that a person may accept. `asked` and `askers` are of the log, 0 for one that nobody asked yet."""

    id: str
    question: str
    expected: tuple[Expected, ...]
    origin: Literal["log", "section"]
    asked: int = 0
    askers: int = 0

    def line(self, caller: Caller) -> dict[str, Any]:
        """Return it as a line of a golden set that is asked by `caller`, marked as a draft."""
        places = [
            {"source": place.source, "document": place.document, "section": list(place.section)}
            if place.section
            else {"source": place.source, "document": place.document}
            for place in self.expected
        ]
        return {
            "id": self.id,
            "question": self.question,
            "caller": list(caller.principals),
            "expected": places,
            "draft": True,
        }


@dataclass(frozen=True, slots=True)
class Unasked:
    """A section for which no golden question asks."""

    source: str
    document: str
    title: str
    heading_path: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A question that people ask and that what is indexed does not answer well, for this caller, now."""

    question: str
    asked: int
    askers: int
    in_vain: int
    last_asked: datetime
    hits: int
    evidence: float


Search = Callable[[str], Hits]
"""Searches on behalf of the caller for whom questions are drafted."""


def drafts_from_log(
    logged: Iterable[Logged], known: Sequence[Question], search: Search, min_evidence: float
) -> Iterator[Draft]:
    """Yield a draft for each question that is not `known` and for which this caller's search finds something good.

    Of the hits those are proposed that answers cite, else the first that was found when it was asked, else the first.
    """
    asked = {key(question.text) for question in known}
    name = _namer(question.id for question in known)
    for each in logged:
        if key(each.question) in asked:
            continue
        hits = search(each.question)
        if _unanswered(each, hits, min_evidence):
            continue
        cited = [hit for hit in hits if hit.chunk_id in each.cited]
        best = cited or [hit for hit in hits if hit.chunk_id in each.found][:1] or hits[:1]
        places = dict.fromkeys(Expected(hit.source, hit.document_id, hit.heading_path) for hit in best)
        if places:
            yield Draft(
                name("asked", each.question),
                each.question,
                tuple(places)[:_PLACES],
                "log",
                each.asked,
                each.askers,
            )


def drafts_from_sections(
    sections: Iterable[Unasked], taken: Collection[str], write: Callable[[Unasked], str | None]
) -> Iterator[Draft]:
    """Yield a draft a section: what `write` makes of it, where that is nothing a stub from its headings.

    `taken` are ids that may not be given again.
    """
    name = _namer(taken)
    for section in sections:
        question = write(section) or stub(section)
        yield Draft(
            name("section", question),
            question,
            (Expected(section.source, section.document, section.heading_path),),
            "section",
        )


def stub(section: Unasked) -> str:
    """Return a question that a person has to put into words of his own."""
    title = section.title or section.document
    heading = section.heading_path[-1] if section.heading_path else title
    if key(heading) == key(title):
        return f"What does “{title}” say?"
    return f"What does “{title}” say about “{heading}”?"


def unasked_sections(
    connection: Connection[Any], caller: Caller, covered: Iterable[Expected], limit: int
) -> tuple[Unasked, ...]:
    """Return sections that the caller may read and that no place which is expected already covers, one a document.

    The session's unqualified tables are those of the live generation.
    """
    asked = {
        "principals": list(caller.principals),
        "covered": json.dumps([asdict(place) for place in covered]),
        "least": _LEAST_CHARACTERS,
        "limit": limit,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(statements("query_log")["sections_without_question"], asked).fetchall()
    return tuple(
        Unasked(row["source"], row["document_id"], row["title"], tuple(row["heading_path"]), row["text"])
        for row in rows
    )


def gaps(logged: Iterable[Logged], search: Search, min_evidence: float) -> Iterator[Gap]:
    """Yield the questions that were asked in vain and for which this caller's search finds nothing better now."""
    for each in logged:
        if not each.in_vain:
            continue
        hits = search(each.question)
        if _unanswered(each, hits, min_evidence):
            yield Gap(
                each.question,
                each.asked,
                each.askers,
                each.in_vain,
                each.last_asked,
                len(hits),
                round(hits.evidence.score, 3),
            )


def _unanswered(each: Logged, hits: Hits, min_evidence: float) -> bool:
    """Whether what is found now is no good.

    Neither is what seems good, where most answers were that nothing is known, and the best hit was found then as well.
    """
    if not hits or hits.evidence.score < min_evidence:
        return True
    return each.declined > each.answered and hits[0].chunk_id in each.found


def _namer(taken: Iterable[str]) -> Callable[[str, str], str]:
    """Return a function that gives ids: a prefix and the first words of a question, none of them twice."""
    given = set(taken)

    def name(prefix: str, question: str) -> str:
        plain = unicodedata.normalize("NFKD", question).encode("ascii", "ignore").decode().lower()
        words = "-".join([prefix, *re.findall(r"[a-z0-9]+", plain)[:6]])
        numbered = (words if number == 1 else f"{words}-{number}" for number in count(1))
        given.add(free := next(each for each in numbered if each not in given))
        return free

    return name
