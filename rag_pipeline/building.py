"""A generation that is being built follows the live one: the same documents, made anew with its own recipe.

What it follows is what the live generation has published, not what the sources list: every document that readers
see, whatever was withheld, unreadable or incompletely listed meanwhile. Bytes come from the workspace and vectors
from the store, so that no source is asked, and what an interrupted attempt bought is there at the next.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg import Connection, IsolationLevel
from psycopg.rows import dict_row

from rag_pipeline.changes.diff import find_changes
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings.lookup import look_up
from rag_pipeline.errors import StateMoved, TransientError
from rag_pipeline.handover import MANIFEST, Chunked, Embedded, Hashes, Published, Snapshot
from rag_pipeline.index.generations import Generation, generations, in_state
from rag_pipeline.index.publish import publish
from rag_pipeline.parquet import ParquetWriter

if TYPE_CHECKING:
    from rag_pipeline.stages import Pipeline

_logger = logging.getLogger(__name__)
_ATTEMPTS = 3


def follow_if_built(pipeline: "Pipeline", source: str) -> Published | None:
    """Let the generation that is being built follow a source, if it has been built there.

    Returns what was published, or None when there was nothing to do, another process does it, or it failed: why is
    noted in ``rag.generation_sources``. The live generation stands whatever happens here.
    """
    try:
        return follow(pipeline, source)
    except Exception as error:
        _logger.warning("source %s: the generation that is built could not follow: %s", source, error)
        return None


def build_first(pipeline: "Pipeline", source: str, building: Generation) -> None:
    """Let a source in a generation that is refreshed before it is live begin with what readers see of it now.

    Its first refresh would else find nothing that is lost or opened to others, and the guards nothing to withhold.
    Raises `TransientError` when another process is at it, and what a refresh does.
    """
    if _missing(pipeline, source, building):
        follow(pipeline, source, build=True)
        if _missing(pipeline, source, building):
            raise TransientError(
                f"source {source} is being built in generation {building.number} by another process; "
                "run the refresh again when that is done: rag-pipeline migrate status"
            )


def _missing(pipeline: "Pipeline", source: str, building: Generation) -> bool:
    """Whether the live generation has the source and this one does not."""
    with pipeline.working(building.number) as (connection, _):
        live = in_state(generations(connection), "live")
        names = {"live": live and live.number, "building": building.number, "source": source}
        stands = connection.execute(statements("building")["stands"], names).fetchone()
    return stands is not None and not stands[0]


def follow(pipeline: "Pipeline", source: str, build: bool = False) -> Published | None:
    """Make one source in the generation that is being built equal to the live one; with `build`, also the first time.

    Returns what was published; None when it was equal, or when another process is at it. Raises what a refresh does,
    after noting it with the source.
    """
    with pipeline.working() as (connection, target):
        found = generations(connection)
    live, building = in_state(found, "live"), in_state(found, "building")
    if live is None or building is None:
        return None
    for generation in (live, building):
        pipeline.targets.know(generation)
    with _turn(pipeline, building, source) as (connection, ours):
        if not ours:
            return None
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    # Where the live generation is not refreshed any more, this one goes its own way once it is built.
                    return _follow(pipeline, live, building, source, build, only_once=target.number == building.number)
                except StateMoved:
                    if attempt == _ATTEMPTS:
                        raise
        except Exception as error:
            failure = {"generation": building.number, "source": source, "failure": str(error)}
            connection.execute(statements("building")["note_failure"], failure)
            raise
    raise AssertionError("unreachable")


def _follow(
    pipeline: "Pipeline", live: Generation, building: Generation, source: str, build: bool, only_once: bool
) -> Published | None:
    """Follow once. Raises `StateMoved` when either generation is not what it was."""
    queries = statements("building")
    started, names = time.monotonic(), {"live": live.number, "building": building.number, "source": source}
    with pipeline.working(building.number) as (connection, _):
        stands = connection.execute(queries["stands"], names).fetchone()
        if stands is None:
            return None
        built, equal = stands
        if (not built and not build) or (built and only_once):
            return None
        if equal:
            connection.execute(queries["confirm"], names)
            return None
    folder = pipeline.workspace.new_folder(source)
    try:
        revision, snapshot = _snapshot(pipeline, live, source, folder)
        hashes = Hashes(snapshot, 0, snapshot.listed, 0, 0, 0)
        with pipeline.working(building.number) as (connection, _):
            recipe = building.recipe
            changes = find_changes(
                connection, pipeline.workspace, hashes, None, building.number, recipe.parser_version, recipe.model
            )
        chunked = pipeline.chunks(changes)
        if not built:
            _note_totals(pipeline, building, chunked)
        embedded: Embedded = pipeline.embeddings(chunked)
        with pipeline.working(building.number) as (connection, _):
            seconds = time.monotonic() - started
            published = publish(
                connection, pipeline.workspace, embedded, building, pipeline.run_id, seconds, equals_revision=revision
            )
            # It is as old as the live one, whose last listing may have been incomplete.
            connection.execute(queries["confirm"], names)
    finally:
        pipeline.workspace.remove_folder(folder)
    pipeline.vector_index(number=building.number)
    return published


def _snapshot(pipeline: "Pipeline", live: Generation, source: str, folder: str) -> tuple[int, Snapshot]:
    """Write the documents that the live generation has published as a manifest; return their revision, too."""
    queries = statements("building")
    with pipeline.working(live.number) as (connection, _):
        # Documents and revision of one state, whoever publishes meanwhile.
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        with (
            connection.transaction(),
            ParquetWriter(pipeline.workspace.file(folder, "manifest.parquet"), MANIFEST) as writer,
            connection.cursor("published", row_factory=dict_row) as cursor,
        ):
            names = {"live": live.number, "source": source}
            revision, snapshot_id = connection.execute(queries["live_state"], names).fetchone() or (0, 0)
            cursor.itersize = 2_000
            listed = 0
            for row in cursor.execute(queries["published_documents"], names):
                writer.write(row)
                listed += 1
    now = datetime.now(UTC)
    return revision, Snapshot(source, snapshot_id, folder, now, True, None, listed, 0, False)


def _note_totals(pipeline: "Pipeline", building: Generation, chunked: Chunked) -> None:
    """Note how much there is to do for a source, so that others can tell how far this is."""
    source = chunked.changes.hashes.snapshot.source
    with pipeline.working(building.number) as (connection, _):
        wanted = look_up(connection, pipeline.workspace, chunked, building.recipe.model)
        totals = {"chunks": chunked.chunks, "texts": wanted.missing, "generation": building.number, "source": source}
        connection.execute(statements("building")["note_totals"], totals)


@contextmanager
def _turn(pipeline: "Pipeline", building: Generation, source: str) -> Iterator[tuple[Connection[Any], bool]]:
    """Give a session, and whether it is this process's turn to bring a source up to date, as long as the session lasts.

    Two at once would embed the same texts, and only one could publish.
    """
    with pipeline.working(building.number) as (connection, _):
        values = {"generation": building.number, "source": source}
        (ours,) = connection.execute(statements("building")["take_turn"], values).fetchone() or (False,)
        yield connection, ours
