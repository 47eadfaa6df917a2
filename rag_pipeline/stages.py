"""The whole refresh, on one page: six stages, each a function of what the one before handed over.

A Dagster asset calls one of them and reports its numbers; tests, benchmarks and `refresh` below call
the same ones without Dagster.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import Connection

from rag_pipeline.building import build_first, follow_if_built
from rag_pipeline.changes.diff import find_changes
from rag_pipeline.changes.hashes import hash_contents
from rag_pipeline.chunks.build import build_chunks
from rag_pipeline.database.connection import Role, connect, gone, local_folder
from rag_pipeline.database.sessions import Sessions
from rag_pipeline.database.statements import statements
from rag_pipeline.documents.isolation import Parsers
from rag_pipeline.embeddings import Embedder
from rag_pipeline.embeddings.budget import open_budget
from rag_pipeline.embeddings.lookup import count_missing_tokens, look_up
from rag_pipeline.embeddings.prices import price
from rag_pipeline.embeddings.store import embed_missing
from rag_pipeline.errors import ConfigurationError, PermanentError, StateMoved, TransientError
from rag_pipeline.evaluation.compare import Verdict
from rag_pipeline.evaluation.gate import open_gate
from rag_pipeline.handover import Changes, Chunked, Embedded, Hashes, Published, Snapshot
from rag_pipeline.index.flip import narrow_frozen
from rag_pipeline.index.generations import Generation, generations, in_state, use_generation
from rag_pipeline.index.housekeeping import Removed, remove_expired
from rag_pipeline.index.publish import Gate, Written, is_quiet, publish, summary
from rag_pipeline.index.vector_index import maintain_graph
from rag_pipeline.index.verify import Verification, compare, recount
from rag_pipeline.index.withdraw import withdrawing
from rag_pipeline.progress import Progress, silent
from rag_pipeline.settings import Settings
from rag_pipeline.sources import Source, open_source
from rag_pipeline.sources.snapshot import register, take_snapshot
from rag_pipeline.targets import Targets
from rag_pipeline.workspace import Workspace

_ATTEMPTS = 3


class Pipeline:
    """The stages of one workspace. `run_id` is written beside everything that a run does or spends."""

    def __init__(self, settings: Settings, run_id: str | None = None, progress: Progress = silent) -> None:
        self.settings = settings
        self.run_id = run_id
        self.progress = progress
        self.workspace = Workspace(settings)
        self.targets = Targets(settings)
        self._sessions = Sessions(settings)
        self.verdict: Verdict | None = None
        """What the gate said of the last publication, if it was asked."""

    @property
    def embedder(self) -> Embedder:
        """The embedding model of the settings, which the live generation need not be made with."""
        return self.targets.embedder

    @embedder.setter
    def embedder(self, embedder: Embedder) -> None:
        self.targets.use(embedder)

    @property
    def generation(self) -> int:
        """The generation that refreshes publish to; databases and tables are made when they are missing."""
        with self.working() as (_, generation):
            return generation.number

    @contextmanager
    def connected(self) -> Iterator[Connection[Any]]:
        """Give a connection on which table names mean the generation that refreshes publish to."""
        with self.working() as (connection, _):
            yield connection

    @contextmanager
    def working(self, number: int | None = None) -> Iterator[tuple[Connection[Any], Generation]]:
        """Give a generation, without a number the one that refreshes publish to, and a connection on its tables.

        Raises `TransientError` when the database goes away meanwhile.
        """
        assert self.targets.prepared
        try:
            with self._sessions.lent() as connection:
                targets = self.targets
                generation = targets.refreshed(connection) if number is None else targets.generation(number)
                use_generation(connection, generation.number)
                yield connection, generation
        except psycopg.errors.ProgramLimitExceeded as error:
            raise PermanentError(f"the database cannot hold what it was given: {error}") from error
        except psycopg.OperationalError as error:
            what = "went away" if gone(error) else "could not go on"
            raise TransientError(
                f"the database {what}; the next run goes on where this one stopped. {error}"
            ) from error

    @contextmanager
    def opened(self, source: str) -> Iterator[Source]:
        """Give the connector of a source."""
        own = local_folder(self.settings)
        connector = open_source(self.settings.source(source), self.settings.folder, own / "cache" / source, own)
        try:
            yield connector
        finally:
            connector.close()

    def source_snapshot(self, source: str, build: bool = True) -> Snapshot:
        """List what the source holds now, and whether that is all of it.

        With `build` a source that is new to a generation which is refreshed before it is live is built there first.
        """
        with self.working() as (connection, generation), self.opened(source) as connector:
            if build and generation.state == "building":
                build_first(self, source, generation)
            connector.check()
            return take_snapshot(connection, self.workspace, self.settings.source(source), connector, self.progress)

    def content_hashes(self, snapshot: Snapshot, read_all: bool = False) -> Hashes:
        """Read and hash what may have changed; decide who may read each document."""
        with self.connected() as connection, self.opened(snapshot.source) as connector:
            return hash_contents(
                connection, self.workspace, snapshot, connector.fetch, self.progress, read_all=read_all
            )

    def changed_documents(self, hashes: Hashes, everything: bool = False) -> Changes:
        """Compare with what is published; withhold what looks like an accident."""
        guards = self.settings.source(hashes.snapshot.source).guards
        with self.working() as (connection, generation):
            return find_changes(
                connection,
                self.workspace,
                hashes,
                guards,
                generation.number,
                generation.recipe.parser_version,
                generation.recipe.model,
                everything=everything,
            )

    def chunks(self, changes: Changes) -> Chunked:
        """Parse what is new and cut it into sections and chunks, as the recipe of the generation says."""
        generation = self.targets.generation(changes.generation)
        with Parsers(self.settings.parsing) as parsers:
            return build_chunks(
                self.workspace,
                changes,
                parsers,
                self.targets.embedder_of(generation).count_tokens,
                generation.recipe.max_tokens,
                generation.recipe.window_tokens,
                self.progress,
                self.settings.parsing.max_chunks,
            )

    def embeddings(self, chunked: Chunked) -> Embedded:
        """Buy the vectors that the store does not have, within the budget."""
        source = chunked.changes.hashes.snapshot.source
        with (
            withdrawing(self.working, self.workspace, chunked),
            self.working(chunked.changes.generation) as (connection, generation),
        ):
            embedder = self.targets.embedder_of(generation)
            with open_budget(connection, self.settings.budget, embedder.model, self.run_id, source) as budget:
                return embed_missing(connection, self.workspace, chunked, embedder, self.progress, self.run_id, budget)

    def published_index(self, embedded: Embedded, seconds: float) -> Published:
        """Merge, prune, check and commit, in one transaction. `seconds` is what the refresh took so far.

        Where the live generation is refreshed no more, its readers follow: who lost a document loses it there, too.
        """
        with withdrawing(self.working, self.workspace, embedded.chunked), self.working() as (connection, generation):
            with self._gated(connection, generation, embedded) as gate:
                published = publish(connection, self.workspace, embedded, generation, self.run_id, seconds, gate=gate)
            live = in_state(generations(connection), "live") if generation.state == "building" else None
        if live is not None and live.readable:
            with self.working(self.targets.know(live).number) as (connection, _):
                narrow_frozen(connection, live, generation)
        folder = embedded.chunked.changes.hashes.snapshot.folder
        if published.revision == embedded.chunked.changes.revision:
            self.workspace.remove_folder(folder)
        return published

    @contextmanager
    def _gated(self, connection: Connection[Any], generation: Generation, embedded: Embedded) -> Iterator[Gate | None]:
        """Give the gate of the settings; None where it is off, or nothing that readers see would change."""
        self.verdict = gate = None
        if generation.state == "live" and not is_quiet(embedded):
            gate = open_gate(self.settings, self.targets.embedder_of(generation))
        if gate is None:
            yield None
            return
        try:
            with gate.recorded(connection, "refresh", self.run_id, embedded.chunked.changes.hashes.snapshot.source):
                yield gate.at_refresh
        finally:
            self.verdict = gate.verdict

    def vector_index(self, mend: bool = False, number: int | None = None) -> str | None:
        """Build the graph over the vectors once there are many; with `mend`, also make it anew when much of it is dead.

        Of the generation that refreshes publish to, or of the given one. Returns what was done, ``build`` or
        ``rebuild``, or None.
        """
        generation = self.generation if number is None else number

        def session(role: Role | None) -> Connection[Any]:
            connection = connect(self.settings, role=role)
            use_generation(connection, generation)
            return connection

        return maintain_graph(session, generation, self.settings.retrieval.exact_up_to, self.progress, mend)

    def refresh(self, source: str) -> Published:
        """Run all stages for one source; starts over when another refresh published meanwhile.

        A generation that is being built follows, if the source is built there; whatever keeps it from that is
        noted with it, and is no failure of the refresh.
        """
        with self._sessions.kept():
            for attempt in range(1, _ATTEMPTS + 1):
                started = time.monotonic()
                snapshot = self.source_snapshot(source)
                hashes = self.content_hashes(snapshot)
                changes = self.changed_documents(hashes)
                chunked = self.chunks(changes)
                embedded = self.embeddings(chunked)
                try:
                    published = self.published_index(embedded, time.monotonic() - started)
                    self.vector_index()
                    self.follow(source)
                    return published
                except StateMoved:
                    self.workspace.remove_folder(snapshot.folder)
                    if attempt == _ATTEMPTS:
                        raise
        raise AssertionError("unreachable")

    def follow(self, source: str) -> Published | None:
        """Let a generation that is being built follow, if the source is built there; None when nothing was to do."""
        return follow_if_built(self, source)

    def dry_run(self, source: str) -> Published:
        """Compute everything that a refresh would do, spend nothing and publish nothing."""
        started = time.monotonic()
        snapshot = self.source_snapshot(source, build=False)
        chunked = self.chunks(self.changed_documents(self.content_hashes(snapshot)))
        with self.working(chunked.changes.generation) as (connection, generation):
            embedder = self.targets.embedder_of(generation)
            wanted = look_up(connection, self.workspace, chunked, embedder.model)
            tokens = count_missing_tokens(connection, self.workspace, chunked, embedder) if wanted.missing else 0
        self.workspace.remove_folder(snapshot.folder)
        known = price(embedder.model, self.settings.budget.prices)
        planned = Embedded(
            chunked,
            embedder.model,
            chunked.chunks,
            wanted.missing,
            tokens,
            None if known is None else float(known.cost(tokens)),
            0.0,
            wanted.texts,
            wanted.found,
            wanted.tokens_saved,
        )
        plan = summary(planned, time.monotonic() - started, chunked.changes.revision, Written())
        return replace(plan, dry_run=True)

    def verify(self, source: str, repair: bool = False) -> Verification:
        """Compute the whole source anew and compare it with what is published; `repair` publishes the difference.

        Raises `PermanentError` when the source cannot be listed completely: then nothing can be said.
        """
        with self._sessions.kept():
            found, chunked = self._compare(source, build=repair)
            if not repair or found.equal:
                self.workspace.remove_folder(chunked.changes.hashes.snapshot.folder)
                return found
            started = time.monotonic()
            # First, because the publication computes with these counts.
            with self.working(chunked.changes.generation) as (connection, generation):
                recount(connection, generation.number)
            embedded = self.embeddings(chunked)
            self.published_index(embedded, time.monotonic() - started)
            rest, chunked = self._compare(source, build=repair)
            self.workspace.remove_folder(chunked.changes.hashes.snapshot.folder)
            before, after = (v.ghosts + v.missing + v.different for v in (found, rest))
            return replace(rest, repaired=before - after)

    def _compare(self, source: str, build: bool) -> tuple[Verification, Chunked]:
        snapshot = self.source_snapshot(source, build)
        if not snapshot.complete:
            raise PermanentError(
                f"source {source} cannot be verified now: its listing is incomplete ({snapshot.reason})"
            )
        hashes = self.content_hashes(snapshot, read_all=True)
        chunked = self.chunks(self.changed_documents(hashes, everything=True))
        with self.working(chunked.changes.generation) as (connection, generation):
            return compare(connection, self.workspace, chunked, generation.recipe), chunked

    def hold(self, source: str, snapshot_id: int | None) -> None:
        """Hold a source at an earlier snapshot, so that the next refresh publishes it; None lets it go on.

        Raises `ConfigurationError` for a snapshot that cannot be republished, naming those that can.
        """
        queries = statements("snapshots")
        self.settings.source(source)
        with self.connected() as connection:
            possible = [row[0] for row in connection.execute(queries["published_snapshots"], {"source": source})]
            if snapshot_id is not None and snapshot_id not in possible:
                raise ConfigurationError(
                    f"source {source} has no snapshot {snapshot_id} to go back to; "
                    f"kept: {', '.join(map(str, possible[:20])) or 'none'}"
                )
            connection.execute(queries["pin"], {"source": source, "snapshot_id": snapshot_id})

    def approve(self, source: str, kind: str, up_to: int) -> None:
        """Let withheld ``deletions`` or ``widenings`` through at the next refresh, up to a number."""
        settings = self.settings.source(source)
        with self.connected() as connection:
            register(connection, settings)
            connection.execute(statements("changes")["approve"], {"source": source, "kind": kind, "up_to": up_to})

    def housekeeping(self) -> Removed:
        """Remove what has been unneeded for longer than the settings keep it; mend the graph over the vectors."""
        assert self.targets.prepared
        with connect(self.settings) as connection:
            for generation in generations(connection):
                if generation.readable and generation.state != "retired":
                    self.vector_index(mend=True, number=generation.number)
            return remove_expired(
                connection,
                self.workspace,
                [source.name for source in self.settings.sources],
                self.settings.workspace.keep_days,
                self.settings.queries.keep_days,
            )
