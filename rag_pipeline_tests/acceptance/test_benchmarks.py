"""Every benchmark runs, on inputs too small to mean anything, and writes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, PAGE

CHECKOUT = Path(__file__).resolve().parents[2]


def quick(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments, "--quick"]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs(name: str) -> None:
    before = PAGE.read_bytes() if PAGE.exists() else b""
    finished = quick(name)
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert finished.stdout.startswith("## ")
    assert "| figure | to reach | measured | reached |" in finished.stdout or "Skipped: " in finished.stdout
    assert (PAGE.read_bytes() if PAGE.exists() else b"") == before


def test_an_unknown_name_is_refused() -> None:
    finished = quick("no_such")
    assert finished.returncode == 2
    assert "no benchmark is named no_such; there are no_change, memory" in finished.stderr
