"""The pieces that lines are made into, which become blocks when headings, floats, notes and hyphens are settled."""

from dataclasses import dataclass

from rag_pipeline.model import BlockKind


@dataclass(slots=True)
class Piece:
    """A block in the making. `parts` are its lines and what goes between them, with marks of `pdf_hyphens`."""

    kind: BlockKind
    parts: list[str]
    pages: tuple[int, int]
    size: float = 0.0
    bold: bool = False
    lines: int = 1
    level: int = 0
    title: str = ""
    listed: bool = False  # an entry of what may be a list of contents
    base: float = 0.0  # of its last line

    @property
    def text(self) -> str:
        """What it says so far."""
        return "".join(self.parts)
