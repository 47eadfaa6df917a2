"""Spans by the interface of OpenTelemetry; whoever runs the process decides where they go.

A layer's duration is measured where it runs, in the database for the database's own. When it began is reckoned: layers
follow one another, the first ones from the beginning of the question, those after the database up to its end. What lies
between, such as waiting for a session, belongs to the question alone.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rag_pipeline import __version__
from rag_pipeline.errors import ConfigurationError
from rag_pipeline.query.hits import Layer
from rag_pipeline.query.tracing import Attribute, Span
from rag_pipeline.storable import storable

try:
    from opentelemetry import trace
except ImportError as error:
    raise ConfigurationError(
        "[tracing] spans is on, but OpenTelemetry is not installed: pip install 'rag-pipeline[otel]'"
    ) from error

_LED_BY = ("embedding", "permissions and filters", "vector", "keyword", "fusion")
"""The layers up to the candidates, which follow one another from the beginning."""


class OpenTelemetry:
    """Opens spans with the provider of the process; without one they cost next to nothing and go nowhere."""

    def __init__(self, questions: bool) -> None:
        """Write the questions down as well, or not."""
        self._questions = questions
        self._tracer = trace.get_tracer("rag_pipeline", __version__)

    @contextmanager
    def span(self, name: str, question: str) -> Iterator[Span]:
        """Open a span. An error is noted by its class: its text may repeat the question."""
        opened = self._tracer.start_as_current_span(
            f"rag.{name}", record_exception=False, set_status_on_exception=False
        )
        with opened as current:
            span = _Open(self._tracer, current)
            if self._questions:
                span.note(question=storable(question))
            try:
                yield span
            except Exception as error:
                current.set_status(trace.StatusCode.ERROR, type(error).__name__)
                raise


class _Open:
    """A span that is open."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span
        self._since = time.time_ns()

    def note(self, **attributes: Attribute | None) -> None:
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(f"rag.{name}", value)

    def layers(self, layers: Sequence[Layer]) -> None:
        now = time.time_ns()
        for layer, (begun, ended) in zip(layers, layer_times(layers, self._since, now), strict=True):
            child = self._tracer.start_span(f"rag.{layer.name.replace(' ', '_')}", start_time=begun)
            child.set_attribute("rag.milliseconds", layer.milliseconds)
            child.set_attribute("rag.kept", layer.kept)
            child.set_attribute("rag.dropped", layer.dropped)
            if layer.detail:
                child.set_attribute("rag.way", layer.detail)
            child.end(ended)


def layer_times(layers: Sequence[Layer], since: int, now: int) -> list[tuple[int, int]]:
    """Return when each layer began and ended, in nanoseconds: the leading ones from `since`, the others up to `now`."""
    lengths = [round(layer.milliseconds * 1_000_000) for layer in layers]
    leading = sum(layer.name in _LED_BY for layer in layers)
    starts: list[int] = []
    for number, length in enumerate(lengths):
        if number == leading:
            since = max(since, now - sum(lengths[leading:]))
        starts.append(since)
        since += length
    return [(start, start + length) for start, length in zip(starts, lengths, strict=True)]
