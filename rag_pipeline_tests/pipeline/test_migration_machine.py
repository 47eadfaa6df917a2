"""Generations after any sequence of changes, refreshes, migrations and returns, on a real Postgres.

A hypothesis state machine edits a scripted source and moves the index to and fro between two recipes. Plain Python says
what each generation must hold: the same documents with the same readers, cut as its own recipe cuts them.
"""

from typing import Any

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from rag_pipeline.chunks import split
from rag_pipeline.database.connection import connect
from rag_pipeline.documents import parse
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.index.generations import use_generation
from rag_pipeline.migration import Migration
from rag_pipeline.model import NOBODY, Access
from rag_pipeline.settings import Settings
from rag_pipeline_tests.comparison import published_rows
from rag_pipeline_tests.pipeline.test_state_machine import ACCESSES, NAMES, TEXTS
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World

SOURCE = {"name": "notes", "type": "files", "path": ".", "guards": {"max_deletions": 1, "max_widenings": 1}}
RECIPES: dict[str, dict[str, Any]] = {
    "hashed/64": {"embedding": {"provider": "hashed"}, "chunking": {}},
    "hashed/32": {
        "embedding": {"provider": "hashed", "dimensions": 32},
        "chunking": {"max_tokens": 32, "window_tokens": 64},
    },
}
HELD = """
    select document_id, allow, deny, coalesce(
        (select array_agg(embed_hash order by section_starts[array_position(section_ids, section_id)] + start_offset)
         from chunks where chunks.doc_key = documents.doc_key), '{}')
    from documents join rag.access_lists using (acl_id)
"""
Held = dict[str, tuple[Access, list[bytes]]]
count_tokens = HashedEmbedder().count_tokens


class Migrations(RuleBasedStateMachine):
    base: Settings

    @initialize()
    def start(self) -> None:
        with connect(self.base, role=None) as owner:
            for (number,) in owner.execute("select generation from rag.generations").fetchall():
                owner.execute(f"drop schema if exists rag_g{number} cascade".encode())
            for table in ("refreshes", "generation_sources", "quarantine", "applied_objects", "generations"):
                owner.execute(f"delete from rag.{table}".encode())
            owner.execute("delete from rag.tombstones")
        self.world = World({"a/one.md": Entry("# One\n\nalpha beta", Access.of(["public"]))})
        self.wanted = "hashed/64"
        self.refresh()

    def settings(self) -> Settings:
        values = self.base.model_dump() | RECIPES[self.wanted] | {"sources": [SOURCE], "folder": self.base.folder}
        return Settings.model_validate(values)

    def pipeline(self) -> ScriptedPipeline:
        return ScriptedPipeline(self.settings(), {"notes": self.world})

    def migration(self) -> Migration:
        migration = Migration(self.settings())
        migration.pipeline = self.pipeline()
        return migration

    @rule(name=NAMES, text=TEXTS, access=ACCESSES)
    def write(self, name: str, text: str, access: Access) -> None:
        self.world.documents[name] = Entry(text, access)

    @rule(data=st.data(), new=NAMES)
    def rename(self, data: st.DataObject, new: str) -> None:
        old = data.draw(st.sampled_from(sorted(self.world.documents)))
        self.world.documents[new] = self.world.documents.pop(old)

    @precondition(lambda self: len(self.world.documents) > 1)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        del self.world.documents[data.draw(st.sampled_from(sorted(self.world.documents)))]

    @rule(access=ACCESSES)
    def change_all_access(self, access: Access) -> None:
        for entry in self.world.documents.values():
            entry.access = access

    @rule()
    def refresh(self) -> None:
        published = self.pipeline().refresh("notes")
        self.published = {name: (entry.text, entry.access) for name, entry in self.world.documents.items()}
        status = self.migration().status()
        assert published.generation == status.live
        assert [source.failure for source in status.sources if source.failure] == []
        assert self.held(status.live) == self.expected(status.live_model)
        self.check_building()

    @rule()
    def migrate(self) -> None:
        status = self.migration().status()
        self.wanted = status.model or next(model for model in RECIPES if model != status.live_model)
        assert self.migration().start().ready
        self.check_building()

    @precondition(lambda self: self.migration().status().ready)
    @rule()
    def publish(self) -> None:
        status = self.migration().status()
        before = self.held(status.live)
        flip = self.migration().publish()
        assert (flip.live, flip.previous) == (status.generation, status.live)
        after = self.held(flip.live)
        # One that is ahead, as after going back, may know more.
        if self.equal_before(flip.live):
            assert flip.narrowed == 0
            assert {name: access for name, (access, _) in after.items()} == {
                name: access for name, (access, _) in before.items()
            }

    def equal_before(self, live: int) -> bool:
        with connect(self.base) as connection:
            rows = connection.execute("select count(distinct snapshot_id) from rag.generation_sources").fetchone()
        return rows == (1,)

    @rule(data=st.data(), access=ACCESSES, text=TEXTS)
    def there_and_back(self, data: st.DataObject, access: Access, text: str) -> None:
        """What seldom comes up by itself: one is published, its readers change, and the one before is gone back to."""
        for name in ("a/one.md", "a/two.md", "b/one.md"):
            self.write(name, text, Access.of(["public"]))
        self.refresh()
        self.migrate()
        self.publish()
        self.world.documents[data.draw(st.sampled_from(sorted(self.world.documents)))].access = access
        del self.world.documents["b/one.md"]
        self.refresh()
        self.go_back()

    @precondition(lambda self: self.migration().status().retired)
    @rule()
    def go_back(self) -> None:
        status = self.migration().status()
        seen = self.held(status.live)
        then = self.held(status.retired[0])
        flip = self.migration().rollback()
        assert flip.live == status.retired[0]
        for name, (access, hashes) in self.held(flip.live).items():
            assert hashes == then[name][1]
            now = seen[name][0] if name in seen else NOBODY
            if self.equal_before(flip.live):
                assert access == then[name][0]
            else:
                assert access == then[name][0].narrowed(now)

    @precondition(lambda self: self.migration().status().retired)
    @rule()
    def drop(self) -> None:
        self.migration().drop(self.migration().status().retired[-1])

    def check_building(self) -> None:
        """The generation that is built, if one is, holds what the live one does, and what a new one would."""
        status = self.migration().status()
        if status.generation is None or status.model is None or not status.ready:
            return
        live = self.held(status.live)
        built = self.held(status.generation)
        if self.equal_before(status.live):
            assert {name: access for name, (access, _) in built.items()} == {
                name: access for name, (access, _) in live.items()
            }
        with connect(self.base) as connection:
            use_generation(connection, status.generation)
            published_rows(connection, status.generation)
            wrong = connection.execute(
                "select count(*) from chunks join documents using (doc_key) left join chunk_vectors using (chunk_key) "
                "left join chunk_terms using (chunk_key) where chunks.acl_id <> documents.acl_id "
                "or chunk_vectors.acl_id is distinct from documents.acl_id "
                "or chunk_terms.acl_id is distinct from documents.acl_id"
            ).fetchone()
        assert wrong == (0,)

    def held(self, generation: int) -> Held:
        with connect(self.base) as connection:
            use_generation(connection, generation)
            rows = connection.execute(HELD).fetchall()
        return {name: (Access(tuple(allow), tuple(deny)), hashes) for name, allow, deny, hashes in rows}

    def expected(self, model: str) -> Held:
        chunking = Settings.model_validate(RECIPES[model]).chunking
        found: Held = {}
        for name, (text, access) in self.published.items():
            document = parse(text.encode(), "text/markdown", "")
            sections = split(document, count_tokens, chunking.max_tokens, chunking.window_tokens)
            found[name] = (access, [chunk.embed_hash for section in sections for chunk in section.chunks])
        return found


def test_any_sequence_of_migrations(settings: Settings) -> None:
    machine = type("Machine", (Migrations,), {"base": settings})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=5,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
