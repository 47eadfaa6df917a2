"""robots.txt (RFC 9309): what a site asks programs not to read, how fast they may go, and where its sitemaps are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rag_pipeline.errors import DocumentError
from rag_pipeline.sources.website_client import AGENT
from rag_pipeline.sources.website_urls import escaped

_LONGEST = 512_000
_MOST_RULES = 5_000
_LONGEST_DELAY = 30.0
_NUMBER = re.compile(r"\d{1,6}(?:\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules for this program: patterns, each with whether it allows. `delay` is in seconds, at most 30."""

    rules: tuple[tuple[str, bool], ...] = ()
    delay: float = 0.0
    sitemaps: tuple[str, ...] = ()

    def allows(self, target: str) -> bool:
        """Say whether a path with its query may be read: the longest pattern decides, and of two the kinder one."""
        found = max((rule for rule in self.rules if _matches(rule[0], target)), key=_strength, default=None)
        return found is None or found[1]


def parse_robots(data: bytes) -> Robots:
    """Read a robots.txt; lines that say nothing known are passed over, as are bytes beyond 512,000.

    Raises `DocumentError` when there are too many rules to follow.
    """
    sitemaps: list[str] = []
    ours: list[tuple[str, str]] = []
    everyones: list[tuple[str, str]] = []
    named = False
    groups: list[list[tuple[str, str]]] = []
    in_rules = False
    for key, value in _lines(data):
        if key == "sitemap":
            sitemaps.append(value)
        elif key == "user-agent":
            groups = [] if in_rules else groups
            in_rules = False
            product = value.partition("/")[0].strip().lower()
            if product == AGENT:
                named = True
                groups.append(ours)
            elif product == "*":
                groups.append(everyones)
        elif key in ("allow", "disallow", "crawl-delay"):
            in_rules = True
            for group in groups:
                group.append((key, value))
    lines = ours if named else everyones
    rules = dict.fromkeys((escaped(value), key == "allow") for key, value in lines if value and key != "crawl-delay")
    if len(rules) > _MOST_RULES:
        raise DocumentError(f"robots.txt has more than {_MOST_RULES:,} rules for one program")
    delays = [float(value) for key, value in lines if key == "crawl-delay" and _NUMBER.fullmatch(value)]
    return Robots(tuple(rules), min(max(delays, default=0.0), _LONGEST_DELAY), tuple(dict.fromkeys(sitemaps)))


def _lines(data: bytes) -> Iterable[tuple[str, str]]:
    for line in data[:_LONGEST].decode("utf-8-sig", "replace").splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield key.strip().lower(), value.strip()


def _strength(rule: tuple[str, bool]) -> tuple[int, bool]:
    return len(rule[0]), rule[1]


def _matches(pattern: str, target: str) -> bool:
    """Match from the beginning; ``*`` is any run of characters, ``$`` at the end is the end.

    Taking the first place where each piece fits is exact: it leaves the most for those after it.
    """
    first, *pieces = pattern.removesuffix("$").split("*")
    if not target.startswith(first):
        return False
    at = len(first)
    last = pieces.pop() if pattern.endswith("$") and pieces else None
    for piece in pieces:
        at = target.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    if last is not None:
        return target.endswith(last) and len(target) - len(last) >= at
    return not pattern.endswith("$") or at == len(target)
