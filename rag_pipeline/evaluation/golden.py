"""Golden sets: questions whose answers are known, one JSON object a line.

A set is read strictly, because a key that is misspelled or a question that is there twice would make figures that
nobody can compare; what is wrong is said with its file and line, all of it at once.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.model import principal
from rag_pipeline.query.search import MAX_CHARACTERS
from rag_pipeline.storable import storable

_KEYS = {"id", "question", "caller", "expected", "answer", "keywords", "unanswerable"}
_EXPECTED_KEYS = {"source", "document", "section"}
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Expected:
    """What ought to be found: a document or, with a `section`, what stands in it below that heading path."""

    source: str
    document: str
    section: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " > ".join((f"{self.source}:{self.document}", *self.section))

    def is_met_by(self, source: str, document: str, heading_path: tuple[str, ...]) -> bool:
        """Whether a hit lies in it."""
        return (source, document) == (self.source, self.document) and heading_path[: len(self.section)] == self.section


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the principals who ask it, and what is known of its answer.

    Without `expected` it is unanswerable for this caller: whoever answers it is wrong. `answer` is one that a person
    would accept; `keywords` are words that no right answer lacks.
    """

    id: str
    text: str
    caller: tuple[str, ...]
    expected: tuple[Expected, ...] = ()
    answer: str | None = None
    keywords: tuple[str, ...] = ()

    @property
    def unanswerable(self) -> bool:
        """Whether nothing that the caller may read answers it."""
        return not self.expected


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """The questions of a file, its name, and a hash of what they are."""

    name: str
    digest: str
    questions: tuple[Question, ...]

    @classmethod
    def read(cls, path: Path) -> "GoldenSet":
        """Read a file. Raises as `read_golden_set` does."""
        questions = read_golden_set(path)
        plain = json.dumps([asdict(question) for question in questions], sort_keys=True)
        return cls(path.name, hashlib.sha256(plain.encode()).hexdigest(), questions)


def read_golden_set(path: Path, drafts: bool = False) -> tuple[Question, ...]:
    """Read the questions of a file, in its order; empty lines are passed over.

    A draft that nobody has accepted yet is an error, unless `drafts` admits them: to know what is proposed already.
    Raises `ConfigurationError`, with a line for each thing that is wrong.
    """
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the golden set cannot be read: {error}") from error
    questions: dict[str, Question] = {}
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            question = _question(line, drafts)
            if question.id in questions:
                raise ValueError(f"the id {question.id!r} is taken by a line above; give each question one of its own")
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
        else:
            questions[question.id] = question
    if len(problems) > _SHOWN:
        problems[_SHOWN:] = [f"and {len(problems) - _SHOWN} lines more"]
    if not problems and not questions:
        problems.append(f"{path}: there is no question in it; docs/evaluation.md shows how one is written")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return tuple(questions.values())


def _question(line: str, drafts: bool) -> Question:
    """Read one line. Raises `ValueError` with what to correct."""
    try:
        found = json.loads(line, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON, from character {error.pos + 1} on: {error.msg}") from error
    except RecursionError as error:
        raise ValueError("this is no JSON that anybody meant") from error
    if not isinstance(found, dict):
        raise ValueError("a question is a JSON object")
    draft = found.pop("draft", False)
    if draft is not False and not (drafts and draft is True):
        raise ValueError('this is a draft: read it, correct question and places, and accept it by removing "draft"')
    _expect_keys(found, _KEYS)
    unanswerable = found.get("unanswerable", False)
    if not isinstance(unanswerable, bool):
        raise ValueError("unanswerable is true or false")
    if unanswerable == ("expected" in found):
        raise ValueError('a question has either "expected", what ought to be found, or "unanswerable": true')
    if unanswerable and (found.keys() & {"answer", "keywords"}):
        raise ValueError("what is unanswerable has neither answer nor keywords")
    callers = _texts(found, "caller")
    if len(_text(found, "question")) > MAX_CHARACTERS:
        raise ValueError(f"the question has more than the {MAX_CHARACTERS:,} characters that may be asked")
    return Question(
        id=_text(found, "id"),
        text=_text(found, "question"),
        caller=tuple(principal(name) for name in callers),
        expected=() if unanswerable else _expected(found["expected"]),
        answer=_text(found, "answer") if "answer" in found else None,
        keywords=_texts(found, "keywords") if "keywords" in found else (),
    )


def _expected(value: Any) -> tuple[Expected, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError('expected is a list of {"source": …, "document": …}, and not empty')
    found: list[Expected] = []
    for each in value:
        if not isinstance(each, dict):
            raise ValueError('expected is a list of objects such as {"source": "docs", "document": "docs/access.md"}')
        _expect_keys(each, _EXPECTED_KEYS)
        section = _texts(each, "section") if "section" in each else ()
        found.append(Expected(_text(each, "source"), _text(each, "document"), section))
    if len(set(found)) < len(found):
        raise ValueError("expected names the same place twice")
    return tuple(found)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _expect_keys(found: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(found.keys() - known):
        raise ValueError(f"unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} is missing, or no text" if key in found else f"{key} is missing; add it")
    return _storable(key, value)


def _texts(found: dict[str, Any], key: str) -> tuple[str, ...]:
    value = found.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each.strip() for each in value):
        raise ValueError(f"{key} is a list of texts, and not empty")
    return tuple(_storable(key, each) for each in value)


def _storable(key: str, text: str) -> str:
    if storable(text) != text:
        raise ValueError(f"{key} holds a character that no database stores")
    return text
