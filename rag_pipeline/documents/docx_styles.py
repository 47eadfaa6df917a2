"""What the styles of a word processor say of a paragraph: whether it is a heading, an item, code, a quotation.

Promises: a style inherits from the one that it is based on, a paragraph from its style; built-in styles are known
by their names, which are the same in every language.
"""

import re
from dataclasses import dataclass, replace

from rag_pipeline.documents.package import Element, on
from rag_pipeline.model import BlockKind

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_BODY_LEVEL = 9  # the outline level that says: no heading
_MAX_BASES = 50
_HEADING = re.compile("heading ([1-9])")
_CONTENTS = re.compile("toc [1-9]")
_BULLET = re.compile("list bullet(?: ([2-5]))?")
_KINDS = {
    BlockKind.CODE: re.compile(
        r"(?:source |html )?code(?: block| snippet| listing| sample)?|html (?:preformatted|sample)"
        r"|preformatted(?: text)?|verbatim(?: text)?|macro(?: text)?|(?:program )?listing"
    ),
    BlockKind.QUOTE: re.compile(r"(?:intense )?quote|block (?:text|quote|quotation)|quotations?"),
}


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph is. `outline` is the level of a heading from 0, `depth` that of an item.

    `numbering` is the id of the list that counts it, "0" for none; `contents` marks a line of a table of contents.
    """

    kind: BlockKind = BlockKind.PARAGRAPH
    title: bool = False
    contents: bool = False
    outline: int = _BODY_LEVEL
    numbering: str = "0"
    depth: int = 0
    bullet: bool = False
    hidden: bool = False

    @property
    def heading(self) -> int:
        """The level of the heading that it is, from 1; 0 if it is none."""
        return 1 if self.title else self.outline + 1 if self.outline < _BODY_LEVEL else 0


class Styles:
    """The styles of a document by their ids."""

    def __init__(self, root: Element | None) -> None:
        styles = [] if root is None else list(root.iterchildren(f"{W}style"))
        self._elements = {element.get(f"{W}styleId"): element for element in styles}
        self._known: dict[str | None, Style] = {}
        self._default = next(
            (
                element.get(f"{W}styleId")
                for element in styles
                if element.get(f"{W}type") == "paragraph" and element.get(f"{W}default") in ("1", "true", "on")
            ),
            None,
        )

    def named(self, identifier: str | None) -> Style:
        """Return what a style says together with those that it is based on."""
        if identifier not in self._known:
            chain: list[Element] = []
            base = identifier
            while (element := self._elements.get(base)) is not None and len(chain) < _MAX_BASES:
                chain.append(element)
                base = value(element, "basedOn")
            style = Style()
            for element in reversed(chain):
                style = _declared(_called(style, (value(element, "name") or "").lower()), element.find(f"{W}pPr"))
                style = replace(style, hidden=switch(element.find(f"{W}rPr"), "vanish", style.hidden))
            self._known[identifier] = style
        return self._known[identifier]

    def of(self, properties: Element | None) -> Style:
        """Return what the properties of a paragraph say together with its style."""
        return _declared(self.named(value(properties, "pStyle") or self._default), properties)


def value(element: Element | None, name: str) -> str | None:
    """Return the value of a property of an element."""
    found = None if element is None else element.find(f"{W}{name}")
    return None if found is None else found.get(f"{W}val")


def switch(element: Element | None, name: str, default: bool = False) -> bool:
    """Return whether a property of an element is on."""
    found = None if element is None else element.find(f"{W}{name}")
    return default if found is None else on(found.get(f"{W}val"))


def integer(text: str | None, default: int = 0) -> int:
    """Return a small number from 0, the default for anything else."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 7 else default


def _called(style: Style, name: str) -> Style:
    """What a style is by its name."""
    if heading := _HEADING.fullmatch(name):
        return replace(style, outline=int(heading[1]) - 1)
    if bullet := _BULLET.fullmatch(name):
        return replace(style, bullet=True, depth=int(bullet[1] or 1) - 1)
    if name == "title" or _CONTENTS.fullmatch(name):
        return replace(style, title=name == "title", contents=name != "title")
    kind = next((kind for kind, names in _KINDS.items() if names.fullmatch(name)), None)
    return replace(style, kind=kind) if kind else style


def _declared(style: Style, properties: Element | None) -> Style:
    """What a style is, changed by properties."""
    if properties is None:
        return style
    if level := value(properties, "outlineLvl"):
        style = replace(style, outline=min(integer(level, _BODY_LEVEL), _BODY_LEVEL))
    numbering = properties.find(f"{W}numPr")
    if numbering is not None:
        style = replace(
            style,
            numbering=value(numbering, "numId") or style.numbering,
            depth=integer(value(numbering, "ilvl"), style.depth),
        )
    return style
