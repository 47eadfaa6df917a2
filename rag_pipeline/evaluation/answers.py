"""What an answer is worth: the words that it may not lack, where its citations lead, and whether it ought to be one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag_pipeline.evaluation.golden import Question
from rag_pipeline.evaluation.results import Result
from rag_pipeline.query import Answer

_BLANKS = re.compile(r"\s+")


def score_answer(question: Question, answer: Answer) -> dict[str, float]:
    """Return the scores of an answer that apply to it, each from 0 to 1.

    Whoever abstains has none of the keywords. Citations are scored where something is expected and is answered.
    """
    if answer.answer is None and not answer.abstained:
        # The model failed, which says nothing about what it would have said.
        return {}
    scores = {"abstention": float(answer.abstained == question.unanswerable)}
    if question.keywords:
        said = "" if answer.abstained else plain(answer.answer or "")
        scores["answer_score"] = sum(plain(word) in said for word in question.keywords) / len(question.keywords)
    if question.expected and not answer.abstained:
        cited = [(each.source, each.document_id, each.heading_path) for each in answer.citations]
        leading = [any(place.is_met_by(*each) for place in question.expected) for each in cited]
        if cited:
            scores["citation_precision"] = sum(leading) / len(cited)
        reached = [any(place.is_met_by(*each) for each in cited) for place in question.expected]
        scores["citation_recall"] = sum(reached) / len(reached)
    return scores


def plain(text: str) -> str:
    """Return a text as keywords are looked for: in lower case, with single blanks."""
    return _BLANKS.sub(" ", text.casefold())


@dataclass(frozen=True, slots=True)
class Threshold:
    """Evidence that separates what can be answered from what cannot, best of all on the questions that were asked.

    `answered` is the share of the answerable questions that are at or above it, `declined` that of the others below.
    """

    min_evidence: float
    answered: float
    declined: float


def best_threshold(results: Sequence[Result]) -> Threshold | None:
    """Return the threshold with the most right decisions, both kinds of questions counting the same.

    None where there are not both kinds. Of thresholds that are equally good it is the middle one, which is least bound
    to these questions.
    """
    known = [result for result in results if result.evidence is not None and (result.places or not result.gone)]
    answerable = [result.evidence for result in known if result.places]
    others = [result.evidence for result in known if not result.places]
    if not answerable or not others:
        return None
    seen = sorted({evidence for evidence in (*answerable, *others) if evidence is not None})
    steps = [seen[0], *(_between(low, high) for low, high in pairwise(seen)), seen[-1] + 0.001]
    tried = [
        Threshold(
            step,
            sum(evidence is not None and evidence >= step for evidence in answerable) / len(answerable),
            sum(evidence is not None and evidence < step for evidence in others) / len(others),
        )
        for step in steps
    ]
    most = max(each.answered + each.declined for each in tried)
    best = [each for each in tried if each.answered + each.declined >= most - 1e-9]
    return best[len(best) // 2]


def _between(low: float, high: float) -> float:
    """Return the middle of two numbers, or the higher one where there is none above the lower."""
    middle = (low + high) / 2
    return middle if middle > low else high
