"""Generations beside each other: built from what is kept, kept equal, published at once, and back again."""

from typing import Any

import pytest
from psycopg import Connection, sql

from rag_pipeline.database.connection import connect
from rag_pipeline.errors import ConfigurationError, PermanentError
from rag_pipeline.index.flip import Gate, flip
from rag_pipeline.index.generations import Generation, generations, use_generation
from rag_pipeline.migration import Migration
from rag_pipeline.model import Access
from rag_pipeline.query import Caller, Index
from rag_pipeline.settings import Settings
from rag_pipeline_tests.comparison import published_rows
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World

DOCUMENTS = 12
PUBLIC = Access.of(["public"])


class Moving:
    """One source that is indexed, under settings that may change."""

    def __init__(self, settings: Settings) -> None:
        source = {"name": "notes", "type": "files", "path": ".", "guards": {"min_documents": 3}}
        self.settings = Settings.model_validate(
            settings.model_dump() | {"folder": settings.folder, "sources": [source]}
        )
        self.world = World()
        for number in range(DOCUMENTS):
            self.world.documents[f"{number}.md"] = Entry(text(number), PUBLIC)

    def pipeline(self, **changes: dict[str, Any]) -> ScriptedPipeline:
        """Return a new pipeline, with other settings where they are given."""
        return ScriptedPipeline(self.with_(**changes), {"notes": self.world})

    def migration(self, gate: Gate | None = None, **changes: dict[str, Any]) -> Migration:
        """Return the migration to other settings."""
        migration = Migration(self.with_(**changes), gate=gate)
        migration.pipeline = self.pipeline(**changes)
        return migration

    def with_(self, **changes: dict[str, Any]) -> Settings:
        """Return the settings with some keys of some sections changed."""
        return Settings.model_validate(
            self.settings.model_dump()
            | {"folder": self.settings.folder}
            | {name: getattr(self.settings, name).model_dump() | keys for name, keys in changes.items()}
        )

    def rows(self, generation: int) -> dict[str, list[Any]]:
        """Return the rows of a generation by their natural keys."""
        with connect(self.settings) as connection:
            use_generation(connection, generation)
            return published_rows(connection, generation)

    def one(self, query: str) -> Any:
        """Return the first value that a query gives."""
        with connect(self.settings) as connection:
            row = connection.execute(sql.SQL(query)).fetchone()  # pyright: ignore[reportArgumentType]
        return row and row[0]

    def found(self, question: str, *principals: str, k: int = 30) -> set[str]:
        """Return the documents that a search finds."""
        with Index.connect(self.settings) as index:
            return {hit.document_id for hit in index.search(question, caller=Caller(*principals or ("public",)), k=k)}


def text(number: int, words: int = 400) -> str:
    return f"# Note {number}\n\n## About\n\n" + " ".join(f"word{number}x{each % 50}" for each in range(words)) + "\n"


LONGER: dict[str, Any] = {"embedding": {"dimensions": 96}}
SMALLER: dict[str, Any] = {"chunking": {"max_tokens": 64, "window_tokens": 256}}


@pytest.fixture
def moving(settings: Settings) -> Moving:
    moving = Moving(settings)
    moving.pipeline().refresh("notes")
    return moving


def test_there_and_back(moving: Moving) -> None:
    migration = moving.migration(**LONGER)
    plan = migration.plan()
    assert (plan.live, plan.generation, plan.documents, plan.counted, plan.exact) == (1, 2, DOCUMENTS, DOCUMENTS, True)
    assert [str(difference) for difference in plan.differences] == [
        "model is 'hashed/64' in the index and 'hashed/96' in the settings",
        "dimensions is 64 in the index and 96 in the settings",
    ]
    assert plan.hours is not None
    fetched = moving.world.fetched
    status = migration.start()
    assert (status.generation, status.ready, status.live) == (2, True, 1)
    assert moving.world.fetched == fetched, "no source is asked"
    assert plan.texts_to_embed == moving.one("select count(*) from rag.embedding_store where model = 'hashed/96'")
    assert plan.chunks == moving.one("select count(*) from rag_g2.chunks")
    assert plan.tokens == moving.one("select sum(tokens) from rag.embedding_store where model = 'hashed/96'")
    before = moving.found("word3x1")
    assert moving.one("select generation from rag.index_state()") == 1
    flip = migration.publish()
    assert (flip.live, flip.previous, flip.narrowed) == (2, 1, 0)
    assert moving.one("select model from rag.index_state()") == "hashed/96"
    estimated = moving.one("select reltuples from pg_class where oid = 'rag_g2.chunk_vectors'::regclass")
    assert estimated == plan.chunks, "the planner knows the tables before anybody searches them"
    assert moving.one("select count(*) from rag.chunks") == plan.chunks
    assert moving.found("word3x1") == before
    assert migration.status().retired == (1,)
    back = migration.rollback()
    assert (back.live, back.previous) == (1, 2)
    assert moving.found("word3x1") == before
    assert migration.publish().live == 2
    migration.drop(1)
    assert moving.one("select state from rag.generations where generation = 1") == "dropped"
    assert moving.one("select to_regnamespace('rag_g1')::text") is None
    assert moving.one("select count(*) from rag.generation_history") == 2
    with pytest.raises(ConfigurationError, match="is live"):
        migration.drop(2)
    with pytest.raises(ConfigurationError, match="no generation to go back to"):
        migration.rollback()


def test_a_refresh_keeps_both_equal(moving: Moving) -> None:
    moving.migration(**SMALLER).start()
    moving.world.documents["0.md"].text += "\nAnd more.\n"
    moving.world.documents["new.md"] = Entry(text(77), Access.of(["group:hr"]))
    moving.world.documents["moved.md"] = moving.world.documents.pop("1.md")
    moving.world.documents["2.md"].access = Access.of(["group:eng"])
    del moving.world.documents["3.md"]
    published = moving.pipeline(**SMALLER).refresh("notes")
    assert (published.generation, published.added, published.moved, published.removed) == (1, 1, 1, 1)
    assert moving.migration(**SMALLER).status().ready
    assert equal_to_a_rebuild(moving)
    fetched, texts = moving.world.fetched, moving.one("select count(*) from rag.embedding_store")
    quiet = moving.pipeline(**SMALLER).refresh("notes")
    assert (quiet.documents_written, quiet.texts_embedded) == (0, 0)
    assert moving.one("select count(distinct snapshot_id) from rag.generation_sources") == 1
    assert moving.one("select count(*) from rag.embedding_store") == texts
    assert moving.world.fetched - fetched == len(moving.world.documents), "only what has no version token is read"
    moving.migration(**SMALLER).publish()
    assert moving.found("word77x1") - moving.found("word77x1", "user:nobody") == set()
    assert "new.md" in moving.found("word77x1", "group:hr")
    assert moving.pipeline(**SMALLER).refresh("notes").generation == 3
    assert moving.pipeline(**SMALLER).verify("notes").equal


def equal_to_a_rebuild(moving: Moving) -> bool:
    """Whether the generation that is built holds what one that is built now would hold."""
    built = moving.rows(2)
    migration = moving.migration(**SMALLER)
    migration.drop(2)
    migration.start()
    assert moving.rows(3) == built
    return True


@pytest.mark.parametrize("changes", [LONGER, SMALLER, LONGER | SMALLER], ids=["model", "chunks", "both"])
def test_what_is_built_equals_an_index_made_from_nothing(moving: Moving, changes: dict[str, Any]) -> None:
    moving.migration(**changes).start()
    built = moving.rows(2)
    moving.migration(**changes).publish()
    for generation in (1, 2):
        with connect(moving.settings, role=None) as owner:
            owner.execute(f"drop schema rag_g{generation} cascade".encode())
    with connect(moving.settings, role=None) as owner:
        for table in ("refreshes", "generation_sources", "quarantine", "applied_objects", "generations"):
            owner.execute(f"delete from rag.{table}".encode())
    moving.pipeline(**changes).refresh("notes")
    assert moving.rows(1) == built


def test_what_is_withheld_or_unreadable_stays_in_both(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    moving.world.documents = {name: moving.world.documents[name] for name in ("0.md", "1.md", "2.md")}
    moving.world.documents["1.md"].text = "\0\1\2" * 100
    moving.world.documents["2.md"].access = Access.of(["group:eng"])
    published = moving.pipeline(**SMALLER).refresh("notes")
    assert (published.withheld_deletions, published.quarantined) == (DOCUMENTS - 3, 1)
    assert migration.status().ready
    assert moving.one("select count(*) from rag_g2.documents") == DOCUMENTS
    migration.publish()
    assert moving.one("select count(*) from rag.documents") == DOCUMENTS
    assert "2.md" not in moving.found("word2x1")
    pipeline = moving.pipeline(**SMALLER)
    pipeline.approve("notes", "deletions", 100)
    published = pipeline.refresh("notes")
    assert (published.generation, published.removed, published.quarantined) == (2, DOCUMENTS - 3, 1)


def test_nothing_else_is_published(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    with pytest.raises(ConfigurationError, match="no generation is being built"):
        migration.publish()
    with pytest.raises(ConfigurationError, match="nothing to migrate"):
        moving.migration().start()
    migration.start()
    with pytest.raises(ConfigurationError, match="max_tokens is 64 in the index and 100 in the settings"):
        moving.migration(chunking={"max_tokens": 100}).start()
    with connect(moving.settings) as connection:
        connection.execute("update rag.generation_sources set revision = revision + 1 where generation = 1")
    with pytest.raises(PermanentError, match="notes is at snapshot"):
        migration.publish()
    assert not migration.status().ready
    migration.start()
    refused = "the answers are worse"

    def closed(connection: Connection[Any], live: Generation, other: Generation) -> None:
        assert (live.number, other.number) == (1, 2)
        raise PermanentError(refused)

    with pytest.raises(PermanentError, match=refused):
        moving.migration(closed, **SMALLER).publish()
    for broken, what in (
        ("delete from rag_g2.chunk_vectors where chunk_key = 1", "1 chunks without a vector"),
        ("update rag_g2.lexicon set df = df + 1 where place = (select min(place) from rag_g2.lexicon)", "words more"),
        ("update rag_g2.documents set uri = 'elsewhere' where document_id = '0.md'", "1 documents that differ"),
    ):
        with connect(moving.settings, role=None) as owner, owner.transaction(force_rollback=True):
            owner.execute("alter table rag_g2.chunk_vectors disable row level security")
            owner.execute(broken.encode())
            with pytest.raises(PermanentError, match=what):
                flip_in(owner, moving)
    assert moving.one("select generation from rag.index_state()") == 1
    assert moving.migration(closed, **SMALLER).publish(force=True).live == 2


def flip_in(connection: Connection[Any], moving: Moving) -> None:
    """Try to publish in a session that has broken something."""
    use_generation(connection, 2)
    found = generations(connection)
    flip(connection, found[0], found[1], check=True, gate=None)


def test_access_never_widens_by_going_back(moving: Moving) -> None:
    moving.world.documents["0.md"].access = Access.of(["group:eng", "group:hr"])
    moving.pipeline().refresh("notes")
    migration = moving.migration(**SMALLER)
    migration.start()
    migration.publish()
    moving.world.documents["0.md"].access = Access.of(["group:eng", "user:bo"])
    moving.world.documents["1.md"].access = Access.of(["group:eng"])
    del moving.world.documents["2.md"]
    moving.pipeline(**SMALLER).refresh("notes")
    # The list of the first changed as a whole, in every generation.
    assert migration.rollback().narrowed == 2
    assert moving.found("word0x1", "group:eng") >= {"0.md"}
    assert "0.md" not in moving.found("word0x1", "group:hr")
    assert "1.md" not in moving.found("word1x1")
    assert "2.md" not in moving.found("word2x1")
    assert moving.pipeline(**SMALLER).refresh("notes").generation == 1
    held = [[(row[1], row[10], row[11]) for row in moving.rows(generation)["documents"]] for generation in (1, 2)]
    assert held[0] == held[1]
    assert moving.found("word1x1", "group:eng") >= {"1.md"}
    assert moving.found("word0x1", "user:bo") >= {"0.md"}


def test_a_list_that_another_generation_uses_otherwise_is_not_changed_for_both(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    migration.publish()
    moving.world.documents["0.md"].access = Access.of(["user:ceo"])
    moving.pipeline(**SMALLER).refresh("notes")
    for name in list(moving.world.documents)[1:]:
        moving.world.documents[name].access = Access.of(["group:eng"])
    moving.pipeline(**SMALLER).refresh("notes")
    held = "select count(*) from rag_g1.documents join rag.access_lists using (acl_id) where allow = '{public}'"
    assert moving.one(held) == DOCUMENTS, "what is retired keeps the readers that it had"
    migration.rollback()
    assert "0.md" not in moving.found("word0x1", "group:eng")


def test_a_failure_of_the_one_that_is_built_is_none_of_the_live_one(moving: Moving) -> None:
    migration = moving.migration(**SMALLER)
    migration.start()
    moving.world.documents["0.md"].text += "\nChanged.\n"
    with connect(moving.settings, role=None) as owner:
        owner.execute("alter table rag_g2.chunks add constraint nothing_new check (text not like '%Changed%')")
    published = moving.pipeline(**SMALLER).refresh("notes")
    assert (published.generation, published.changed) == (1, 1)
    (source,) = migration.status().sources
    assert (source.built, source.equal) == (True, False)
    assert "nothing_new" in (source.failure or "")
    with pytest.raises(PermanentError, match="notes is at snapshot"):
        migration.publish()
    with connect(moving.settings, role=None) as owner:
        owner.execute("alter table rag_g2.chunks drop constraint nothing_new")
    moving.pipeline(**SMALLER).refresh("notes")
    (source,) = migration.status().sources
    assert (source.equal, source.failure) == (True, None)


def test_after_an_upgrade_the_live_one_is_searched_and_the_next_one_refreshed(moving: Moving) -> None:
    with connect(moving.settings) as connection:
        connection.execute("update rag.generations set recipe = recipe || '{\"chunker_version\": 0}'")
    with pytest.raises(ConfigurationError, match="chunker_version is 0 in the index and"):
        moving.pipeline().refresh("notes")
    migration = moving.migration()
    assert [difference.part for difference in migration.plan().differences] == ["chunker_version"]
    migration.start()
    moving.world.documents["new.md"] = Entry(text(77), PUBLIC)
    assert moving.pipeline().refresh("notes").generation == 2
    assert "new.md" not in moving.found("word77x1")
    assert migration.status().ready
    migration.start()
    assert moving.one("select count(*) from rag_g2.documents") == DOCUMENTS + 1, "it does not go back to the live one"
    flip = migration.publish()
    assert (flip.live, flip.narrowed) == (2, 0)
    assert "new.md" in moving.found("word77x1")
    migration.rollback()
    assert moving.pipeline().refresh("notes").generation == 2


def test_housekeeping_keeps_what_any_generation_needs(moving: Moving) -> None:
    migration = moving.migration(**LONGER)
    migration.start()
    with connect(moving.settings) as connection:
        connection.execute("update rag.embedding_store set unused_since = now() - interval '1 year'")
    vectors = moving.one("select count(*) from rag.embedding_store")
    assert moving.pipeline(**LONGER).housekeeping().vectors == 0
    assert moving.one("select count(*) from rag.embedding_store where unused_since is null") == vectors
    migration.publish()
    migration.drop(1)
    with connect(moving.settings) as connection:
        moving.pipeline(**LONGER).housekeeping()
        connection.execute("update rag.embedding_store set unused_since = unused_since - interval '1 year'")
    assert moving.pipeline(**LONGER).housekeeping().vectors == vectors / 2
    assert moving.one("select count(*) from rag.embedding_store where model = 'hashed/96'") == vectors / 2


def test_a_plan_counts_a_part_and_says_so(moving: Moving) -> None:
    part, whole = moving.migration(**SMALLER).plan(at_most=6), moving.migration(**SMALLER).plan(None)
    assert (part.counted, part.exact, whole.counted, whole.exact) == (6, False, DOCUMENTS, True)
    assert part.chunks == pytest.approx(whole.chunks, rel=0.2)
    alike = moving.migration(**LONGER).plan(at_most=6)
    assert (alike.counted, alike.exact) == (6, True), "what is cut alike is counted in the live generation"
    assert alike.chunks == moving.migration(**LONGER).plan(None).chunks
    assert moving.one("select count(*) from rag.generations") == 1
    assert moving.one("select count(*) from rag.embedding_store where model = 'hashed/96'") == 0
