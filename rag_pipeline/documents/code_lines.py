"""Where the lines of a text begin, and how its code lies on them."""

import re
from bisect import bisect_right

_LINE = re.compile(r"^([^\S\n]*)(?=\S)", re.MULTILINE)
_SPACE = re.compile(r"\s*")


class Lines:
    """Answers about the lines of one text, each in constant or logarithmic time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._begins = {match.end(): match.start() for match in _LINE.finditer(text)}

    def begins(self, offset: int) -> bool:
        """Whether the first visible character of a line is at `offset`."""
        return offset in self._begins

    def border(self, offset: int) -> int:
        """Return the start of the line if only indentation lies before `offset`, else `offset`."""
        return self._begins.get(offset, offset)

    def visible(self, offset: int) -> int:
        """Return the offset of the first visible character from `offset` on; the text's length if there is none."""
        found = _SPACE.match(self._text, offset)
        return found.end() if found else offset

    def stripped(self, start: int, end: int) -> int:
        """Return `end` less the white space before it."""
        while end > start and self._text[end - 1].isspace():
            end -= 1
        return end

    def breaks(self, start: int, end: int) -> int:
        """Return how many line ends lie in the stretch: 0 on the same line, more than 1 across a blank line."""
        return self._text.count("\n", start, end)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the first and last line of a stretch that ends in a visible character, counted from 1."""
        return bisect_right(self._ends, start - 1) + 1, bisect_right(self._ends, end - 1) + 1
