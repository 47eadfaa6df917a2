"""What it costs to look at a source that did not change: the refresh that runs most often."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import write_corpus
from benchmarks.options import Options
from benchmarks.report import Report, median, say
from benchmarks.stage_times import STAGES, timed_refresh
from benchmarks.workbench import SOURCE, Workbench, environment, wal_position, workbench
from rag_pipeline.handover import Published
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.comparison import index_rows_written

TITLE = "A refresh when nothing changed"
_COMMAND = Path(sys.executable).with_name("rag-pipeline")


@dataclass(frozen=True, slots=True)
class _Quiet:
    """One no-change refresh."""

    published: Published
    seconds: dict[str, float]
    wal_bytes: int
    rows_written: int


def run(report: Report, options: Options) -> None:
    """Measure at two sizes, so that what grows with the source shows; then the small one through Dagster."""
    small, large = (60, 120) if options.quick else (10_000, 100_000)
    cold: list[tuple[Published, dict[str, float]]] = []
    quiet: list[list[_Quiet]] = []
    dagster: list[float] = []
    for documents in (small, large):
        with workbench() as bench:
            say(f"writing {documents:,} documents")
            write_corpus(bench.documents, documents)
            say("cold build")
            cold.append(timed_refresh(Pipeline(bench.settings), SOURCE))
            bench.settle()
            say("no change")
            quiet.append([_refresh_quietly(bench) for _ in range(options.repeats)])
            if documents == small:
                say("no change, through Dagster")
                dagster = [_refresh_by_command(bench) for _ in range(1 + options.repeats)]

    per_document = median(1000 * sum(q.seconds.values()) / q.published.listed for q in quiet[-1])
    report.goal(f"no change, {large:,} documents", "≤ 0.2", per_document, "ms a document", per_document <= 0.2)
    through_dagster = median(dagster[1:])
    report.goal(f"the same through Dagster, {small:,} documents", "< 10", through_dagster, "s", through_dagster < 10)
    written = sum(q.rows_written for repeats in quiet for q in repeats)
    report.goal("rows of the index written", "0", written, "", written == 0)

    report.text(
        "Generated Markdown files (about 120 words, three to four headings), the `hashed` embedder, the embedded "
        f"Postgres as it comes. Milliseconds a document of each stage function, median of {options.repeats} refreshes, "
        "each by a new `Pipeline`. WAL is what the whole server wrote meanwhile; the server was vacuumed and "
        "checkpointed before, so the first page images after a checkpoint are in it."
    )
    report.table(
        ("no change", "documents", *STAGES, "total", "WAL KB", "rows written", "texts embedded"),
        [
            (
                "ms a document",
                repeats[0].published.listed,
                *(median(1000 * q.seconds[stage] / q.published.listed for q in repeats) for stage in STAGES),
                median(1000 * sum(q.seconds.values()) / q.published.listed for q in repeats),
                median(q.wal_bytes / 1024 for q in repeats),
                max(q.rows_written for q in repeats),
                max(q.published.texts_embedded for q in repeats),
            )
            for repeats in quiet
        ],
    )
    report.text(
        f"Through Dagster means the command `rag-pipeline refresh`, from its start to its exit, at {small:,} "
        f"documents: {through_dagster:.1f} s (median of {options.repeats}); the very first run, which also makes "
        f"Dagster's tables, took {dagster[0]:.1f} s."
    )
    report.text("The cold build before it, seconds of each stage:")
    report.table(
        ("cold build", "documents", "chunks", *STAGES, "total s", "documents/s"),
        [
            (
                "seconds",
                published.listed,
                published.chunks_written,
                *seconds.values(),
                sum(seconds.values()),
                published.listed / sum(seconds.values()),
            )
            for published, seconds in cold
        ],
    )


def _refresh_quietly(bench: Workbench) -> _Quiet:
    with bench.administrator() as connection:
        wal, rows = wal_position(connection), index_rows_written(connection)
        published, seconds = timed_refresh(Pipeline(bench.settings), SOURCE)
        return _Quiet(published, seconds, wal_position(connection) - wal, index_rows_written(connection) - rows)


def _refresh_by_command(bench: Workbench) -> float:
    started = time.perf_counter()
    finished = subprocess.run(
        [_COMMAND, "refresh", "--json"],
        cwd=bench.folder,
        env=environment(),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds = time.perf_counter() - started
    (source,) = json.loads(finished.stdout)["sources"]
    assert source["unchanged"] == source["listed"], source
    return seconds
