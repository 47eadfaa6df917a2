"""This project's own golden set asks for what is there: places, keywords and rights are checked against the files."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.evaluation import Expected, Question, read_golden_set
from rag_pipeline.model import DocumentRef
from rag_pipeline.query import Caller
from rag_pipeline.settings import Settings
from rag_pipeline.sources import open_source

TOP = Path(__file__).resolve().parents[2]
QUESTIONS = read_golden_set(TOP / "evals" / "golden.jsonl")
ANSWERABLE = [question for question in QUESTIONS if not question.unanswerable]
SETTINGS = Settings.read(TOP / "rag.toml", {})


@cache
def listed(source: str) -> frozenset[str]:
    """The documents of a source of the repository, as its connector lists them."""
    connector = open_source(SETTINGS.source(source), TOP, TOP / "unused", TOP / SETTINGS.workspace.root)
    try:
        return frozenset(found.document_id for found in connector.list() if isinstance(found, DocumentRef))
    finally:
        connector.close()


@cache
def sections(document: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """Heading path and text of each section of a file, title and headings above the text."""
    parsed = parse((TOP / document).read_bytes(), None, document)
    chunking = SETTINGS.chunking
    cut = split(parsed, lambda texts: [len(text) // 4 for text in texts], chunking.max_tokens, chunking.window_tokens)
    return tuple(
        (section.heading_path, "\n".join((parsed.title or "", *section.heading_path, section.text))) for section in cut
    )


def texts(place: Expected) -> list[str]:
    """What stands in an expected place, by section."""
    return [text for path, text in sections(place.document) if place.is_met_by(place.source, place.document, path)]


def test_there_are_enough_questions_of_every_kind() -> None:
    assert len(QUESTIONS) >= 60
    assert 0.1 <= sum(question.unanswerable for question in QUESTIONS) / len(QUESTIONS) <= 0.35
    assert sum(len(question.expected) > 1 for question in ANSWERABLE) >= 10
    assert sum(len(question.text.split()) <= 4 for question in QUESTIONS) >= 5
    assert len({question.caller for question in QUESTIONS}) >= 3


def test_nobody_asks_the_same_twice() -> None:
    asked = Counter((" ".join(question.text.casefold().split()), question.caller) for question in QUESTIONS)
    assert max(asked.values()) == 1


@pytest.mark.parametrize("question", ANSWERABLE, ids=lambda question: question.id)
def test_what_is_expected_is_there_and_says_the_keywords(question: Question) -> None:
    for place in question.expected:
        assert place.document in listed(place.source), f"{place}: no such document"
        assert texts(place), f"{place}: no such section"
    found = " ".join("\n".join(text for place in question.expected for text in texts(place)).casefold().split())
    missing = [keyword for keyword in question.keywords if " ".join(keyword.casefold().split()) not in found]
    assert not missing, f"{missing} stand in none of the expected places"


@pytest.mark.parametrize("question", ANSWERABLE, ids=lambda question: question.id)
def test_the_caller_may_read_what_is_expected(question: Question) -> None:
    principals = set(Caller(*question.caller).principals)
    for place in question.expected:
        access = SETTINGS.source(place.source).default_access
        assert principals.intersection(access.allow), f"{place}: {question.caller} may not read it"
        assert not principals.intersection(access.deny)


def test_what_only_engineers_may_read_is_asked_by_others_too() -> None:
    found = {question.text for question in ANSWERABLE if any(place.source == "code" for place in question.expected)}
    refused = {question.text for question in QUESTIONS if question.unanswerable}
    assert len(found & refused) >= 3


def test_questions_are_spread_over_the_pages() -> None:
    pages = {page.relative_to(TOP).as_posix() for page in (TOP / "docs").glob("*.md")} - {"docs/index.md"}
    asked = {place.document for question in ANSWERABLE for place in question.expected}
    assert len(pages - asked) <= 5, "add questions to evals/golden.jsonl whose answers stand there"
