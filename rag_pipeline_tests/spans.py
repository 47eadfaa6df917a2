"""Spans of OpenTelemetry, collected in memory by its own SDK."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@contextmanager
def collected_spans() -> Iterator[InMemorySpanExporter]:
    """Give what is exported; the provider stands in for that of the process, which can be set once only."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = trace.get_tracer
    trace.get_tracer = provider.get_tracer
    try:
        yield exporter
    finally:
        trace.get_tracer = before
        provider.shutdown()
