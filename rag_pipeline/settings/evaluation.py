"""The section of rag.toml that says what the index is measured by, and how much worse it may become."""

from pydantic import Field, model_validator

from rag_pipeline.settings.sections import Section


class Evaluation(Section):
    """The golden set and the gate; not part of the recipe, so a change holds at once."""

    set: str | None = Field(
        default=None, min_length=1, description="Golden set: a file of questions, relative to rag.toml."
    )
    baseline: str | None = Field(
        default=None, min_length=1, description="Scores to compare with, relative to rag.toml; with it the gate is on."
    )
    max_drop: float = Field(
        default=0.02, ge=0, le=1, description="By how much a mean may fall below the baseline before the gate closes."
    )

    @model_validator(mode="after")
    def _measured_by_something(self) -> "Evaluation":
        if self.baseline is not None and self.set is None:
            raise ValueError("a baseline needs the golden set that it was measured with; add: set")
        return self

    @property
    def gated(self) -> bool:
        """Whether what is worse than the baseline allows is not published."""
        return self.baseline is not None
