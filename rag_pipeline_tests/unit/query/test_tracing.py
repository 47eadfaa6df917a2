"""Spans: what a watcher sees of a question, by OpenTelemetry's own SDK."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rag_pipeline.query.hits import Layer
from rag_pipeline.query.tracing import NO_TRACES, open_traces
from rag_pipeline.query.tracing_otel import OpenTelemetry, layer_times
from rag_pipeline.settings import Tracing
from rag_pipeline_tests.spans import collected_spans

LAYERS = (
    Layer("embedding", 4.0, 0, 0),
    Layer("permissions and filters", 1.0, 30, 0),
    Layer("vector", 2.0, 20, 10, "exact"),
    Layer("keyword", 1.5, 12, 18, "gin"),
    Layer("fusion", 0.5, 25, 0, "convex, 7 found by both"),
    Layer("duplicates", 0.25, 20, 5),
    Layer("windows", 0.125, 10, 0),
)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    with collected_spans() as exporter:
        yield exporter


def attributes(span: Any) -> dict[str, Any]:
    return dict(span.attributes)


def test_a_question_is_a_span_and_each_layer_one_below_it(spans: InMemorySpanExporter) -> None:
    with open_traces(Tracing(spans=True)).span("search", "the question") as span:
        span.note(k=10, hits=3, reranked=False, model=None)
        span.layers(LAYERS)
    finished: tuple[Any, ...] = spans.get_finished_spans()
    *layers, question = finished
    assert question.name == "rag.search"
    assert attributes(question) == {"rag.k": 10, "rag.hits": 3, "rag.reranked": False}
    assert [span.name for span in layers] == [
        *("rag.embedding", "rag.permissions_and_filters", "rag.vector", "rag.keyword", "rag.fusion"),
        *("rag.duplicates", "rag.windows"),
    ]
    for layer, span in zip(LAYERS, layers, strict=True):
        assert span.parent == question.context
        way = {"rag.way": layer.detail} if layer.detail else {}
        numbers = {"rag.milliseconds": layer.milliseconds, "rag.kept": layer.kept, "rag.dropped": layer.dropped}
        assert attributes(span) == numbers | way
        assert span.end_time - span.start_time == layer.milliseconds * 1_000_000


def test_a_question_is_shown_only_where_it_may_be(spans: InMemorySpanExporter) -> None:
    for questions in (False, True):
        with OpenTelemetry(questions).span("search", "the secret plan"):
            pass
    closed, opened = spans.get_finished_spans()
    assert "secret" not in str(closed.to_json())
    assert attributes(opened) == {"rag.question": "the secret plan"}


def test_of_an_error_there_is_its_class_alone(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), OpenTelemetry(False).span("search", "the secret plan"):
        raise ValueError("the secret plan is no question")
    [span] = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == "ValueError"
    assert "secret" not in span.to_json()


def test_a_question_that_is_no_text_can_still_be_exported(spans: InMemorySpanExporter) -> None:
    """As a terminal may hand it over; an exporter would lose all spans that it sends along with it."""
    with OpenTelemetry(questions=True).span("search", "caf\udce9 \0"):
        pass
    [span] = spans.get_finished_spans()
    assert attributes(span) == {"rag.question": "caf\ufffd \ufffd"}


def test_questions_of_a_question_lie_below_it(spans: InMemorySpanExporter) -> None:
    traces = OpenTelemetry(False)
    with traces.span("answer", "a"), traces.span("search", "a"):
        pass
    search, answer = spans.get_finished_spans()
    assert search.parent == answer.context
    assert answer.parent is None


layers = st.lists(
    st.builds(
        Layer,
        st.sampled_from([layer.name for layer in LAYERS]),
        st.integers(0, 5000).map(lambda number: number / 1000),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    max_size=9,
).map(lambda found: sorted(found, key=lambda layer: [each.name for each in LAYERS].index(layer.name)))


@given(layers, st.integers(0, 10**7))
def test_layers_follow_one_another_within_their_question(found: list[Layer], waited: int) -> None:
    since = 10**18
    now = since + sum(round(layer.milliseconds * 1_000_000) for layer in found) + waited
    times = layer_times(found, since, now)
    edges = [edge for pair in times for edge in pair]
    assert edges == sorted(edges)
    assert not edges or (since <= edges[0] and edges[-1] <= now)
    assert [end - begin for begin, end in times] == [round(layer.milliseconds * 1_000_000) for layer in found]


def test_nothing_is_written_down_unless_it_is_wanted() -> None:
    assert open_traces(Tracing()) is NO_TRACES
    with NO_TRACES.span("search", "a") as span:
        span.note(k=1)
        span.layers(LAYERS)


def test_without_opentelemetry_it_is_said_what_to_install() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query.tracing import open_traces
from rag_pipeline.settings import Tracing
open_traces(Tracing(questions=True))
try:
    open_traces(Tracing(spans=True))
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "rag-pipeline[otel]" in done.stdout
