"""What a search gives back, and what its layers pass to one another.

A `Candidate` is a chunk as it comes out of the database; the layers after it keep, drop and reorder
candidates, and what is left becomes `Hits`. Scores end here: whoever tries many questions could tell from
similarities what hidden documents say, so a hit has a rank and no score.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from rag_pipeline.query.evidence import NO_EVIDENCE, Evidence


@dataclass(frozen=True, slots=True)
class Found:
    """One chunk that answers, with the section around it (`window`): what of it a caller may see.

    `chunk_id` is stable while the document and the chunk's text stay. `position` is the chunk's offset, in
    characters, in the document's canonical text. `place` says where that is in the source, as far as it has
    such places: ``pages``, ``lines`` and ``seconds`` are first and last, ``speakers`` names, ``symbol`` a name.
    `stale`: the source was last confirmed longer ago than its settings allow. `version` is the SHA-256 of the
    document's bytes, in hexadecimal.
    """

    chunk_id: str
    document_id: str
    source: str
    uri: str
    title: str
    heading_path: tuple[str, ...]
    text: str
    window: str
    modified_at: datetime | None
    position: int
    place: Mapping[str, Any]
    stale: bool
    version: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "heading_path", tuple(self.heading_path))


@dataclass(frozen=True, slots=True)
class Hit(Found):
    """What a search gives back. `twins` are the chunk_ids of near-duplicates that it stands for.

    They are among what the caller may read.
    """

    twins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate(Found):
    """What the layers decide by, beside what a hit shows.

    `window_position` is the offset of `window` in the document's canonical text. `vector_rank` and
    `keyword_rank` count from 1; None: that search did not find it. `score` is the fused score, larger is
    better, comparable within one search only. `shingles` are as `rag_pipeline.chunks.shingles` makes them.
    """

    window_position: int
    vector_rank: int | None
    keyword_rank: int | None
    score: float
    shingles: bytes

    def hit(self, twins: Iterable[str] = ()) -> Hit:
        """Return what of it a caller may see."""
        return Hit(**{each.name: getattr(self, each.name) for each in fields(Found)}, twins=tuple(twins))


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of one document around one or more hits, to be read as a whole.

    `chunk_ids` are the hits in it, best first; `heading_path` is that of the first section of `text`, and
    `position` the offset of `text` in the document's canonical text.
    """

    chunk_ids: tuple[str, ...]
    document_id: str
    source: str
    uri: str
    title: str
    heading_path: tuple[str, ...]
    text: str
    position: int
    modified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer of a search did: how many candidates it kept and dropped, and how long it took."""

    name: str
    milliseconds: float
    kept: int
    dropped: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """The way of one candidate through the layers; ranks count from 1, None: it was not ranked there.

    `dropped` says why it is no hit ("near-duplicate of …", "beyond k"); None: it is one.
    """

    chunk_id: str
    source: str
    document_id: str
    uri: str
    title: str
    heading_path: tuple[str, ...]
    vector_rank: int | None
    keyword_rank: int | None
    fused_rank: int | None
    rerank_rank: int | None
    rank: int | None
    dropped: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a search came to its hits.

    `paths` names which way each search took and what it looked at; `plan` is the plan of the SQL, line by
    line, when it was asked for.
    """

    layers: tuple[Layer, ...]
    traces: tuple[Trace, ...]
    paths: Mapping[str, Any] = field(default_factory=dict[str, Any])
    plan: tuple[str, ...] = ()


class Hits(tuple[Hit, ...]):
    """The hits, best first. The index held all changes of its sources up to `as_of`; None: that is not known.

    `reranked` says whether a cross-encoder had a part in the order. `notes` are what the caller should know
    about this answer, in words. `windows` are the hits' surroundings, best first, neighbours joined. `layers`
    are what each layer kept and how long it took; `explanation` says more, when it was asked for. `evidence` is how
    well what was found speaks to the question: for whoever decides whether to answer; no interface gives it out.
    `generation` is that of the index which was asked.
    """

    as_of: datetime | None
    reranked: bool
    notes: tuple[str, ...]
    windows: tuple[Window, ...]
    layers: tuple[Layer, ...]
    explanation: Explanation | None
    evidence: Evidence
    generation: int | None

    def __new__(
        cls,
        hits: Iterable[Hit],
        as_of: datetime | None,
        *,
        reranked: bool = False,
        notes: Iterable[str] = (),
        windows: Iterable[Window] = (),
        layers: Iterable[Layer] = (),
        explanation: Explanation | None = None,
        evidence: Evidence = NO_EVIDENCE,
        generation: int | None = None,
    ) -> "Hits":
        """Keep the hits in their order."""
        found = super().__new__(cls, hits)
        found.as_of = as_of
        found.reranked = reranked
        found.notes = tuple(notes)
        found.windows = tuple(windows)
        found.layers = tuple(layers)
        found.explanation = explanation
        found.evidence = evidence
        found.generation = generation
        return found
