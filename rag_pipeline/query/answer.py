"""What comes of a question that is to be answered, beside the hits that the answer was made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from rag_pipeline.query.hits import Hit, Hits, Layer

NOT_KNOWN = "I don't have that information."
"""What is said when nothing found answers the question, by whoever says it."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that an answer rests on, marked in its text as ``[number]``.

    All of it comes from the index, nothing from what a model wrote. `quote` is the chunk's text; `place` is where that
    is in its source, as of a `Hit`; `version` is the SHA-256 of the document's bytes; the index held all changes of
    its sources up to `as_of`, None: that is not known.
    """

    number: int
    chunk_id: str
    document_id: str
    source: str
    uri: str
    title: str
    heading_path: tuple[str, ...]
    quote: str
    place: Mapping[str, Any]
    version: str
    modified_at: datetime | None
    as_of: datetime | None

    @classmethod
    def of(cls, number: int, hit: Hit, as_of: datetime | None) -> "Citation":
        """Cite a hit."""
        return cls(
            number=number,
            chunk_id=hit.chunk_id,
            document_id=hit.document_id,
            source=hit.source,
            uri=hit.uri,
            title=hit.title,
            heading_path=hit.heading_path,
            quote=hit.text,
            place=hit.place,
            version=hit.version,
            modified_at=hit.modified_at,
            as_of=as_of,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, or why there is none.

    `answer` is its text; None: the model gave none, and `hits` are all there is. `abstained`: the documents do not
    hold it, as the model said, or as the search says without a model having been asked. `model` is who wrote it, None
    when nobody did: then the text is `NOT_KNOWN`, or quotations. `tokens` are those read and written by the model for
    this call, and `cost_usd` what they cost, None when nobody knows its price; a `cached` answer cost nothing again.
    `notes` are what one should know about this answer, in words. `prompt_version` names the instructions that the
    model had, None when none was asked. `layers` are what followed the search: how long each took, and what it kept.
    """

    answer: str | None
    abstained: bool
    citations: tuple[Citation, ...]
    cached: bool
    as_of: datetime | None
    model: str | None
    tokens: int
    cost_usd: Decimal | None
    seconds: float
    hits: Hits
    notes: tuple[str, ...]
    prompt_version: str | None
    layers: tuple[Layer, ...] = ()
