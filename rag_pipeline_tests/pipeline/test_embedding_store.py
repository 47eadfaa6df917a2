"""How long vectors are kept: as long as a generation searches in them or a run wants them, and then for a while."""

from typing import Any

import pytest
from psycopg import Connection, sql

from rag_pipeline.database.connection import connect
from rag_pipeline.model import Access
from rag_pipeline.settings import Settings
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

PUBLIC = Access.of(["public"])


@pytest.fixture
def handbook(settings: Settings) -> tuple[ScriptedPipeline, World]:
    pipeline, world = scripted(settings, "handbook")
    for number in range(4):
        world.documents[f"{number}.md"] = Entry(f"# Page {number}\n\nAbout topic {number}.\n", PUBLIC)
    pipeline.refresh("handbook")
    return pipeline, world


def age(connection: Connection[Any], days: int) -> None:
    """Let vectors that wait have waited for some days more."""
    connection.execute("update rag.embedding_store set unused_since = unused_since - make_interval(days => %s)", [days])


def test_a_vector_that_nothing_uses_stays_for_the_days_of_the_setting(
    handbook: tuple[ScriptedPipeline, World], connection: Connection[Any]
) -> None:
    pipeline, world = handbook
    world.documents["1.md"].text = "# Page 1\n\nAnother text.\n"
    pipeline.refresh("handbook")
    assert pipeline.housekeeping().vectors == 0
    age(connection, pipeline.settings.workspace.keep_days - 1)
    assert pipeline.housekeeping().vectors == 0
    age(connection, 2)
    assert pipeline.housekeeping().vectors == 1
    world.documents["1.md"].text = "# Page 1\n\nAbout topic 1.\n"
    assert pipeline.refresh("handbook").texts_embedded == 1


def test_a_vector_that_a_run_wants_again_is_not_taken_away_from_it(
    handbook: tuple[ScriptedPipeline, World], connection: Connection[Any]
) -> None:
    pipeline, world = handbook
    text = world.documents["1.md"].text
    world.documents["1.md"].text = "# Page 1\n\nAnother text.\n"
    pipeline.refresh("handbook")
    assert pipeline.housekeeping().vectors == 0
    age(connection, 100)
    world.documents["1.md"].text = text
    changes = pipeline.changed_documents(pipeline.content_hashes(pipeline.source_snapshot("handbook")))
    embedded = pipeline.embeddings(pipeline.chunks(changes))
    assert (embedded.texts_wanted, embedded.texts_found, embedded.embedded, embedded.hit_rate) == (1, 1, 0, 1.0)
    assert pipeline.housekeeping().vectors == 0
    assert pipeline.published_index(embedded, 0.0).changed == 1


def test_every_generation_keeps_the_vectors_of_its_own_model(
    handbook: tuple[ScriptedPipeline, World], settings: Settings, connection: Connection[Any]
) -> None:
    pipeline, _ = handbook
    for model in (b"other/64", b"forgotten/64"):
        connection.execute(
            sql.SQL(
                "insert into rag.embedding_store (model, embed_hash, embedding, tokens)"
                " select {}, embed_hash, embedding, tokens from rag.embedding_store where model = 'hashed/64'"
            ).format(model.decode())
        )
    with connect(settings, role=None) as administrator:
        administrator.execute(
            "insert into rag.generations (generation, recipe, fingerprint, model, dimensions, state, layout)"
            " select 2, recipe, 'another', 'other/64', dimensions, 'retired', layout from rag.generations"
        )
        administrator.execute("create schema rag_g2 authorization rag_owner")
        administrator.execute("create table rag_g2.documents as select * from rag_g1.documents")
        administrator.execute("create table rag_g2.chunks as select * from rag_g1.chunks limit 3")
        administrator.execute("grant usage on schema rag_g2 to rag_writer")
        administrator.execute("grant select on rag_g2.documents, rag_g2.chunks to rag_writer")
    assert pipeline.housekeeping().vectors == 0
    age(connection, 100)
    assert pipeline.housekeeping().vectors == 1 + 4
    kept = connection.execute("select model, count(*) from rag.embedding_store group by 1 order by 1").fetchall()
    assert kept == [("hashed/64", 4), ("other/64", 3)]
    # The session that did it still means the live generation.
    assert pipeline.refresh("handbook").unchanged == 4


def test_what_a_killed_run_left_reserved_is_forgotten_after_its_month(
    handbook: tuple[ScriptedPipeline, World], connection: Connection[Any]
) -> None:
    pipeline, _ = handbook
    for ago in ("0 days", "40 days"):
        connection.execute(
            "insert into rag.budget_reservations (model, cost_usd, changed_at)"
            " values ('paid/8', 1, now() - %s::interval)",
            [ago],
        )
    pipeline.housekeeping()
    row = connection.execute("select count(*) from rag.budget_reservations").fetchone()
    assert row == (1,)
