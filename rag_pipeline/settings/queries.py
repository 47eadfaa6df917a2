"""The section of rag.toml that says whether it is kept what people ask, and for how long."""

from pydantic import Field

from rag_pipeline.settings.sections import Section


class Queries(Section):
    """The log of questions; off, because what people ask may be their own affair."""

    log: bool = Field(default=False, description="Whether questions are kept, to see what people look for.")
    keep_days: int = Field(default=30, ge=1, description="Days that they are kept.")
