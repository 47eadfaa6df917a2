"""A real history, refreshed at 40 points: at every one the index equals a build from scratch (P1, P3, P4)."""

from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection, sql

from rag_pipeline.database.embedded import EmbeddedServer
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.comparison import index_rows_written, published_rows
from rag_pipeline_tests.databases import copy_database
from rag_pipeline_tests.handbook import BUNDLE, MISSING, History

pytestmark = pytest.mark.skipif(not BUNDLE.exists(), reason=MISSING)

POINTS = 40


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History.unpack(tmp_path)


@pytest.fixture
def pipeline(settings: Settings, history: History) -> Pipeline:
    source = {
        "name": "handbook",
        "type": "git",
        "url": str(history.repository),
        "ref": "main",
        "include": ["**/*.md"],
        "access": ["public"],
        "guards": {"max_deletions": 1.0},
    }
    return Pipeline(Settings.model_validate(settings.model_dump() | {"folder": settings.folder, "sources": [source]}))


def stored_texts(connection: Connection[Any]) -> int:
    row = connection.execute("select count(*) from rag.embedding_store").fetchone()
    assert row
    return row[0]


@pytest.mark.timeout(900)
def test_every_state_equals_a_build_from_scratch(
    pipeline: Pipeline, history: History, server: EmbeddedServer, administrator: Connection[Any], template: str
) -> None:
    elsewhere = f"{template}_scratch"
    for commit in history.spread(POINTS):
        history.go_to(commit)
        with pipeline.connected() as connection:
            before = stored_texts(connection)
            result = pipeline.refresh("handbook")
            assert (result.complete, result.withheld) == (True, 0)
            # One page's front matter holds a template tag that is not YAML.
            assert result.quarantined <= 1
            assert result.texts_embedded == stored_texts(connection) - before

            written = index_rows_written(connection)
            again = pipeline.refresh("handbook")
            assert (again.texts_embedded, again.unchanged) == (0, again.listed - again.quarantined)
            assert index_rows_written(connection) == written
            incremental = published_rows(connection)

        copy_database(administrator, template, elsewhere)
        url = {"database": pipeline.settings.database.model_copy(update={"url": server.url(elsewhere)})}
        scratch = Pipeline(pipeline.settings.model_copy(update=url))
        scratch.refresh("handbook")
        with scratch.connected() as connection:
            rebuilt = published_rows(connection)
        for name, rows in incremental.items():
            assert rows == rebuilt[name], (commit, name)

        verification = pipeline.verify("handbook")
        assert (verification.ghosts, verification.missing, verification.different) == (0, 0, 0), verification.examples
    administrator.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(elsewhere)))


def test_a_pure_rename_embeds_nothing(pipeline: Pipeline, history: History) -> None:
    renames = history.pure_renames()
    assert len(renames) >= 3
    for before, after in renames[:3]:
        history.go_to(before)
        pipeline.refresh("handbook")
        history.go_to(after)
        result = pipeline.refresh("handbook")
        assert result.moved > 0
        assert (result.texts_embedded, result.tokens, result.chunks_written, result.chunks_deleted) == (0, 0, 0, 0)
