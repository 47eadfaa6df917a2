"""The real history of a company handbook, refreshed at 40 points: what is embedded, and what need not be."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.options import Options
from benchmarks.report import Report, median, say
from benchmarks.workbench import SOURCE, workbench
from rag_pipeline.handover import Changes, Published
from rag_pipeline.parquet import read_rows
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.handbook import BUNDLE, MISSING, History

TITLE = "A real history: 977 commits of a handbook"
_SOURCE = """\
type = "git"
url = "{repository}"
ref = "main"
include = ["**/*.md"]
guards = {{ max_deletions = 1.0 }}"""


@dataclass(frozen=True, slots=True)
class _Point:
    """One refresh. `chunks_of_changed` is what a tool embeds that knows documents by their path and whole."""

    published: Published
    seconds: float
    chunks_of_changed: int
    chunks_in_index: int


def run(report: Report, options: Options) -> None:
    """Refresh at points spread over the history, with the real model."""
    if not BUNDLE.exists():
        report.text(f"Skipped: {MISSING}.")
        return
    with TemporaryDirectory(prefix="rag-bench-history-") as folder:
        history = History.unpack(Path(folder))
        provider = "hashed" if options.quick else "local"
        with workbench(_SOURCE.format(repository=history.repository), provider) as bench:
            points: list[_Point] = []
            for commit in history.spread(3 if options.quick else 40):
                history.go_to(commit)
                points.append(_refresh(Pipeline(bench.settings)))
                say(f"{len(points)}: {points[-1].published.texts_embedded} texts in {points[-1].seconds:.1f} s")
            with bench.administrator() as connection:
                distinct, bought = connection.execute(
                    "select (select count(*) from rag.embedding_store), (select sum(texts) from rag.usage_ledger)"
                ).fetchone() or (0, 0)
            model = Pipeline(bench.settings).embedder.model
    _write(report, points, distinct, int(bought), model)


def _refresh(pipeline: Pipeline) -> _Point:
    started = time.perf_counter()
    hashes = pipeline.content_hashes(pipeline.source_snapshot(SOURCE))
    changes = pipeline.changed_documents(hashes)
    chunked = pipeline.chunks(changes)
    embedded = pipeline.embeddings(chunked)
    seconds = time.perf_counter() - started
    moved = _chunks_of_moved(pipeline, changes)
    started = time.perf_counter()
    published = pipeline.published_index(embedded, seconds)
    seconds += time.perf_counter() - started
    with pipeline.connected() as connection:
        (chunks,) = connection.execute("select count(*) from chunks").fetchone() or (0,)
    return _Point(published, seconds, chunked.chunks + moved, chunks)


def _chunks_of_moved(pipeline: Pipeline, changes: Changes) -> int:
    """Return how many chunks the documents have that only changed their path."""
    file = pipeline.workspace.file(changes.hashes.snapshot.folder, "changes.parquet")
    keys = [row["doc_key"] for row in read_rows(file, ["doc_key", "category"]) if row["category"] == "moved"]
    with pipeline.connected() as connection:
        (count,) = connection.execute("select count(*) from chunks where doc_key = any (%s)", [keys]).fetchone() or (0,)
    return count


def _write(report: Report, points: list[_Point], distinct: int, bought: int, model: str) -> None:
    first, later = points[0], points[1:]
    embedded = sum(point.published.texts_embedded for point in points)
    report.goal(
        "texts embedded, of which bought twice",
        "0",
        embedded - distinct,
        f"of {embedded:,}",
        embedded == distinct == bought,
    )
    renames = [point for point in later if _categories(point) == {"moved"}]
    for_renames = sum(point.published.texts_embedded for point in renames)
    report.goal(
        f"texts embedded by the {len(renames)} refreshes that only saw renames", "0", for_renames, "", not for_renames
    )
    report.text(
        f"The repository as a `git` source, model `{model}`, refreshed at {len(points)} points spread evenly over its "
        "history. *Whole documents* is what a tool embeds that embeds every chunk of each document whose content or "
        "path changed; *rebuild* is what building the index anew at every point would embed."
    )
    report.table(
        ("", "refreshes", "texts embedded", "whole documents", "rebuild", "seconds, sum", "seconds, median", "longest"),
        [_row("first build", [first]), *([_row("all later", later)] if later else [])],
    )
    seen = Counter[str]()
    for point in later:
        for category in ("added", "changed", "moved", "removed", "restored"):
            seen[category] += getattr(point.published, category)
    found = ", ".join(f"{count:,} {category}" for category, count in seen.items())
    report.text(f"The later refreshes found these changes of documents: {found}.")


def _categories(point: _Point) -> set[str]:
    names = ("added", "changed", "moved", "removed", "restored")
    return {name for name in names if getattr(point.published, name)}


def _row(name: str, points: list[_Point]) -> tuple[str | int | float, ...]:
    return (
        name,
        len(points),
        sum(point.published.texts_embedded for point in points),
        sum(point.chunks_of_changed for point in points),
        sum(point.chunks_in_index for point in points),
        sum(point.seconds for point in points),
        median(point.seconds for point in points),
        max(point.seconds for point in points),
    )
