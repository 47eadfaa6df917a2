"""The model of a generation is opened as it was, but where its service is now."""

from typing import Any

import pytest

from rag_pipeline.embeddings.kept import deciding, open_kept
from rag_pipeline.errors import ConfigurationError, PermanentError
from rag_pipeline.settings import Embedding
from rag_pipeline_tests.embedding_server import DIMENSIONS, MODEL, EmbeddingServer, Reply, answer, embedding_server


def at(service: EmbeddingServer, **more: Any) -> Embedding:
    return Embedding.model_validate(service.settings(**more))


def test_a_service_that_moved_is_asked_where_it_is_now() -> None:
    with embedding_server() as old, embedding_server() as new:
        embedder = open_kept(at(new), deciding(at(old)), f"{MODEL}/{DIMENSIONS}")
        embedder.embed_query("a question")
        assert (len(old.asked), len(new.asked)) == (0, 1)


@pytest.mark.parametrize("now", [{"model": "another"}, {"revision": "2"}, {"query_prefix": "question: "}])
def test_a_model_that_the_settings_replace_is_asked_where_it_was(now: dict[str, Any]) -> None:
    with embedding_server() as old, embedding_server() as new:
        embedder = open_kept(at(new, **now), deciding(at(old)), f"{MODEL}/{DIMENSIONS}")
        embedder.embed_query("a question")
        assert (len(old.asked), len(new.asked)) == (1, 0)
        assert old.asked[0].texts == ["a question"]


@pytest.mark.parametrize("changed", [{"weights": 1}, {"named": "other"}])
def test_a_question_that_another_model_embedded_is_refused(changed: dict[str, Any]) -> None:
    with embedding_server() as service:
        first = open_kept(at(service), {}, f"{MODEL}/{DIMENSIONS}").sample()
        assert first is not None
        embedder = open_kept(at(service), {}, f"{MODEL}/{DIMENSIONS}", first)
        embedder.embed_query("a question")
        service.fault = lambda number, asked: Reply(
            answer(asked, weights=changed.get("weights", 0)) | {"model": changed.get("named", MODEL)}
        )
        for asked_before in (embedder, open_kept(at(service), {}, f"{MODEL}/{DIMENSIONS}", first)):
            with pytest.raises(PermanentError, match=r"another model now.*question was not used"):
                asked_before.embed_query("a question")


def test_a_model_that_neither_names_is_refused() -> None:
    with embedding_server() as service, pytest.raises(ConfigurationError, match="cannot be opened: there is"):
        open_kept(at(service), deciding(at(service, model="another")), "a third/16")
