"""Answers that no model wrote: quotations, or the word that it is not known."""

from dataclasses import replace
from decimal import Decimal

from rag_pipeline.query.answer import NOT_KNOWN, Answer, Citation
from rag_pipeline.query.hits import Hits

_QUOTED = 3
"""Passages that are quoted."""


def not_known(hits: Hits, because: str) -> Answer:
    """Say that the documents do not hold the answer, as the search says."""
    return _answer(hits, NOT_KNOWN, f"{because}, so no model was asked", abstained=True)


def quoted(hits: Hits, because: str) -> Answer:
    """Quote the best hits, each with its citation, and say that no model wrote them."""
    best = [Citation.of(number, hit, hits.as_of) for number, hit in enumerate(hits[:_QUOTED], 1)]
    text = "\n\n".join(f"“{citation.quote}” [{citation.number}]" for citation in best)
    note = f"no model wrote this: these are the best passages, quoted; {because}"
    return replace(_answer(hits, text, note, abstained=False), citations=tuple(best))


def _answer(hits: Hits, text: str, note: str, *, abstained: bool) -> Answer:
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
