"""Migration: from the live generation to one of another recipe, and back.

``plan`` says what it takes, ``start`` builds, however often it is interrupted, ``publish`` makes what is built live,
``rollback`` goes back to what was live before, ``drop`` frees what is not needed. Meanwhile refreshes go on: every
one keeps the live generation equal to its source and the one that is built equal to the live one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from rag_pipeline.building import follow
from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings.prices import price
from rag_pipeline.errors import ConfigurationError, TransientError
from rag_pipeline.evaluation.gate import open_gate
from rag_pipeline.index.flip import Gate, drop_generation, flip
from rag_pipeline.index.generations import (
    Generation,
    State,
    create_generation,
    generations,
    in_state,
    use_generation,
)
from rag_pipeline.index.migration import Flip, MigrationStatus, Plan, SourceProgress
from rag_pipeline.planning import plan
from rag_pipeline.progress import Progress, silent
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

_SAMPLE = 500
_RECENT_DAYS = 1
_NONE_BUILT = "no generation is being built; build one: rag-pipeline migrate start"


class Migration:
    """The generations of one index. `gate` is asked instead of that of the settings before one is published."""

    def __init__(
        self,
        settings: Settings,
        run_id: str | None = None,
        progress: Progress = silent,
        gate: Gate | None = None,
        pipeline: Pipeline | None = None,
    ) -> None:
        self.pipeline = pipeline or Pipeline(settings, run_id, progress)
        self._gate = gate

    def plan(self, at_most: int | None = _SAMPLE) -> Plan:
        """Say what the generation that software and settings want takes; nothing is spent and nothing changed.

        Up to `at_most` documents are cut to count with, without a bound all. Raises `ConfigurationError` when there is
        nothing to migrate from.
        """
        with self._connected() as connection:
            found = generations(connection)
            (following,) = connection.execute(statements("generations")["next_generation"]).fetchone() or (1,)
        live, building = self._live(found), in_state(found, "building")
        fits = building is not None and building.fingerprint == self._wanted
        return plan(self.pipeline, live, building.number if building and fits else following, at_most)

    def needed(self) -> bool:
        """Whether a generation is being built, or software and settings would make the live one otherwise."""
        with self._connected() as connection:
            found = generations(connection)
        live = in_state(found, "live")
        return in_state(found, "building") is not None or bool(live and self.pipeline.targets.differences(live))

    def start(self) -> MigrationStatus:
        """Build the generation that software and settings want, or go on with it; returns when every source is there.

        Raises as `begin` does, and what a refresh raises; what was done until then is kept.
        """
        # Twice, because a refresh may have come in between; what is equal already takes one look.
        for source in 2 * self.begin():
            self.build(source)
        return self.status()

    def begin(self) -> list[str]:
        """Make the tables that `build` fills, unless they are there; return the sources that are to be built.

        Raises `ConfigurationError` when the live generation is as wanted, or another is being built.
        """
        with self._connected() as connection, connection.transaction():
            connection.execute(statements("generations")["lock_generations"])
            found = generations(connection)
            live, building = self._live(found), in_state(found, "building")
            if building is not None and building.fingerprint != self._wanted:
                differences = "; ".join(str(each) for each in building.recipe.differences(self.pipeline.targets.wanted))
                raise ConfigurationError(
                    f"generation {building.number} is being built with another recipe: {differences}. Put the settings "
                    f"back to go on with it, or give it up: rag-pipeline migrate drop {building.number}"
                )
            if building is None:
                if not self.pipeline.targets.differences(live):
                    raise ConfigurationError(
                        f"there is nothing to migrate: generation {live.number} is what software and settings want"
                    )
                create_generation(connection, self.pipeline.targets.wanted, "building")
        return self._sources(live)

    def build(self, source: str) -> None:
        """Build one source in the generation that was begun, or go on with it. Raises what a refresh does."""
        follow(self.pipeline, source, build=True)

    def status(self) -> MigrationStatus:
        """Say how far the generation that is built is, and what there is to go back to."""
        queries = statements("migration")
        with self._connected() as connection:
            found = generations(connection)
            live, building = self._live(found), in_state(found, "building")
            retired = sorted(
                (each for each in found if each.state == "retired"), key=lambda each: str(each.retired_at), reverse=True
            )
            names = {"live": live.number, "building": building and building.number}
            if building is None:
                rows, rate, spent, tokens_each = [], None, 0.0, None
            else:
                model = {"model": building.recipe.model}
                with connection.cursor(row_factory=dict_row) as cursor:
                    rows = cursor.execute(queries["progress"], names | model).fetchall()
                asked = model | {"days": _RECENT_DAYS}
                (rate,) = connection.execute(queries["speed"], asked).fetchone() or (None,)
                asked = model | {"since": building.created_at}
                spent, tokens_each = connection.execute(queries["spent"], asked).fetchone() or (0.0, None)
        own, others = self._sizes(live), self._sizes(building) if building else {}
        sources = tuple(_progress(row, own, others) for row in rows)
        left = _texts_left(sources)
        speed = float(rate) if rate else None
        return MigrationStatus(
            live=live.number,
            live_model=live.recipe.model,
            generation=building and building.number,
            model=building and building.recipe.model,
            differences=live.differences(building.recipe) if building else self.pipeline.targets.differences(live),
            sources=sources,
            ready=building is not None and all(source.equal for source in sources),
            rate=speed,
            remaining_seconds=0.0 if left == 0 else left / speed if left is not None and speed else None,
            cost_usd=float(spent),
            remaining_cost_usd=self._remaining_cost(building, left, tokens_each),
            retired=tuple(each.number for each in retired),
        )

    def publish(self, force: bool = False) -> Flip:
        """Make the generation that is built live, and retire the one that was.

        Raises `PermanentError` when a source is not there as in the live one, when readers would miss something, or
        when the gate is closed; with `force` only holes in its tables keep it out.
        """
        live, building = self._both("building", _NONE_BUILT)
        if not building.readable:
            raise ConfigurationError(f"generation {building.number} has the tables of another version; {_NONE_BUILT}")
        # Outside of the transaction, because it takes long and keeps nobody waiting there. Which groups need a graph
        # shows only now that every source is there.
        self.pipeline.vector_index(mend=True, number=building.number)
        with connect(self.pipeline.settings, role="rag_owner") as connection:
            use_generation(connection, building.number)
            connection.execute(statements("flip")["analyze_generation"])
        wanted = not force and self._gate is None
        gate = open_gate(self.pipeline.settings, self.pipeline.targets.embedder_of(building)) if wanted else None
        with self.pipeline.working(building.number) as (connection, _):
            if gate is None:
                return flip(connection, live, building, check=not force, gate=self._gate)
            with gate.recorded(connection, "migration", self.pipeline.run_id):
                return flip(connection, live, building, check=True, gate=gate.at_flip)

    def rollback(self) -> Flip:
        """Make the generation live again that was before this one; that becomes one that is built, and follows.

        It is as old as it was when it was retired, and its readers are those of then and now; the next refresh of each
        source brings it up to date.
        """
        live, before = self._both("retired", "there is no generation to go back to")
        if not before.readable:
            raise ConfigurationError(
                f"generation {before.number} has the tables of another version of rag-pipeline, which this one "
                "cannot search; go back with that version"
            )
        with self.pipeline.working(before.number) as (connection, _):
            return flip(connection, live, before, check=False, gate=None)

    def drop(self, number: int) -> None:
        """Free the tables of a generation that is not live. Raises `ConfigurationError` for any other."""
        with self._connected() as connection:
            found = {each.number: each for each in generations(connection)}
            if number not in found:
                others = ", ".join(str(each.number) for each in found.values() if each.state != "live")
                raise ConfigurationError(f"there is no generation {number} to drop; there is: {others or 'none'}")
            drop_generation(connection, found[number])

    @property
    def _wanted(self) -> str:
        return self.pipeline.targets.wanted.fingerprint

    @contextmanager
    def _connected(self) -> Iterator[Connection[Any]]:
        """Give a session on a prepared database, whichever generation can be refreshed.

        Raises `TransientError` when the database goes away meanwhile, or others are in the way.
        """
        assert self.pipeline.targets.prepared
        try:
            with connect(self.pipeline.settings) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise TransientError(f"the database could not go on; run the command again. {error}") from error

    def _live(self, found: list[Generation]) -> Generation:
        live = in_state(found, "live")
        if live is None:
            raise ConfigurationError("nothing is indexed yet; fill the index with: rag-pipeline refresh")
        return live

    def _both(self, state: State, missing: str) -> tuple[Generation, Generation]:
        """Return the live generation, and the one that is to take its place: of those retired the last."""
        with self._connected() as connection:
            found = generations(connection)
        others = sorted((each for each in found if each.state == state), key=lambda each: str(each.retired_at))
        live = self._live(found)
        if not others:
            raise ConfigurationError(missing)
        for generation in (live, others[-1]):
            self.pipeline.targets.know(generation)
        return live, others[-1]

    def _sources(self, live: Generation) -> list[str]:
        with self.pipeline.working(live.number) as (connection, _):
            rows = connection.execute(statements("migration")["sources"], {"live": live.number}).fetchall()
        return [source for source, _ in rows]

    def _sizes(self, generation: Generation) -> dict[str, tuple[int, int]]:
        """Return documents and chunks of each source in a generation."""
        self.pipeline.targets.know(generation)
        with self.pipeline.working(generation.number) as (connection, _):
            rows = connection.execute(statements("migration")["sizes_by_source"]).fetchall()
        return {source: (documents, chunks) for source, documents, chunks in rows}

    def _remaining_cost(self, building: Generation | None, left: int | None, tokens_each: float | None) -> float | None:
        """Return the dollars for the texts that are left; None where the price or their length is not known."""
        known = building and price(building.recipe.model, self.pipeline.settings.budget.prices)
        if left == 0 or (known and not known.usd_per_million):
            return 0.0
        return float(known.cost(round(left * tokens_each))) if known and left is not None and tokens_each else None


def _progress(
    row: dict[str, Any], live: dict[str, tuple[int, int]], building: dict[str, tuple[int, int]]
) -> SourceProgress:
    source = row["source"]
    documents, chunks = building.get(source, (0, 0))
    total = row["texts_total"]
    return SourceProgress(
        source=source,
        documents=documents,
        documents_total=live.get(source, (0, 0))[0],
        chunks=chunks,
        chunks_total=chunks if row["built"] else row["chunks_total"],
        texts=row["texts"] if total is None or not row["built"] else total,
        texts_total=total,
        built=bool(row["built"]),
        equal=row["equal"],
        quarantined=row["quarantined"],
        failure=row["failure"],
    )


def _texts_left(sources: tuple[SourceProgress, ...]) -> int | None:
    """Return how many texts are still to be embedded; sources that are not cut yet are taken to be like the others."""
    known = [source for source in sources if source.texts_total is not None]
    left = sum(max(0, (source.texts_total or 0) - source.texts) for source in known if not source.built)
    uncut = sum(source.documents_total for source in sources if source.texts_total is None and not source.built)
    cut = sum(source.documents_total for source in known)
    if uncut and not cut:
        return None
    return left + (round(uncut * sum(source.texts_total or 0 for source in known) / cut) if uncut else 0)
