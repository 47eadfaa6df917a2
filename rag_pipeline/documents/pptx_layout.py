"""What a slide's placeholders take over from its layout and the master behind it: where they are, and their bullets.

Promises: what a shape says itself counts first, then the layout's placeholder of its number, then the master's
of its role, as on the screen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rag_pipeline.documents.drawings import A
from rag_pipeline.documents.package import Element, Package

P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
TITLES = ("title", "ctrTitle")
AUTO_NUMBER = f"{A}buAutoNum"
_BULLETS = frozenset((AUTO_NUMBER, f"{A}buChar", f"{A}buBlip"))
_FRAMES = (f"{P}spPr/{A}xfrm", f"{P}grpSpPr/{A}xfrm", f"{P}xfrm")
_NOWHERE = 10**9  # beyond every slide


class Placeholder(NamedTuple):
    """The role of a shape, and the number that tells it from others of its role."""

    role: str
    number: str

    @property
    def master_role(self) -> str:
        """The role of the placeholder that stands for it in a master."""
        if self.role in TITLES:
            return "title"
        return self.role if self.role in ("dt", "ftr", "sldNum") else "body"


def placeholder(shape: Element) -> Placeholder | None:
    """Return what a shape holds the place of; None for one that is drawn freely."""
    found = shape.find(f"*/{P}nvPr/{P}ph")
    return None if found is None else Placeholder(found.get("type") or "obj", found.get("idx") or "0")


@dataclass(frozen=True, slots=True)
class Layout:
    """The placeholders of a layout by number and of its master by role, and the master's styles of paragraphs."""

    by_number: dict[str, Element]
    by_role: dict[str, Element]
    styles: Element | None

    @classmethod
    def of(cls, package: Package, part: str | None) -> "Layout":
        """Read a layout; the empty one where a slide has none."""
        master = package.first(part, "slideMaster") if part else None
        root = package.xml(master) if master else None
        return cls(
            {held.number: shape for held, shape in _held([package.xml(part)] if part else [])},
            {held.master_role: shape for held, shape in _held([] if root is None else [root])},
            None if root is None else root.find(f"{P}txStyles"),
        )

    def behind(self, held: Placeholder | None) -> Sequence[Element]:
        """Return the placeholders that a shape takes over from, nearest first."""
        if held is None:
            return ()
        found = self.by_number.get(held.number), self.by_role.get(held.master_role)
        return [shape for shape in found if shape is not None]

    def position(self, shape: Element) -> tuple[int, int]:
        """Return how far down and right a shape begins; one that does not say so comes last."""
        for source in (shape, *self.behind(placeholder(shape))):
            for path in _FRAMES:
                place = source.find(f"{path}/{A}off")
                if place is not None:
                    return _length(place.get("y")), _length(place.get("x"))
        return _NOWHERE, _NOWHERE

    def bullet(self, shape: Element, paragraph: Element, level: int) -> Element | None:
        """Return what stands before a paragraph of a shape at a level from 0; None for nothing."""
        held = placeholder(shape)
        name = f"{A}lvl{level + 1}pPr"
        sources = [paragraph.find(f"{A}pPr")]
        sources += [source.find(f"{P}txBody/{A}lstStyle/{name}") for source in (shape, *self.behind(held))]
        if held and self.styles is not None:
            kind = "titleStyle" if held.role in TITLES else "bodyStyle"
            sources.append(self.styles.find(f"{P}{kind}/{name}"))
        for source in sources:
            for child in () if source is None else source:
                if child.tag in _BULLETS:
                    return child
                if child.tag == f"{A}buNone":
                    return None
        return None


def _held(roots: Iterable[Element]) -> Iterable[tuple[Placeholder, Element]]:
    """The placeholders of a layout or master; the first of equals comes last, so that it counts."""
    shapes = [shape for root in roots for shape in root.iter(f"{P}sp")]
    return [(held, shape) for shape in reversed(shapes) if (held := placeholder(shape))]


def _length(text: str | None) -> int:
    """A length in EMU."""
    digits = (text or "").removeprefix("-")
    if not digits.isdecimal() or len(digits) > 9:
        return _NOWHERE
    return int(text or "")
