"""Who asks, and among what: the two values that narrow every search."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rag_pipeline.model import PUBLIC, principal
from rag_pipeline.storable import storable_json


@dataclass(frozen=True, slots=True, init=False)
class Caller:
    """On whose behalf a search runs: all principals that a person or service is.

    `principals` is sorted and distinct; every caller is also ``public``.
    """

    principals: tuple[str, ...]

    def __init__(self, *principals: str) -> None:
        """Take at least one principal. Raises `ValueError` for none, or for one that is malformed."""
        if not principals:
            raise ValueError("a caller is at least one principal; for anonymous questions write Caller('public')")
        distinct = {PUBLIC, *(principal(name) for name in principals)}
        object.__setattr__(self, "principals", tuple(sorted(distinct)))


@dataclass(frozen=True, slots=True)
class Filters:
    """What to search among; None does not narrow. Filters narrow what a caller may read, never widen it.

    `sources` are names of sources. `modified_since` (with a time zone) leaves out older documents and those
    whose age is unknown. `where` is a JSON object that a document's metadata must contain, as Postgres'
    ``@>`` understands it: ``{"team": 42}``, ``{"tags": ["billing"]}``.

    Raises `ValueError` for a value that cannot be meant.
    """

    sources: Iterable[str] | None = None
    modified_since: datetime | None = None
    where: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.sources, str):
            raise ValueError(f"sources is a list of names; write [{self.sources!r}]")
        if self.sources is not None:
            object.__setattr__(self, "sources", tuple(self.sources))
        if self.modified_since is not None and self.modified_since.tzinfo is None:
            raise ValueError("modified_since needs a time zone; write datetime(…, tzinfo=UTC)")
        if self.where is not None:
            _canonical(self.where)

    @property
    def where_json(self) -> str | None:
        """The metadata filter as JSON text."""
        return None if self.where is None else _canonical(self.where)


def _canonical(where: Mapping[str, Any]) -> str:
    if not isinstance(where, Mapping):
        raise ValueError('where is an object of JSON values, such as {"team": 42}')
    try:
        return storable_json(where)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'where is an object of JSON values, such as {{"team": 42}}: {error}') from error
