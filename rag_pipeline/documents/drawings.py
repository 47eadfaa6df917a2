"""What drawings in Office files say in words: paragraphs, tables, charts as the tables behind them, diagrams as lists.

Promises: only what is stored in the file is read, a chart's numbers as they were last shown; pictures are left
out, and so is a chart of a kind that keeps its numbers elsewhere.
"""

from collections.abc import Iterable, Iterator

from rag_pipeline.documents.number_formats import NumberFormat
from rag_pipeline.documents.package import COMPATIBILITY, RELATION, Element, Package, alternative
from rag_pipeline.documents.writer import Writer
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Place

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_D = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_TEXTS = (f"{A}t", f"{_M}t")
_FORMATS = (f"{A}pPr", f"{A}rPr", f"{A}endParaRPr")
_HELPERS = ("pres", "parTrans", "sibTrans")
_MAX_CELLS = 1_000_000
_TRUE = ("1", "true")


def line(paragraph: Element) -> str:
    """Return the text of a paragraph, with its line ends, but without the number of the slide it stands on."""
    return "".join(_pieces(paragraph))


def write_graphic(writer: Writer, package: Package, part: str, graphic: Element, place: Place | None = None) -> None:
    """Write what a ``graphicData`` element of a part holds, if it is a table, a chart or a diagram.

    Raises `DocumentError` if what it refers to is missing or malformed.
    """
    for content in graphic:
        if content.tag == f"{A}tbl":
            _write_table(writer, content, place)
        elif content.tag == f"{_C}chart":
            _write_chart(writer, package.xml(package.relation(part, content.get(f"{RELATION}id")).target), place)
        elif content.tag == f"{_D}relIds":
            _write_diagram(writer, package.xml(package.relation(part, content.get(f"{RELATION}dm")).target), place)


def _pieces(elements: Iterable[Element]) -> Iterator[str]:
    for child in elements:
        if child.tag in _TEXTS:
            yield child.text or ""
        elif child.tag == f"{A}br":
            yield "\n"
        elif child.tag == f"{COMPATIBILITY}AlternateContent":
            yield from _pieces(alternative(child))
        elif child.tag not in _FORMATS and child.get("type") != "slidenum":
            yield from _pieces(child)


def _write_table(writer: Writer, table: Element, place: Place | None) -> None:
    """A cell that is merged into another one is empty."""
    properties = table.find(f"{A}tblPr")
    headed = properties is not None and properties.get("firstRow") in _TRUE
    rows = [[_cell(cell) for cell in row.iterchildren(f"{A}tc")] for row in table.iterchildren(f"{A}tr")]
    writer.table(rows, int(headed), place)


def _cell(cell: Element) -> str:
    if cell.get("hMerge") in _TRUE or cell.get("vMerge") in _TRUE:
        return ""
    return "\n".join(line(paragraph) for paragraph in cell.iter(f"{A}p"))


def _write_chart(writer: Writer, root: Element, place: Place | None) -> None:
    title = root.find(f"{_C}chart/{_C}title")
    if title is not None:
        writer.add(BlockKind.PARAGRAPH, " ".join(line(paragraph) for paragraph in title.iter(f"{A}p")), place=place)
    names: list[str] = []
    columns: list[dict[int, str]] = []
    labels: dict[int, str] = {}
    for series in root.iter(f"{_C}ser"):
        names.append(" ".join(_points(series, "tx").values()))
        columns.append(_points(series, "val") or _points(series, "yVal"))
        for index, label in (_points(series, "cat") or _points(series, "xVal")).items():
            labels.setdefault(index, label)
    indices = sorted(set(labels).union(*columns))
    if len(indices) * (len(columns) + 1) > _MAX_CELLS:
        raise DocumentError(f"a chart of more than {_MAX_CELLS} values; keep them in a table")
    rows = [[labels.get(index, ""), *(column.get(index, "") for column in columns)] for index in indices]
    writer.table([["", *names], *rows], place=place)


def _points(series: Element, name: str) -> dict[int, str]:
    """The values of one dimension of a series by their position; the innermost of several levels of labels."""
    found: dict[int, str] = {}
    dimension = series.find(f"{_C}{name}")
    if dimension is None:
        return found
    code = next((element.text for element in dimension.iter(f"{_C}formatCode")), None)
    form = NumberFormat.of(0, code)
    numbers = dimension.find(f"{_C}numRef") is not None or dimension.find(f"{_C}numLit") is not None
    for point in dimension.iter(f"{_C}pt"):
        index, value = point.get("idx") or "", point.find(f"{_C}v")
        if index.isdecimal() and len(index) < 10 and value is not None and value.text:
            found.setdefault(int(index), form.show(value.text) if numbers else value.text)
    if not found:
        found.update(enumerate(element.text or "" for element in dimension.iterchildren(f"{_C}v")))
    return found


def _write_diagram(writer: Writer, root: Element, place: Place | None) -> None:
    for point in root.iter(f"{_D}pt"):
        text = point.find(f"{_D}t")
        if text is not None and point.get("type") not in _HELPERS:
            for paragraph in text.iterchildren(f"{A}p"):
                if (words := line(paragraph)).strip():
                    writer.add(BlockKind.LIST_ITEM, f"- {words}", 1, place=place)
