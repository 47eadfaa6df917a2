"""A golden set is read strictly: every line that cannot be meant is named, with what to correct."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation import Expected, Question, read_golden_set

GOOD: dict[str, Any] = {
    "id": "access-groups",
    "question": "who is in a group?",
    "caller": ["public", "group:engineers"],
    "expected": [{"source": "docs", "document": "docs/access.md", "section": ["Access", "Groups"]}],
    "answer": "Whoever the members say.",
    "keywords": ["members"],
}
PLACE = {"source": "docs", "document": "docs/access.md"}


def written(folder: Path, *lines: Any) -> Path:
    file = folder / "golden.jsonl"
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return file


def test_a_set_is_read_in_its_order(tmp_path: Path) -> None:
    unanswerable = {"id": "weather", "question": "will it rain?", "caller": ["public"], "unanswerable": True}
    first, second = read_golden_set(written(tmp_path, GOOD, "", unanswerable, "  "))
    assert first == Question(
        "access-groups",
        "who is in a group?",
        ("public", "group:engineers"),
        (Expected("docs", "docs/access.md", ("Access", "Groups")),),
        "Whoever the members say.",
        ("members",),
    )
    assert second == Question("weather", "will it rain?", ("public",))
    assert (first.unanswerable, second.unanswerable) == (False, True)


def test_a_set_may_be_written_by_any_editor(tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n")
    assert [question.id for question in read_golden_set(file)] == ["access-groups"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"questoin": "?"}, "unknown key 'questoin'; known: answer, caller"),
        ({"id": " "}, "id is missing, or no text"),
        ({"id": None}, "id is missing, or no text"),
        ({"question": 7}, "question is missing, or no text"),
        ({"id": "null\0"}, "id holds a character that no database stores"),
        ({"question": "half a pair \ud800"}, "question holds a character that no database stores"),
        ({"keywords": ["\udc00"]}, "keywords holds a character that no database stores"),
        ({"expected": [PLACE | {"document": "\ud800"}]}, "document holds a character that no database stores"),
        ({"question": "why " * 3000}, "the question has more than the 10,000 characters that may be asked"),
        ({"caller": []}, "caller is a list of texts"),
        ({"caller": "public"}, "caller is a list of texts"),
        ({"caller": ["nobody in particular"]}, "'nobody in particular' is not a principal"),
        ({"unanswerable": True}, 'either "expected", what ought to be found, or "unanswerable": true'),
        ({"unanswerable": "no"}, "unanswerable is true or false"),
        ({"expected": []}, "expected is a list of"),
        ({"expected": ["docs/access.md"]}, "expected is a list of objects"),
        ({"expected": [{"source": "docs"}]}, "document is missing; add it"),
        ({"expected": [PLACE | {"chapter": "1"}]}, "unknown key 'chapter'; known: document, section, source"),
        ({"expected": [PLACE | {"section": "Access"}]}, "section is a list of texts"),
        ({"expected": [PLACE, PLACE]}, "expected names the same place twice"),
        ({"keywords": ["a", ""]}, "keywords is a list of texts"),
        ({"answer": ""}, "answer is missing, or no text"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = written(tmp_path, "", GOOD | {"id": "other"}, GOOD | change)
    with pytest.raises(ConfigurationError) as error:
        read_golden_set(file)
    assert str(error.value).startswith(f"{file}:3: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": ', "no JSON, from character 8 on"),
        ("[1]", "a question is a JSON object"),
        ('{"id": "a", "id": "b"}', "a key stands there twice"),
        ('{"id": "a", "question": "q", "caller": ["public"]}', 'either "expected"'),
        ("[" * 100_000, "no JSON that anybody meant"),
        (
            '{"id": "a", "question": "q", "caller": ["public"], "unanswerable": true, "answer": "yes"}',
            "neither answer nor keywords",
        ),
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"golden\.jsonl:2: ") as error:
        read_golden_set(written(tmp_path, GOOD, line))
    assert said in str(error.value)


def test_an_id_is_taken_once_and_all_problems_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        read_golden_set(written(tmp_path, GOOD, GOOD, "{}", *["nonsense"] * 30))
    lines = str(error.value).splitlines()
    assert "the id 'access-groups' is taken by a line above" in lines[0]
    assert "id is missing" in lines[1] or "expected" in lines[1]
    assert len(lines) == 21
    assert lines[-1] == "and 12 lines more"


def test_an_empty_set_and_a_missing_one_measure_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no question in it"):
        read_golden_set(written(tmp_path, ""))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_golden_set(tmp_path / "missing.jsonl")


@given(st.lists(st.text(min_size=1)), st.lists(st.text(min_size=1)))
def test_a_place_is_met_below_its_heading(section: list[str], below: list[str]) -> None:
    place = Expected("docs", "a.md", tuple(section))
    assert place.is_met_by("docs", "a.md", (*section, *below))
    assert not place.is_met_by("docs", "b.md", (*section, *below))
    assert not place.is_met_by("code", "a.md", (*section, *below))
    if section:
        assert not place.is_met_by("docs", "a.md", tuple(section[:-1]))
