"""The questions of a golden set as a service embeds them before a candidate is searched: many by one request."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rag_pipeline.embeddings import open_embedder
from rag_pipeline.errors import PermanentError
from rag_pipeline.evaluation import Expected, Question
from rag_pipeline.evaluation.candidate import QuestionVectors
from rag_pipeline.settings import Embedding
from rag_pipeline_tests.embedding_server import Asked, EmbeddingServer, Reply, answer, embedding_server, error, vector

PLACE = Expected("docs", "a.md")
QUESTIONS = [Question(str(number), f"what is {number % 150}?", ("public",), (PLACE,)) for number in range(160)]
REFUSED = "who asks this"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with embedding_server() as running:
        yield running


def vectors(service: EmbeddingServer, questions: list[Question], **settings: Any) -> QuestionVectors:
    embedder = open_embedder(Embedding.model_validate(service.settings(batch_texts=51, **settings)))
    return QuestionVectors(embedder, questions)


@pytest.mark.parametrize("prefix", ["", "query: "])
def test_questions_are_embedded_once_and_many_at_a_time(service: EmbeddingServer, prefix: str) -> None:
    unanswerable = Question("none", "what is not there?", ("public",))
    found = vectors(service, [*QUESTIONS, unanswerable], query_prefix=prefix, passage_prefix=prefix and "passage: ")
    for question in QUESTIONS:
        assert np.allclose(found.embed_query(question.text), vector(prefix + question.text), atol=1e-6)
    assert sorted(len(asked.texts) for asked in service.asked) == [0, 50, 50, 50]
    assert service.sold.keys() == {prefix + question.text for question in QUESTIONS}


def test_a_question_that_is_refused_is_named_and_no_other_model_is_asked(service: EmbeddingServer) -> None:
    service.fault = lambda number, asked: error(400, "too long") if REFUSED in asked.texts else None
    with pytest.raises(
        PermanentError, match=rf"a question cannot be embedded: '{REFUSED[:-1]}.' is refused: .*too long"
    ):
        vectors(service, [*QUESTIONS, Question("refused", REFUSED, ("public",), (PLACE,))])

    def changed(number: int, asked: Asked) -> Reply | None:
        return None if number < 1 else Reply(answer(asked, weights=1))

    service.fault = changed
    with pytest.raises(PermanentError, match="another model"):
        vectors(service, QUESTIONS, requests_at_once=1)
