"""The published questions: each with the corpus that answers it, and where in it the answer stands."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chunking.metrics import Span


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the excerpts that a perfect retrieval would bring: no more, no less."""

    text: str
    excerpts: tuple[Span, ...]


def load(folder: Path) -> tuple[dict[str, str], list[Question]]:
    """Read ``questions.csv`` and the corpora that lie beside it, each in ``NAME.md``."""
    questions: list[Question] = []
    with (folder / "questions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found = json.loads(row["references"])
            spans = (Span(row["corpus_id"], each["start_index"], each["end_index"]) for each in found)
            questions.append(Question(row["question"], tuple(spans)))
    names = dict.fromkeys(span.corpus for question in questions for span in question.excerpts)
    return {name: (folder / f"{name}.md").read_text("utf-8") for name in names}, questions
