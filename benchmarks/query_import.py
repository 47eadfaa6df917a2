"""How long a program waits before it can ask its first question."""

import json
import subprocess
import sys
from collections.abc import Iterable

from benchmarks.options import Options
from benchmarks.report import Report, median
from benchmarks.workbench import environment

TITLE = "Importing `rag_pipeline.query`"
_HEAVY = ("dagster", "pandas", "pyarrow", "pydantic", "fastembed", "onnxruntime", "tokenizers", "numpy", "psycopg")
_FORBIDDEN = {"dagster", "pandas"}
_PROGRAM = """
import json, sys, time
started = time.perf_counter()
import rag_pipeline.query
print(json.dumps({"seconds": time.perf_counter() - started, "modules": sorted(sys.modules)}))
"""
_PROCESSES = 10


def run(report: Report, options: Options) -> None:
    """Import it in fresh processes, after one that fills the disk cache."""
    results = [_import() for _ in range(1 + (2 if options.quick else _PROCESSES))][1:]
    seconds = median(taken for taken, _ in results)
    loaded = set.union(*(modules for _, modules in results))
    report.goal("import, median", "< 0.5", seconds, "s", seconds < 0.5)
    unwanted = sorted(_FORBIDDEN & loaded)
    report.goal("Dagster and pandas", "not loaded", ", ".join(unwanted) or "not loaded", "", not unwanted)
    slowest = max(taken for taken, _ in results)
    report.text(
        f"Seconds of the import statement in {len(results)} fresh processes: median {seconds:.3f}, slowest "
        f"{slowest:.3f}. Of the heavy packages it loads {_names(name for name in _HEAVY if name in loaded)}; it does "
        f"not load {_names(name for name in _HEAVY if name not in loaded)}."
    )


def _import() -> tuple[float, set[str]]:
    finished = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment(), check=True, stdout=subprocess.PIPE, text=True
    )
    result = json.loads(finished.stdout)
    return result["seconds"], set(result["modules"])


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
