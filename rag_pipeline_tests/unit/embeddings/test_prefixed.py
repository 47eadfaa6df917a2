"""Prefixes reach the model, are known by family, and keep vectors of different passages' prefixes apart."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.embeddings import in_order, open_embedder
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.embeddings.prefixed import embed_questions
from rag_pipeline.settings import DECIDES, Embedding
from rag_pipeline.settings.prefixes import Prefixes, known_prefixes

NONE = Prefixes()
E5 = Prefixes("query: ", "passage: ")


def embedding(**values: object) -> Embedding:
    return Embedding.model_validate({"provider": "hashed", **values})


@given(st.text(), st.text(), st.lists(st.text(), min_size=1, max_size=4))
def test_the_model_reads_the_prefix_and_then_the_text(query: str, passage: str, texts: list[str]) -> None:
    plain = HashedEmbedder()
    embedder = open_embedder(embedding(query_prefix=query, passage_prefix=passage))
    for text, vector in zip(texts, in_order(embedder, texts), strict=True):
        assert np.array_equal(vector, plain.embed_query(passage + text))
        assert np.array_equal(embedder.embed_query(text), plain.embed_query(query + text))
    for text, vector in zip(texts, embed_questions(embedder, texts), strict=True):
        assert np.array_equal(vector, embedder.embed_query(text))
    assert embedder.count_tokens(texts) == plain.count_tokens(texts)
    assert embedder.dimensions == plain.dimensions


@given(st.text(), st.text(), st.text(), st.text())
def test_vectors_may_be_shared_exactly_where_passages_are_read_alike(
    query: str, passage: str, other_query: str, other_passage: str
) -> None:
    one = open_embedder(embedding(query_prefix=query, passage_prefix=passage))
    other = open_embedder(embedding(query_prefix=other_query, passage_prefix=other_passage))
    assert (one.model == other.model) == (passage == other_passage)


def test_without_prefixes_the_name_is_the_models_own() -> None:
    assert open_embedder(embedding()).model == HashedEmbedder().model


@pytest.mark.parametrize(
    ("model", "prefixes"),
    [
        ("intfloat/multilingual-e5-small", E5),
        ("intfloat/multilingual-e5-large", E5),
        ("intfloat/e5-base-v2", E5),
        ("E5-Large", E5),
        ("intfloat/multilingual-e5-large-instruct", NONE),
        ("nomic-ai/nomic-embed-text-v1.5-Q", Prefixes("search_query: ", "search_document: ")),
        ("BAAI/bge-small-en-v1.5", NONE),
        ("BAAI/bge-base-en", Prefixes("Represent this sentence for searching relevant passages: ")),
        ("text-embedding-3-small", NONE),
        ("my/e5-small-of-mine", NONE),
    ],
)
def test_families_are_known_by_name(model: str, prefixes: Prefixes) -> None:
    settings = Embedding.model_validate({"model": model})
    assert (settings.query_prefix, settings.passage_prefix) == (prefixes.query, prefixes.passage)
    assert known_prefixes(model) == prefixes


def test_settings_win_over_what_is_known_and_may_want_none() -> None:
    given = Embedding.model_validate(
        {"model": "intfloat/multilingual-e5-small", "query_prefix": "", "passage_prefix": "text: "}
    )
    assert (given.query_prefix, given.passage_prefix) == ("", "text: ")


@pytest.mark.parametrize(
    "restored", [lambda kept: Embedding.model_validate(kept), lambda kept: Embedding().model_copy(update=kept)]
)
def test_what_decides_vectors_is_written_out_and_can_be_kept(
    restored: Callable[[dict[str, object]], Embedding],
) -> None:
    """A generation keeps these keys; what is known of models later does not change how it is asked."""
    settings = Embedding.model_validate({"model": "intfloat/multilingual-e5-small"})
    kept = {key: getattr(settings, key) for key in DECIDES}
    assert kept["passage_prefix"] == "passage: "
    assert restored(kept) == settings
