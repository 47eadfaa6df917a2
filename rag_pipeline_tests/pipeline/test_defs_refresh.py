"""The job `refresh` as Dagster runs it, on a real Postgres with a scripted source: numbers, checks, failures."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from psycopg import Connection

from rag_pipeline.defs.build import build
from rag_pipeline.defs.stage import MAX_RETRIES, Stages
from rag_pipeline.errors import ConfigurationError, PermanentError, StateMoved, TransientError
from rag_pipeline.model import Access
from rag_pipeline.settings import Chunking, Settings
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

PUBLIC = Access.of(["public"])
ASSETS = {
    "source_snapshot",
    "content_hashes",
    "changed_documents",
    "chunks",
    "embeddings",
    "published_index",
    "pruned_orphans",
}


@dataclass
class Run:
    """What one run of the job reported."""

    result: dg.ExecuteInProcessResult
    stages: Stages
    metadata: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failed_checks: dict[str, dg.AssetCheckEvaluation] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for event in self.result.all_events:
            if event.is_step_materialization:
                materialization = event.step_materialization_data.materialization
                self.metadata[materialization.asset_key.to_user_string()] = {
                    name: value.value for name, value in materialization.metadata.items()
                }
        for check in self.result.get_asset_check_evaluations():
            if not check.passed:
                self.failed_checks[check.check_name] = check

    def events(self, kind: dg.DagsterEventType) -> int:
        return sum(event.event_type == kind for event in self.result.all_events)


def run(pipeline: ScriptedPipeline, settings: Settings | None = None) -> Run:
    stages = Stages(pipeline, retry_seconds=0.01)
    job = build(settings or pipeline.settings, stages).resolve_job_def("refresh")
    return Run(job.execute_in_process(partition_key="handbook", raise_on_error=False), stages)


@pytest.fixture
def handbook(settings: Settings) -> tuple[ScriptedPipeline, World]:
    pipeline, world = scripted(settings, "handbook")
    for number in range(30):
        world.documents[f"page-{number:02}.md"] = Entry(f"# Page {number}\n\nAbout topic {number}.\n", PUBLIC)
    return pipeline, world


def published(pipeline: ScriptedPipeline) -> int:
    with pipeline.connected() as connection:
        (count,) = connection.execute("select count(*) from documents").fetchone() or (0,)
    return count


def test_every_asset_says_what_it_did_in_numbers(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    first = run(pipeline)
    assert first.result.success
    assert not first.failed_checks
    assert first.metadata.keys() == ASSETS
    for asset, metadata in first.metadata.items():
        numbers = [value for value in metadata.values() if type(value) in (int, float)]
        assert len(numbers) >= 3, asset
    index = first.metadata["published_index"]
    assert (index["added"], index["chunks"], index["documents"]) == (30, 30, 30)
    assert index["dagster/partition_row_count"] == 30
    assert index["refresh_seconds"] >= index["seconds"] > 0
    assert {"chunk_id", "text"} <= {column.name for column in index["dagster/column_schema"].columns}

    quiet = run(pipeline)
    assert quiet.metadata.keys() == ASSETS
    zeros = ("added", "changed", "removed", "chunks_written", "chunks_deleted", "texts_embedded", "tokens", "cost_usd")
    assert [quiet.metadata["published_index"][name] for name in zeros] == [0] * len(zeros)
    assert quiet.metadata["published_index"]["documents"] == 30

    world.documents["page-03.md"].text += "\nOne more paragraph.\n"
    del world.documents["page-04.md"]
    edited = run(pipeline)
    assert not edited.failed_checks
    assert edited.metadata["changed_documents"]["changed"] == 1
    vectors = ("texts_wanted", "texts_found", "embedded", "hit_rate", "tokens_saved")
    assert [edited.metadata["embeddings"][name] for name in vectors] == [1, 0, 1, 0.0, 0]
    assert [quiet.metadata["embeddings"][name] for name in vectors] == [0, 0, 0, 1.0, 0]
    # The chunk of the lost page, and the one that the edit replaced.
    assert edited.metadata["pruned_orphans"] == {"removed": 1, "documents_deleted": 1, "chunks_deleted": 2}


def test_examples_show_only_what_everybody_may_read(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    world.documents = {
        "a-secret.md": Entry("# Salaries\n\nThe secret word is xylophone.\n", Access.of(["group:hr"])),
        "b-denied.md": Entry("# Denied\n\nThe secret word is xylophone.\n", Access.of(["public"], ["user:eve"])),
        "c-nobody.md": Entry("# Nobody\n\nThe secret word is xylophone.\n"),
        "d-open.md": Entry("# Open\n\n## Part\n\nAnybody may read this.\n", PUBLIC),
    }
    metadata = run(pipeline).metadata
    (changed,) = metadata["changed_documents"]["examples"].records
    (chunk,) = metadata["chunks"]["examples"].records
    assert (changed.data["category"], changed.data["document_id"]) == ("added", "d-open.md")
    assert (chunk.data["heading_path"], chunk.data["text"]) == ("Open > Part", "Anybody may read this.")
    assert metadata["chunks"]["chunks"] == 4
    assert "xylophone" not in repr(metadata)
    assert "secret.md" not in repr(metadata)


def test_an_incomplete_listing_warns_and_additions_land(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    run(pipeline)
    world.documents["new.md"] = Entry("# New\n\nJust written.\n", PUBLIC)
    world.hidden, world.complete = {"page-00.md"}, False
    partial = run(pipeline)
    assert partial.result.success
    assert partial.failed_checks.keys() == {"listing_complete"}
    check = partial.failed_checks["listing_complete"]
    assert (check.severity, check.partition) == (dg.AssetCheckSeverity.WARN, "handbook")
    assert "a scripted part is missing" in (check.description or "")
    assert partial.metadata["source_snapshot"]["complete"] is False
    assert published(pipeline) == 31


def test_a_tripped_guard_warns_with_the_command_that_approves(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    run(pipeline)
    world.documents = dict(list(world.documents.items())[:10]) | {"new.md": Entry("# New\n\nJust written.\n", PUBLIC)}
    guarded = run(pipeline)
    assert guarded.result.success
    check = guarded.failed_checks["guard_not_tripped"]
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "rag-pipeline refresh --source handbook --approve-deletions 20" in (check.description or "")
    assert published(pipeline) == 31

    pipeline.approve("handbook", "deletions", 20)
    approved = run(pipeline)
    assert not approved.failed_checks
    assert published(pipeline) == 11


def test_a_chunk_above_its_budget_stops_the_publication(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    run(pipeline)
    world.documents["long.md"] = Entry("# Long\n\n" + "Many words make one long paragraph here. " * 12, PUBLIC)
    strict = pipeline.settings.model_copy(update={"chunking": Chunking(max_tokens=32, window_tokens=800)})
    stopped = run(pipeline, strict)
    assert not stopped.result.success
    assert stopped.failed_checks.keys() == {"within_bounds"}
    assert "1 have more than 32 tokens" in (stopped.failed_checks["within_bounds"].description or "")
    assert stopped.metadata.keys() == {"source_snapshot", "content_hashes", "changed_documents", "chunks"}
    assert stopped.events(dg.DagsterEventType.STEP_UP_FOR_RETRY) == 0
    assert published(pipeline) == 30


def test_a_vector_of_another_length_stops_the_publication(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    run(pipeline)
    with pipeline.connected() as connection:
        connection.execute("update rag.embedding_store set embedding = '[1,0,0]'")
    world.documents["copy.md"] = Entry(world.documents["page-00.md"].text, PUBLIC)
    stopped = run(pipeline)
    assert not stopped.result.success
    assert stopped.failed_checks.keys() == {"dimensions"}
    assert published(pipeline) == 30


class Failing(ScriptedPipeline):
    """A pipeline whose source fails a number of times before it answers."""

    def __init__(self, settings: Settings, worlds: dict[str, World], error: BaseException, times: int) -> None:
        super().__init__(settings, worlds)
        self.error, self.times = error, times

    @contextmanager
    def opened(self, source: str) -> Iterator[World]:
        if self.times:
            self.times -= 1
            raise self.error
        with super().opened(source) as world:
            yield world


class Ending(ScriptedPipeline):
    """A pipeline whose database sessions are ended by an administrator."""

    @contextmanager
    def connected(self) -> Iterator[Connection[Any]]:
        with super().connected() as connection:
            connection.execute("set role none")
            connection.execute("select pg_terminate_backend(pg_backend_pid())")
            yield connection


def test_a_transient_error_is_tried_again(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = handbook
    flaky = run(Failing(pipeline.settings, pipeline.worlds, TransientError("the line is down"), MAX_RETRIES))
    assert flaky.result.success
    assert flaky.events(dg.DagsterEventType.STEP_UP_FOR_RETRY) == MAX_RETRIES
    assert flaky.stages.failure is None
    assert published(pipeline) == 30


def test_a_session_that_ends_is_a_transient_error(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = handbook
    ended = run(Ending(pipeline.settings, pipeline.worlds))
    assert not ended.result.success
    assert ended.events(dg.DagsterEventType.STEP_UP_FOR_RETRY) == MAX_RETRIES
    assert isinstance(ended.stages.failure, TransientError)
    assert "terminating connection due to administrator command" in str(ended.stages.failure)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (TransientError("the line is down"), 1 + MAX_RETRIES),
        (StateMoved("another refresh published; run the refresh again"), 1),
        (PermanentError("the source says never"), 1),
        (ConfigurationError("rag.toml: sources[handbook].path: missing"), 1),
        (ZeroDivisionError("a defect"), 1),
        (KeyboardInterrupt(), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_may_succeed_later_is_tried_again(
    handbook: tuple[ScriptedPipeline, World], error: BaseException, attempts: int
) -> None:
    pipeline, _ = handbook
    failed = run(Failing(pipeline.settings, pipeline.worlds, error, 100))
    assert not failed.result.success
    assert failed.stages.failure is error
    starts = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED)
    assert sum(map(failed.events, starts)) == attempts
    assert failed.metadata == {}


def test_an_asset_in_the_middle_starts_from_the_newest_handover(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, _ = handbook
    definitions = build(pipeline.settings, Stages(pipeline))
    instance = dg.DagsterInstance.ephemeral()

    def materialize(*assets: str) -> dg.ExecuteInProcessResult:
        return definitions.resolve_job_def("refresh").execute_in_process(
            instance=instance,
            partition_key="handbook",
            asset_selection=[dg.AssetKey(asset) for asset in assets],
            raise_on_error=False,
        )

    nothing = materialize("content_hashes")
    (failure,) = nothing.get_step_failure_events()
    assert "source_snapshot of source handbook was never computed" in str(failure.step_failure_data.error)
    assert materialize("source_snapshot", "content_hashes", "changed_documents").success
    assert materialize("chunks", "embeddings").success
    assert materialize("published_index", "pruned_orphans").success
    assert published(pipeline) == 30
