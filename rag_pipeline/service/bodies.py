"""What is sent and what comes back, as the OpenAPI schema shows it. A body never says who asks."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rag_pipeline.query import Answer, Citation, Filters, Hits
from rag_pipeline.query.hits import Explanation, Hit, Window
from rag_pipeline.query.search import MAX_CHARACTERS, MAX_HITS

MOST_NAMES = 100
LONGEST_NAME = 2_000
FARTHEST = 200
"""Sections on each side of a hit that one request may ask for."""


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_with_zone)]
Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Names = Annotated[tuple[Name, ...], Field(max_length=MOST_NAMES)]


class Body(BaseModel):
    """A body: a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FiltersBody(Body):
    """What to search among; what is left out does not narrow. Times without a zone are UTC."""

    sources: Names | None = Field(default=None, description="Names of sources.")
    media_types: Names | None = Field(default=None, description="Media types, such as text/markdown.")
    uri_prefix: Name | None = Field(default=None, description="How the document's address begins.")
    languages: Names | None = Field(default=None, description="Languages of documents, such as english.")
    modified_since: Moment | None = Field(default=None, description="Documents modified then or later.")
    modified_until: Moment | None = Field(default=None, description="Documents modified before then.")
    confirmed_since: Moment | None = Field(default=None, description="Sources that were confirmed then or later.")
    where: dict[str, Any] | None = Field(default=None, description="JSON that the document's metadata contain.")

    def filters(self) -> Filters:
        """Return the filters of the search. Raises `ValueError` for what cannot be meant."""
        return Filters(**{name: getattr(self, name) for name in type(self).model_fields})


class SearchBody(Body):
    """A question."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"text": "how is a key rotated", "k": 3, "filters": {"sources": ["handbook"]}, "explain": True}
            ]
        }
    )

    text: str = Field(min_length=1, max_length=MAX_CHARACTERS, description="The question.")
    k: int = Field(default=10, ge=1, le=MAX_HITS, strict=True, description="How many hits, at most.")
    filters: FiltersBody = Field(default=FiltersBody(), description="What to search among.")
    rerank: bool | None = Field(default=None, description="Re-rank with a model; null: as the settings say.")
    explain: bool = Field(default=False, description="Say what each layer found, moved and dropped, and why.")


class AnswerBody(Body):
    """A question that is to be answered."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "how is a key rotated", "filters": {"sources": ["handbook"]}}]}
    )

    text: str = Field(min_length=1, max_length=MAX_CHARACTERS, description="The question.")
    k: int = Field(default=10, ge=1, le=MAX_HITS, strict=True, description="How many hits to answer from, at most.")
    filters: FiltersBody = Field(default=FiltersBody(), description="What to answer from.")
    rerank: bool | None = Field(default=None, description="Re-rank with a model; null: as the settings say.")


class WindowBody(Body):
    """Which stretch of a document is wanted: the section of a hit, and sections around it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"chunk_id": "…", "before": 1, "after": 1}]})

    chunk_id: Name = Field(min_length=1, description="The hit.")
    before: int = Field(default=1, ge=0, le=FARTHEST, strict=True, description="How many sections before it.")
    after: int = Field(default=1, ge=0, le=FARTHEST, strict=True, description="How many sections after it.")


class SearchAnswer(BaseModel):
    """Hits, best first, and how fresh they are."""

    as_of: datetime | None = Field(description="The index holds all changes of its sources up to then.")
    hits: tuple[Hit, ...]
    windows: tuple[Window, ...] = Field(description="The surroundings of the hits, neighbours joined.")
    reranked: bool = Field(description="Whether a model had a part in the order.")
    notes: tuple[str, ...] = Field(description="What one should know about this answer.")
    explanation: Explanation | None = Field(description="What each layer did, if it was asked for.")

    @classmethod
    def of(cls, hits: Hits) -> "SearchAnswer":
        """Return hits as they are sent."""
        return cls(
            as_of=hits.as_of,
            hits=tuple(hits),
            windows=hits.windows,
            reranked=hits.reranked,
            notes=hits.notes,
            explanation=hits.explanation,
        )


class GivenAnswer(BaseModel):
    """An answer with what it rests on, and the hits that it was made from."""

    answer: str | None = Field(description="The text; null: the model gave none, and the hits are all there is.")
    abstained: bool = Field(description="The documents do not hold the answer.")
    citations: tuple[Citation, ...] = Field(description="What the text marks as [1], [2], …")
    cached: bool = Field(description="Written before, for the same question about the same passages.")
    as_of: datetime | None = Field(description="The index holds all changes of its sources up to then.")
    model: str | None = Field(description="Who wrote it; null: nobody, it is quoted or not known.")
    tokens: int = Field(description="Tokens that the model read and wrote for this.")
    cost_usd: float | None = Field(description="Their price; null: it is not known.")
    seconds: float
    notes: tuple[str, ...] = Field(description="What one should know about this answer.")
    prompt_version: str | None = Field(description="Which instructions the model had.")
    hits: tuple[Hit, ...]

    @classmethod
    def of(cls, answer: Answer) -> "GivenAnswer":
        """Return an answer as it is sent."""
        values = {name: getattr(answer, name) for name in cls.model_fields}
        cost = None if answer.cost_usd is None else float(answer.cost_usd)
        return cls(**values | {"cost_usd": cost, "hits": tuple(answer.hits)})


class CallerAnswer(BaseModel):
    """Whom the service takes the caller for."""

    principals: tuple[str, ...] = Field(examples=[["group:engineers", "public", "user:ana"]])


class HealthAnswer(BaseModel):
    """The index answers."""

    status: str = Field(examples=["ok"])
    as_of: datetime | None = Field(description="The index holds all changes of its sources up to then.")


class ProblemAnswer(BaseModel):
    """A problem, as RFC 9457 has it."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unauthorized"])
    status: int = Field(examples=[401])
    detail: str = Field(examples=["the token has expired; get a new one"])
    errors: list[Mapping[str, str]] = Field(default=[], description="The parts of the body that are wrong.")
