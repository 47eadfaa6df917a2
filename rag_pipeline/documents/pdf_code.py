"""Lines in monospaced type keep their breaks, their indents and their columns."""

import itertools
from collections.abc import Sequence
from statistics import median

from rag_pipeline.documents.pdf_layout import Line

_MAX_COLUMNS = 200  # a page holds no more; what claims to be further right is put after one blank
_BLANK = 1.7  # of the usual distance between lines: a blank line


def code_text(lines: Sequence[tuple[float, Line]]) -> str:
    """Return the text of the lines, each with the left edge of its column; one blank line stands for any gap."""
    words = [word for _, line in lines for word in line.words]
    width = sum(word.right - word.left for word in words) / sum(len(word.text) for word in words) or 1.0
    left = min(line.left - edge for edge, line in lines)
    distances = [one.base - other.base for (_, one), (_, other) in itertools.pairwise(lines)]
    usual = median(distances) if distances else 0.0
    rows: list[str] = []
    for index, (edge, line) in enumerate(lines):
        if index and distances[index - 1] > _BLANK * usual > 0:
            rows.append("")
        rows.append(_row(line, left + edge, width))
    return "\n".join(rows)


def _row(line: Line, left: float, width: float) -> str:
    parts: list[str] = []
    length = 0
    for word in line.words:
        column = round((word.left - left) / width)
        blanks = max(column - length if column <= _MAX_COLUMNS else 0, 1 if length else 0)
        parts += (" " * blanks, word.text)
        length += blanks + len(word.text)
    return "".join(parts)
