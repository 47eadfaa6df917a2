"""Traces: what each layer of a question did and how long it took, for those who watch. Off unless asked for.

Spans carry counts, milliseconds and names that are this software's own; a question only where ``[tracing] questions``
says so, and text of a document, a caller or a filter never. Nothing of OpenTelemetry is imported before
``[tracing] spans`` is on.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from rag_pipeline.query.hits import Layer

if TYPE_CHECKING:
    from rag_pipeline.settings.tracing import Tracing

Attribute = bool | int | float | str


class Span(Protocol):
    """What is written down about one question."""

    def note(self, **attributes: Attribute | None) -> None:
        """Add attributes; None adds nothing."""
        ...

    def layers(self, layers: Sequence[Layer]) -> None:
        """Add a span below this one for each layer that has ended by now, in their order."""
        ...


class Traces(Protocol):
    """Where spans go."""

    def span(self, name: str, question: str) -> AbstractContextManager[Span]:
        """Open a span until the end of the block, below the one that is open around it."""
        ...


class _Nothing:
    """Writes nothing down."""

    def note(self, **attributes: Attribute | None) -> None:
        pass

    def layers(self, layers: Sequence[Layer]) -> None:
        pass

    @contextmanager
    def span(self, name: str, question: str) -> Iterator[Span]:
        yield self


NO_TRACES: Traces = _Nothing()


def open_traces(settings: "Tracing") -> Traces:
    """Return where spans go. Raises `ConfigurationError` when they are wanted and OpenTelemetry is not installed."""
    if not settings.spans:
        return NO_TRACES
    from rag_pipeline.query.tracing_otel import OpenTelemetry

    return OpenTelemetry(settings.questions)
