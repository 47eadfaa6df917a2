"""PDF files written by hand, as small as their tests need them: text at a place, lines, an outline, what is declared.

Type is Helvetica (F1), its bold (F2) and Courier (F3), which every reader has. `Sheet.prose` breaks lines as a
word processor does, by the widths of Helvetica's letters.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 600, 800
LEFT, RIGHT, TOP, BOTTOM = 72, 528, 720, 72
"""The text's area in points; headers and footers stand outside of it."""

_FONTS = {"F1": "Helvetica", "F2": "Helvetica-Bold", "F3": "Courier"}
# fmt: off
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778,
    722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278,
    278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)
# fmt: on


def width(text: str, size: float) -> float:
    """The width of ASCII text in Helvetica, in points."""
    return sum(_WIDTHS[ord(char) - 32] for char in text) * size / 1000


@dataclass(slots=True)
class Sheet:
    """A page in the making: PDF operators, in the order in which they are drawn."""

    operators: list[str] = field(default_factory=list[str])
    extra: str = ""  # entries of the page's dictionary

    def text(self, x: float, y: float, text: str, size: float = 10, font: str = "F1", matrix: str = "1 0 0 1") -> None:
        """Draw one line of Latin-1 text whose base line begins at a place."""
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        self.operators.append(f"BT /{font} {size} Tf {matrix} {x:.2f} {y:.2f} Tm ({escaped}) Tj ET")

    def prose(
        self, y: float, text: str, size: float = 10, left: float = LEFT, right: float = RIGHT, font: str = "F1"
    ) -> float:
        """Draw words in lines from `left` to `right`, the first at height `y`; return the height below the last."""
        line = ""
        for word in text.split():
            longer = f"{line} {word}" if line else word
            if line and width(longer, size) > right - left:
                self.text(left, y, line, size, font)
                y -= 1.2 * size
                longer = word
            line = longer
        self.text(left, y, line, size, font)
        return y - 1.2 * size

    def line(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Draw a thin straight line."""
        self.operators.append(f"0.5 w {x0} {y0} m {x1} {y1} l S")

    def table(self, y: float, rows: Sequence[Sequence[str]], left: float = LEFT, column: float = 120) -> float:
        """Draw a ruled table whose upper edge is at `y`, a line of text a row; return its lower edge."""
        right, bottom = left + column * len(rows[0]), y - 16 * len(rows)
        for row in range(len(rows) + 1):
            self.line(left, y - 16 * row, right, y - 16 * row)
        for number in range(len(rows[0]) + 1):
            self.line(left + column * number, bottom, left + column * number, y)
        for row, cells in enumerate(rows):
            for number, cell in enumerate(cells):
                self.text(left + column * number + 3, y - 16 * row - 12, cell)
        return bottom


Heading = tuple[int, str, int, float | None]
"""An entry of an outline: level from 1, title, page from 1, height on it."""


def written(
    sheets: Sequence[Sheet],
    outline: Sequence[Heading] = (),
    info: str = "",
    *,
    compressed: bool = False,
    trailer: str = "",
) -> bytes:
    """Return the file; `info` and `trailer` are entries of these dictionaries in PDF's own syntax."""
    pages = [3 + 2 * index for index in range(len(sheets))]
    fonts = "".join(f"/{name} << /Type /Font /Subtype /Type1 /BaseFont /{base} >> " for name, base in _FONTS.items())
    first_entry = 3 + 2 * len(sheets)
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {f'/Outlines {first_entry} 0 R' if outline else ''} >>".encode(),
        f"<< /Type /Pages /Count {len(pages)} /Kids [{' '.join(f'{page} 0 R' for page in pages)}] >>".encode(),
    ]
    for page, sheet in zip(pages, sheets, strict=True):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Resources << /Font << {fonts}>> >> "
            f"/Contents {page + 1} 0 R {sheet.extra} >>".encode()
        )
        objects.append(_stream("\n".join(sheet.operators).encode("latin-1"), compressed))
    objects += _outline(outline, first_entry, pages)
    objects.append(f"<< {info} >>".encode("latin-1"))
    return assembled(objects, f"/Root 1 0 R /Info {len(objects)} 0 R {trailer}")


def assembled(objects: Sequence[bytes], trailer: str) -> bytes:
    """Return a file of numbered objects with their table and a trailer's entries."""
    data = b"%PDF-1.7\n"
    offsets: list[int] = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return data + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d %b >>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, trailer.encode(), len(data))
    )


def _stream(content: bytes, compressed: bool) -> bytes:
    if not compressed:
        return b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content)
    packed = zlib.compress(content, 9)
    return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(packed), packed)


def _outline(outline: Sequence[Heading], root: int, pages: Sequence[int]) -> list[bytes]:
    """The outline's objects; the root is number `root` and the entries follow it in their order."""
    if not outline:
        return []
    parents: list[int] = []
    for index, (level, *_) in enumerate(outline):
        above = [other for other in range(index) if outline[other][0] < level]
        # The nearest entry before it of a lower level, if no entry between them is lower still.
        parents.append(above[-1] if above else -1)
    objects = [f"<< /Type /Outlines {_children(-1, parents, root)} >>".encode()]
    for index, (_, title, page, top) in enumerate(outline):
        siblings = [other for other, parent in enumerate(parents) if parent == parents[index]]
        at = siblings.index(index)
        links = f"/Prev {root + 1 + siblings[at - 1]} 0 R " if at else ""
        links += f"/Next {root + 1 + siblings[at + 1]} 0 R " if at + 1 < len(siblings) else ""
        target = f"[{pages[page - 1]} 0 R /XYZ null {'null' if top is None else top} null]"
        spelled = title.encode("utf-16").hex() if not title.isascii() else title.encode().hex()
        objects.append(
            f"<< /Title <{spelled}> /Parent {root + 1 + parents[index]} 0 R /Dest {target} "
            f"{links}{_children(index, parents, root)} >>".encode()
        )
    return objects


def _children(index: int, parents: Sequence[int], root: int) -> str:
    children = [child for child, parent in enumerate(parents) if parent == index]
    if not children:
        return ""
    return f"/First {root + 1 + children[0]} 0 R /Last {root + 1 + children[-1]} 0 R /Count {len(children)}"
