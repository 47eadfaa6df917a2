"""A presentation: every visible slide is a heading, its shapes follow in the order in which they are read.

Promises: shapes are read from top to bottom and, where they begin at about the same height, from left to right;
bullets keep their levels, tables and charts are tables, notes are quotations at the end of their slide. Hidden
slides and shapes, comments, pictures, dates, footers and slide numbers are left out. Places are slide numbers.
"""

import sys
from collections.abc import Iterable, Iterator

from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.drawings import A, line, write_graphic
from rag_pipeline.documents.numerals import numeral
from rag_pipeline.documents.package import COMPATIBILITY, RELATION, Element, Package, alternative
from rag_pipeline.documents.pptx_layout import AUTO_NUMBER, TITLES, Layout, P, placeholder
from rag_pipeline.documents.writer import Writer, one_line
from rag_pipeline.model import BlockKind, Document, Place

_GROUP, _FRAME, _SHAPE = f"{P}grpSp", f"{P}graphicFrame", f"{P}sp"
_FURNITURE = ("sldNum", "dt", "ftr", "hdr")
_HEIGHT = 6_858_000  # of a slide, in EMU
_ROWS = 20  # shapes begin at about the same height if less than this part of the slide is between them
_FORMS = {
    "arabic": "decimal",
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
}
_AROUND = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})"}
_TRUE = ("1", "true")
_LEVELS = frozenset("012345678")


def parse(data: bytes) -> Document:
    """Parse a presentation; its title is the first slide's that has one, else the declared one.

    Raises `DocumentError`.
    """
    package = Package(data)
    part, root = package.main("presentation")
    size = root.find(f"{P}sldSz")
    height = (size.get("cy") if size is not None else None) or ""
    near = (int(height) if height.isdecimal() and len(height) < 10 else _HEIGHT) // _ROWS
    deck = _Deck(package, near)
    for number, slide in enumerate(root.iterfind(f"{P}sldIdLst/{P}sldId"), start=1):
        deck.slide(package.relation(part, slide.get(f"{RELATION}id")).target, number)
    metadata = package.properties()
    return deck.writer.document(deck.title or metadata.get("title", ""), metadata)


class _Deck:
    """Writes slide after slide."""

    def __init__(self, package: Package, near: int) -> None:
        self.writer = Writer()
        self.title = ""
        self._package = package
        self._near = near
        self._layouts: dict[str | None, Layout] = {}

    def slide(self, part: str, number: int) -> None:
        """Write a slide unless it is hidden."""
        root = self._package.xml(part)
        if root.get("show") in ("0", "false"):
            return
        above = self._package.first(part, "slideLayout")
        if above not in self._layouts:
            self._layouts[above] = Layout.of(self._package, above)
        layout = self._layouts[above]
        place = Place(pages=(number, number))
        shapes = [shape for tree in root.iterfind(f"{P}cSld/{P}spTree") for shape in self._ordered(tree, layout)]
        heading = next((shape for shape in shapes if _role(shape) in TITLES and _text(shape)), None)
        if heading is None:
            self.writer.outline(f"Slide {number}", 1)
        else:
            title = one_line(_text(heading))
            self.title = self.title or title
            self.writer.add(BlockKind.HEADING, title, 1, place=place)
        for shape in shapes:
            if shape.tag == _SHAPE and shape is not heading:
                self._write_text(shape, layout, place)
            for graphic in shape.iterfind(f"{A}graphic/{A}graphicData"):
                write_graphic(self.writer, self._package, part, graphic, place)
        self._write_notes(part, place)

    def _ordered(self, tree: Element, layout: Layout) -> Iterator[Element]:
        """Yield the visible shapes of a tree in reading order; those of a group together, where the group begins."""
        shapes = sorted(((layout.position(shape), shape) for shape in _shapes(tree)), key=lambda item: item[0])
        row: list[tuple[int, Element]] = []
        bottom = 0
        for (top, left), shape in [*shapes, ((sys.maxsize, 0), tree)]:
            if top >= bottom:
                for _, found in sorted(row, key=lambda item: item[0]):
                    yield from self._ordered(found, layout) if found.tag == _GROUP else (found,)
                row.clear()
                bottom = top + self._near
            row.append((left, shape))

    def _write_text(self, shape: Element, layout: Layout, place: Place) -> None:
        counts: dict[int, tuple[str | None, int]] = {}  # by level, the form of the last number and the number
        for paragraph in shape.iterfind(f"{P}txBody/{A}p"):
            text = clean(line(paragraph)).strip()
            if not text:
                continue
            level = _level(paragraph)
            bullet = layout.bullet(shape, paragraph, level)
            form = None if bullet is None else bullet.get("type")
            before, count = counts.get(level, (None, 0))
            count = count + 1 if before == form else _start(bullet)
            counts = {depth: reached for depth, reached in counts.items() if depth < level}
            if bullet is None:
                self.writer.add(BlockKind.PARAGRAPH, text, place=place)
                continue
            if bullet.tag == AUTO_NUMBER:
                counts[level] = form, count
            self.writer.add(BlockKind.LIST_ITEM, f"{_marker(bullet, count)} {text}", level + 1, place=place)

    def _write_notes(self, part: str, place: Place) -> None:
        notes = self._package.first(part, "notesSlide")
        if notes is None:
            return
        for shape in self._package.xml(notes).iter(_SHAPE):
            if _role(shape) == "body":
                self.writer.add(BlockKind.QUOTE, _text(shape), place=place)


def _shapes(elements: Iterable[Element]) -> Iterator[Element]:
    """Yield the shapes that are seen and are not furniture of the page."""
    for element in elements:
        if element.tag == f"{COMPATIBILITY}AlternateContent":
            yield from _shapes(alternative(element))
            continue
        properties = element.find(f"*/{P}cNvPr")
        if properties is not None and properties.get("hidden") not in _TRUE and _role(element) not in _FURNITURE:
            yield element


def _role(shape: Element) -> str:
    held = placeholder(shape)
    return held.role if held else ""


def _text(shape: Element) -> str:
    return clean("\n".join(line(paragraph) for paragraph in shape.iterfind(f"{P}txBody/{A}p"))).strip()


def _level(paragraph: Element) -> int:
    properties = paragraph.find(f"{A}pPr")
    level = "" if properties is None else properties.get("lvl") or ""
    return int(level) if level in _LEVELS else 0


def _start(bullet: Element | None) -> int:
    start = (None if bullet is None else bullet.get("startAt")) or ""
    return int(start) if start.isdecimal() and len(start) < 6 else 1


def _marker(bullet: Element, count: int) -> str:
    """What stands before an item: a dash, or its number in a form such as ``alphaLcParenR``."""
    form = (bullet.get("type") or "") if bullet.tag == AUTO_NUMBER else ""
    name = next((name for name in _FORMS if form.startswith(name)), None)
    return _AROUND.get(form.removeprefix(name), "{}").format(numeral(count, _FORMS[name])) if name else "-"
