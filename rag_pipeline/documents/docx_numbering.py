"""The numbers that a word processor shows before headings and items, and stores nowhere.

Promises: lists count as they do on the screen: over levels, across interruptions, and from where they are told
to; a number is short, whatever its pattern.
"""

import re
from dataclasses import dataclass, field, replace

from rag_pipeline.documents.docx_styles import W, integer, switch, value
from rag_pipeline.documents.numerals import numeral
from rag_pipeline.documents.package import Element

BULLET = "-"
_LEVELS = 9
_MAX_LABEL = 40
_PLACE = re.compile("%([1-9])")


@dataclass(frozen=True, slots=True)
class _Level:
    form: str = "bullet"
    pattern: str = ""
    start: int = 1
    decimal: bool = False

    @classmethod
    def of(cls, element: Element) -> "_Level":
        return cls(
            value(element, "numFmt") or "decimal",
            value(element, "lvlText") or "",
            integer(value(element, "start"), 1),
            switch(element, "isLgl"),
        )


@dataclass(slots=True)
class _List:
    """A list: its levels, how far each has counted, and those that begin anew when it is first used."""

    levels: dict[int, _Level]
    counters: list[int | None]
    anew: set[int] = field(default_factory=set[int])


class Numbering:
    """The lists of a document by their ids; ask for labels in the order of the text."""

    def __init__(self, root: Element | None) -> None:
        self._lists: dict[str | None, _List] = {}
        if root is None:
            return
        patterns = {
            element.get(f"{W}abstractNumId"): _List(_levels(element), _fresh())
            for element in root.iterchildren(f"{W}abstractNum")
        }
        for element in root.iterchildren(f"{W}num"):
            pattern = patterns.get(value(element, "abstractNumId")) or _List({}, _fresh())
            known = _List({**pattern.levels}, pattern.counters)
            for override in element.iterchildren(f"{W}lvlOverride"):
                known.levels |= _levels(override)
                depth, start = integer(override.get(f"{W}ilvl")), value(override, "startOverride")
                if start and depth in known.levels:
                    known.levels[depth] = replace(known.levels[depth], start=integer(start, 1))
                    known.anew.add(depth)
            self._lists[element.get(f"{W}numId")] = known

    def label(self, identifier: str, depth: int) -> str:
        """Count on, and return what stands before the text; empty where nothing does, a dash for a bullet."""
        found = self._lists.get(identifier)
        if found is None or depth not in found.levels:
            return BULLET
        level, counters = found.levels[depth], found.counters
        while found.anew:
            counters[found.anew.pop()] = None
        count = counters[depth]
        counters[depth] = level.start if count is None else count + 1
        counters[depth + 1 :] = [None] * (_LEVELS - depth - 1)
        if level.form == "bullet":
            return BULLET

        def number(match: re.Match[str]) -> str:
            place = int(match[1]) - 1
            other = found.levels.get(place, _Level())
            counted = counters[place]
            return numeral(other.start if counted is None else counted, "decimal" if level.decimal else other.form)

        return "" if level.form == "none" else _PLACE.sub(number, level.pattern[:_MAX_LABEL])[:_MAX_LABEL]


def _fresh() -> list[int | None]:
    return [None] * _LEVELS


def _levels(element: Element) -> dict[int, _Level]:
    levels = {integer(item.get(f"{W}ilvl")): _Level.of(item) for item in element.iterchildren(f"{W}lvl")}
    return {depth: level for depth, level in levels.items() if depth < _LEVELS}
