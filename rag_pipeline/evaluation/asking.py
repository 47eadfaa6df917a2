"""A golden set, asked of an index as its callers would ask, one question after the other."""

import time
from collections.abc import Mapping, Sequence
from functools import partial

from rag_pipeline.errors import TransientError
from rag_pipeline.evaluation.answers import score_answer
from rag_pipeline.evaluation.golden import Question
from rag_pipeline.evaluation.results import Answered, Gone, Result
from rag_pipeline.evaluation.retrieval import DEPTH, counting, place_of, ranks, score_hits, with_twins
from rag_pipeline.progress import Progress, silent
from rag_pipeline.query import Answer, Caller, Hits, Index
from rag_pipeline.query.hits import Found


def search_all(
    index: Index,
    questions: Sequence[Question],
    gone: Mapping[str, tuple[Gone, ...]],
    progress: Progress = silent,
    reranked: bool = False,
) -> list[Result]:
    """Search for every question that expects something, and score what was found; the others are not asked.

    What is `gone` of the questions is passed on. Raises as `Index.search` does, and with `reranked` `TransientError` at
    the first search that was not re-ranked, so that nobody waits for the others.
    """
    hits: dict[str, Hits] = {}
    seconds: dict[str, float] = {}
    asked = [question for question in questions if question.expected]
    for number, question in enumerate(asked, 1):
        started = time.monotonic()
        hits[question.id] = index.search(question.text, caller=Caller(*question.caller), k=DEPTH)
        seconds[question.id] = time.monotonic() - started
        if reranked and hits[question.id] and not hits[question.id].reranked:
            raise TransientError(f"question {question.id} was not re-ranked, though it ought to be: see the log")
        progress("questions", number, len(asked))
    alike = {question.id: _alike(index, question, hits[question.id]) for question in asked}
    scores = score_hits(asked, {each.id: counting(each.expected, alike[each.id]) for each in asked})
    concerned = [question for question in questions if question.expected or gone.get(question.id)]
    return [
        _result(
            question,
            gone,
            scores.get(question.id, {}),
            hits.get(question.id),
            alike.get(question.id, []),
            seconds.get(question.id, 0.0),
        )
        for question in concerned
    ]


def answer_all(
    index: Index,
    questions: Sequence[Question],
    gone: Mapping[str, tuple[Gone, ...]],
    progress: Progress = silent,
) -> tuple[list[Result], list[Answer]]:
    """Have every question answered, and score what was found and what was said of it.

    A question of which nothing is left to be found is asked, but not scored. Raises as `Index.answer` does.
    """
    answers: list[Answer] = []
    for number, question in enumerate(questions, 1):
        answers.append(index.answer(question.text, caller=Caller(*question.caller), k=DEPTH))
        progress("questions", number, len(questions))
    alike = {
        question.id: _alike(index, question, answer.hits) for question, answer in zip(questions, answers, strict=True)
    }
    found = score_hits(questions, {each.id: counting(each.expected, alike[each.id]) for each in questions})
    results: list[Result] = []
    for question, answer in zip(questions, answers, strict=True):
        scored = question.expected or not gone.get(question.id)
        scores = found.get(question.id, {}) | (score_answer(question, answer) if scored else {})
        answered = Answered(
            answer.answer,
            answer.abstained,
            tuple(place_of(citation) for citation in answer.citations),
            answer.tokens,
            answer.cost_usd,
        )
        results.append(_result(question, gone, scores, answer.hits, alike[question.id], answer.seconds, answered))
    return results, answers


def _alike(index: Index, question: Question, hits: Hits) -> list[tuple[Found, ...]]:
    """Return the hits of a question, each with the twins that count."""
    return with_twins(question.expected, hits, partial(index.window, caller=Caller(*question.caller)))


def _result(
    question: Question,
    gone: Mapping[str, tuple[Gone, ...]],
    scores: Mapping[str, float],
    hits: Hits | None,
    alike: Sequence[tuple[Found, ...]],
    seconds: float,
    answered: Answered | None = None,
) -> Result:
    found = hits or ()
    return Result(
        id=question.id,
        question=question.text,
        scores=scores,
        found=tuple(place_of(hit) for hit in found),
        chunks=tuple(hit.chunk_id for hit in found),
        places=tuple(str(place) for place in question.expected),
        ranks=ranks(question.expected, alike),
        seconds=seconds,
        gone=gone.get(question.id, ()),
        evidence=None if hits is None else hits.evidence.score,
        reranked=hits is not None and hits.reranked,
        answered=answered,
    )
