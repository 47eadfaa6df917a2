"""What a benchmark found, as Markdown: sentences, tables of figures, and goals that were reached or not."""

import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Cell = str | int | float | None


def figure(value: Cell) -> str:
    """Write a number as it was measured, to three digits where it has a fraction; nothing is a dash."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value


def median(values: Iterable[float]) -> float:
    """Return the middle of the repeats."""
    return float(statistics.median(values))


def say(text: str) -> None:
    """Tell whoever waits what is being measured now; the page is not the place for it."""
    print(f"  {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@dataclass(slots=True)
class Report:
    """Collects the parts of one section in the order in which they are added."""

    title: str
    goals: list[tuple[str, str, str, str]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    def text(self, paragraph: str) -> None:
        """Add a paragraph."""
        self.parts.append(paragraph)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """Add a table; the first column is text, the others are figures."""
        self.parts.append(_table(columns, [[figure(cell) for cell in row] for row in rows]))

    def goal(self, what: str, to_reach: str, measured: Cell, unit: str, reached: bool) -> None:
        """Add a line to the table at the head of the section: what was wanted, and what came out."""
        self.goals.append((what, to_reach, f"{figure(measured)} {unit}".strip(), "yes" if reached else "**no**"))

    def markdown(self) -> str:
        """Return the section."""
        goals = [_table(("figure", "to reach", "measured", "reached"), self.goals)] if self.goals else []
        return "\n\n".join([f"## {self.title}", *goals, *self.parts]) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = [f"| {' | '.join(columns)} |", "|" + " --- |" + " ---: |" * (len(columns) - 1)]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])
