"""The lines that a machine of docutils reads, such that what lies behind a line costs nothing to hand on.

Promises: to whoever only reads, the same as docutils' own lists of lines. docutils takes a copy of all lines that
are left for each list, comment and target that it meets; here they are the same lines, seen from another start.
"""

from typing import Any

from docutils.statemachine import StringList, UnexpectedIndentationError


class Lines(StringList):
    """A view of a list of lines from `start` up to `end`; pieces that have an end of their own are docutils' lists."""

    def __init__(self, lines: Any, start: int = 0, end: int | None = None) -> None:
        super().__init__()
        if isinstance(lines, Lines):
            start, end = lines._start + start, lines._end if end is None else lines._start + end
            lines = lines._lines
        self._lines: Any = lines if isinstance(lines, StringList) else StringList(lines, "")
        self._end = len(self._lines) if end is None else min(end, len(self._lines))
        self._start = min(start, self._end)

    def __len__(self) -> int:
        return self._end - self._start

    def __getitem__(self, i: Any) -> Any:
        if not isinstance(i, slice):
            return self._lines.data[self._at(i)]
        start, end, _ = i.indices(len(self))
        if i.stop is None:
            return Lines(self, start)
        return self._lines[self._start + start : self._start + max(start, end)]

    def info(self, i: int) -> Any:
        """Return the source and the offset of a line; just past the last one there is no offset."""
        return (*self._lines.info(self._end - 1)[:1], None) if i == len(self) else self._lines.info(self._at(i))

    def get_text_block(self, start: int, flush_left: bool = False) -> Any:
        """Return the lines up to the next blank one. Raises docutils' error for an indented one if none may be."""
        lines = self._lines.data
        for end in range(self._start + start, self._end):
            line = lines[end]
            if not line.strip():
                return self._lines[self._start + start : end]
            if flush_left and line[0] == " ":
                source, offset = self._lines.info(end)
                raise UnexpectedIndentationError(self._lines[self._start + start : end], source, offset + 1)
        return self._lines[self._start + start : self._end]

    def get_indented(self, start: int = 0, *args: Any, **kwargs: Any) -> Any:
        """Return the indented lines, how far they are indented, and whether a blank line ends them."""
        return self._lines.get_indented(self._start + start, *args, **kwargs)

    def _at(self, i: int) -> int:
        at = (self._start if i >= 0 else self._end) + i
        if not self._start <= at < self._end:
            raise IndexError(i)
        return at
