"""A Jupyter notebook becomes its cells: Markdown cells structure the whole, code cells are code.

Promises: of what cells put out, the beginning of plain text stays below its cell, and of an error its name and
message; images, HTML, widgets, progress and the error stream are dropped, however large. Markdown cells declare
nothing. Numbers in the file are never computed, nesting is bounded.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from rag_pipeline.documents import compose
from rag_pipeline.documents.canonical import clean, decode
from rag_pipeline.documents.writer import Writer
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document
from rag_pipeline.sources.media_types import MARKDOWN

_MAX_OUTPUT = 1000
"""Characters of a cell's output that are kept."""

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_EMBEDDED = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[A-Za-z0-9+/=]+")


def parse(data: bytes) -> Document:
    """Parse a notebook of any format version; the title is its own, else its first heading of level 1.

    Raises `DocumentError` for what is no notebook.
    """
    text = decode(data)
    if not text.strip():
        return Document("", ())
    try:
        notebook = json.loads(text, strict=False, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DocumentError(f"not a notebook: {reason:.200}; save it again in Jupyter") from error
    if not isinstance(notebook, dict):
        raise DocumentError("not a notebook: no JSON object; save it again in Jupyter")
    writer = Writer()
    for cell in _cells(notebook):
        _write(writer, cell)
    about = _object(notebook.get("metadata"))
    title = about.get("title")
    kernel, language = _object(about.get("kernelspec")), _object(about.get("language_info"))
    spoken = language.get("name") or kernel.get("language")
    metadata = {"language": clean(spoken)} if isinstance(spoken, str) else {}
    return writer.document(title if isinstance(title, str) else writer.headline, metadata)


def _cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The cells, in worksheets or without. Raises `DocumentError` when there is neither."""
    sheets = notebook.get("worksheets", [notebook])
    for sheet in sheets if isinstance(sheets, list) else [None]:
        cells = _object(sheet).get("cells")
        if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
            raise DocumentError("not a notebook: it has no list of cells; save it again in Jupyter")
        yield from cells


def _write(writer: Writer, cell: dict[str, Any]) -> None:
    source = _text(cell.get("source", cell.get("input")))
    match cell.get("cell_type"):
        case "markdown":
            compose.append(writer, compose.part(_EMBEDDED.sub("", source), MARKDOWN))
        case "heading":  # of format 3
            level = str(cell.get("level", 1))
            writer.add(BlockKind.HEADING, source, int(level) if level in tuple("123456") else 1)
        case "code":
            writer.add(BlockKind.CODE, source)
            writer.add(BlockKind.CODE, _outputs(cell.get("outputs")), clings=True)
        case _:
            writer.add(BlockKind.CODE, source)


def _outputs(outputs: Any) -> str:
    """What the cell put out, as plain text; a line of dots ends what was longer."""
    shown: list[str] = []
    room = _MAX_OUTPUT
    for output in outputs if isinstance(outputs, list) else []:
        text = _ESCAPE.sub("", _shown(_object(output))).strip("\n")
        if len(text) > room:
            shown += [text[:room].rpartition("\n")[0] or text[:room], "…"]
            break
        if text:
            shown.append(text)
            room -= len(text)
    return "\n".join(shown)


def _shown(output: dict[str, Any]) -> str:
    match output.get("output_type"):
        case "stream":
            # "name" is called "stream" in format 3.
            error = "stderr" in (output.get("name"), output.get("stream"))
            return "" if error else _screen(_text(output.get("text"), 20 * _MAX_OUTPUT))
        case "error" | "pyerr":
            return f"{_text(output.get('ename'), 200)}: {_text(output.get('evalue'), _MAX_OUTPUT)}"
        case "execute_result" | "display_data" | "pyout":
            bundle = _object(output.get("data", output))
            known = {"output_type", "execution_count", "prompt_number", "metadata", "text", "html", "latex"}
            plain = all(name.startswith("text/") or name in known for name in bundle)
            return _text(bundle.get("text/plain", bundle.get("text")), 2 * _MAX_OUTPUT) if plain else ""
    return ""


def _screen(text: str) -> str:
    """What a terminal would show: of each line what follows its last carriage return."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def _text(value: Any, limit: int | None = None) -> str:
    """A text that may be written as a list of lines; anything else is none."""
    lines = value if isinstance(value, list) else [value]
    return "".join(line for line in lines if isinstance(line, str))[:limit]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
