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
_HYPHENS = "\x02\ufffe"  # PDFium's names for a hyphen at the end of a line
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
_PLAIN = str.maketrans({**dict.fromkeys(_HYPHENS, "-"), **_LIGATURES})
_MONOSPACE = re.compile(
    r"mono(?!type)|courier|typewriter|consol|menlo|monaco|fixed|(?:source|fira)code|[a-z]tt\d*$|[a-z]tt-", re.IGNORECASE
)
_BOLD = re.compile(r"bold|black|heavy|demi|-medi$|bx\d|xbtt|[a-z]xb", re.IGNORECASE)
_FIXED_PITCH, _FORCE_BOLD = 1, 1 << 18
_APART = 0.15  # of the size: characters of one word are closer
_APART_IN_TYPE = 0.05  # of the size: the same, where monospaced type begins or ends
_EVEN = 0.03  # of the height: characters that differ less are not asked about their type
_OVERPRINT = 0.15  # of the size: what begins so far inside the character before it is another word's
_RAISED = re.compile(r"\d{1,3}$")
_SMALLER, _HIGHER = 0.85, 0.15  # of the size: type that is raised, as the number of a note is
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    characters = _characters(text, count)
    probe = _Probe(text)
    for match in _WORD.finditer(characters):
        for run in probe.runs(*match.span()):
            spelled = characters[run.start : run.end]
            if not (spelled.isascii() and spelled.isprintable()):
                spelled = clean(_paired(spelled).translate(_PLAIN))
            if note := _RAISED.search(spelled):
                low = len(spelled) - probe.raised(run, len(note[0]))
                spelled = spelled[:low] + spelled[low:].translate(_SUPERSCRIPTS)
            if spelled.strip():
                style, (left, _, right, _) = run.style, run.box
                base = probe.base(run.start, style.turn)
                yield style, Word(left, right, base, style.size, style.bold, style.mono, spelled)


def _characters(text: Any, count: int) -> str:
    """The page's characters, each at the index by which PDFium knows it."""
    buffer = (ctypes.c_ushort * (count + 1))()
    pdfium.FPDFText_GetText(text, 0, count, buffer)
    found = bytes(buffer)[:-2].decode("utf-16-le", "replace")
    if len(found) == count and "\0" not in found:
        return found
    return "".join([chr(pdfium.FPDFText_GetUnicode(text, index)) for index in range(count)])


def _paired(text: str) -> str:
    """Where PDFium gives halves of surrogate pairs, join them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class _Run(NamedTuple):
    """Characters from `start` to `end` that make a word; `box` is in the direction of the word."""

    start: int
    end: int
    style: _Type
    box: Box


class _Probe:
    """Asks PDFium about single characters; what belongs to a text object is asked once for it."""

    def __init__(self, text: Any) -> None:
        self._text = text
        self._rect = pdfium.FS_RECTF()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._objects: dict[int, _Type] = {}
        self._fonts: dict[int, tuple[bool, bool]] = {}

    def runs(self, start: int, end: int) -> Iterator[_Run]:
        """Yield what PDFium took for a word, in the parts into which wide gaps and jumps divide it."""
        style = self._style(start)
        first = self._box(start, style.turn)
        last = self._box(end - 1, style.turn) if end - start > 1 else first
        if end - start == 1 or (style is self._style(end - 1) and _follows(first, last)):
            yield _Run(start, end, style, (min(first[0], last[0]), first[1], max(first[2], last[2]), first[3]))
            return
        boxes = [self._box(index, style.turn) for index in range(start, end)]
        begun = 0
        for index in range(1, len(boxes) + 1):
            one, other = boxes[index - 1], boxes[index] if index < len(boxes) else None
            if (
                other is not None
                and _follows(one, other)
                and other[0] - one[2] <= _APART * style.size
                and (_is_even(one, other) or not self._parts(start + index, one, other))
            ):
                continue
            box = boxes[begun]
            yield _Run(
                start + begun,
                start + index,
                self._style(start + begun),
                (min(box[0], one[0]), box[1], max(box[2], one[2]), box[3]),
            )
            begun = index

    def _parts(self, index: int, one: Box, other: Box) -> bool:
        """Whether another word begins with the character, because it is set otherwise than the one before it.

        A raised number before a word is that of a note; what is set over a word, or in other type beside it,
        stands in another cell.
        """
        before, after = self._style(index - 1), self._style(index)
        if before is after:
            return False
        if before.size <= _SMALLER * after.size and self.base(index - 1, before.turn) > self.base(index, after.turn):
            return True
        gap = other[0] - one[2]
        return gap < -_OVERPRINT * after.size or (before.mono != after.mono and gap > _APART_IN_TYPE * after.size)

    def raised(self, run: _Run, digits: int) -> int:
        """How many of the digits that end the word are smaller and higher than its first character."""
        size, turn = run.style.size, run.style.turn
        base = self.base(run.start, turn)
        for count in range(min(digits, run.end - run.start - 1)):
            index = run.end - count - 1
            if self._style(index).size > _SMALLER * size or self.base(index, turn) - base < _HIGHER * size:
                return count
        return min(digits, run.end - run.start - 1)

    def base(self, index: int, turn: int) -> float:
        """The line on which the character stands."""
        pdfium.FPDFText_GetCharOrigin(self._text, index, self._x, self._y)
        x, y = self._x.value, self._y.value
        return turned((x, y, x, y), turn)[1]

    def _style(self, index: int) -> _Type:
        pointer = pdfium.FPDFText_GetTextObject(self._text, index)
        if not pointer:
            return self._type(None, index)
        address = ctypes.addressof(pointer.contents)
        if address not in self._objects:
            self._objects[address] = self._type(pdfium.FPDFTextObj_GetFont(pointer), index)
        return self._objects[address]

    def _box(self, index: int, turn: int) -> Box:
        rect = self._rect
        pdfium.FPDFText_GetLooseCharBox(self._text, index, rect)
        box = (rect.left, rect.bottom, rect.right, rect.top)
        return turned(box, turn) if turn else box

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
    """Whether one character can stand in a word with an earlier one: on its line, and not before it."""
    height = min(one[3] - one[1], other[3] - other[1])
    return min(one[3], other[3]) - max(one[1], other[1]) > 0.3 * height and other[2] > one[0]


def _is_even(one: Box, other: Box) -> bool:
    """Whether two characters touch and are equally high, as those of one type are."""
    height = one[3] - one[1]
    return abs(other[0] - one[2]) <= _EVEN * height and abs(other[3] - other[1] - height) <= _EVEN * height


def _inside(word: Word, box: Box) -> bool:
    return word.right > box[0] and word.left < box[2] and box[1] - 1 <= word.base <= box[3] + 1


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
