"""The promises P1, P3, P4 and P8 after any sequence of changes, on a real Postgres.

A hypothesis state machine edits a scripted source and refreshes; a model in plain Python says what must be
published and what may have been embedded. Each example has a source of its own in one database.
"""

import itertools
import threading

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from rag_pipeline.chunks import split
from rag_pipeline.documents import parse
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.handover import Published
from rag_pipeline.model import Access
from rag_pipeline.settings import Guards, Settings
from rag_pipeline_tests.comparison import index_rows_written
from rag_pipeline_tests.scripted import Entry, scripted

GUARDS = Guards(max_deletions=0.5, max_widenings=0.5, min_documents=2)
NAMES = st.sampled_from([f"{folder}/{name}.md" for folder in ("a", "b") for name in ("one", "two", "three", "four")])
ACCESSES = st.sampled_from(
    [
        Access.of(allow, deny)
        for allow in ([], ["public"], ["group:eng"], ["group:eng", "user:bo"])
        for deny in ([], ["user:bo"])
    ]
)
WORDS = st.sampled_from(["alpha", "beta", "gamma", "delta", "eine Frage", "多言語", "x" * 40])
PARAGRAPHS = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)
SECTIONS = st.tuples(st.sampled_from(["# One", "## Two", "## Three", ""]), st.lists(PARAGRAPHS, max_size=3))
TEXTS = st.lists(SECTIONS, max_size=3).map(
    lambda parts: "\n\n".join(part for heading, body in parts for part in (heading, *body) if part)
)
numbers = itertools.count()
embedder = HashedEmbedder()


def embed_hashes(text: str) -> list[bytes]:
    """What a document's chunks must be embedded as, in order."""
    sections = split(parse(text.encode(), "text/markdown", ""), embedder.count_tokens, 200, 800)
    return [chunk.embed_hash for section in sections for chunk in section.chunks]


class Refreshes(RuleBasedStateMachine):
    base: Settings

    @initialize()
    def start(self) -> None:
        self.source = f"machine-{next(numbers)}"
        self.pipeline, self.world = scripted(self.base, self.source, GUARDS)
        self.published: dict[str, tuple[str, Access]] = {}
        self.stored = self.store()

    def store(self) -> set[bytes]:
        with self.pipeline.connected() as connection:
            return {row[0] for row in connection.execute("select embed_hash from rag.embedding_store")}

    @rule(name=NAMES, text=TEXTS, access=ACCESSES)
    def write(self, name: str, text: str, access: Access) -> None:
        self.world.documents[name] = Entry(text, access)

    @precondition(lambda self: self.world.documents)
    @rule(data=st.data(), new=NAMES)
    def rename(self, data: st.DataObject, new: str) -> None:
        old = data.draw(st.sampled_from(sorted(self.world.documents)))
        self.world.documents[new] = self.world.documents.pop(old)

    @precondition(lambda self: self.world.documents)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        del self.world.documents[data.draw(st.sampled_from(sorted(self.world.documents)))]

    @rule()
    def delete_all(self) -> None:
        self.world.documents.clear()

    @precondition(lambda self: self.world.documents)
    @rule(data=st.data(), access=ACCESSES)
    def change_access(self, data: st.DataObject, access: Access) -> None:
        self.world.documents[data.draw(st.sampled_from(sorted(self.world.documents)))].access = access

    @rule(access=ACCESSES)
    def change_all_access(self, access: Access) -> None:
        for entry in self.world.documents.values():
            entry.access = access

    @precondition(lambda self: self.world.documents)
    @rule(data=st.data(), text=PARAGRAPHS)
    def append(self, data: st.DataObject, text: str) -> None:
        self.world.documents[data.draw(st.sampled_from(sorted(self.world.documents)))].text += "\n\n" + text

    @rule()
    def refresh(self) -> None:
        self.check(self.pipeline.refresh(self.source), complete=True)

    @rule()
    def refresh_twice_at_once(self) -> None:
        results: list[Published] = []
        threads = [
            threading.Thread(target=lambda: results.append(self.pipeline.refresh(self.source))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 2
        self.check(max(results, key=lambda result: result.revision), complete=True, alone=False)

    @rule(hidden=st.sets(NAMES))
    def refresh_partial(self, hidden: set[str]) -> None:
        self.world.hidden, self.world.complete = hidden, False
        try:
            self.check(self.pipeline.refresh(self.source), complete=False)
        finally:
            self.world.hidden, self.world.complete = set(), True

    @rule(after=st.integers(0, 4))
    def refresh_broken(self, after: int) -> None:
        self.world.fails_after = after
        broken = after < len(self.world.documents)
        try:
            listed = dict(sorted(self.world.documents.items())[:after]) if broken else self.world.documents
            self.check(self.pipeline.refresh(self.source), complete=not broken, listed=listed)
        finally:
            self.world.fails_after = None

    @rule()
    def approve_and_refresh(self) -> None:
        self.pipeline.approve(self.source, "deletions", 100)
        self.pipeline.approve(self.source, "widenings", 100)
        self.check(self.pipeline.refresh(self.source), complete=True, approved=True)
        with self.pipeline.connected() as connection:
            connection.execute("update rag.approvals set used_at = now() where used_at is null")

    def check(
        self,
        result: Published,
        complete: bool,
        listed: dict[str, Entry] | None = None,
        approved: bool = False,
        alone: bool = True,
    ) -> None:
        listed = self.world.documents if listed is None else listed
        now = {name: (entry.text, entry.access) for name, entry in listed.items() if name not in self.world.hidden}
        expected = self.expect(now, complete, approved)
        with self.pipeline.connected() as connection:
            rows = connection.execute(
                """
                select document_id, allow, deny, coalesce(
                    (select array_agg(embed_hash order by section_starts[array_position(section_ids, section_id)]
                        + start_offset) from chunks join sections using (doc_key, section_id)
                     where chunks.doc_key = documents.doc_key), '{}') as hashes
                from documents join rag.access_lists using (acl_id) where documents.source = %s
                """,
                [self.source],
            ).fetchall()
            orphans = connection.execute("select count(*) from rag.orphan_chunks").fetchone()
            wrong = connection.execute(
                "select count(*) from chunks join documents using (doc_key) join chunk_vectors using (chunk_key) "
                "where chunks.acl_id <> documents.acl_id or chunk_vectors.acl_id <> documents.acl_id"
            ).fetchone()
        assert {row[0]: (tuple(row[1]), tuple(row[2])) for row in rows} == {
            name: (access.allow, access.deny) for name, (_, access) in expected.items()
        }
        for name, _, _, hashes in rows:
            assert hashes == embed_hashes(expected[name][0]), name
        assert (orphans, wrong) == ((0,), (0,))
        wanted = {text_hash for text, _ in expected.values() for text_hash in embed_hashes(text)}
        stored = self.store()
        assert stored - self.stored == wanted - self.stored
        if alone:
            assert result.texts_embedded == len(wanted - self.stored)
        self.stored, self.published = stored, expected
        if complete and expected == now:
            self.check_quiet(result)

    def check_quiet(self, result: Published) -> None:
        """A second refresh finds nothing to do, and verification nothing to mend."""
        with self.pipeline.connected() as connection:
            before = index_rows_written(connection)
            again = self.pipeline.refresh(self.source)
            assert index_rows_written(connection) == before
        assert (again.texts_embedded, again.chunks_written, again.documents_written) == (0, 0, 0)
        assert again.unchanged == again.listed == len(self.published)
        assert again.revision == result.revision or result.revision < again.revision
        verification = self.pipeline.verify(self.source)
        assert verification.equal, verification

    def expect(
        self, now: dict[str, tuple[str, Access]], complete: bool, approved: bool
    ) -> dict[str, tuple[str, Access]]:
        """Say in plain Python what must be published: the guards' rules, once more."""
        before = self.published
        gone = {name: before[name] for name in before.keys() - now.keys()}
        fresh = now.keys() - before.keys()
        old_access = {name: before[name][1] for name in now.keys() & before.keys()}
        if complete:
            by_text: dict[str, list[str]] = {}
            for name in sorted(gone):
                by_text.setdefault(gone[name][0], []).append(name)
            for name in sorted(fresh):
                if by_text.get(now[name][0]):
                    old_access[name] = gone.pop(by_text[now[name][0]].pop(0))[1]
        removed = len(gone) if complete else 0
        keep = not complete or (
            not approved and removed > 0 and (not now or (removed > 2 and removed > 0.5 * len(before)))
        )
        widened = [name for name, old in old_access.items() if wider(now[name][1], old)]
        hold = not approved and len(widened) > 2 and len(widened) > 0.5 * len(before)
        expected = dict(now)
        if hold:
            for name in widened:
                expected[name] = (now[name][0], now[name][1].narrowed(old_access[name]))
        return expected | (gone if keep else {})


def wider(new: Access, old: Access) -> bool:
    return new.narrowed(old) != new


def test_any_sequence_of_changes(settings: Settings) -> None:
    machine = type("Machine", (Refreshes,), {"base": settings})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=12,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
