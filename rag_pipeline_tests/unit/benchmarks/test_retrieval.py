"""The referee of the retrieval benchmark: collections, metrics worked out by hand, and the fusions that are tried."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.retrieval.judged import Collection, Question, docs_qa, scifact
from benchmarks.retrieval.scoring import by_best_chunk, score
from benchmarks.retrieval.tuning import FUSIONS, ExactScores, Pool
from rag_pipeline.documents import parse
from rag_pipeline.sources.media_types import MARKDOWN

QUESTIONS = (Question("q1", "first", frozenset({"a", "b"})), Question("q2", "second", frozenset({"c"})))


def lines(*rows: object) -> str:
    return "\n".join(map(json.dumps, rows)) + "\n"


def test_scifact_is_read_in_the_order_of_its_ids(tmp_path: Path) -> None:
    documents = [{"_id": "2", "title": 'A "title": with signs', "text": "Two."}, {"_id": "1", "title": "", "text": "#"}]
    (tmp_path / "corpus.jsonl").write_text(lines(*documents), "utf-8")
    (tmp_path / "queries.jsonl").write_text(
        lines({"_id": "7", "text": "Claim"}, {"_id": "8", "text": "Other"}), "utf-8"
    )
    for name, row in (("test", "7\t2\t1\n7\t1\t0\n"), ("train", "8\t1\t1\n")):
        (tmp_path / f"qrels.{name}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{row}", "utf-8")
    collection = scifact(tmp_path)
    assert list(collection.pages) == list(collection.texts) == ["1", "2"]
    assert collection.questions == (Question("7", "Claim", frozenset({"2"})),)
    assert collection.training == (Question("8", "Other", frozenset({"1"})),)
    page = parse(collection.pages["2"].encode(), MARKDOWN)
    assert (page.title, page.text) == ('A "title": with signs', "Two.")


def test_a_section_of_documentation_is_a_page_under_its_heading(tmp_path: Path) -> None:
    section = {"chunk_link": "https://x/docs/use-it#how", "chunk_heading": "How", "text": "How\n\n\nLike this."}
    question = {"id": "q", "question": "How?", "correct_chunks": ["https://x/docs/use-it#how"]}
    (tmp_path / "anthropic_docs.json").write_text(json.dumps([section]), "utf-8")
    (tmp_path / "docs_evaluation_dataset.json").write_text(json.dumps([question]), "utf-8")
    collection = docs_qa(tmp_path)
    page = parse(collection.pages["https://x/docs/use-it#how"].encode(), MARKDOWN)
    assert page.title == "use it"
    assert [block.title for block in page.blocks] == ["How", ""]
    assert page.text.endswith("Like this.")
    assert collection.questions == (Question("q", "How?", frozenset({"https://x/docs/use-it#how"})),)


def test_a_sample_keeps_the_answers() -> None:
    pages = {name: name for name in "zyxabc"}
    sample = Collection("some", pages, pages, QUESTIONS).sample(1, 2)
    assert sample.questions == QUESTIONS[:1]
    assert list(sample.pages) == list(sample.texts) == ["z", "y", "a", "b"]


def test_a_document_stands_where_its_best_chunk_does() -> None:
    assert by_best_chunk(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]


def test_scores_worked_out_by_hand() -> None:
    rankings = {"q1": ["x", "a", "y", "b"], "q2": ["c"]}
    scores = score(QUESTIONS, rankings, ("nDCG@10", "R@3", "P@3", "RR@3"))
    ideal = 1 + 1 / math.log2(3)
    assert scores.values["nDCG@10"] == pytest.approx([(1 / math.log2(3) + 1 / math.log2(5)) / ideal, 1])
    assert scores.values["R@3"] == pytest.approx([1 / 2, 1])
    assert scores.values["P@3"] == pytest.approx([1 / 3, 1 / 3])
    assert scores.values["RR@3"] == pytest.approx([1 / 2, 1])
    assert scores.mean("RR@3") == pytest.approx(3 / 4)


def test_a_question_without_an_answer_found_scores_nothing() -> None:
    scores = score(QUESTIONS, {"q1": ["x"]}, ("nDCG@10",))
    assert scores.values["nDCG@10"] == (0, 0)


@pytest.mark.parametrize("name", FUSIONS)
@given(
    st.lists(st.tuples(st.floats(-1, 1, width=16), st.floats(0, 30, width=16)), min_size=1, max_size=30, unique=True)
)
def test_a_fusion_with_all_the_weight_on_one_search_orders_as_that_search(
    name: str, both: list[tuple[float, float]]
) -> None:
    nearness, relevance = (np.array(scores, np.float64) for scores in zip(*both, strict=True))
    ranks = [np.argsort(np.argsort(-scores, kind="stable"), kind="stable") for scores in (nearness, relevance)]
    pool = Pool(np.arange(len(both)), nearness, relevance, *(rank.astype(np.float64) for rank in ranks))
    for weight, scores in ((1.0, nearness), (0.0, relevance)):
        fused = FUSIONS[name](pool, weight)
        assert np.isfinite(fused).all()
        assert scores[np.argmax(fused)] == scores.max()
        assert (np.diff(fused[np.argsort(-scores, kind="stable")]) <= 1e-9).all()


def test_candidates_are_what_either_search_brings() -> None:
    exact = ExactScores(
        QUESTIONS[:1],
        ["a", "a", "b", "c", "d"],
        np.array([[0.9, 0.1, 0.8, 0.2, 0.3]]),
        np.array([[0.0, 5.0, 0.0, 0.0, 1.0]]),
    )
    (pool,) = exact.pools(2)
    assert pool.chunks.tolist() == [0, 1, 2, 4]
    assert pool.near_rank.tolist() == [0, np.inf, 1, np.inf]
    assert pool.word_rank.tolist() == [np.inf, 0, np.inf, 1]
    (words_alone,) = exact.pools(1)
    assert words_alone.chunks.tolist() == [0, 1]
    best = exact.ranked([pool], FUSIONS["reciprocal rank"], 0.9)
    assert best == {"q1": ["a", "b", "d"]}
