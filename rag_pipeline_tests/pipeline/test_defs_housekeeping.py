"""The nightly job: what retention no longer covers is deleted, in the workspace and in Dagster's history."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from rag_pipeline.defs.automation import delete_old_runs
from rag_pipeline.defs.build import build
from rag_pipeline.defs.stage import Stages
from rag_pipeline.settings import Settings
from rag_pipeline_tests.scripted import scripted


def test_housekeeping_reports_what_it_removed(settings: Settings) -> None:
    pipeline, _ = scripted(settings, "handbook")
    pipeline.refresh("handbook")
    job = build(pipeline.settings, Stages(pipeline)).resolve_job_def("housekeeping")
    result = job.execute_in_process()
    (output,) = (event for event in result.all_events if event.is_successful_output)
    numbers = {name: value.value for name, value in output.step_output_data.metadata.items()}
    assert numbers.keys() >= {"runs", "blobs", "vectors"}
    assert all(type(number) is int for number in numbers.values())


def test_only_finished_runs_before_the_limit_are_deleted(tmp_path: Path) -> None:
    @dg.op
    def nothing() -> None:
        """Do nothing."""

    @dg.job
    def quiet() -> None:
        nothing()

    @dg.op
    def defect() -> None:
        raise ZeroDivisionError

    @dg.job
    def failing() -> None:
        defect()

    now = datetime.now(UTC)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        done = quiet.execute_in_process(instance=instance).run_id
        failed = failing.execute_in_process(instance=instance, raise_on_error=False).run_id
        waiting = instance.create_run_for_job(quiet).run_id
        assert delete_old_runs(instance, now - timedelta(days=1)) == 0
        assert {run.run_id for run in instance.get_runs()} == {done, failed, waiting}
        logs = tmp_path / "storage"
        assert (logs / done).is_dir()

        assert delete_old_runs(instance, now + timedelta(days=1)) == 2
        assert {run.run_id for run in instance.get_runs()} == {waiting}
        assert not instance.all_logs(done)
        assert not (logs / done).exists()
