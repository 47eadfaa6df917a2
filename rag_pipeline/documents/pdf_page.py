"""One page of a PDF, as PDFium sees it: the words that can be seen, with their place and type, and the lines.

Promises: nothing is held beyond the page. Text that runs in another direction is turned, so that words run
from left to right. What no reader sees is left out: text beside the page, white on white, or too small to be
read. PDFium is not safe in threads: one process, one thread.

A word is probed at its first and its last character, because a call for each character would take most of
the time.
"""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.pdf_drawings import Box, Rule, grounds, is_white, rules, turned
from rag_pipeline.errors import DocumentError

MAX_CHARACTERS = 500_000
"""More than this on one page is no page that anyone reads."""

_MAX_LOOKS = 1_000_000  # white words times grounds
_LEGIBLE = 0.002  # of the page's longer side: type that is smaller cannot be read
_WORD = re.compile(r"\S+")
_HYPHEN = "\x02"  # PDFium's name for a hyphen at the end of a line
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_PLAIN = str.maketrans({_HYPHEN: "-", **_LIGATURES})
_MONOSPACE = re.compile(
    r"mono(?!type)|courier|typewriter|consol|menlo|monaco|fixed|(?:source|fira)code|[a-z]tt\d*$|[a-z]tt-", re.IGNORECASE
)
_BOLD = re.compile(r"bold|black|heavy|demi|-medi$|bx\d|xbtt|[a-z]xb", re.IGNORECASE)
_FIXED_PITCH, _FORCE_BOLD = 1, 1 << 18


class Word(NamedTuple):
    """A run of characters without a blank; points in the frame of its page, `base` is the line it stands on."""

    left: float
    right: float
    base: float
    size: float
    bold: bool
    mono: bool
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page's box (points, y upwards), its words in the order of the file, and its lines across and down."""

    number: int
    box: Box
    words: tuple[Word, ...]
    across: tuple[Rule, ...] = ()
    down: tuple[Rule, ...] = ()


class _Type(NamedTuple):
    """How a text object is set; `turn` counts quarter turns, anticlockwise, of the direction of its words."""

    turn: int
    size: float
    bold: bool
    mono: bool
    white: bool


def read_page(document: Any, number: int) -> Page:
    """Read page `number` (from 1) of an open PDFium document. Raises `DocumentError` when it cannot be read."""
    page = pdfium.FPDF_LoadPage(document, number - 1)
    if not page:
        raise DocumentError(f"page {number} is damaged; repair the file or print it to a new PDF")
    try:
        text = pdfium.FPDFText_LoadPage(page)
        if not text:
            raise DocumentError(f"page {number} has text that cannot be read; print the file to a new PDF")
        try:
            return _page(page, text, number)
        finally:
            pdfium.FPDFText_ClosePage(text)
    finally:
        pdfium.FPDF_ClosePage(page)


def _page(page: Any, text: Any, number: int) -> Page:
    count = pdfium.FPDFText_CountChars(text)
    if count > MAX_CHARACTERS:
        raise DocumentError(f"page {number} has {count} characters, more than {MAX_CHARACTERS}; split it")
    rect = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(page, rect)
    box = (rect.left, rect.bottom, rect.right, rect.top)
    legible = _LEGIBLE * max(box[2] - box[0], box[3] - box[1])
    found = [
        (style, word)
        for style, word in _words(text, count)
        if style.size >= legible and _inside(word, turned(box, style.turn))
    ]
    if any(style.white for style, _ in found):
        found = _seen(found, grounds(page))
    if not found:
        return Page(number, box, ())
    weights: Counter[int] = Counter()
    for style, word in found:
        weights[style.turn] += len(word.text)
    upright, _ = weights.most_common(1)[0]
    box = turned(box, upright)
    words = [word for style, word in found if style.turn == upright]
    # What runs in another direction, such as a stamp along the margin, follows below the page.
    words += _below([pair for pair in found if pair[0].turn != upright], box[1])
    return Page(number, box, tuple(words), *rules(page, upright))


def _words(text: Any, count: int) -> Iterator[tuple[_Type, Word]]:
    unicode = pdfium.FPDFText_GetUnicode
    characters = "".join([chr(unicode(text, index)) for index in range(count)])
    probe = _Probe(text)
    for match in _WORD.finditer(characters):
        for start, end in probe.pieces(*match.span()):
            spelled = clean(_paired(characters[start:end]).translate(_PLAIN))
            if spelled.strip():
                style = probe.style(start)
                left, base, right = probe.extent(start, end, style.turn)
                yield style, Word(left, right, base, style.size, style.bold, style.mono, spelled)


def _paired(text: str) -> str:
    """Where PDFium gives halves of surrogate pairs, join them."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Probe:
    """Asks PDFium about single characters; what belongs to a text object is asked once for it."""

    def __init__(self, text: Any) -> None:
        self._text = text
        self._rect = pdfium.FS_RECTF()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._objects: dict[int, _Type] = {}
        self._fonts: dict[int, tuple[bool, bool]] = {}

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the word's range, or the ranges into which jumps backwards or to another line divide it."""
        if end - start == 1 or _follows(self._box(start), self._box(end - 1)):
            yield start, end
            return
        boxes = [self._box(index) for index in range(start, end)]
        begun = 0
        for index in range(1, len(boxes)):
            if not _follows(boxes[index - 1], boxes[index]):
                yield start + begun, start + index
                begun = index
        yield start + begun, end

    def extent(self, start: int, end: int, turn: int) -> tuple[float, float, float]:
        """Left, base line and right of a word in its own direction."""
        first, last = turned(self._box(start), turn), turned(self._box(end - 1), turn)
        pdfium.FPDFText_GetCharOrigin(self._text, start, self._x, self._y)
        x, y = self._x.value, self._y.value
        return min(first[0], last[0]), turned((x, y, x, y), turn)[1], max(first[2], last[2])

    def style(self, index: int) -> _Type:
        """How the character is set."""
        pointer = pdfium.FPDFText_GetTextObject(self._text, index)
        if not pointer:
            return self._type(None, index)
        address = ctypes.addressof(pointer.contents)
        if address not in self._objects:
            self._objects[address] = self._type(pdfium.FPDFTextObj_GetFont(pointer), index)
        return self._objects[address]

    def _box(self, index: int) -> Box:
        rect = self._rect
        pdfium.FPDFText_GetLooseCharBox(self._text, index, rect)
        return rect.left, rect.bottom, rect.right, rect.top

    def _type(self, font: Any, index: int) -> _Type:
        matrix = pdfium.FS_MATRIX(1, 0, 0, 1, 0, 0)
        pdfium.FPDFText_GetMatrix(self._text, index, matrix)
        turn = round(math.atan2(matrix.b, matrix.a) / (math.pi / 2)) % 4
        size = abs(pdfium.FPDFText_GetFontSize(self._text, index)) * math.hypot(matrix.c, matrix.d)
        red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
        known = pdfium.FPDFText_GetFillColor(self._text, index, red, green, blue, alpha)
        white = bool(known) and is_white(red.value, green.value, blue.value, alpha.value)
        return _Type(turn, round(size, 2), *self._weight_and_pitch(font), white)

    def _weight_and_pitch(self, font: Any) -> tuple[bool, bool]:
        if not font:
            return False, False
        address = ctypes.addressof(font.contents)
        if address not in self._fonts:
            name = ctypes.create_string_buffer(128)
            pdfium.FPDFFont_GetBaseFontName(font, name, len(name))
            known = name.value.decode("ascii", "replace").rpartition("+")[2]
            flags = max(0, pdfium.FPDFFont_GetFlags(font))
            bold, mono = _BOLD.search(known) or flags & _FORCE_BOLD, _MONOSPACE.search(known) or flags & _FIXED_PITCH
            self._fonts[address] = bool(bold), bool(mono)
        return self._fonts[address]


def _follows(one: Box, other: Box) -> bool:
    """Whether one character can stand in a word with an earlier one: beside it, or above or below it."""
    height, width = min(one[3] - one[1], other[3] - other[1]), min(one[2] - one[0], other[2] - other[0])
    level = min(one[3], other[3]) - max(one[1], other[1]) > 0.3 * height and other[2] > one[0]
    plumb = min(one[2], other[2]) - max(one[0], other[0]) > 0.3 * width
    return level or plumb


def _inside(word: Word, box: Box) -> bool:
    return box[0] - 1 <= (word.left + word.right) / 2 <= box[2] + 1 and box[1] - 1 <= word.base <= box[3] + 1


def _seen(found: list[tuple[_Type, Word]], areas: list[Box] | None) -> list[tuple[_Type, Word]]:
    """Leave out white words that stand on no picture and no coloured area."""
    if areas is None or len(areas) * sum(style.white for style, _ in found) > _MAX_LOOKS:
        return found
    grounds_by_turn = {turn: [turned(area, turn) for area in areas] for turn in {style.turn for style, _ in found}}
    return [
        (style, word)
        for style, word in found
        if not style.white or any(_inside(word, area) for area in grounds_by_turn[style.turn])
    ]


def _below(found: Iterable[tuple[_Type, Word]], bottom: float) -> Iterator[Word]:
    others: dict[int, list[Word]] = {}
    for style, word in found:
        others.setdefault(style.turn, []).append(word)
    for words in others.values():
        shift = bottom - max(word.base for word in words) - 4 * max(word.size for word in words)
        yield from (word._replace(base=word.base + shift) for word in words)
        bottom = shift + min(word.base for word in words)
