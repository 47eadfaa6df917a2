"""The section of rag.toml that says what is written down about each question, for those who watch."""

from pydantic import Field

from rag_pipeline.settings.sections import Section


class Tracing(Section):
    """Spans of OpenTelemetry; not part of the recipe, so a change holds at once."""

    spans: bool = Field(
        default=False, description="Whether each question becomes spans of OpenTelemetry; needs the extra otel."
    )
    questions: bool = Field(default=False, description="Whether spans show what was asked; never what was found.")
