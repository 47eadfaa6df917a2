"""A document of a word processor: headings, paragraphs, items, tables, code and quotations by their styles.

Promises: the text is what a reader sees with all changes accepted (`docx_inline`), with the numbers of headings
and items. Text boxes and charts follow the paragraph that holds them, foot- and endnotes the block that refers to
them first. The headers and footers of pages, comments, pictures and tables of contents are left out. A table
that has a single cell, or a table inside, is there for the layout: its content is read as that of the page.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from rag_pipeline.documents.docx_inline import InlineReader, waits
from rag_pipeline.documents.docx_numbering import BULLET, Numbering
from rag_pipeline.documents.docx_styles import Style, Styles, W, switch
from rag_pipeline.documents.drawings import write_graphic
from rag_pipeline.documents.numerals import numeral
from rag_pipeline.documents.package import COMPATIBILITY, Element, Package, alternative
from rag_pipeline.documents.writer import Writer, one_line
from rag_pipeline.errors import DocumentError
from rag_pipeline.model import BlockKind, Document

_PARAGRAPH, _TABLE, _ROW, _CELL, _CONTROL = (f"{W}{name}" for name in ("p", "tbl", "tr", "tc", "sdt"))
_GONE = frozenset(f"{W}{name}" for name in ("del", "moveFrom", "sdtPr", "sdtEndPr", "customXmlPr", "sectPr", "tblPr"))
_GALLERY = f"{W}sdtPr/{W}docPartObj/{W}docPartGallery"
_NUMERALS = {"footnotes": "decimal", "endnotes": "lowerRoman"}


def parse(data: bytes) -> Document:
    """Parse a document; its title is the first text in a title style, else the declared one, else the first heading.

    Raises `DocumentError`.
    """
    package = Package(data)
    part, root = package.main("document")
    reader = _Reader(package, part)
    for body in root.iterchildren(f"{W}body"):
        reader.read(body)
    metadata = package.properties()
    title = reader.title or metadata.get("title") or reader.writer.headline
    return reader.writer.document(title, metadata)


class _Reader:
    """Writes what it reads; a note waits until the block that refers to it is written."""

    def __init__(self, package: Package, part: str) -> None:
        self.writer = Writer()
        self.title = ""
        self._package = package
        self._part = part
        self._styles = Styles(self._related("styles"))
        self._numbering = Numbering(self._related("numbering"))
        self._notes: dict[str, dict[str | None, Element]] = {}
        self._marks: dict[str, dict[str, str]] = {kind: {} for kind in _NUMERALS}
        self._waiting: deque[tuple[str, Element]] = deque()
        self._code: list[str] = []

    def read(self, elements: Iterable[Element]) -> None:
        """Write the blocks of a body, a cell or a text box."""
        for element in _flat(elements, _PARAGRAPH, _TABLE):
            if element.tag == _PARAGRAPH:
                self._paragraph(element)
            else:
                self._table(element)
        self._end_code()

    def _related(self, kind: str) -> Element | None:
        part = self._package.first(self._part, kind)
        return None if part is None else self._package.xml(part)

    def _paragraph(self, paragraph: Element) -> None:
        style, reader = self._inline(paragraph)
        text = reader.found.text
        if style.kind is BlockKind.CODE and not style.heading:
            self._code.append(text)
        elif not style.contents and text.strip():
            self._end_code()
            self._write(style, text)
        self._write_anchored([reader])

    def _write(self, style: Style, text: str) -> None:
        label = self._label(style)
        if style.heading:
            text = one_line(f"{label} {text}" if label != BULLET else text)
            self.title = self.title or (text if style.title else "")
            self.writer.add(BlockKind.HEADING, text, style.heading)
        elif label:
            self.writer.add(BlockKind.LIST_ITEM, f"{label} {text}", style.depth + 1)
        else:
            self.writer.add(style.kind, text)

    def _label(self, style: Style) -> str:
        """What stands before a paragraph."""
        if style.numbering == "0":
            return BULLET if style.bullet else ""
        return self._numbering.label(style.numbering, style.depth)

    def _inline(self, paragraph: Element) -> tuple[Style, InlineReader]:
        style = self._styles.of(paragraph.find(f"{W}pPr"))
        reader = InlineReader(self._styles, self._note, style.hidden)
        reader.read(paragraph)
        return style, reader

    def _note(self, kind: str, identifier: str) -> str:
        """Return the mark of a note, which is written once."""
        marks = self._marks[kind]
        if identifier not in marks:
            if kind not in self._notes:
                root = self._related(kind)
                self._notes[kind] = {} if root is None else {note.get(f"{W}id"): note for note in root}
            note = self._notes[kind].get(identifier)
            if note is None:
                return ""
            marks[identifier] = f"[{numeral(len(marks) + 1, _NUMERALS[kind])}]"
            self._waiting.append((marks[identifier], note))
        return marks[identifier]

    def _write_anchored(self, readers: Iterable[InlineReader]) -> None:
        """Write what is held by paragraphs that are written: text boxes, charts, notes."""
        for reader in readers:
            for box in reader.found.boxes:
                self._end_code()
                self.read(box)
            for graphic in reader.found.graphics:
                self._end_code()
                write_graphic(self.writer, self._package, self._part, graphic)
        while self._waiting:
            self._end_code()
            mark, note = self._waiting.popleft()
            text = "\n".join(self._inline(paragraph)[1].found.text for paragraph in note.iter(_PARAGRAPH))
            self.writer.add(BlockKind.PARAGRAPH, f"{mark} {text.strip()}", clings=True)

    def _end_code(self) -> None:
        lines, self._code = self._code, []
        self.writer.add(BlockKind.CODE, "\n".join(lines))

    def _table(self, table: Element) -> None:
        self._end_code()
        rows = [row for row in _flat(table, _ROW) if not _gone(row)]
        cells = [[cell for cell in _flat(row, _CELL) if cell.find(f"{W}tcPr/{W}cellDel") is None] for row in rows]
        if sum(map(len, cells)) == 1 or any(_holds_table(cell) for row in cells for cell in row):
            for row in cells:
                for cell in row:
                    self.read(cell)
            return
        readers: list[InlineReader] = []
        texts = [[self._cell(cell, readers) for cell in row] for row in cells]
        header = 0
        while header < len(rows) and switch(rows[header].find(f"{W}trPr"), "tblHeader"):
            header += 1
        self.writer.table(texts, max(header, 1))
        self._write_anchored(readers)

    def _cell(self, cell: Element, readers: list[InlineReader]) -> str:
        """The text of a cell; empty if it continues the one above."""
        merged = cell.find(f"{W}tcPr/{W}vMerge")
        if merged is not None and merged.get(f"{W}val") in (None, "continue"):
            return ""
        lines: list[str] = []
        for paragraph in _flat(cell, _PARAGRAPH):
            style, reader = self._inline(paragraph)
            readers.append(reader)
            if reader.found.text.strip():
                lines.append(f"{self._label(style)} {reader.found.text}")
        return "\n".join(lines)


def _flat(elements: Iterable[Element], *wanted: str) -> Iterator[Element]:
    """Yield the elements of these names, out of whatever is wrapped around them, but for what was deleted."""
    for element in elements:
        if element.tag in wanted:
            yield element
        elif element.tag == f"{W}altChunk":
            raise DocumentError("holds another document that is only taken in when it is opened; open it and save it")
        elif element.tag == f"{COMPATIBILITY}AlternateContent":
            yield from _flat(alternative(element), *wanted)
        elif element.tag not in _GONE and not (element.tag == _CONTROL and _empty(element)):
            yield from _flat(element, *wanted)


def _empty(control: Element) -> bool:
    """Whether a content control is not filled in, or is a table of contents."""
    gallery = control.find(_GALLERY)
    return waits(control) or (gallery is not None and gallery.get(f"{W}val") == "Table of Contents")


def _gone(row: Element) -> bool:
    """Whether a row is hidden or deleted."""
    properties = row.find(f"{W}trPr")
    return switch(properties, "hidden") or (properties is not None and properties.find(f"{W}del") is not None)


def _holds_table(cell: Element) -> bool:
    return any(element.tag == _TABLE for element in _flat(cell, _PARAGRAPH, _TABLE))
