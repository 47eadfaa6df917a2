"""The jobs in this process: what the schedule and the UI run, without a server, recorded in the same history."""

import dagster as dg

from rag_pipeline.defs.abandoned import PROCESS_TAG, close_abandoned_runs, this_process
from rag_pipeline.defs.build import build
from rag_pipeline.defs.instance import open_instance
from rag_pipeline.defs.stage import Stages
from rag_pipeline.errors import PermanentError, StateMoved
from rag_pipeline.handover import Published
from rag_pipeline.progress import Progress, silent
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline

_ATTEMPTS = 3
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The run's log belongs into its history, not into the terminal."""


def launch_refresh(settings: Settings, source: str, progress: Progress = silent) -> Published:
    """Refresh one source and return what was published; the run shows in Dagster's UI like any other.

    Starts over, up to three times, when another refresh of the source published meanwhile. Raises the
    `RagError` that ended the run, or `PermanentError` when a blocking check did.
    """
    return _launched(settings, source, "refresh", progress).asset_value("published_index")


def launch_migration(settings: Settings, source: str, progress: Progress = silent) -> None:
    """Build one source in the generation that was begun, or go on with it. Raises as `launch_refresh` does."""
    _launched(settings, source, "migrate", progress, only="building_index")


def _launched(
    settings: Settings, source: str, name: str, progress: Progress, only: str | None = None
) -> dg.ExecuteInProcessResult:
    """Run a job for one source, or `only` one asset of it, and return how it succeeded."""
    settings.source(source)
    stages = Stages(Pipeline(settings), progress)
    job = build(settings, stages).resolve_job_def(name)
    with open_instance(settings) as instance:
        close_abandoned_runs(instance)
        for attempt in range(1, _ATTEMPTS + 1):
            result = job.execute_in_process(
                run_config=_QUIET,
                instance=instance,
                partition_key=source,
                asset_selection=[dg.AssetKey(only)] if only else None,
                tags={"rag/source": source, PROCESS_TAG: this_process()},
                raise_on_error=False,
            )
            if result.success:
                return result
            if not isinstance(stages.failure, StateMoved) or attempt == _ATTEMPTS:
                raise stages.failure or _explained(result, source)
    raise AssertionError("unreachable")


def _explained(result: dg.ExecuteInProcessResult, source: str) -> PermanentError:
    """Say why a run failed of which no stage did: a blocking check, or Dagster itself."""
    reasons = [
        f"check {check.asset_key.to_user_string()}/{check.check_name}: {check.description}"
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.blocking
    ]
    for event in result.get_step_failure_events() if not reasons else ():
        error = event.step_failure_data.error
        reasons.append(f"{event.step_key}: {error.message.strip() if error else 'failed'}")
    return PermanentError(
        f"source {source}: nothing was published: {'; '.join(reasons) or 'the run failed'} (run {result.run_id})"
    )
