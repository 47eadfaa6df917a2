"""What two generations beside each other must not lead to: wider access, ghosts, or one that cannot be published."""

from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel

from rag_pipeline.database.connection import connect
from rag_pipeline.model import Access
from rag_pipeline.settings import Settings
from rag_pipeline_tests.pipeline.test_migration import DOCUMENTS, SMALLER, Moving, text
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


def analyst(moving: Moving) -> psycopg.Connection[Any]:
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
