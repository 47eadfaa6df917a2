"""Drafts: equal questions are one, ids are given once, and nothing is measured by what nobody has accepted."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.evaluation import Expected, Question, read_golden_set
from rag_pipeline.evaluation.draft import Draft, Unasked, drafts_from_log, drafts_from_sections, gaps, stub
from rag_pipeline.evaluation.query_log import Logged, key
from rag_pipeline.query import Caller, Hit, Hits
from rag_pipeline.query.evidence import Evidence

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WORDS = st.text("aB ä?!\u00a0", max_size=8)
SECTIONS = st.lists(
    st.builds(Unasked, st.just("docs"), st.just("a.md"), WORDS, st.lists(WORDS, max_size=3).map(tuple), st.just("text"))
)


def hit(chunk_id: str, document: str, *path: str) -> Hit:
    """A hit of which only the place matters."""
    return Hit(chunk_id, document, "docs", f"file:///{document}", "T", path, "text", "text", None, 0, {}, False, "v")


def logged(
    question: str, cited: str = "", found: str = "", in_vain: int = 0, declined: int = 0, answered: int = 0
) -> Logged:
    return Logged(question, 7, 3, in_vain, declined, answered, NOW, tuple(cited), tuple(found))


@given(st.text(max_size=30))
def test_equal_questions_have_one_key(question: str) -> None:
    assert key(key(question)) == key(question)
    assert key(f"  {question.upper()} ?!") == key(question.upper())
    assert key("\n".join(question.split())) == key(" ".join(question.split()))


def test_different_questions_have_different_keys() -> None:
    assert key("How do I rotate a key?") == key("how do  I rotate a KEY") != key("how do I rotate the key")
    assert key("C++") != key("C")


@given(SECTIONS, st.sets(WORDS.map("section-".__add__)))
def test_every_section_has_a_question_and_an_id_of_its_own(sections: list[Unasked], taken: set[str]) -> None:
    drafts = list(drafts_from_sections(sections, taken, lambda section: None))
    ids = [draft.id for draft in drafts]
    assert len(set(ids)) == len(sections)
    assert not set(ids) & taken
    for draft, section in zip(drafts, sections, strict=True):
        assert draft.question == stub(section)
        assert draft.expected == (Expected("docs", "a.md", section.heading_path),)


def test_what_a_model_writes_goes_before_a_stub() -> None:
    section = Unasked("docs", "a.md", "Keys", ("Keys", "Rotation"), "text")
    [draft] = drafts_from_sections([section], (), lambda section: "When is a key changed?")
    assert (draft.question, draft.id) == ("When is a key changed?", "section-when-is-a-key-changed")
    assert stub(section) == "What does “Keys” say about “Rotation”?"
    assert stub(Unasked("docs", "a.md", "", (), "text")) == "What does “a.md” say?"


def test_of_the_hits_those_are_proposed_that_are_cited_or_were_found_before() -> None:
    hits = Hits([hit(name, f"{name}.md", name.upper()) for name in "abcdef"], None, evidence=Evidence(0.9, 1.0))
    asked = [logged("cited?", "cxe", "abd"), logged("found?", found="fbx"), logged("gone?", "x", "y"), logged("Known")]
    known = [Question("known", "known?", ("public",)), Question("asked-cited", "other", ("public",))]
    first, second, third = drafts_from_log(asked, known, lambda question: hits, 0.8)
    assert first == Draft(
        "asked-cited-2", "cited?", (Expected("docs", "c.md", ("C",)), Expected("docs", "e.md", ("E",))), "log", 7, 3
    )
    assert second.expected == (Expected("docs", "b.md", ("B",)),)
    assert third.expected == (Expected("docs", "a.md", ("A",)),)


def test_what_finds_nothing_good_is_a_gap_and_no_draft() -> None:
    weak = Hits([hit("a", "a.md")], None, evidence=Evidence(0.4, 0.5))
    good = Hits([hit("a", "a.md")], None, evidence=Evidence(0.9, 0.5))
    questions = [logged("vain", in_vain=2), logged("written since", in_vain=2), logged("never in vain")]
    answers = {"vain": weak, "written since": good, "never in vain": weak}
    assert list(drafts_from_log(questions[::2], [], answers.__getitem__, 0.8)) == []
    [gap] = gaps(questions, answers.__getitem__, 0.8)
    assert (gap.question, gap.asked, gap.askers, gap.in_vain, gap.hits, gap.evidence) == ("vain", 7, 3, 2, 1, 0.5)
    nothing = Hits([], None)
    assert len(list(gaps(questions[:1], lambda question: nothing, 0.0))) == 1


def test_what_was_not_known_is_a_gap_until_something_else_is_found() -> None:
    good = Hits([hit("a", "a.md"), hit("b", "b.md")], None, evidence=Evidence(0.9, 0.5))
    questions = [
        logged("not known", found="ba", in_vain=2, declined=2, answered=1),
        logged("mostly known", found="ba", in_vain=1, declined=1, answered=2),
        logged("written since", found="bc", in_vain=2, declined=2),
        logged("searched for", found="ba", in_vain=2),
    ]
    assert [gap.question for gap in gaps(questions, lambda question: good, 0.8)] == ["not known"]
    drafted = [draft.question for draft in drafts_from_log(questions, [], lambda question: good, 0.8)]
    assert drafted == ["mostly known", "written since", "searched for"]


def test_a_draft_is_refused_until_somebody_accepts_it(tmp_path: Path) -> None:
    draft = Draft("asked-what", "what?", (Expected("docs", "a.md", ("A",)), Expected("docs", "b.md")), "log", 2, 2)
    line = draft.line(Caller("user:ana"))
    file = tmp_path / "golden.jsonl"
    file.write_text("\n" + json.dumps(line))
    with pytest.raises(ConfigurationError, match=r'golden\.jsonl:2: this is a draft: .* removing "draft"'):
        read_golden_set(file)
    [proposed] = read_golden_set(file, drafts=True)
    del line["draft"]
    file.write_text(json.dumps(line))
    [accepted] = read_golden_set(file)
    assert accepted == proposed == Question("asked-what", "what?", ("public", "user:ana"), draft.expected)


@pytest.mark.parametrize("value", ["false", "1", '"yes"', "null"])
def test_draft_is_true_or_not_there(tmp_path: Path, value: str) -> None:
    file = tmp_path / "golden.jsonl"
    file.write_text(f'{{"id": "a", "question": "q", "caller": ["public"], "unanswerable": true, "draft": {value}}}')
    if value == "false":
        assert len(read_golden_set(file)) == 1
        return
    with pytest.raises(ConfigurationError, match="this is a draft"):
        read_golden_set(file, drafts=True)
