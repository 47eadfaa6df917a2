"""Collections that others have judged: documents, questions, and which documents answer which question.

Each document becomes one Markdown page as its author would keep it: the title in the front matter, the
text below. Nothing is written for the search: neither ids nor judgements are on a page.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and the ids of the documents that answer it."""

    id: str
    text: str
    answers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents by id, the questions to measure by and, if there are any, those to tune on.

    A document is here as a page of Markdown, and in `texts` as those have it who publish figures: title and text.
    """

    name: str
    pages: Mapping[str, str]
    texts: Mapping[str, str]
    questions: tuple[Question, ...]
    training: tuple[Question, ...] = ()

    def sample(self, questions: int, pages: int) -> "Collection":
        """Return a small one: some questions of each kind, their answers and some other pages."""
        asked, training = self.questions[:questions], self.training[:questions]
        wanted = frozenset().union(*(question.answers for question in (*asked, *training)))
        kept = wanted.union(list(self.pages)[:pages])
        kept_pages, kept_texts = ({id: texts[id] for id in texts if id in kept} for texts in (self.pages, self.texts))
        return Collection(self.name, kept_pages, kept_texts, asked, training)


def scifact(folder: Path) -> Collection:
    """Read SciFact as BEIR publishes it: abstracts of papers, and claims that they support or refute.

    Documents and questions are in the order of their ids as texts, so that a copy in another order is the same.
    """
    documents = sorted(_lines(folder / "corpus.jsonl"), key=lambda document: document["_id"])
    claims = {claim["_id"]: claim["text"] for claim in _lines(folder / "queries.jsonl")}
    return Collection(
        "SciFact",
        {document["_id"]: _page(document["title"], document["text"]) for document in documents},
        {document["_id"]: f"{document['title']} {document['text']}" for document in documents},
        _judged(folder / "qrels.test.tsv", claims),
        _judged(folder / "qrels.train.tsv", claims),
    )


def docs_qa(folder: Path) -> Collection:
    """Read the sections of a product's documentation and the questions about them.

    A section is a page of its own: its title is the name of the page that it stands on, as the address spells
    it, and its heading opens the text. The id of a section is its address.
    """
    sections = json.loads((folder / "anthropic_docs.json").read_text("utf-8"))
    pages: dict[str, str] = {}
    for section in sections:
        address, heading, text = section["chunk_link"], section["chunk_heading"], section["text"]
        title = address.partition("#")[0].rpartition("/")[2].replace("-", " ")
        pages[address] = _page(title, f"# {heading}\n\n{text.removeprefix(heading).strip()}")
    asked = json.loads((folder / "docs_evaluation_dataset.json").read_text("utf-8"))
    return Collection(
        "docs_qa",
        pages,
        {section["chunk_link"]: section["text"] for section in sections},
        tuple(Question(each["id"], each["question"], frozenset(each["correct_chunks"])) for each in asked),
    )


def _page(title: str, body: str) -> str:
    """JSON is YAML, whatever signs are in the title."""
    return f"---\ntitle: {json.dumps(title, ensure_ascii=False)}\n---\n\n{body}\n"


def _judged(file: Path, texts: Mapping[str, str]) -> tuple[Question, ...]:
    answers: dict[str, set[str]] = {}
    with file.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows, delimiter="\t"):
            if int(row["score"]) > 0:
                answers.setdefault(row["query-id"], set()).add(row["corpus-id"])
    return tuple(Question(id, texts[id], frozenset(found)) for id, found in sorted(answers.items()))


def _lines(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
