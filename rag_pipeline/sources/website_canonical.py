"""Pages that are copies: what a page says its own URL is, and which of several that name each other to keep."""

import re
from collections.abc import Collection, Mapping
from html import unescape

from rag_pipeline.sources.website_urls import Url, parse_url

_HEAD_BYTES = 1 << 18
_STOPS = re.compile(rb"<!--|<(script|style|template|noscript)\b|</head|<body\b|<link\b([^<>]{0,2000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([a-zA-Z-]{1,20})\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
_LINK = re.compile(r"<([^<>]{1,2048})>([^<]{0,200})")
_IS_CANONICAL = re.compile(r"\brel\s*=\s*\"?canonical\b", re.IGNORECASE)


def canonical_link(url: Url, html: bytes, header: str = "") -> str | None:
    """Return the URL that a page names as its canonical one, by a Link header or in its head; None without one.

    Takes time in proportion to the head, of which the first 262,144 bytes are looked at.
    """
    link = next((found[1] for found in _LINK.finditer(header[:8_192]) if _IS_CANONICAL.search(found[2])), None)
    link = link or _in_head(html[:_HEAD_BYTES])
    try:
        return str(parse_url(link, url)) if link else None
    except ValueError:
        return None


def copies(targets: Mapping[str, str], present: Collection[str]) -> set[str]:
    """Return which pages are copies of others, given the page that each names in its own stead.

    A page is a copy when the one it names is there: `present`, or itself among those that name others. Of
    pages that name each other in a circle the first by its URL is kept.
    """
    kept: set[str] = set()
    met_from: dict[str, str] = {}
    for start in targets:
        way: list[str] = []
        at = start
        while at in targets and at not in met_from:
            met_from[at] = start
            way.append(at)
            at = targets[at]
        if met_from.get(at) == start:
            kept.add(min(way[way.index(at) :]))
    return {page for page, at in targets.items() if page not in kept and (at in targets or at in present)}


def _in_head(html: bytes) -> str | None:
    at = 0
    while found := _STOPS.search(html, at):
        at = found.end()
        if found[0].startswith(b"<!--"):
            at = html.find(b"-->", at)
        elif found[1]:
            closing = re.compile(b"</" + found[1], re.IGNORECASE).search(html, at)
            at = closing.end() if closing else -1
        elif found[2] is not None:
            values = {
                match[1].lower(): unescape(match[2] or match[3] or match[4] or "")
                for match in _ATTRIBUTE.finditer(found[2].decode(errors="replace"))
            }
            if "canonical" in values.get("rel", "").lower().split() and values.get("href"):
                return values["href"]
        else:
            return None
        if at < 0:
            return None
    return None
