"""A chunk in its document: the sections around it, to read on from a hit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a document; `position` is its offset in the canonical text.

    `hit` is where the chunk that was asked for stands in `text`, first and behind the last character; None: not here.
    """

    heading_path: tuple[str, ...]
    text: str
    position: int
    hit: tuple[int, int] | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Section":
        """Take a row of the database."""
        hit = (row["hit_start"], row["hit_end"]) if row["is_hit"] else None
        return cls(tuple(row["heading_path"]), row["text"], row["position"], hit)


@dataclass(frozen=True, slots=True)
class Passage:
    """Sections of one document in their order. `earlier` and `later` are how many more there are on each side."""

    chunk_id: str
    document_id: str
    source: str
    uri: str
    title: str
    modified_at: datetime | None
    stale: bool
    sections: tuple[Section, ...]
    earlier: int
    later: int

    @classmethod
    def of(cls, chunk_id: str, sections: Sequence[Section], row: Mapping[str, Any]) -> "Passage":
        """Take what every row of a passage says of its document."""
        names = ("document_id", "source", "uri", "title", "modified_at", "stale", "earlier", "later")
        return cls(chunk_id=chunk_id, sections=tuple(sections), **{name: row[name] for name in names})
