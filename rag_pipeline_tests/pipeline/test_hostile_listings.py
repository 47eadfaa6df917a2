"""Listings that confuse a careless index, through a whole refresh: odd ids, twins, empty documents, stale tokens."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rag_pipeline.model import Access, DocumentRef, Failure, ListingEnd
from rag_pipeline.settings import Settings
from rag_pipeline_tests.comparison import published_rows
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

PUBLIC = Access.of(["public"])


@dataclass(slots=True)
class Stamped(World):
    """A world whose version tokens never change, whatever its documents do."""

    def list(self) -> Iterator[DocumentRef | Failure | ListingEnd]:
        """List everything under one token."""
        for name, entry in self.documents.items():
            yield DocumentRef(name, f"test://{name}", "1", media_type="text/markdown", access=entry.access)
        yield ListingEnd(complete=True)


@pytest.fixture
def notes(settings: Settings) -> tuple[ScriptedPipeline, World]:
    return scripted(settings, "notes")


def texts(pipeline: ScriptedPipeline) -> dict[str, str]:
    """The published text of each document."""
    with pipeline.connected() as connection:
        rows = connection.execute(
            "select document_id, string_agg(sections.text, '') "
            "from documents left join sections using (doc_key) group by 1"
        ).fetchall()
    return {name: text or "" for name, text in rows}


def test_an_empty_document_is_there_says_nothing_and_costs_nothing(notes: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = notes
    world.documents = {"empty.md": Entry("", PUBLIC), "blank.md": Entry(" \n\t\n", PUBLIC), "a.md": Entry("a", PUBLIC)}
    result = pipeline.refresh("notes")
    assert (result.added, result.quarantined, result.texts_embedded) == (3, 0, 1)
    world.documents["a.md"].text = "\n"
    result = pipeline.refresh("notes")
    assert (result.changed, result.removed, result.quarantined, result.texts_embedded) == (1, 0, 0, 0)
    assert texts(pipeline) == dict.fromkeys(("empty.md", "blank.md", "a.md"), "")


ODD = [
    "x" * 10_000,
    "'; drop table documents; --",
    '"quoted"',
    "100%s %(name)s {0} $1 \\",
    "../../etc/passwd",
    "/absolute",
    "🦄/💥.md",
    "line\nbreak\r\x1b[31m.md",
    " blanks ",
    "a.md",
    "A.md",
    "é.md",
    unicodedata.normalize("NFD", "é.md"),
]


def test_ids_are_text_and_nothing_else(notes: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = notes
    world.documents = {name: Entry(f"number {number}", PUBLIC) for number, name in enumerate(ODD)}
    assert pipeline.refresh("notes").added == len(ODD)
    assert texts(pipeline) == {name: f"number {number}" for number, name in enumerate(ODD)}
    assert pipeline.refresh("notes").unchanged == len(ODD)
    world.documents[ODD[0]].readable = False
    del world.documents[ODD[1]]
    result = pipeline.refresh("notes")
    assert (result.quarantined, result.removed) == (1, 1)
    assert texts(pipeline).keys() == set(ODD) - {ODD[1]}


def test_a_name_in_another_case_or_form_is_a_move_that_costs_nothing(notes: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = notes
    world.documents = {"Readme.md": Entry("one", PUBLIC), "é.md": Entry("two", PUBLIC)}
    pipeline.refresh("notes")
    world.documents = {"README.md": Entry("one", PUBLIC), unicodedata.normalize("NFD", "é.md"): Entry("two", PUBLIC)}
    result = pipeline.refresh("notes")
    assert (result.moved, result.added, result.removed, result.texts_embedded) == (2, 0, 0, 0)
    assert texts(pipeline) == {name: entry.text for name, entry in world.documents.items()}


def test_documents_of_one_content_are_two_and_share_what_is_paid_for(notes: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = notes
    world.documents = {"a.md": Entry("same", PUBLIC), "b.md": Entry("same", Access.of(["group:hr"]))}
    result = pipeline.refresh("notes")
    assert (result.added, result.texts_embedded) == (2, 1)
    with pipeline.connected() as connection:
        before = published_rows(connection)
    del world.documents["a.md"]
    assert pipeline.refresh("notes").removed == 1
    assert texts(pipeline) == {"b.md": "same"}
    world.documents["a.md"] = Entry("same", PUBLIC)
    result = pipeline.refresh("notes")
    assert (result.restored, result.texts_embedded) == (1, 0)
    with pipeline.connected() as connection:
        assert [row[:2] for row in published_rows(connection)["documents"]] == [row[:2] for row in before["documents"]]


def test_what_a_token_hides_is_found_by_verification(notes: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = notes
    world = Stamped({"a.md": Entry("before", PUBLIC), "b.md": Entry("other", PUBLIC)})
    pipeline.worlds["notes"] = world
    pipeline.refresh("notes")
    world.documents["a.md"].text = "after"
    assert pipeline.refresh("notes").unchanged == 2
    assert texts(pipeline)["a.md"] == "before"
    assert not pipeline.verify("notes").equal
    pipeline.verify("notes", repair=True)
    assert texts(pipeline) == {"a.md": "after", "b.md": "other"}
