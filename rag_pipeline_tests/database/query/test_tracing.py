"""What a watcher sees of real questions: every layer, and nothing that was found."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Filters, Index
from rag_pipeline.settings import Answers, Settings, Tracing
from rag_pipeline_tests.chat_server import chat_server
from rag_pipeline_tests.scripted import Entry, scripted
from rag_pipeline_tests.spans import collected_spans

DATABASE = ["rag.permissions_and_filters", "rag.vector", "rag.keyword", "rag.fusion"]
AFTER = ["rag.duplicates", "rag.per_document", "rag.windows"]


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    with collected_spans() as exporter:
        yield exporter


@pytest.fixture
def watched(settings: Settings) -> Settings:
    """An index whose questions are traced."""
    pipeline, world = scripted(settings, "wiki")
    for number in range(12):
        world.documents[f"hidden-name-{number}.md"] = Entry(
            f"# Title{number}\n\nThe zeppelin is moored at mast {number}.\n", Access.of(["group:pilots"])
        )
    pipeline.refresh("wiki")
    return pipeline.settings.model_copy(update={"tracing": Tracing(spans=True)})


def test_a_search_is_traced_through_its_layers(watched: Settings, spans: InMemorySpanExporter) -> None:
    with Index.connect(watched) as index:
        hits = index.search("zeppelin mast", caller=Caller("group:pilots"), k=3)
    finished: tuple[Any, ...] = spans.get_finished_spans()
    *layers, question = finished
    assert [layer.name for layer in layers] == ["rag.embedding", *DATABASE, *AFTER]
    assert dict(question.attributes) == {"rag.k": 3, "rag.hits": 3, "rag.reranked": False}
    for layer, span in zip(hits.layers, layers, strict=True):
        assert span.parent == question.context
        assert (span.attributes["rag.kept"], span.attributes["rag.dropped"]) == (layer.kept, layer.dropped)
        assert question.start_time <= span.start_time <= span.end_time <= question.end_time


def test_an_answer_is_traced_with_its_search(watched: Settings, spans: InMemorySpanExporter) -> None:
    with Index.connect(watched) as index:
        answer = index.answer("zeppelin mast", caller=Caller("group:pilots"))
    finished: tuple[Any, ...] = spans.get_finished_spans()
    *_, search, asked = finished
    assert (search.name, asked.name) == ("rag.search", "rag.answer")
    assert search.parent == asked.context
    assert asked.attributes["rag.citations"] == len(answer.citations)
    assert asked.attributes["rag.abstained"] == answer.abstained
    assert asked.attributes["rag.tokens"] == 0


def test_what_a_model_writes_is_traced_without_its_words(watched: Settings, spans: InMemorySpanExporter) -> None:
    with chat_server(lambda asked: f"Moored at mast one [{asked.tag}-1] [doc-9].") as writer:
        answers = Answers.model_validate(writer.settings())
        with Index.connect(watched.model_copy(update={"answers": answers})) as index:
            answer = index.answer("zeppelin mast", caller=Caller("group:pilots"))
    finished: tuple[Any, ...] = spans.get_finished_spans()
    *_, search, prompt, model, citations, asked = finished
    assert [span.name for span in finished[-5:]] == [
        *("rag.search", "rag.prompt", "rag.model", "rag.citations", "rag.answer"),
    ]
    for layer in (search, prompt, model, citations):
        assert layer.parent == asked.context
    assert prompt.attributes["rag.kept"] > 0
    assert model.attributes["rag.milliseconds"] > 0
    assert (citations.attributes["rag.kept"], citations.attributes["rag.dropped"]) == (1, 1)
    assert asked.attributes["rag.tokens"] == answer.tokens == 120
    assert asked.attributes["rag.cost_usd"] == pytest.approx(0.0003)
    assert asked.attributes["rag.model"] == answer.model
    assert "moored" not in "".join(span.to_json() for span in finished).lower()


@pytest.mark.parametrize("questions", [False, True])
def test_nothing_that_was_found_and_nobody_who_asked_is_in_a_trace(
    watched: Settings, spans: InMemorySpanExporter, questions: bool
) -> None:
    watched = watched.model_copy(update={"tracing": Tracing(spans=True, questions=questions)})
    filters = Filters(sources=["wiki"], uri_prefix="test://hidden")
    with Index.connect(watched) as index:
        assert index.search("secret word", caller=Caller("group:pilots"), filters=filters)
        assert index.answer("secret word", caller=Caller("group:pilots"), filters=filters).hits
        with pytest.raises(ValueError, match="the filters cannot be used"):
            index.search("secret word", caller=Caller("group:pilots"), filters=Filters(languages=["\x00"]))
    seen = "\n".join(span.to_json() for span in spans.get_finished_spans())
    for text in ("zeppelin", "Title", "hidden", "pilots", "wiki", "test://"):
        assert text not in seen
    assert ("secret word" in seen) == questions
