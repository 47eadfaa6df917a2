"""A workbook: every visible sheet is a heading, every stretch of rows between blank ones a table with its header.

Promises: cells read as on the screen (`number_formats`), formulas as their last result, or as written where
none was stored; hidden sheets, rows and columns, comments, charts and empty sheets are left out, and so are
columns that a table leaves empty. Cells alone in the first rows of a wide table are its captions. Sheets are
streamed; one that would become more text than `MAX_CHARACTERS`, or has more than `MAX_ROWS` rows, is refused.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from rag_pipeline.documents.number_formats import NumberFormat
from rag_pipeline.documents.package import RELATION, Element, Package
from rag_pipeline.documents.writer import Writer
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document

MAX_ROWS = 500_000
MAX_CHARACTERS = 50_000_000
_MAX_COLUMNS = 16_384
_CAPTIONED_WIDTH = 3
_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_CELL, _VALUE, _FORMULA, _INLINE, _TEXT, _RUN = (f"{_S}{name}" for name in ("c", "v", "f", "is", "t", "r"))
_ROW, _COLUMN, _STRING = (f"{_S}{name}" for name in ("row", "col", "si"))
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_TRUE = ("1", "true")
_GENERAL = NumberFormat()

_Row = dict[int, str]
"""The visible cells of a row by column, from 1."""

_Table = tuple[list[str], list[list[str]]]
"""The captions of a table, and its rows."""


def parse(data: bytes) -> Document:
    """Parse a workbook; its title is the one that it declares. Raises `DocumentError`."""
    package = Package(data)
    part, workbook = package.main("workbook")
    book = _Book(package, part, workbook)
    writer = Writer()
    for sheet in workbook.iter(f"{_S}sheet"):
        if sheet.get("state") not in (None, "visible"):
            continue
        relation = package.relation(part, sheet.get(f"{RELATION}id"))
        if relation.kind != "worksheet":
            continue
        for index, (captions, rows) in enumerate(book.tables(relation.target)):
            if index == 0:
                writer.add(BlockKind.HEADING, sheet.get("name") or "", 1)
            for caption in captions:
                writer.add(BlockKind.PARAGRAPH, caption)
            writer.table(rows)
    metadata = package.properties()
    return writer.document(metadata.get("title", ""), metadata)


class _Book:
    """What the sheets of a workbook share: strings, number formats, the first day, and how much may still be read."""

    def __init__(self, package: Package, part: str, workbook: Element) -> None:
        self._package = package
        strings, styles = package.first(part, "sharedStrings"), package.first(part, "styles")
        self._strings = [_string(item) for item in package.stream(strings, _STRING)] if strings else []
        self._formats = list(_formats(package.xml(styles))) if styles else []
        properties = workbook.find(f"{_S}workbookPr")
        self._since_1904 = properties is not None and properties.get("date1904") in _TRUE
        self._rows = MAX_ROWS
        self._characters = MAX_CHARACTERS

    def tables(self, part: str) -> Iterator[_Table]:
        """Yield the stretches of rows of a sheet that no blank row interrupts; a hidden one is none."""
        table: list[_Row] = []
        last = 0
        for number, row in self._numbered(part):
            if table and (row == {} or number != last + 1):
                yield self._laid_out(table)
                table = []
            if row:
                table.append(row)
            last = number
        if table:
            yield self._laid_out(table)

    def _numbered(self, part: str) -> Iterator[tuple[int, _Row | None]]:
        """Yield a sheet's rows by number, None for one that is hidden."""
        hidden: set[int] = set()
        number = covered = 0
        for element in self._package.stream(part, _COLUMN, _ROW):
            if element.tag == _COLUMN:
                first, last = _integer(element.get("min")), _integer(element.get("max"))
                if not covered < first <= last <= _MAX_COLUMNS:
                    raise DocumentError("a sheet describes columns that overlap or do not exist; save it again")
                covered = last
                if element.get("hidden") in _TRUE:
                    hidden.update(range(first, last + 1))
                continue
            number = _integer(element.get("r") or str(number + 1))
            if element.get("hidden") in _TRUE:
                yield number, None
            else:
                yield number, self._cells(element, hidden)

    def _cells(self, row: Element, hidden: set[int]) -> _Row:
        cells: _Row = {}
        column = 0
        for cell in row.iterchildren(_CELL):
            place = cell.get("r")
            column = _column(place.rstrip("0123456789")) if place else column + 1
            if column not in hidden and (text := self._text(cell)) and not text.isspace():
                cells[column] = text
                self._characters -= len(text)
        self._rows -= bool(cells)
        if self._rows < 0:
            raise DocumentError(f"more than {MAX_ROWS} rows; keep data of that size in a database, or split it")
        return cells

    def _text(self, cell: Element) -> str:
        value = formula = ""
        for child in cell:
            if child.tag == _VALUE:
                value = child.text or ""
            elif child.tag == _FORMULA:
                formula = child.text or ""
            elif child.tag == _INLINE:
                return _string(child)
        if not value:
            return f"={formula}" if formula else ""
        kind = cell.get("t") or "n"
        if kind == "n":
            style = _integer(cell.get("s") or "0")
            known = self._formats[style] if style < len(self._formats) else _GENERAL
            return known.show(value, self._since_1904)
        if kind == "s":
            index = _integer(value)
            if index >= len(self._strings):
                raise DocumentError("a cell refers to a text that is not in the file; save it again")
            return self._strings[index]
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        return _unescaped(value)

    def _laid_out(self, table: list[_Row]) -> _Table:
        """Tell captions from the table, and close the gaps of columns that are empty everywhere in it."""
        alone = int(len(table) == len(table[0]) == 1)
        captions = 0
        if len(set().union(*table)) >= _CAPTIONED_WIDTH:
            captions = next(index for index, row in enumerate(table) if len(row) > 1 or index == len(table) - 1)
        head, body = table[: captions or alone], table[captions or alone :]
        columns = sorted(set().union(*body))
        places = {column: place for place, column in enumerate(columns, start=1)}
        self._characters -= sum(3 * places[max(row)] for row in body)
        if self._characters < 0:
            raise DocumentError(f"more than {MAX_CHARACTERS} characters in its tables; split it")
        rows = [[row.get(column, "") for column in columns[: places[max(row)]]] for row in body]
        return [text for row in head for text in row.values()], rows


def _formats(styles: Element) -> Iterator[NumberFormat]:
    codes = {item.get("numFmtId"): item.get("formatCode") for item in styles.iter(f"{_S}numFmt")}
    known: dict[str, NumberFormat] = {}
    for item in styles.iterfind(f"{_S}cellXfs/{_S}xf"):
        identifier = item.get("numFmtId") or "0"
        if identifier not in known:
            known[identifier] = NumberFormat.of(_integer(identifier), codes.get(identifier))
        yield known[identifier]


def _string(item: Element) -> str:
    """The text of a string, plain or of runs; without the reading aids of East Asian ones."""
    parts: list[str] = []
    for child in item:
        text = child if child.tag == _TEXT else child.find(_TEXT) if child.tag == _RUN else None
        if text is not None and text.text:
            parts.append(text.text)
    return _unescaped("".join(parts))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


@lru_cache(maxsize=_MAX_COLUMNS)
def _column(letters: str) -> int:
    number = 0
    for letter in letters[:4].upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    if not letters.isascii() or not letters.isalpha() or number > _MAX_COLUMNS:
        raise DocumentError(f"no sheet has a column {letters[:10]!r}; save it again")
    return number


def _integer(value: str | None) -> int:
    if value is None or not value.isdecimal() or len(value) > 9:
        raise DocumentError(f"{(value or 'nothing')[:20]!r} stands where a number must be; save it again")
    return int(value)
