"""What a refresh does, case by case, on a real Postgres with a scripted source."""

import hashlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import LiteralString

import pytest

from rag_pipeline.chunks.build import build_chunks
from rag_pipeline.documents.isolation import Parsers
from rag_pipeline.errors import ConfigurationError, PermanentError
from rag_pipeline.handover import Published
from rag_pipeline.model import Access
from rag_pipeline.progress import silent
from rag_pipeline.settings import Chunking, Parsing, Settings
from rag_pipeline_tests.comparison import index_rows_written, published_rows
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

PUBLIC = Access.of(["public"])
ENG = Access.of(["group:eng"])


@pytest.fixture
def handbook(settings: Settings) -> tuple[ScriptedPipeline, World]:
    pipeline, world = scripted(settings, "handbook")
    for number in range(30):
        text = f"# Page {number}\n\nAbout topic {number}.\n\n## Details\n\n- item one of {number}\n- item two\n"
        world.documents[f"page-{number:02}.md"] = Entry(text, PUBLIC)
    first = pipeline.refresh("handbook")
    assert (first.added, first.texts_embedded, first.quarantined) == (30, 60, 0)
    return pipeline, world


def counts(published: Published) -> dict[str, int]:
    names = ("added", "changed", "moved", "access_changed", "metadata_changed", "removed", "restored", "withheld")
    return {name: value for name in names if (value := getattr(published, name))}


def test_nothing_changed_writes_nothing(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = handbook
    with pipeline.connected() as connection:
        before = index_rows_written(connection)
        again = pipeline.refresh("handbook")
        assert index_rows_written(connection) == before
    assert counts(again) == {}
    assert (again.unchanged, again.texts_embedded, again.chunks_written) == (30, 0, 0)


def test_one_edited_paragraph_embeds_one_text(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["page-03.md"].text = world.documents["page-03.md"].text.replace("topic 3", "topic three")
    result = pipeline.refresh("handbook")
    assert counts(result) == {"changed": 1}
    assert (result.texts_embedded, result.chunks_written, result.chunks_deleted) == (1, 1, 1)


def test_a_section_added_above_rewrites_nothing_below(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    text = world.documents["page-03.md"].text
    world.documents["page-03.md"].text = text.replace("## Details", "## New\n\nInserted.\n\n## Details")
    result = pipeline.refresh("handbook")
    assert (result.texts_embedded, result.chunks_written, result.chunks_deleted) == (1, 1, 0)


def test_moves_and_renames_embed_nothing(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    for number in range(20):
        world.documents[f"moved/{number}.md"] = world.documents.pop(f"page-{number:02}.md")
    result = pipeline.refresh("handbook")
    assert counts(result) == {"moved": 20}
    assert (result.texts_embedded, result.chunks_written, result.chunks_deleted) == (0, 0, 0)


def test_an_access_change_of_a_whole_list_is_one_row(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    for entry in world.documents.values():
        entry.access = ENG
    with pipeline.connected() as connection:
        before = index_rows_written(connection)
        result = pipeline.refresh("handbook")
        assert index_rows_written(connection) == before
        assert connection.execute("select allow from rag.access_lists").fetchall() == [(["group:eng"],)]
    assert counts(result) == {"access_changed": 30}
    assert (result.texts_embedded, result.chunks_written) == (0, 0)


def test_an_access_change_of_one_document_reaches_its_chunks(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["page-07.md"].access = ENG
    result = pipeline.refresh("handbook")
    assert (counts(result), result.texts_embedded, result.chunks_written) == ({"access_changed": 1}, 0, 2)
    with pipeline.connected() as connection:
        lists = connection.execute(
            "select distinct document_id, allow from chunk_vectors join chunks using (chunk_key) "
            "join documents on documents.doc_key = chunks.doc_key "
            "join rag.access_lists on access_lists.acl_id = chunk_vectors.acl_id "
            "where 'public' <> all (allow)"
        ).fetchall()
    assert lists == [("page-07.md", ["group:eng"])]


@pytest.mark.parametrize("table", ["chunk_vectors", "chunk_terms"])
def test_what_the_same_callers_read_lies_together(settings: Settings, table: LiteralString) -> None:
    pipeline, world = scripted(settings, "wiki")
    lists = [PUBLIC, ENG, Access.of(["group:hr"])]
    world.documents = {f"page-{n:02}.md": Entry(f"# Page {n}\n\nIt is about {n}.", lists[n % 3]) for n in range(30)}
    pipeline.refresh("wiki")
    with pipeline.connected() as connection:
        as_they_lie = [row[0] for row in connection.execute(f"select acl_id from {table} order by ctid")]
    assert len(as_they_lie) == 30
    assert as_they_lie == sorted(as_they_lie)


def test_metadata_changes_write_one_row(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["page-07.md"].metadata = {"team": 42}
    result = pipeline.refresh("handbook")
    assert counts(result) == {"metadata_changed": 1}
    assert (result.documents_written, result.chunks_written, result.texts_embedded) == (1, 0, 0)


def test_a_deleted_document_leaves_no_ghost_and_returns_for_free(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    entry = world.documents.pop("page-09.md")
    result = pipeline.refresh("handbook")
    assert (counts(result), result.chunks_deleted) == ({"removed": 1}, 2)
    with pipeline.connected() as connection:
        assert connection.execute("select count(*) from chunks where text like '%topic 9.%'").fetchone() == (0,)
        assert connection.execute("select document_id from rag.tombstones").fetchall() == [("page-09.md",)]
    world.documents["page-09.md"] = entry
    result = pipeline.refresh("handbook")
    assert (counts(result), result.texts_embedded) == ({"restored": 1}, 0)


def test_mass_deletion_is_withheld_until_approved(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    for number in range(15):
        del world.documents[f"page-{number:02}.md"]
    world.documents["new.md"] = Entry("# New\n\nStill lands.", PUBLIC)
    result = pipeline.refresh("handbook")
    assert counts(result) == {"added": 1, "withheld": 15}
    pipeline.approve("handbook", "deletions", 14)
    assert counts(pipeline.refresh("handbook")) == {"withheld": 15}
    pipeline.approve("handbook", "deletions", 15)
    assert counts(pipeline.refresh("handbook")) == {"removed": 15}
    for number in range(15, 26):
        del world.documents[f"page-{number:02}.md"]
    assert counts(pipeline.refresh("handbook")) == {"withheld": 11}, "an approval holds once"


def test_an_empty_or_broken_listing_deletes_nothing(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    documents, world.documents = world.documents, {}
    assert counts(pipeline.refresh("handbook")) == {"withheld": 30}
    world.documents, world.fails_after = documents, 3
    broken = pipeline.refresh("handbook")
    assert (broken.complete, broken.reason, counts(broken)) == (False, "the scripted source went away", {})
    world.fails_after, world.complete = None, False
    del world.documents["page-01.md"]
    partial = pipeline.refresh("handbook")
    assert (partial.complete, counts(partial)) == (False, {})
    with pipeline.connected() as connection:
        assert connection.execute("select count(*) from documents").fetchone() == (30,)


def test_mass_widening_is_withheld_and_tightening_is_not(settings: Settings) -> None:
    pipeline, world = scripted(settings, "wiki")
    for number in range(40):
        world.documents[f"{number:02}.md"] = Entry(f"# {number}\n\ntext", ENG)
    pipeline.refresh("wiki")
    for number, entry in enumerate(world.documents.values()):
        entry.access = PUBLIC if number < 20 else Access.of([])
    result = pipeline.refresh("wiki")
    assert counts(result) == {"access_changed": 20, "withheld": 20}
    with pipeline.connected() as connection:
        allows = connection.execute(
            "select distinct allow from documents join rag.access_lists using (acl_id) order by 1"
        ).fetchall()
    assert allows == [([],), (["group:eng"],)]
    pipeline.approve("wiki", "widenings", 20)
    assert counts(pipeline.refresh("wiki")) == {"access_changed": 20}


def test_an_unreadable_document_hurts_only_itself(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["page-01.md"].readable = False
    world.documents["page-01.md"].access = ENG
    world.documents["binary.md"] = Entry("\0" * 400, PUBLIC)
    result = pipeline.refresh("handbook")
    assert (result.quarantined, result.added, result.unchanged) == (2, 0, 29)
    with pipeline.connected() as connection:
        rows = connection.execute("select document_id, attempts from rag.quarantine order by 1").fetchall()
        kept = connection.execute(
            "select allow from documents join rag.access_lists using (acl_id) where document_id = 'page-01.md'"
        ).fetchall()
    assert rows == [("binary.md", 1), ("page-01.md", 1)]
    assert kept == [(["group:eng"],)], "the last good version stays, under the access of today"
    pipeline.refresh("handbook")
    with pipeline.connected() as connection:
        rows = connection.execute("select document_id, attempts from rag.quarantine order by 1").fetchall()
    assert rows == [("binary.md", 1), ("page-01.md", 2)], "known bytes are not parsed again, unread ones are tried"
    world.documents["page-01.md"].readable = True
    world.documents["binary.md"].text = "# Readable now"
    result = pipeline.refresh("handbook")
    assert (result.quarantined, result.added) == (0, 1)
    with pipeline.connected() as connection:
        assert connection.execute("select count(*) from rag.quarantine").fetchone() == (0,)


def test_a_document_narrows_its_own_access(settings: Settings) -> None:
    pipeline, world = scripted(settings, "notes")
    world.documents["hr.md"] = Entry("---\naccess: [group:hr]\n---\n# Pay", PUBLIC)
    world.documents["wide.md"] = Entry("---\naccess: [public]\n---\n# Plans", ENG)
    world.documents["odd.md"] = Entry("---\naccess: [nonsense\n---\n# Odd", PUBLIC)
    pipeline.refresh("notes")
    with pipeline.connected() as connection:
        rows = connection.execute(
            "select document_id, allow from documents join rag.access_lists using (acl_id) order by 1"
        ).fetchall()
    assert rows == [("hr.md", ["group:hr"]), ("wide.md", ["group:eng"])]


def test_a_rebuild_holds_the_same_rows(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["x/moved.md"] = world.documents.pop("page-00.md")
    world.documents["page-02.md"].text += "\n\nMore.\n"
    del world.documents["page-04.md"]
    world.documents["page-05.md"].access = ENG
    pipeline.refresh("handbook")
    with pipeline.connected() as connection:
        incremental = published_rows(connection)
        for table in ("chunk_vectors", "chunk_terms", "chunks", "sections", "documents"):
            connection.execute(f"delete from {table}")  # pyright: ignore[reportCallIssue, reportArgumentType]
        connection.execute("delete from rag.tombstones")
        rebuilt = pipeline.refresh("handbook")
        assert rebuilt.added == 29
        assert published_rows(connection) == incremental


def test_verification_finds_and_mends_what_was_tampered_with(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = handbook
    assert pipeline.verify("handbook").equal
    with pipeline.connected() as connection:
        connection.execute("delete from chunk_vectors where chunk_key = (select min(chunk_key) from chunk_vectors)")
        connection.execute("update chunks set text = 'tampered' where chunk_key = (select max(chunk_key) from chunks)")
        connection.execute(
            "insert into documents (document_hash, source, document_id, uri, title, content_hash, acl_id, metadata, "
            "front_matter, language, section_ids, section_starts, places, snapshot_id) "
            "select '\\x00', source, 'ghost.md', '', '', "
            "'\\x00', acl_id, '{}', '{}', language, '{}', '{}', '{}', snapshot_id from documents limit 1"
        )
    found = pipeline.verify("handbook")
    assert (found.ghosts, found.missing, found.different) == (1, 1, 1), found.examples
    assert pipeline.verify("handbook", repair=True).repaired == 3
    assert pipeline.verify("handbook").equal


def test_a_rollback_holds_an_earlier_state_and_lets_go(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    with pipeline.connected() as connection:
        good = published_rows(connection)
        snapshot = connection.execute(
            "select max(snapshot_id) from rag.snapshots where manifest is not null"
        ).fetchone()
    assert snapshot
    for entry in world.documents.values():
        entry.text = "# Vandalised\n\nspam"
    world.documents["page-06.md"].access = ENG
    pipeline.refresh("handbook")
    pipeline.hold("handbook", snapshot[0])
    result = pipeline.refresh("handbook")
    assert (result.changed, result.texts_embedded) == (30, 0)
    with pipeline.connected() as connection:
        back = published_rows(connection)
    assert [row[:10] for row in back["documents"]] == [row[:10] for row in good["documents"]]
    narrowed = [row[1] for row in back["documents"] if row[10] == ["group:eng"]]
    assert narrowed == ["page-06.md"], "a rollback brings back what was said, never who could read it"
    assert counts(pipeline.refresh("handbook")) == {"withheld": 1}, "the source stays held"
    pipeline.hold("handbook", None)
    assert pipeline.refresh("handbook").changed == 30
    with pytest.raises(ConfigurationError, match="no snapshot 999"):
        pipeline.hold("handbook", 999)


def test_a_generation_keeps_its_recipe(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    other = pipeline.settings.model_copy(update={"chunking": Chunking(max_tokens=64, window_tokens=400)})
    changed = ScriptedPipeline(other, {"handbook": world})
    assert changed.refresh("handbook").unchanged == len(world.documents)
    world.documents["long.md"] = Entry("# Long\n\n" + "One more sentence of seven words here. " * 40, PUBLIC)
    assert changed.refresh("handbook").added == 1
    with changed.working() as (connection, generation):
        assert connection.execute("select max(tokens) > 64 from chunks").fetchone() == (True,)
    assert [str(difference) for difference in changed.targets.differences(generation)] == [
        "max_tokens is 200 in the index and 64 in the settings",
        "window_tokens is 800 in the index and 400 in the settings",
    ]
    assert changed.verify("handbook").equal


def test_a_dry_run_says_what_would_happen_and_does_not(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["new.md"] = Entry("# Fresh\n\nEntirely new words.", PUBLIC)
    plan = pipeline.dry_run("handbook")
    assert (plan.dry_run, plan.added, plan.texts_embedded) == (True, 1, 1)
    real = pipeline.refresh("handbook")
    assert (real.added, real.texts_embedded, real.unchanged) == (1, 1, 30)


def test_a_violation_rolls_everything_back(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["page-11.md"].text = "# Eleven\n\nnow quite different"
    snapshot = pipeline.source_snapshot("handbook")
    embedded = pipeline.embeddings(pipeline.chunks(pipeline.changed_documents(pipeline.content_hashes(snapshot))))
    with pipeline.connected() as connection:
        before = published_rows(connection)
        connection.execute(
            "delete from rag.embedding_store where created_at = (select max(created_at) from rag.embedding_store)"
        )
        with pytest.raises(PermanentError, match="1 chunks without a vector"):
            pipeline.published_index(embedded, 0.0)
        assert published_rows(connection) == before


def test_a_chunk_above_the_recipes_budget_is_not_published(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["long.md"] = Entry("# Long\n\n" + "\n\n".join(["word " * 150] * 4), PUBLIC)
    changes = pipeline.changed_documents(pipeline.content_hashes(pipeline.source_snapshot("handbook")))
    count = pipeline.embedder.count_tokens
    with Parsers(pipeline.settings.parsing) as parsers:
        chunked = build_chunks(pipeline.workspace, changes, parsers, count, 400, 800, silent)
    with pytest.raises(PermanentError, match="chunks above the budget of the recipe"):
        pipeline.published_index(pipeline.embeddings(chunked), 0.0)
    assert pipeline.refresh("handbook").added == 1


def test_a_document_of_too_many_chunks_is_quarantined_before_any_is_embedded(
    handbook: tuple[ScriptedPipeline, World],
) -> None:
    """Its last good version stays; a bound that was raised is tried by the next repair."""
    pipeline, world = handbook
    grown = "".join(f"## Part {number}\n\nAbout part {number}.\n\n" for number in range(5))
    world.documents["page-00.md"] = Entry(grown, PUBLIC)
    pipeline.settings = pipeline.settings.model_copy(update={"parsing": Parsing(max_chunks=4)})
    published = pipeline.refresh("handbook")
    assert (published.quarantined, published.changed, published.texts_embedded) == (1, 0, 0)
    with pipeline.connected() as connection:
        assert connection.execute("select document_id, reason from rag.quarantine").fetchall() == [
            ("page-00.md", "makes 5 chunks; exclude it, divide it, or raise [parsing] max_chunks")
        ]
        assert connection.execute("select title from documents where document_id = 'page-00.md'").fetchall() == [
            ("Page 0",)
        ]
    pipeline.settings = pipeline.settings.model_copy(update={"parsing": Parsing(max_chunks=5)})
    assert pipeline.refresh("handbook").quarantined == 1, "it is known not to go"
    assert pipeline.verify("handbook", repair=True).repaired
    assert counts(pipeline.refresh("handbook")) == {}
    with pipeline.connected() as connection:
        assert connection.execute("select count(*) from rag.quarantine").fetchone() == (0,)


def test_verification_leaves_no_files_behind(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = handbook
    before = pipeline.workspace.folders("handbook")
    assert pipeline.verify("handbook").equal
    assert pipeline.workspace.folders("handbook") == before


def age_blobs(pipeline: ScriptedPipeline) -> set[bytes]:
    """Make every blob two days old and return their hashes."""
    for blob in Path(str(pipeline.workspace.root), "blobs").glob("*/*"):
        os.utime(blob, (time.time() - 2 * 86_400, time.time() - 2 * 86_400))
    return set(pipeline.workspace.blobs(before=datetime.now(UTC)))


def test_housekeeping_removes_only_what_nothing_needs(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    blobs = age_blobs(pipeline)
    assert pipeline.housekeeping().blobs == 0
    del world.documents["page-12.md"]
    pipeline.refresh("handbook")
    assert pipeline.housekeeping().blobs == 0, "within the grace period everything stays"
    with pipeline.connected() as connection:
        connection.execute("update rag.tombstones set removed_at = now() - interval '31 days'")
        connection.execute("update rag.snapshots set started_at = now() - interval '31 days'")
    removed = pipeline.housekeeping()
    assert (removed.tombstones, removed.folders, removed.blobs) == (1, 1, 1)
    assert len(blobs - age_blobs(pipeline)) == 1
    with pipeline.connected() as connection:
        connection.execute(
            "update rag.embedding_store set unused_since = now() - interval '31 days' where unused_since is not null"
        )
    assert pipeline.housekeeping().vectors == 2
    assert pipeline.verify("handbook").equal
    assert pipeline.refresh("handbook").unchanged == 29


def test_housekeeping_takes_nothing_from_a_running_refresh(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["new.md"] = Entry("# New\n\nwords", PUBLIC)
    snapshot = pipeline.source_snapshot("handbook")
    pipeline.workspace.put_blob(b"# New\n\nwords")
    assert pipeline.housekeeping().blobs == 0
    hashes = pipeline.content_hashes(snapshot)
    assert pipeline.housekeeping().folders == 0
    chunked = pipeline.chunks(pipeline.changed_documents(hashes))
    assert (chunked.added, chunked.failures) == (1, 0)


def test_lost_bytes_are_read_again(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents["new.md"] = Entry("# New\n\nwords", PUBLIC)
    hashes = pipeline.content_hashes(pipeline.source_snapshot("handbook"))
    pipeline.workspace.remove_blobs([hashlib.sha256(b"# New\n\nwords").digest()])
    chunked = pipeline.chunks(pipeline.changed_documents(hashes))
    published = pipeline.published_index(pipeline.embeddings(chunked), 0.0)
    assert (published.added, published.quarantined) == (0, 1)
    healed = pipeline.refresh("handbook")
    assert (healed.added, healed.quarantined) == (1, 0)
