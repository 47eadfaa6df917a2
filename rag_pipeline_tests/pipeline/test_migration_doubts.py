"""What two generations beside each other must not lead to: wider access, ghosts, or one that cannot be published."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel

from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.errors import TransientError
from rag_pipeline.index.generations import create_generation
from rag_pipeline.migration import Migration
from rag_pipeline.model import Access
from rag_pipeline.settings import Settings
from rag_pipeline_tests.pipeline.test_migration import DOCUMENTS, LONGER, PUBLIC, SMALLER, Moving, text
from rag_pipeline_tests.scripted import Entry

HR = Access.of(["group:hr"])


@pytest.fixture
def moving(settings: Settings) -> Moving:
    moving = Moving(settings)
    moving.pipeline().refresh("notes")
    return moving


def test_what_a_document_said_is_not_opened_with_what_it_says_now(moving: Moving) -> None:
    moving.world.documents["0.md"].access = HR
    moving.pipeline().refresh("notes")
    migration = moving.migration(**SMALLER)
    migration.start()
    migration.publish()
    moving.world.documents["0.md"] = Entry(text(500), Access.of(["group:eng"]))
    moving.pipeline(**SMALLER).refresh("notes")
    migration.rollback()
    assert "0.md" not in moving.found("word0x1", "group:eng")


def test_after_an_upgrade_what_was_withheld_stays_withheld(moving: Moving) -> None:
    for entry in moving.world.documents.values():
        entry.access = HR
    moving.pipeline().refresh("notes")
    for entry in moving.world.documents.values():
        entry.access = PUBLIC
    assert moving.pipeline().refresh("notes").withheld_widenings == DOCUMENTS
    upgrade(moving)
    migration = begun(moving)
    moving.pipeline().refresh("notes")
    migration.start()
    migration.publish()
    assert moving.found("word0x1") == set()


def test_after_an_upgrade_an_outage_is_no_deletion(moving: Moving) -> None:
    upgrade(moving)
    migration = begun(moving)
    moving.world.fails_after = 3
    moving.pipeline().refresh("notes")
    moving.world.fails_after = None
    migration.start()
    migration.publish()
    assert moving.one("select count(*) from rag.documents") == DOCUMENTS


def test_after_an_upgrade_the_live_one_is_narrowed(moving: Moving) -> None:
    upgrade(moving)
    migration = moving.migration()
    migration.start()
    moving.world.documents["0.md"].access = HR
    del moving.world.documents["1.md"]
    moving.pipeline().refresh("notes")
    assert "0.md" not in moving.found("word0x1")
    assert "1.md" not in moving.found("word1x1")


def test_a_third_generation_is_not_taken_for_equal_after_a_rollback(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    migration.publish()
    moving.world.documents["0.md"].text = text(500)
    moving.pipeline(**SMALLER).refresh("notes")
    with connect(moving.settings) as connection:
        connection.execute("update rag.generation_sources set revision = 7")
    third = moving.migration(**LONGER)
    third.start()
    third.rollback()
    moving.migration(**LONGER).start()
    assert third.status().ready
    assert third.publish().live == 3


def test_what_is_built_is_not_confirmed_by_an_incomplete_listing(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    moving.world.documents["0.md"].text = text(500)
    moving.world.complete = False
    moving.pipeline(**SMALLER).refresh("notes")
    assert moving.one("select count(distinct confirmed_id) from rag.generation_sources") == 1


def test_a_program_error_of_the_one_that_is_built_is_none_of_the_live_one(moving: Moving) -> None:
    moving.migration(**LONGER).start()
    moving.world.documents["0.md"].text = text(500)
    pipeline = moving.pipeline(**LONGER)

    class Broken(HashedEmbedder):
        def count_tokens(self, texts: list[str]) -> list[int]:
            raise RuntimeError("the model cannot be loaded")

    pipeline.targets._embedders["hashed/96"] = Broken(96)
    assert pipeline.refresh("notes").changed == 1
    (source,) = moving.migration(**LONGER).status().sources
    assert "cannot be loaded" in (source.failure or "")


def test_what_only_the_new_one_cannot_read_can_be_published_on_request(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    with connect(moving.settings) as connection:
        connection.execute(
            "insert into rag.quarantine (generation, document_hash, source, document_id, uri, reason, content_hash, "
            "parser_version) select 2, document_hash, source, document_id, uri, 'refused', '\\x00', 1 "
            "from rag_g2.documents where document_id = '0.md'"
        )
        connection.execute("update rag_g2.documents set content_hash = '\\x01', size = 1 where document_id = '0.md'")
    assert migration.publish(force=True).live == 2


def upgrade(moving: Moving) -> None:
    """Let the index be one of an older version."""
    with connect(moving.settings) as connection:
        connection.execute("update rag.generations set recipe = recipe || '{\"chunker_version\": 0}'")


def begun(moving: Moving, **changes: Any) -> Migration:
    """Return a migration that was killed right after it began."""
    migration = moving.migration(**changes)
    with connect(moving.settings) as connection, connection.transaction():
        create_generation(connection, migration.pipeline.targets.wanted, "building")
    return migration


def analyst(moving: Moving) -> psycopg.Connection[Any]:
    """Return a session of an analyst who stands for a group."""
    with connect(moving.settings, role=None) as owner:
        owner.execute("insert into rag.analyst_principals values (session_user, 'group:eng')")
    return connect(moving.settings, role="rag_analyst")


def test_an_analyst_reads_the_live_generation_only(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    with analyst(moving) as reader:
        assert reader.execute("select count(*) from rag.documents").fetchone() == (DOCUMENTS,)
        assert reader.execute("select count(*) from rag_g2.chunks").fetchone() == (0,)
        migration.publish()
        moving.world.documents["0.md"].access = HR
        moving.pipeline(**SMALLER).refresh("notes")
        assert reader.execute("select count(*) from rag.documents").fetchone() == (DOCUMENTS - 1,)
        for table in ("documents", "sections", "chunks"):
            assert reader.execute(f"select count(*) from rag_g1.{table}".encode()).fetchone() == (0,)


def test_a_snapshot_of_before_a_rollback_sees_nothing_that_it_narrows(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    chunk = moving.one(
        "select encode(document_hash, 'hex') || '-' || encode(local_id, 'hex') "
        "from rag_g1.chunks join rag_g1.documents using (doc_key) where document_id = '0.md' limit 1"
    )
    migration.publish()
    moving.world.documents["0.md"].access = HR
    moving.pipeline(**SMALLER).refresh("notes")
    window = "select count(*) from rag.\"window\"(%s, array['public'], 0, 0)"
    with analyst(moving) as reader, connect(moving.settings, role="rag_reader") as asking:
        for each in (reader, asking):
            each.isolation_level = IsolationLevel.REPEATABLE_READ
        with reader.transaction(force_rollback=True), asking.transaction(force_rollback=True):
            reader.execute("select 1")
            asking.execute("select 1")
            migration.rollback()
            assert reader.execute("select count(*) from rag.documents where document_id = '0.md'").fetchone() == (0,)
            with pytest.raises(psycopg.errors.SerializationFailure, match="became live meanwhile"):
                asking.execute(window, [chunk])
        assert asking.execute(window, [chunk]).fetchone() == (0,)


def test_a_drop_lets_no_publication_wait_for_a_reader(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    migration.publish()
    with connect(moving.settings) as reader, reader.transaction(force_rollback=True):
        reader.execute("select count(*) from rag_g1.documents")
        with pytest.raises(TransientError, match="reading generation 1 for a while"):
            migration.drop(1)
    assert moving.one("select state from rag.generations where generation = 1") == "retired"
    migration.drop(1)


@pytest.mark.parametrize("held", ["snapshots", "sources"])
def test_a_search_and_a_drop_do_not_wait_for_each_other(moving: Moving, held: str) -> None:
    """The tables that are freed refer to those that every search reads, in whatever order."""
    migration = moving.migration(**SMALLER)
    migration.start()
    migration.publish()
    with connect(moving.settings) as reader, connect(moving.settings) as other, ThreadPoolExecutor(1) as pool:
        with reader.transaction():
            reader.execute(f"select count(*) from rag.{held}".encode())
            dropped = pool.submit(migration.drop, 1)
            while not dropped.done() and not other.execute("select 1 from pg_locks where not granted").fetchone():
                pass
            for name in ("access_lists", "snapshots", "sources"):
                reader.execute(f"select count(*) from rag.{name}".encode())
        # Where so much time has passed that it waits no longer, that is said.
        assert isinstance(dropped.exception(), TransientError | None)
    if dropped.exception():
        migration.drop(1)
    assert moving.one("select state from rag.generations where generation = 1") == "dropped"
    assert moving.one("select to_regnamespace('rag_g1')::text") is None
    moving.world.documents["0.md"].text = text(500)
    assert moving.pipeline(**SMALLER).refresh("notes").changed == 1


def test_a_generation_that_is_begun_during_a_rollback_goes_on(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    migration.publish()
    third = moving.migration(**LONGER)
    wanted = third.pipeline.targets.wanted
    with connect(moving.settings) as starting, connect(moving.settings) as other, ThreadPoolExecutor(1) as pool:
        with starting.transaction():
            starting.execute(statements("generations")["lock_generations"])
            back = pool.submit(migration.rollback)
            while not back.done() and not other.execute("select 1 from pg_locks where not granted").fetchone():
                pass
            create_generation(starting, wanted, "building")
        assert back.result().live == 1
    assert third.status().generation == 3
    assert third.status().retired == (2,)
    third.start()
    assert third.publish().live == 3


def test_vectors_wait_for_the_generation_that_they_were_bought_for(moving: Moving) -> None:
    """A build may take longer than housekeeping keeps what nothing uses."""
    begun(moving, **LONGER)
    with connect(moving.settings) as connection:
        connection.execute(
            "insert into rag.embedding_store (model, embed_hash, embedding, tokens) "
            "select 'hashed/96', embed_hash, embedding, tokens from rag.embedding_store"
        )
    moving.pipeline(**LONGER).housekeeping()
    assert moving.one("select count(*) from rag.embedding_store where unused_since is not null") == 0


def test_the_files_of_a_long_build_are_kept_while_it_runs(moving: Moving) -> None:
    migration = begun(moving, **LONGER)
    with connect(moving.settings) as connection:
        connection.execute("update rag.generations set created_at = now() - interval '3 days' where generation = 2")
    workspace = moving.pipeline().workspace
    days = [datetime.now(UTC) - timedelta(days=days) for days in (4, 2)]
    before, during = (f"refreshes/notes/{day:%Y%m%dT%H%M%S}-written" for day in days)
    for folder in (before, during):
        workspace.file(folder, "").mkdir(parents=True)
    assert moving.pipeline().housekeeping().folders == 1
    assert during in workspace.folders("notes")
    migration.drop(2)
    assert moving.pipeline().housekeeping().folders == 1
