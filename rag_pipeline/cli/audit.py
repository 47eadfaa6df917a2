"""The verbs that keep order: is the index what its sources say, and what may be thrown away."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.failures import describe
from rag_pipeline.cli.options import as_json, chosen, load_settings, source_option
from rag_pipeline.cli.outcomes import Done, Failed, code_of, for_each, rows
from rag_pipeline.cli.output import print_json, print_notes, print_table
from rag_pipeline.cli.progress import StageProgress

if TYPE_CHECKING:
    from rag_pipeline.index.verify import Verification

_KINDS = ("ghosts", "missing", "different", "repaired")
_HEADINGS = {name: name for name in ("source", "documents", *_KINDS, "quarantined")}
_REMOVED = {
    "tombstones": "removed documents",
    "folders": "refresh folders",
    "blobs": "blobs",
    "vectors": "vectors",
    "questions": "logged questions",
}


@click.command(short_help="Compare the index with a build from scratch.")
@source_option("Verify only this source")
@click.option("--repair", is_flag=True, help="Publish what differs.")
@as_json
def verify(names: tuple[str, ...], repair: bool, as_json: bool) -> None:
    """Read every document again and compare what it gives with the index, row by row.

    Exit 1 when anything differs (with --repair: still differs afterwards).
    """
    from rag_pipeline.stages import Pipeline

    settings = load_settings()
    sources = chosen(settings, names)
    _ = Pipeline(settings).generation

    def run(source: str) -> "Verification":
        with StageProgress(source) as progress:
            return Pipeline(settings, progress=progress).verify(source, repair)

    outcomes = for_each(sources, run)
    found = rows(outcomes)
    totals = {kind: sum(row.get(kind, 0) for row in found) for kind in _KINDS}
    if as_json:
        print_json({"sources": found, **totals})
    else:
        done = [row for row in found if "error" not in row]
        if done:
            print_table(done, _HEADINGS, optional=["repaired", "quarantined"])
        print_notes(note for outcome in outcomes for note in _attention(outcome))
    raise SystemExit(code_of(outcomes, lambda verification: verification.equal))


def _attention(outcome: "Done[Verification] | Failed") -> Sequence[str]:
    if isinstance(outcome, Failed):
        return [f"{outcome.source}: failed: {describe(outcome.error)}"]
    if outcome.value.equal:
        return []
    advice = f"{outcome.source}: differs; make it equal: rag-pipeline verify --source {outcome.source} --repair"
    return [*(f"{outcome.source}: {example}" for example in outcome.value.examples), advice]


@click.command(short_help="Remove what nothing needs any more.")
@as_json
def housekeeping(as_json: bool) -> None:
    """Remove what has been unneeded for [workspace] keep_days, and old questions of the log."""
    from rag_pipeline.stages import Pipeline

    removed = asdict(Pipeline(load_settings()).housekeeping())
    if as_json:
        print_json(removed)
    else:
        click.echo("removed " + ", ".join(f"{removed[key]:,} {name}" for key, name in _REMOVED.items()))
