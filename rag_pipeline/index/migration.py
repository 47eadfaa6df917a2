"""What a migration will take, how far it is, and what it did: values for people and for other programs.

`rag_pipeline.migration` computes them.
"""

from dataclasses import dataclass
from datetime import datetime

from rag_pipeline.recipe import Difference


@dataclass(frozen=True, slots=True)
class Plan:
    """What a generation of the wanted recipe would take, before anything is spent.

    `counted` of the `documents` were cut as it would cut them; where that is not all of them and they are not cut as
    the live generation is, the other numbers are projected from these (`exact` is False). `texts_to_embed` are
    distinct texts that the embedding store has no vector of. `cost_usd` is None where the price of the model is not
    known, `hours` where its speed is not. `bytes` is what the generation and its new vectors take in the database.
    """

    live: int
    generation: int
    model: str
    dimensions: int
    differences: tuple[Difference, ...]
    documents: int
    counted: int
    exact: bool
    chunks: int
    texts_to_embed: int
    tokens: int
    cost_usd: float | None
    hours: float | None
    bytes: int


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """How far a generation that is built is with one source.

    The totals of `chunks` and `texts` (those to embed) are known once its documents are cut, until then None.
    `built` says that the source is in the generation, `equal` that it stands there as in the live one, or later.
    `failure` is why the last attempt did not succeed; None when it did.
    """

    source: str
    documents: int
    documents_total: int
    chunks: int
    chunks_total: int | None
    texts: int
    texts_total: int | None
    built: bool
    equal: bool
    quarantined: int
    failure: str | None


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """How far the generation that is built is; `generation` is None when none is.

    `differences` are those between the live recipe and the one that is built, or, when none is, the one that the
    settings want now. `rate` is in texts a second, lately; what remains is None as long as nobody knows.
    `ready` says that every source is equal, so that it may be published. `retired` are the generations that can be
    gone back to or dropped, the last one first.
    """

    live: int
    live_model: str
    generation: int | None
    model: str | None
    differences: tuple[Difference, ...]
    sources: tuple[SourceProgress, ...]
    ready: bool
    rate: float | None
    remaining_seconds: float | None
    cost_usd: float
    remaining_cost_usd: float | None
    retired: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Flip:
    """Another generation is live now.

    `as_of` is since when its sources are confirmed: the oldest of them. `narrowed` documents were open to more
    readers than in the one before, or are not in that; they are no longer.
    """

    live: int
    previous: int
    as_of: datetime | None
    narrowed: int
