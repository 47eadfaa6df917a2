"""What directives of reStructuredText say, by their names: which are code, which are labels, which nobody sees.

A directive that is not named here is read by the general rule of `rag_pipeline.documents.rst_states`. Options
are read, never obeyed: none opens a file or an address.
"""

import csv
import re
from collections.abc import Sequence

from docutils import nodes

from rag_pipeline.documents.rst_inline import plain

OPTION = re.compile(r":([^:\s][^:]*):(?:\s+(.*))?$")
_CODE_POINT = re.compile(r"(?:0x|\\?[xuU]\+?|U\+)([0-9a-fA-F]{1,6})$|&#x([0-9a-fA-F]{1,6});$")

LABELS = {
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "versionremoved": "Removed in version",
    "deprecated": "Deprecated since version",
}
_TREATMENTS = {
    "language, then code": "code code-block sourcecode",
    "code": (
        "parsed-literal prompt math productionlist doctest testcode testoutput testsetup graphviz digraph graph uml "
        "plantuml mermaid ipython jupyter-execute"
    ),
    "label": "attention caution danger error hint important note seealso tip todo warning",
    "content": "epigraph highlights pull-quote compound",
    "hidden argument": "image figure only container",
    "invisible": (
        "raw meta contents sectnum section-numbering header footer index highlight default-role role class title "
        "target-notes tabularcolumns currentmodule py:currentmodule include"
    ),
}
TREATMENT = {name: treatment for treatment, names in _TREATMENTS.items() for name in names.split()}
"""How the directives are read that are not read as arguments, options and content."""


class Rows(nodes.Element):
    """A table that a directive wrote down; `rows` of cells, the first `header` of them its head."""

    def __init__(self, rows: Sequence[Sequence[str]], header: int) -> None:
        super().__init__()
        self.rows = rows
        self.header = header


def options(lines: Sequence[str]) -> dict[str, str]:
    """The options of a directive; a line that begins none goes on with the one before it."""
    found: dict[str, list[str]] = {}
    value: list[str] = []
    for line in lines:
        if match := OPTION.match(line):
            value = found[match[1]] = [match[2] or ""]
        else:
            value.append(line.strip())
    return {name: " ".join(words) for name, words in found.items()}


def characters(codes: str) -> str:
    """The text that a ``unicode`` directive spells by code points; what follows two dots is a comment."""
    words = codes.partition(" .. ")[0].split()
    found = [(word, _CODE_POINT.match(word)) for word in words]
    return "".join(chr(min(int(match[1] or match[2], 16), 0x10FFFF)) if match else word for word, match in found)


def csv_table(lines: list[str], options: dict[str, str]) -> nodes.Element:
    """The rows of a csv-table directive; as a literal block when they are no CSV."""
    delimiter = {"tab": "\t", "space": " "}.get(options.get("delim", ","), options.get("delim", ",")[:1] or ",")
    head = [options["header"]] if options.get("header") else []
    rows = [line for line in lines if line.strip()]
    try:
        cells = [*csv.reader([*head, *rows], delimiter=delimiter, skipinitialspace=True)]
    except (csv.Error, TypeError, ValueError):
        return nodes.literal_block("", "\n".join([*head, *lines]))
    stated = options.get("header-rows", "")
    more = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 4 else 0
    return Rows([[plain(cell) for cell in row] for row in cells], len(head) + more)
