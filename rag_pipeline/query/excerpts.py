"""Excerpts: what a model is shown of the hits, the best first, as much as a bound of tokens admits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rag_pipeline.query.hits import Hit, Hits, Window
from rag_pipeline.query.plain import line, plain

CountTokens = Callable[[list[str]], list[int]]
"""Returns how many tokens each of some texts has."""

_BORDERS = 90
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

    Of a window for which there is no room its best hit is shown, if there is room for that. Where nothing has room, the
    very first hit is cut.
    """
    by_id = {hit.chunk_id: hit for hit in hits}
    found: list[Excerpt] = []
    left = most_tokens
    for window in hits.windows:
        inside = tuple(by_id[chunk_id] for chunk_id in window.chunk_ids)
        whole = _excerpt(len(found) + 1, window, window.text, inside)
        for excerpt in (whole, _excerpt(len(found) + 1, window, inside[0].text, inside[:1])):
            tokens = _BORDERS + sum(count_tokens([excerpt.name, excerpt.text]))
            if tokens <= left:
                found.append(excerpt)
                left -= tokens
                break
    if not found and hits:
        found = [_cut(_excerpt(1, hits.windows[0], hits[0].text, (hits[0],)), most_tokens, count_tokens)]
    return tuple(found)


def _excerpt(number: int, window: Window, text: str, inside: tuple[Hit, ...]) -> Excerpt:
    headings = [*window.heading_path]
    if window.title and headings[:1] != [window.title]:
        headings.insert(0, window.title)
    stale = any(hit.stale for hit in inside)
    name = line(" > ".join(heading for heading in headings if heading))
    return Excerpt(number, window.source, window.modified_at, stale, name, plain(text), inside)


def _cut(excerpt: Excerpt, most_tokens: int, count_tokens: CountTokens) -> Excerpt:
    """Return the excerpt with as much of its text, and if need be of its name, as there is room for."""
    name, text = excerpt.name, excerpt.text
    while _BORDERS + sum(count_tokens([name, text])) > most_tokens and (name or text):
        # A little less than the share that would fit if all of it were alike.
        share = max(0.0, (most_tokens - _BORDERS) / sum(count_tokens([name, text]))) * 0.9
        name, text = name[: int(max(80, len(name) * share))], text[: int(len(text) * share)]
        if len(name) <= 80 and not text:
            break
    return Excerpt(excerpt.number, excerpt.source, excerpt.modified_at, excerpt.stale, name, text, excerpt.hits)


def texts_of(shown: Sequence[Excerpt]) -> list[str]:
    """Return everything that the model is shown of documents, for whoever compares."""
    return [f"{each.source}\n{each.modified_at}\n{each.stale}\n{each.name}\n{each.text}" for each in shown]
