"""The verbs that publish: refresh, and rollback, which is a refresh from an earlier snapshot.

Both launch the Dagster job that the schedule launches, so that every change of the index has its run there.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.failures import describe
from rag_pipeline.cli.generations import Standing, standing
from rag_pipeline.cli.options import as_json, chosen, load_settings, source_option
from rag_pipeline.cli.outcomes import Done, Failed, code_of, for_each, rows
from rag_pipeline.cli.output import print_json, print_notes, print_table
from rag_pipeline.cli.progress import StageProgress

if TYPE_CHECKING:
    from rag_pipeline.handover import Published
    from rag_pipeline.settings import Settings
    from rag_pipeline.stages import Pipeline

Outcomes = Sequence["Done[Published] | Failed"]
_HEADINGS = {
    "source": "source",
    "listed": "listed",
    "added": "added",
    "changed": "changed",
    "moved": "moved",
    "access_changed": "access",
    "metadata_changed": "metadata",
    "removed": "removed",
    "restored": "restored",
    "unchanged": "unchanged",
    "withheld": "withheld",
    "quarantined": "quarantined",
    "chunks_written": "chunks +",
    "chunks_deleted": "chunks -",
    "texts_embedded": "embedded",
    "tokens": "tokens",
    "cost_usd": "usd",
    "seconds": "seconds",
}
_ONLY_IF_ANY = (
    *("changed", "moved", "access_changed", "metadata_changed", "removed", "restored"),
    *("withheld", "quarantined", "chunks_deleted", "tokens", "cost_usd"),
)


@click.command(short_help="Make the index equal to its sources.")
@source_option("Refresh only this source")
@click.option("--dry-run", is_flag=True, help="Say what a refresh would do; embed nothing, publish nothing.")
@click.option(
    "--approve-deletions", type=click.IntRange(min=1), metavar="N", help="Let up to N withheld removals through, once."
)
@click.option(
    "--approve-widenings",
    type=click.IntRange(min=1),
    metavar="N",
    help="Let up to N withheld changes through, once, that admit more readers.",
)
@as_json
def refresh(
    names: tuple[str, ...],
    dry_run: bool,
    approve_deletions: int | None,
    approve_widenings: int | None,
    as_json: bool,
) -> None:
    """Make the index equal to its sources: read what changed, embed what is new, remove what is gone.

    Exit 1 when a source failed, could not be listed completely, or has changes that wait for approval.
    """
    approvals = {"deletions": approve_deletions, "widenings": approve_widenings}
    given = [f"--approve-{kind}" for kind, count in approvals.items() if count]
    if given and not names:
        raise click.UsageError(f"{given[0]} needs --source S: say whose changes you approve")
    if given and dry_run:
        raise click.UsageError(f"{given[0]} changes the index; leave --dry-run out")
    settings = load_settings()
    sources = chosen(settings, names)
    pipeline, now = _ready(settings)

    def run(source: str) -> "Published":
        for kind, count in approvals.items():
            if count:
                pipeline.approve(source, kind, count)
        return _plan(settings, source) if dry_run else _launch(settings, source)

    _report(for_each(sources, run), now, as_json)


@click.command(short_help="Publish an earlier snapshot of a source again.")
@click.option("--source", required=True, metavar="S", help="The source to take back.")
@click.option("--to", "target", metavar="SNAPSHOT", help="A snapshot's number, or latest; without it: list them.")
@as_json
def rollback(source: str, target: str | None, as_json: bool) -> None:
    """Publish an earlier snapshot of a source again, and hold the source there.

    Refreshes keep to that snapshot until `--to latest`. Without --to: list the snapshots that are kept.
    """
    if target is not None and target != "latest" and not target.isdecimal():
        raise click.BadParameter(f"{target!r} is neither a snapshot's number nor latest", param_hint="'--to'")
    settings = load_settings()
    settings.source(source)
    pipeline, now = _ready(settings)
    if target is None:
        _list_snapshots(pipeline, source, as_json)
        return
    pipeline.hold(source, None if target == "latest" else int(target))
    _report(for_each([source], lambda name: _launch(settings, name)), now, as_json)


def _ready(settings: "Settings") -> "tuple[Pipeline, Standing]":
    """Return the pipeline, and which generations there are.

    Raises when the index does not answer or cannot be refreshed: here, once, and not again for each source.
    """
    from rag_pipeline.stages import Pipeline

    pipeline = Pipeline(settings)
    with pipeline.connected() as connection:
        return pipeline, standing(settings, connection)


def _launch(settings: "Settings", source: str) -> "Published":
    from rag_pipeline.defs.launch import launch_refresh

    with StageProgress(source) as progress:
        return launch_refresh(settings, source, progress)


def _plan(settings: "Settings", source: str) -> "Published":
    from rag_pipeline.stages import Pipeline

    with StageProgress(source) as progress:
        return Pipeline(settings, progress=progress).dry_run(source)


def _report(outcomes: Outcomes, now: Standing, as_json: bool) -> None:
    """Print a row a source and what needs attention, and end with the exit code."""
    if as_json:
        print_json({"sources": rows(outcomes)} | now.as_json())
    else:
        done = [_with_dollars(row) for row in rows(outcomes) if "error" not in row]
        if done:
            print_table(done, _HEADINGS, optional=_ONLY_IF_ANY)
        print_notes([*(note for outcome in outcomes for note in _attention(outcome)), *now.notes()])
    raise SystemExit(code_of(outcomes, lambda published: published.complete and not published.withheld))


def _with_dollars(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose cost is money, to be printed as such; tokens that cost nothing interest in a plan only."""
    cost = row["cost_usd"]
    tokens = row["tokens"] if row["dry_run"] or cost != 0 else None
    return row | {"tokens": tokens, "cost_usd": None if cost is None else Decimal(str(cost))}


def _attention(outcome: "Done[Published] | Failed") -> Iterator[str]:
    """Say what a person should look at, and the command that helps."""
    source = outcome.source
    if isinstance(outcome, Failed):
        yield f"{source}: failed: {describe(outcome.error)}"
        return
    published = outcome.value
    if published.dry_run:
        yield f"{source}: a dry run; nothing was embedded or published"
    if published.cost_usd is None and published.tokens:
        yield f"{source}: nobody knows what its tokens cost; name the price of the model: [budget.prices] in rag.toml"
    if not published.complete:
        yield f"{source}: the listing is incomplete, so nothing was removed: {published.reason}"
    if published.withheld:
        withheld = {"deletions": published.withheld_deletions, "widenings": published.withheld_widenings}
        approve = " ".join(f"--approve-{kind} {count}" for kind, count in withheld.items() if count)
        yield (
            f"{source}: {published.withheld:,} changes are withheld, because so many at once may be an accident; "
            f"if they are meant: rag-pipeline refresh --source {source} {approve}"
        )
    if published.quarantined:
        yield f"{source}: {published.quarantined:,} documents cannot be read: rag-pipeline quarantine --source {source}"


def _list_snapshots(pipeline: "Pipeline", source: str, as_json: bool) -> None:
    from rag_pipeline.database.statements import statements

    with pipeline.connected() as connection:
        found = connection.execute(statements("snapshots")["published_snapshots"], {"source": source}).fetchall()
    snapshots = [{"snapshot_id": number, "taken_at": f"{taken_at:%Y-%m-%dT%H:%M:%SZ}"} for number, taken_at, _ in found]
    if as_json:
        print_json({"source": source, "snapshots": snapshots})
    elif snapshots:
        print_table(snapshots, {"snapshot_id": "snapshot", "taken_at": "taken"})
        click.echo(f"go back with: rag-pipeline rollback --source {source} --to SNAPSHOT")
    else:
        click.echo(f"{source} has no snapshot yet; take one with: rag-pipeline refresh --source {source}")
