"""How much memory a refresh holds at most, at a size and at twenty times that size."""

import json
import subprocess
import sys
from typing import Any

from benchmarks.corpus import write_corpus
from benchmarks.options import Options
from benchmarks.report import Report, say
from benchmarks.workbench import SOURCE, Workbench, environment, workbench

TITLE = "Memory"


def run(report: Report, options: Options) -> None:
    """Build and refresh at two sizes, each in a new process."""
    sizes = (50, 300) if options.quick else (10_000, 200_000)
    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for documents in sizes:
        with workbench() as bench:
            say(f"writing {documents:,} documents")
            write_corpus(bench.documents, documents)
            say("cold build")
            cold = _refresh(bench)
            say("no change")
            found.append((cold, _refresh(bench)))

    largest = max(result["peak_mb"] for pair in found for result in pair)
    report.goal(f"peak at {sizes[-1]:,} documents", "< 600", largest, "MB", largest < 600)
    for number, kind in enumerate(("cold build", "no change")):
        small, large = (pair[number]["peak_mb"] for pair in found)
        ratio = large / small
        report.goal(f"{kind}: peak at {sizes[1]:,} documents to peak at {sizes[0]:,}", "≤ 1.5", ratio, "", ratio <= 1.5)
    report.text(
        "Peak resident memory of a Python process that runs the stage functions once, the `hashed` embedder with "
        "them; what the imports alone take is beside it, Postgres is not in it."
    )
    report.table(
        ("refresh", "documents", "imports MB", "peak MB", "seconds"),
        [
            (kind, result["listed"], result["imports_mb"], result["peak_mb"], result["seconds"])
            for pair in found
            for kind, result in zip(("cold build", "no change"), pair, strict=True)
        ],
    )


def _refresh(bench: Workbench) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.refresh_process", bench.folder, SOURCE]
    finished = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout)
