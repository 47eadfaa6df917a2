"""Questions in other languages than the documents', through the whole search, with the real model."""

import pytest

from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Embedding, Settings
from rag_pipeline_tests.multilingual import DOCUMENTS, MODEL, QUESTIONS, skip_without_weights
from rag_pipeline_tests.scripted import Entry, scripted


@pytest.fixture
def filled(settings: Settings) -> Settings:
    """An index of the English documents, made with the multilingual model."""
    skip_without_weights()
    settings = settings.model_copy(update={"embedding": Embedding.model_validate({"model": MODEL})})
    pipeline, world = scripted(settings, "handbook")
    for name, text in DOCUMENTS.items():
        world.documents[name] = Entry(f"# {name.title()}\n\n{text}\n", Access.of(["public"]))
    assert pipeline.refresh("handbook").texts_embedded == len(DOCUMENTS)
    return settings


def test_spanish_hindi_and_german_find_english(filled: Settings) -> None:
    with Index.connect(filled) as index:
        found = {
            question: [hit.document_id for hit in index.search(question, caller=Caller("public"), k=2)]
            for question in QUESTIONS
        }
    assert all(answer in found[question] for question, answer in QUESTIONS.items()), found
    assert sum(answer == found[question][0] for question, answer in QUESTIONS.items()) >= len(QUESTIONS) - 1, found


def test_names_that_all_languages_share_are_found_by_words(filled: Settings) -> None:
    """What the keyword search does with a question in another language: it finds what is spelled alike."""
    words_alone = filled.model_copy(
        update={"retrieval": filled.retrieval.model_copy(update={"vector_weight": 0.0, "candidates": 1})}
    )
    with Index.connect(words_alone) as index:
        hits = index.search("Wo ist die database?", caller=Caller("public"), k=1)
        assert [hit.document_id for hit in hits] == ["backup"]
