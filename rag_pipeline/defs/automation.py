"""What runs by itself: a refresh of every source each hour, and housekeeping each night."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import dagster as dg

from rag_pipeline.defs.abandoned import close_abandoned_runs
from rag_pipeline.defs.migration import REFRESH
from rag_pipeline.defs.stage import Stages

KEPT_RUNS = timedelta(days=90)
_BATCH = 100

refresh = dg.define_asset_job(
    REFRESH,
    selection=dg.AssetSelection.groups("refresh") | dg.AssetSelection.assets("building_index"),
    description="Makes the index equal to one source again, and a generation that is being built, too.",
)
migrate = dg.define_asset_job(
    "migrate",
    selection=dg.AssetSelection.groups("migration"),
    description="Builds one source in the next generation of the index, or goes on with it.",
)


def refresh_hourly(sources: Sequence[str]) -> dg.ScheduleDefinition:
    """Return the schedule that refreshes each source in a run of its own, so that they fail and succeed apart."""

    @dg.schedule(
        name="refresh_hourly",
        job=refresh,
        cron_schedule="0 * * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Refreshes every source, one run each.",
    )
    def requests(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        close_abandoned_runs(context.instance)
        for source in sources:
            yield dg.RunRequest(run_key=source, partition_key=source, tags={"rag/source": source})

    return requests


@dg.op(out=dg.Out(dg.Nothing))
def keep_house(context: dg.OpExecutionContext, stages: dg.ResourceParam[Stages]) -> None:
    """Delete what the workspace and Dagster's own history no longer need."""
    with stages.stage(context) as stage:
        freed = stage.pipeline.housekeeping()
        runs = delete_old_runs(context.instance, datetime.now(UTC) - KEPT_RUNS)
        numbers = {**asdict(freed), "runs": runs}
        context.log.info(", ".join(f"{name}: {number}" for name, number in numbers.items()))
        context.add_output_metadata(numbers)


def delete_old_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete finished runs that were created before a time, with their events and logs; returns how many.

    Dagster itself never deletes an event, so its database would grow for ever.
    """
    finished = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    old = dg.RunsFilter(statuses=finished, created_before=before)
    deleted = 0
    while runs := instance.get_runs(old, limit=_BATCH):
        for run in runs:
            instance.delete_run(run.run_id)
            instance.compute_log_manager.delete_logs(prefix=[run.run_id])
        deleted += len(runs)
    return deleted


@dg.job(description="Deletes what the retention periods no longer cover.")
def housekeeping() -> None:
    """Run `keep_house`."""
    keep_house()


housekeeping_daily = dg.ScheduleDefinition(
    name="housekeeping_daily",
    job=housekeeping,
    cron_schedule="17 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Housekeeping, each night.",
)
