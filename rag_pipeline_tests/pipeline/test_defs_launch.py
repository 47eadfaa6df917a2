"""`launch_refresh` on a real folder, recorded in Dagster's own database."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from rag_pipeline.defs.abandoned import PROCESS_TAG, close_abandoned_runs, this_process
from rag_pipeline.defs.instance import dagster_environment, dev_command, open_instance
from rag_pipeline.defs.launch import launch_refresh
from rag_pipeline.errors import ConfigurationError, PermanentError
from rag_pipeline.settings import FilesSettings, Settings
from rag_pipeline.stages import Pipeline


@pytest.fixture
def workspace(settings: Settings) -> Settings:
    """One `files` source of three pages; its name is new, because all tests share one Dagster database."""
    docs = settings.folder / "docs"
    docs.mkdir()
    for number in range(3):
        (docs / f"{number}.md").write_text(f"# Page {number}\n\nAbout topic {number}.\n")
    source = FilesSettings.model_validate(
        {"name": f"docs-{uuid4().hex[:8]}", "type": "files", "path": "docs", "access": ["public"]}
    )
    return settings.model_copy(update={"sources": (source,)})


def runs(settings: Settings) -> list[dg.DagsterRun]:
    """The runs of the workspace's source, newest first."""
    with open_instance(settings) as instance:
        return list(instance.get_runs(dg.RunsFilter(tags={"dagster/partition": settings.sources[0].name})))


def test_a_launched_refresh_shows_in_the_history(workspace: Settings) -> None:
    name = workspace.sources[0].name
    told: set[str] = set()
    first = launch_refresh(workspace, name, lambda stage, done, total: told.add(stage))
    assert (first.added, first.documents_written, first.texts_embedded) == (3, 3, 3)
    assert told >= {"source_snapshot", "content_hashes", "chunks", "embeddings"}

    quiet = launch_refresh(workspace, name)
    assert (quiet.listed, quiet.texts_embedded, quiet.chunks_written, quiet.chunks_deleted) == (3, 0, 0, 0)

    (workspace.folder / "docs" / "1.md").write_text("# Page 1\n\nAbout something else.\n")
    assert launch_refresh(workspace, name).changed == 1

    assert [run.status for run in runs(workspace)] == [dg.DagsterRunStatus.SUCCESS] * 3
    with open_instance(workspace) as instance:
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(dg.AssetKey("published_index"), asset_partitions=[name]), limit=10
        ).records
        events = [record.asset_materialization for record in records]
        added = [event.metadata["added"].value for event in events if event]
    assert added == [0, 0, 3]


def test_the_error_of_a_stage_comes_out_as_it_was_raised(workspace: Settings) -> None:
    (workspace.folder / "docs").rename(workspace.folder / "elsewhere")
    with pytest.raises(ConfigurationError, match="name a folder that exists"):
        launch_refresh(workspace, workspace.sources[0].name)
    assert [run.status for run in runs(workspace)] == [dg.DagsterRunStatus.FAILURE]


def test_an_unknown_source_launches_nothing(workspace: Settings) -> None:
    with pytest.raises(ConfigurationError, match="no source is named 'other'"):
        launch_refresh(workspace, "other")
    assert runs(workspace) == []


def test_a_blocking_check_is_named(workspace: Settings) -> None:
    name = workspace.sources[0].name
    launch_refresh(workspace, name)
    with Pipeline(workspace).connected() as connection:
        connection.execute("update rag.embedding_store set embedding = '[1,0,0]'")
    (workspace.folder / "docs" / "copy.md").write_text("# Page 1\n\nAbout topic 1.\n")
    with pytest.raises(
        PermanentError, match=f"source {name}: nothing was published: check embeddings/dimensions: 1 of 1"
    ):
        launch_refresh(workspace, name)


def test_when_another_refresh_publishes_meanwhile_it_starts_over(workspace: Settings) -> None:
    name = workspace.sources[0].name
    launch_refresh(workspace, name)
    (workspace.folder / "docs" / "3.md").write_text("# Page 3\n\nAbout topic 3.\n")
    meanwhile: list[int] = []

    def interfere(stage: str, done: int, total: int | None) -> None:
        if stage == "embeddings" and not meanwhile:
            meanwhile.append(0)
            meanwhile[0] = launch_refresh(workspace, name).added

    outer = launch_refresh(workspace, name, interfere)
    assert meanwhile == [1]
    assert (outer.added, outer.unchanged + outer.metadata_changed) == (0, 4)
    statuses = [run.status.value for run in runs(workspace)]
    assert sorted(statuses) == ["FAILURE", "SUCCESS", "SUCCESS", "SUCCESS"]


def test_a_dagster_process_gets_what_it_needs(workspace: Settings) -> None:
    environment = dagster_environment(workspace)
    home = Path(environment["DAGSTER_HOME"])
    assert home == workspace.folder / ".rag" / "dagster"
    assert (home / "dagster.yaml").read_text().startswith("# Where Dagster keeps its history")
    assert environment["RAG_DAGSTER_URL"].startswith("postgresql+psycopg2://")
    command, whole = dev_command(workspace, "127.0.0.1", 3000)
    assert command[-4:-2] == ["--module-name", "rag_pipeline.definitions"]
    assert whole.items() >= environment.items()
    assert whole["PATH"] == os.environ["PATH"]
    # A module that lies in the current folder, which may be an indexed one, must not be imported.
    assert whole["PYTHONSAFEPATH"] == "1"
    assert command[-1] == str(home)


def test_runs_of_processes_that_died_hold_nobody_up() -> None:
    dead = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    mine, theirs = this_process(), f"elsewhere/{dead.pid}/1"
    died = mine.replace(f"/{os.getpid()}/", f"/{dead.pid}/")
    dead.kill()
    dead.wait()
    with dg.DagsterInstance.ephemeral() as instance:
        for run_id, name in (("died", died), ("lives", mine), ("elsewhere", theirs), ("untagged", None)):
            tags = {PROCESS_TAG: name} if name else {}
            instance.add_run(dg.DagsterRun("refresh", run_id, status=dg.DagsterRunStatus.STARTED, tags=tags))
        assert close_abandoned_runs(instance) == 1
        assert {run.run_id: run.status for run in instance.get_runs()} == {
            "died": dg.DagsterRunStatus.FAILURE,
            **dict.fromkeys(("lives", "elsewhere", "untagged"), dg.DagsterRunStatus.STARTED),
        }
