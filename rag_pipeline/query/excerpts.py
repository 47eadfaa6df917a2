"""Excerpts: what a model is shown of the hits, the best first, as much as a bound of tokens admits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rag_pipeline.model import names_above
from rag_pipeline.query.hits import Hit, Hits, Window
from rag_pipeline.query.plain import line, plain

CountTokens = Callable[[list[str]], list[int]]
"""Returns how many tokens each of some texts has."""

_BORDERS = 80
"""Tokens that the borders of an excerpt take, at most."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A stretch of a document, as text that may be shown; `number` counts from 1, `hits` are those in it, best first.

    `source` and `modified_at` are the index's own words; `name` (title > heading path, on one line) and `text` are
    the document's.
    """

    number: int
    source: str
    modified_at: datetime | None
    stale: bool
    name: str
    text: str
    hits: tuple[Hit, ...]


def excerpts(hits: Hits, most_tokens: int, count_tokens: CountTokens) -> tuple[Excerpt, ...]:
    """Return the windows of the hits, best first, within so many tokens, borders included; there is at least one.

    Of a window for which there is no room its best hit is shown, if there is room for that. The very best hit is always
    shown, and cut where it alone is too long.
    """
    by_id = {hit.chunk_id: hit for hit in hits}
    found: list[Excerpt] = []
    left = most_tokens
    for window in hits.windows:
        inside = tuple(by_id[chunk_id] for chunk_id in window.chunk_ids)
        number = len(found) + 1
        alone = _excerpt(number, window, inside[0].text, inside[:1])
        for excerpt in (
            _excerpt(number, window, window.text, inside),
            alone if found else _cut(alone, left, count_tokens),
        ):
            if (tokens := _tokens(excerpt, count_tokens)) <= left:
                found.append(excerpt)
                left -= tokens
                break
    return tuple(found)


def _tokens(excerpt: Excerpt, count_tokens: CountTokens) -> int:
    return _BORDERS + sum(count_tokens([excerpt.name, excerpt.text]))


def _excerpt(number: int, window: Window, text: str, inside: tuple[Hit, ...]) -> Excerpt:
    stale = any(hit.stale for hit in inside)
    name = line(" > ".join(names_above(window.title, window.heading_path)))
    return Excerpt(number, window.source, window.modified_at, stale, name, plain(text), inside)


def _cut(excerpt: Excerpt, most_tokens: int, count_tokens: CountTokens) -> Excerpt:
    """Return the excerpt with as much of its name, and then of its text, as there is room for."""
    name = excerpt.name
    while _BORDERS + count_tokens([name])[0] > most_tokens // 2:
        name = name[: len(name) // 2]
    text, room = excerpt.text, most_tokens - _BORDERS - count_tokens([name])[0]
    while (tokens := count_tokens([text])[0]) > room:
        # A little less than the share that would fit if all of it were alike.
        text = text[: int(len(text) * room / tokens * 0.95)]
    return replace(excerpt, name=name, text=text)


def texts_of(shown: Sequence[Excerpt]) -> list[str]:
    """Return everything that the model is shown of documents, for whoever compares."""
    return [f"{each.source}\n{each.modified_at}\n{each.stale}\n{each.name}\n{each.text}" for each in shown]
