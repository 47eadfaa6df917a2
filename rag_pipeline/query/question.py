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

    `sources` are names of sources, `media_types` types such as ``text/markdown``, `languages` what documents are
    written in: a name or ISO code of a language (``german``, ``de``), or of a programming language. `uri_prefix`
    is how the addresses of the documents begin. `modified_since` and `modified_until` (with a time zone; until
    is not itself included) leave out other documents, and those whose age is unknown. `confirmed_since` leaves
    out sources that were last listed completely before that time. `where` is a JSON object that a document's
    metadata must contain, as Postgres' ``@>`` understands it: ``{"team": 42}``, ``{"tags": ["billing"]}``.

    Raises `ValueError` for a value that cannot be meant.
    """

    sources: Iterable[str] | None = None
    media_types: Iterable[str] | None = None
    uri_prefix: str | None = None
    languages: Iterable[str] | None = None
    modified_since: datetime | None = None
    modified_until: datetime | None = None
    confirmed_since: datetime | None = None
    where: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("sources", "media_types", "languages"):
            values = getattr(self, name)
            if isinstance(values, str):
                raise ValueError(f"{name} is a list of names; write [{values!r}]")
            if values is not None:
                object.__setattr__(self, name, tuple(values))
        if self.languages is not None:
            object.__setattr__(self, "languages", tuple(language.lower() for language in self.languages))
        for name in ("modified_since", "modified_until", "confirmed_since"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{name} needs a time zone; write datetime(…, tzinfo=UTC)")
        if self.where is not None:
            _canonical(self.where)

    @property
    def parameters(self) -> dict[str, Any]:
        """The filters as the search functions of the database take them."""
        return {
            "sources": _listed(self.sources),
            "media_types": _listed(self.media_types),
            "uri_prefix": self.uri_prefix,
            "languages": _listed(self.languages),
            "modified_since": self.modified_since,
            "modified_until": self.modified_until,
            "confirmed_since": self.confirmed_since,
            "where": self.where_json,
        }

    @property
    def where_json(self) -> str | None:
        """The metadata filter as JSON text."""
        return None if self.where is None else _canonical(self.where)


@dataclass(frozen=True, slots=True)
class Asking:
    """A question as it was asked: in words, by whom, for how many hits, among what."""

    text: str
    caller: Caller
    k: int
    filters: Filters


def _listed(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _canonical(where: Mapping[str, Any]) -> str:
    if not isinstance(where, Mapping):
        raise ValueError('where is an object of JSON values, such as {"team": 42}')
    try:
        return storable_json(where)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'where is an object of JSON values, such as {{"team": 42}}: {error}') from error
