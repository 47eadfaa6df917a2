"""What answers are worth, and the evidence that separates what can be answered from what cannot."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.evaluation.answers import Threshold, best_threshold, score_answer
from rag_pipeline.evaluation.golden import Expected, Question
from rag_pipeline.query import Answer, Citation, Hits
from rag_pipeline_tests.unit.evaluation.hits import hit
from rag_pipeline_tests.unit.evaluation.results import result

PLACES = (Expected("docs", "a.md", ("A",)), Expected("docs", "b.md"))
ASKED = Question("q", "?", ("public",), PLACES, keywords=("Blue  Whale", "10 m"))
NOT_THERE = Question("q", "?", ("public",))


def answer(text: str | None, *cited: str, abstained: bool = False) -> Answer:
    citations = tuple(Citation.of(number, hit(*place.split(">")), None) for number, place in enumerate(cited, 1))
    return Answer(
        answer=text,
        abstained=abstained,
        citations=citations,
        cached=False,
        as_of=None,
        model="writer",
        tokens=5,
        cost_usd=Decimal(0),
        seconds=0.1,
        hits=Hits((), None),
        notes=(),
        prompt_version=None,
    )


def test_a_good_answer_has_the_words_and_cites_what_was_expected() -> None:
    good = answer("The blue whale\nis at least 10 m long [1][2].", "a.md>A>Deep", "b.md")
    assert score_answer(ASKED, good) == {
        "abstention": 1, "answer_score": 1, "citation_precision": 1, "citation_recall": 1,
    }  # fmt: skip


def test_each_fault_costs_its_own_score() -> None:
    half = answer("A blue whale.", "a.md>A", "a.md>B", "c.md", "a.md>A>Deep")
    assert score_answer(ASKED, half) == {
        "abstention": 1, "answer_score": 0.5, "citation_precision": 0.5, "citation_recall": 0.5,
    }  # fmt: skip
    assert score_answer(ASKED, answer("No idea.")) == {"abstention": 1, "answer_score": 0, "citation_recall": 0}


def test_to_abstain_is_right_or_wrong() -> None:
    declined = answer("I don't have that information: no blue whale, no 10 m.", abstained=True)
    assert score_answer(ASKED, declined) == {"abstention": 0, "answer_score": 0}
    assert score_answer(NOT_THERE, declined) == {"abstention": 1}
    assert score_answer(NOT_THERE, answer("Of course.", "a.md>A")) == {"abstention": 0}


def test_a_model_that_fails_says_nothing_about_its_answers() -> None:
    assert score_answer(ASKED, answer(None)) == {}


def test_the_threshold_lies_in_the_middle_of_the_gap() -> None:
    results = [
        result("a", {"mrr": 1.0}, evidence=0.9),
        result("b", {"mrr": 1.0}, evidence=0.7),
        result("c", evidence=0.3),
    ]
    assert best_threshold(results) == Threshold(0.5, 1, 1)
    assert best_threshold(results[:2]) is None
    assert best_threshold(results[2:]) is None


@given(st.lists(st.tuples(st.floats(0, 1.2), st.booleans()), min_size=2, max_size=20))
def test_no_threshold_separates_better(pairs: list[tuple[float, bool]]) -> None:
    results = [
        result(str(number), {"mrr": 1.0} if answerable else {}, evidence=evidence)
        for number, (evidence, answerable) in enumerate(pairs)
    ]
    found = best_threshold(results)
    kinds = {answerable for _, answerable in pairs}
    assert (found is None) == (len(kinds) < 2)
    if found is None:
        return
    for step in [0.0, 2.0, *(evidence for evidence, _ in pairs)]:
        answered = [evidence >= step for evidence, answerable in pairs if answerable]
        declined = [evidence < step for evidence, answerable in pairs if not answerable]
        both = sum(answered) / len(answered) + sum(declined) / len(declined)
        assert both <= found.answered + found.declined + 1e-9
