"""``python -m benchmarks [NAME…] [--quick] [--peer-documents N]``: measure, and write docs/benchmarks.md."""

import argparse
import importlib
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.options import Options
from benchmarks.page import merged
from benchmarks.report import Report, say

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
BENCHMARKS = {
    "no_change": "benchmarks.no_change",
    "memory": "benchmarks.memory",
    "load": "benchmarks.load",
    "replay": "benchmarks.replay",
    "query_import": "benchmarks.query_import",
    "embedding": "benchmarks.embedding",
    "precision": "benchmarks.precision",
    "embedding_service": "benchmarks.embedding_service",
    "peers": "benchmarks.peers.side_by_side",
    "chunking": "benchmarks.chunking",
    "retrieval": "benchmarks.retrieval",
    "filters": "benchmarks.filters",
    "throughput": "benchmarks.throughput",
    "members": "benchmarks.members",
    "code": "benchmarks.code",
    "pdf": "benchmarks.pdf",
    "parsing": "benchmarks.parsing",
}
"""Each benchmark and its module, in the order of the page."""


def main() -> None:
    """Measure what the command line asks for."""
    names = ", ".join(BENCHMARKS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and write docs/benchmarks.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {names} (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny inputs, to see that all works; print, write nothing")
    parser.add_argument(
        "--peer-documents",
        type=int,
        default=Options().peer_documents,
        metavar="N",
        help="documents for the comparison with peers",
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHMARKS.keys():
        parser.error(f"no benchmark is named {min(unknown)}; there are {names}")
    options = Options(arguments.quick, arguments.peer_documents)
    for name in arguments.names or BENCHMARKS:
        say(f"{name}:")
        started, measured_on = time.monotonic(), machine.description()
        benchmark = importlib.import_module(BENCHMARKS[name])
        report = Report(benchmark.TITLE)
        benchmark.run(report, options)
        report.text(f"*Measured {measured_on}; took {time.monotonic() - started:.0f} s.*")
        if options.quick:
            print(report.markdown())
        else:
            page = PAGE.read_text("utf-8") if PAGE.exists() else ""
            PAGE.write_text(merged(page, name, report.markdown(), BENCHMARKS), "utf-8")


if __name__ == "__main__":
    main()
