"""The generation that is built, as Dagster shows it: begun by one job, followed by the other, never in its way."""

import dagster as dg
import pytest

from rag_pipeline.defs.build import build
from rag_pipeline.defs.stage import MAX_RETRIES, Stages
from rag_pipeline.errors import TransientError
from rag_pipeline.handover import Chunked, Embedded
from rag_pipeline.migration import Migration
from rag_pipeline.model import Access
from rag_pipeline.settings import Chunking, Settings
from rag_pipeline_tests.pipeline.test_defs_refresh import ASSETS, Run
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World, scripted

PUBLIC = Access.of(["public"])


class Hindered(ScriptedPipeline):
    """A pipeline that gets no vectors for the second generation."""

    def embeddings(self, chunked: Chunked) -> Embedded:
        if chunked.changes.generation == 2:
            raise TransientError("the model of the second generation does not answer")
        return super().embeddings(chunked)


def run(pipeline: ScriptedPipeline, job: str) -> Run:
    stages = Stages(pipeline, retry_seconds=0.01)
    definition = build(pipeline.settings, stages).resolve_job_def(job)
    return Run(definition.execute_in_process(partition_key="handbook", raise_on_error=False), stages)


def other(settings: Settings) -> Settings:
    return settings.model_copy(update={"chunking": Chunking(max_tokens=100, window_tokens=800)})


@pytest.fixture
def handbook(settings: Settings) -> tuple[ScriptedPipeline, World]:
    """A pipeline over a published source, whose settings want another generation now."""
    pipeline, world = scripted(settings, "handbook")
    for number in range(8):
        world.documents[f"page-{number}.md"] = Entry(f"# Page {number}\n\nAbout topic {number}.\n", PUBLIC)
    assert run(pipeline, "refresh").metadata.keys() == ASSETS
    return ScriptedPipeline(other(pipeline.settings), pipeline.worlds), world


def test_a_generation_is_begun_built_and_followed(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    unbegun = run(pipeline, "refresh")
    assert unbegun.result.success
    assert unbegun.metadata.keys() == ASSETS, "a refresh begins no generation, whatever the settings say"

    built = run(pipeline, "migrate")
    assert built.result.success
    assert not built.failed_checks
    assert built.metadata.keys() == {"building_generation", "building_index"}
    begun, index = built.metadata["building_generation"], built.metadata["building_index"]
    assert (begun["live"], begun["generation"]) == (1, 2)
    assert [dict(record.data) for record in begun["differences"].records] == [
        {"part": "max_tokens", "live": "200", "wanted": "100"}
    ]
    # Texts that are cut alike have their vectors in the store.
    numbers = ("generation", "documents", "chunks", "chunks_written", "texts_embedded", "tokens")
    assert [index[name] for name in numbers] == [2, 8, 8, 8, 0, 0]

    world.documents["new.md"] = Entry("# New\n\nJust written.\n", PUBLIC)
    followed = run(pipeline, "refresh")
    assert followed.result.success
    assert not followed.failed_checks
    assert followed.metadata.keys() == ASSETS | {"building_index"}
    assert followed.metadata["published_index"]["generation"] == 1
    assert followed.metadata["building_index"]["documents"] == 9

    quiet = run(pipeline, "refresh")
    assert [quiet.metadata["building_index"][name] for name in numbers] == [2, 9, 9, 0, 0, 0]
    checks = {
        check.check_name
        for check in quiet.result.get_asset_check_evaluations()
        if check.asset_key.path == ["building_index"]
    }
    assert checks == {"no_orphans", "counts_match", "follows"}

    assert Migration(pipeline.settings).publish().live == 2
    after = run(pipeline, "refresh")
    assert after.metadata.keys() == ASSETS
    assert after.metadata["published_index"]["generation"] == 2


def test_what_keeps_it_from_following_is_a_warning(handbook: tuple[ScriptedPipeline, World]) -> None:
    pipeline, world = handbook
    hindered = Hindered(pipeline.settings, pipeline.worlds)
    failed = run(hindered, "migrate")
    assert not failed.result.success
    assert isinstance(failed.stages.failure, TransientError)
    assert failed.events(dg.DagsterEventType.STEP_UP_FOR_RETRY) == MAX_RETRIES
    assert "building_index" not in failed.metadata

    assert run(pipeline, "migrate").result.success
    world.documents["new.md"] = Entry("# New\n\nJust written.\n", PUBLIC)
    behind = run(hindered, "refresh")
    assert behind.result.success
    assert behind.metadata["published_index"]["documents"] == 9
    assert behind.metadata["building_index"]["documents"] == 8
    assert behind.failed_checks.keys() == {"follows"}
    check = behind.failed_checks["follows"]
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert check.description == ("it is behind the live generation: the model of the second generation does not answer")

    caught_up = run(pipeline, "refresh")
    assert not caught_up.failed_checks
    assert caught_up.metadata["building_index"]["documents"] == 9


def test_where_nothing_differs_there_is_nothing_to_begin(
    handbook: tuple[ScriptedPipeline, World], settings: Settings
) -> None:
    pipeline, _ = handbook
    fitting = ScriptedPipeline(pipeline.settings.model_copy(update={"chunking": settings.chunking}), pipeline.worlds)
    idle = run(fitting, "migrate")
    assert idle.result.success
    assert idle.metadata == {}
    assert Migration(fitting.settings).status().generation is None


def test_all_assets_can_be_materialised_at_once(settings: Settings) -> None:
    pipeline, world = scripted(settings, "handbook")
    world.documents["page.md"] = Entry("# Page\n\nText.\n", PUBLIC)
    stages = Stages(pipeline)
    everything = build(pipeline.settings, stages).resolve_implicit_global_asset_job_def()
    whole = Run(everything.execute_in_process(partition_key="handbook", raise_on_error=False), stages)
    assert whole.result.success
    assert whole.metadata.keys() == ASSETS
