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
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.handbook import BUNDLE, MISSING, History

_RENAMES = 5
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
            for commit in history.spread(2 if options.quick else 40):
                history.go_to(commit)
                points.append(_refresh(Pipeline(bench.settings)))
                say(f"{len(points)}: {points[-1].published.texts_embedded} texts in {points[-1].seconds:.1f} s")
            say("commits that only rename")
            renames = _renames(bench.settings, history, 1 if options.quick else _RENAMES)
            with bench.administrator() as connection:
                distinct, bought = connection.execute(
                    "select (select count(*) from rag.embedding_store), (select sum(texts) from rag.usage_ledger)"
                ).fetchone() or (0, 0)
            model = Pipeline(bench.settings).embedder.model
    _write(report, points, renames, distinct, int(bought), model)


def _renames(settings: Settings, history: History, count: int) -> list[tuple[Published, Published]]:
    """Return what refreshes at commits published that change nothing but names, and those just before them."""
    found: list[tuple[Published, Published]] = []
    for commits in history.pure_renames()[-count:]:
        pair: list[Published] = []
        for commit in commits:
            history.go_to(commit)
            pair.append(Pipeline(settings).refresh(SOURCE))
        found.append((pair[0], pair[1]))
    return found


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


def _write(
    report: Report,
    points: list[_Point],
    renames: list[tuple[Published, Published]],
    distinct: int,
    bought: int,
    model: str,
) -> None:
    first, later = points[0], points[1:]
    embedded = sum(point.published.texts_embedded for point in points)
    everything = embedded + sum(published.texts_embedded for pair in renames for published in pair)
    twice = bought - distinct
    report.goal(f"of {everything:,} texts embedded, twice", "0", twice, "", twice == 0 and bought == everything)
    moved = sum(after.moved for _, after in renames)
    for_moves = sum(after.texts_embedded for _, after in renames)
    report.goal(f"texts embedded for {moved} pure renames", "0", for_moves, "", moved > 0 and for_moves == 0)
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
    report.text(
        f"The later refreshes found these changes of documents: {found}. The pure renames are the last "
        f"{len(renames)} commits of the history that change nothing but names, refreshed before and after."
    )


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
