"""From hits to an answer: abstain, quote, or have a model write and check what it cites."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from rag_pipeline.query.answer import NOT_KNOWN, Answer, Citation
from rag_pipeline.query.hits import Hits

if TYPE_CHECKING:
    from rag_pipeline.settings import Settings

OnText = Callable[[str], None]
"""Called with the pieces of an answer as they come; together they are its text."""

_QUOTED = 3
"""Passages that are quoted where no model writes."""

_NOTHING = "nothing was found among what this caller may read, so no model was asked"
_WEAK = "what was found has too little to do with the question, so no model was asked"
_QUOTATIONS = "no model wrote this: these are the best passages, quoted; [answers] model names one that writes answers"


class Answering:
    """Answers from the hits of one index's searches. Any number of threads may use it at once."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    def answer(self, question: str, hits: Hits, on_text: OnText | None = None) -> Answer:
        """Return the answer to a question of which these are the hits.

        A model that fails costs the answer, never the hits. `on_text` is called in the caller's thread. `seconds` is
        left to whoever knows when the question was asked.
        """
        settings = self._settings.answers
        if not hits:
            return _by_nobody(hits, NOT_KNOWN, abstained=True, note=_NOTHING)
        if hits.evidence.score < settings.min_evidence:
            return _by_nobody(hits, NOT_KNOWN, abstained=True, note=_WEAK)
        return _quoted(hits)


def _quoted(hits: Hits) -> Answer:
    """Quote the best hits, each with its citation."""
    best = [Citation.of(number, hit, hits.as_of) for number, hit in enumerate(hits[:_QUOTED], 1)]
    text = "\n\n".join(f"“{citation.quote}” [{citation.number}]" for citation in best)
    return replace(_by_nobody(hits, text, abstained=False, note=_QUOTATIONS), citations=tuple(best))


def _by_nobody(hits: Hits, text: str, *, abstained: bool, note: str) -> Answer:
    """Return an answer that no model wrote."""
    return Answer(
        answer=text,
        abstained=abstained,
        citations=(),
        cached=False,
        as_of=hits.as_of,
        model=None,
        tokens=0,
        cost_usd=Decimal(0),
        seconds=0.0,
        hits=hits,
        notes=(*hits.notes, note),
        prompt_version=None,
    )
