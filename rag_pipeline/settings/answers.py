"""The section of rag.toml that says who writes answers, from how much, and when nobody does."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from rag_pipeline.settings.sections import Section, open_address

MEASURED_WITH = "BAAI/bge-small-en-v1.5"
"""The embedding model whose cosines the default of `min_evidence` was measured with; those of others differ."""

_Price = Annotated[Decimal, Field(ge=0)]


def is_measured(embedding: Mapping[str, Any]) -> bool:
    """Tell whether it is that model which a section ``[embedding]`` means, as it is written or as a recipe kept it."""
    return embedding.get("provider", "local") == "local" and embedding.get("model", MEASURED_WITH) == MEASURED_WITH


class Answers(Section):
    """How an answer comes of what a search found; not part of the recipe, so a change holds at once."""

    model: str | None = Field(
        default=None, min_length=1, description="Model that writes answers; none: the best passages are quoted."
    )
    base_url: Annotated[str, AfterValidator(open_address)] | None = Field(
        default=None, description="Address of its chat API; OPENAI_BASE_URL by default, else OpenAI itself."
    )
    prompt: str | None = Field(
        default=None, description="File with instructions of your own for the model; relative to rag.toml."
    )
    min_evidence: float = Field(
        default=0.76, ge=0, le=2, description="Evidence below which nothing is answered; 0 answers from anything found."
    )
    context_tokens: int = Field(
        default=4000, ge=200, le=1_000_000, description="Tokens of documents in a prompt, at most."
    )
    answer_tokens: int = Field(default=800, ge=16, le=100_000, description="Tokens of an answer, at most.")
    temperature: float | None = Field(
        default=0, ge=0, le=2, description="How freely the model chooses its words, where it can be told."
    )
    seconds: float = Field(default=25, gt=0, le=600, description="Seconds that the model may take, at most.")
    usd_per_million_input: _Price | None = Field(
        default=None, description="Price of a million tokens that it reads, if the packaged list is silent or wrong."
    )
    usd_per_million_output: _Price | None = Field(
        default=None, description="Price of a million tokens that it writes; needed with the other one."
    )
    cache_hours: float = Field(
        default=24, gt=0, le=8760, description="Hours that a written answer is kept, where RAG_REDIS_URL names a cache."
    )

    @model_validator(mode="after")
    def _both_prices(self) -> "Answers":
        if (self.usd_per_million_input is None) != (self.usd_per_million_output is None):
            raise ValueError("give both usd_per_million_input and usd_per_million_output, or neither")
        return self
