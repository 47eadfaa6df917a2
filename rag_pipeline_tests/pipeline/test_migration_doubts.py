"""What two generations beside each other must not lead to: wider access, ghosts, or one that cannot be published."""

from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel

from rag_pipeline.database.connection import connect, server_url
from rag_pipeline.errors import PermanentError
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
