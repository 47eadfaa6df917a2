"""The words of a paragraph of a word processor, as its reader sees them with all changes accepted.

Promises: what was inserted stays and what was deleted goes; hidden text, field codes, comments, placeholders that
wait to be filled in and the reading aids of East Asian words are left out; the text of links, fields and formulas
stays. Text boxes, charts and notes are not lost: they are handed over beside the text.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rag_pipeline.documents.canonical import clean
from rag_pipeline.documents.docx_styles import Styles, W, switch, value
from rag_pipeline.documents.package import COMPATIBILITY, Element, alternative

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_TEXTS = frozenset((f"{W}t", f"{_A}t", f"{_M}t"))
_SIGNS = {f"{W}tab": "\t", f"{W}ptab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
_NOTES = {f"{W}footnoteReference": "footnotes", f"{W}endnoteReference": "endnotes"}
_DROPPED = frozenset(
    f"{W}{name}"
    for name in ("pPr", "rPr", "del", "moveFrom", "delText", "instrText", "rt", "sdtPr", "sdtEndPr", "ffData")
)
_PRIVATE = range(0xE000, 0xF900)  # where symbol fonts keep signs that have no meaning without the font

Note = Callable[[str, str], str]
"""Takes a note that the text refers to, by its kind and id, and returns the mark that stands for it."""


@dataclass(slots=True)
class Inline:
    """The pieces of a paragraph's text, and the text boxes and graphics that are anchored in it."""

    pieces: list[str] = field(default_factory=list[str])
    boxes: list[Element] = field(default_factory=list[Element])
    graphics: list[Element] = field(default_factory=list[Element])

    @property
    def text(self) -> str:
        """The text as a whole, cleaned."""
        return clean("".join(self.pieces))


class InlineReader:
    """Reads one paragraph."""

    def __init__(self, styles: Styles, note: Note, hidden: bool) -> None:
        """Prepare; `hidden` says whether the paragraph's style hides its text."""
        self.found = Inline()
        self._styles = styles
        self._note = note
        self._hidden = hidden
        self._fields: list[bool] = []  # for each open field, whether its code is being read

    def read(self, elements: Iterable[Element]) -> None:
        """Take in the children of a paragraph, or of what is inside it."""
        for child in elements:
            tag = child.tag
            if tag in _TEXTS:
                if child.text and True not in self._fields:
                    self.found.pieces.append(child.text)
            elif tag == f"{W}r":
                if not self._is_hidden(child.find(f"{W}rPr")):
                    self.read(child)
            elif tag in _DROPPED or (tag == f"{W}sdt" and waits(child)):
                continue
            elif tag in _SIGNS:
                self.found.pieces.append(_SIGNS[tag])
            else:
                self._read_other(tag, child)

    def _read_other(self, tag: str, element: Element) -> None:
        if tag == f"{W}txbxContent":
            self.found.boxes.append(element)
        elif tag == f"{_A}graphicData":
            self.found.graphics.append(element)
            self.read(element)
        elif tag == f"{COMPATIBILITY}AlternateContent":
            self.read(alternative(element))
        elif tag in _NOTES:
            self.found.pieces.append(self._note(_NOTES[tag], element.get(f"{W}id") or ""))
        elif tag == f"{W}fldChar":
            self._turn(element.get(f"{W}fldCharType"))
        elif tag == f"{W}sym":
            self.found.pieces.append(_symbol(element.get(f"{W}char") or ""))
        else:
            self.read(element)

    def _turn(self, edge: str | None) -> None:
        if edge == "begin":
            self._fields.append(True)
        elif self._fields and edge == "separate":
            self._fields[-1] = False
        elif self._fields:
            self._fields.pop()

    def _is_hidden(self, properties: Element | None) -> bool:
        if properties is None:
            return self._hidden
        style = value(properties, "rStyle")
        return switch(properties, "vanish", self._hidden or (style is not None and self._styles.named(style).hidden))


def waits(control: Element) -> bool:
    """Return whether a content control still shows its placeholder."""
    return switch(control.find(f"{W}sdtPr"), "showingPlcHdr")


def _symbol(code: str) -> str:
    try:
        point = int(code, 16)
    except ValueError:
        return ""
    return chr(point) if 0 < point <= 0xFFFF and point not in _PRIVATE else ""
