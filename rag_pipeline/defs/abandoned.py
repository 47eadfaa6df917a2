"""Runs whose process is gone: Dagster would count them as running, and hold up their source, until they are too old.

A run that `rag-pipeline refresh` executes in its own process carries a tag that names this process.
Whoever comes next on the same machine closes the runs whose process no longer lives.
"""

import os
import socket

import dagster as dg
import psutil

PROCESS_TAG = "rag/process"


def this_process() -> str:
    """Return the tag's value: host, process id and start time, so that a reused id is not mistaken for it."""
    return _name(psutil.Process(os.getpid()))


def close_abandoned_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs as failed that were started by a process of this machine which has ended; returns how many."""
    closed = 0
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])):
        name = run.tags.get(PROCESS_TAG, "")
        if name.startswith(f"{socket.gethostname()}/") and not _lives(name):
            instance.report_run_failed(run, "The process that executed this run has ended.")
            closed += 1
    return closed


def _name(process: psutil.Process) -> str:
    return f"{socket.gethostname()}/{process.pid}/{process.create_time():.0f}"


def _lives(name: str) -> bool:
    try:
        process = psutil.Process(int(name.split("/")[1]))
        return _name(process) == name and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
