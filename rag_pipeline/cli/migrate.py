"""The verbs of migration: another generation of the index, planned, built, published, gone back from and dropped."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rag_pipeline.cli.failures import describe
from rag_pipeline.cli.migrations import print_plan, print_status
from rag_pipeline.cli.options import as_json, load_settings
from rag_pipeline.cli.outcomes import Failed, code_of, for_each
from rag_pipeline.cli.output import age, print_json, print_notes
from rag_pipeline.cli.progress import StageProgress

if TYPE_CHECKING:
    from rag_pipeline.index.migration import Flip, MigrationStatus
    from rag_pipeline.settings import Settings


@click.group(short_help="Move the index to another model or other settings.")
def migrate() -> None:
    """Build another generation of the index beside the live one, and publish it at once when it is complete."""


@migrate.command()
@as_json
def plan(as_json: bool) -> None:
    """Say what a generation with the present settings would take: documents, texts, tokens, money, time and space.

    Nothing is spent and nothing is changed.
    """
    from rag_pipeline.migration import Migration

    settings = load_settings()
    with StageProgress("plan") as progress:
        found = Migration(settings, progress=progress).plan()
    if as_json:
        print_json(asdict(found))
        return
    if not found.differences:
        click.echo(f"generation {found.live} is what the settings want; there is nothing to migrate")
        return
    print_plan(found)
    click.echo("build it: rag-pipeline migrate start")


@migrate.command()
@as_json
def start(as_json: bool) -> None:
    """Build a generation with the present settings beside the live one, or go on where an earlier start ended.

    Documents come from the workspace, not from their sources, and each source is a run in Dagster. Exit 1 when one
    could not be built.
    """
    from rag_pipeline.migration import Migration

    settings = load_settings()
    outcomes = for_each(Migration(settings).begin(), lambda source: _build(settings, source))
    found = Migration(settings).status()
    if as_json:
        print_json(asdict(found))
    else:
        print_status(found)
        print_notes(_next(found))
    print_notes(f"{each.source}: failed: {describe(each.error)}" for each in outcomes if isinstance(each, Failed))
    raise SystemExit(code_of(outcomes, lambda _: True))


@migrate.command()
@as_json
def status(as_json: bool) -> None:
    """Show how far the generation that is built is, how long it will take and what it will cost."""
    from rag_pipeline.migration import Migration

    found = Migration(load_settings()).status()
    if as_json:
        print_json(asdict(found))
        return
    print_status(found)
    print_notes(f"{source.source}: failed: {source.failure}" for source in found.sources if source.failure)
    print_notes(_next(found))


@migrate.command()
@click.option(
    "--force",
    is_flag=True,
    help="Publish it all the same, also when the gate is closed; never with holes in its tables.",
)
@as_json
def publish(force: bool, as_json: bool) -> None:
    """Make the generation that is built the live one, in one transaction; the live one is kept as retired.

    Exit 1, and nothing changes, when it is not equal to the live one in every source, when readers would
    miss documents there, or when it is searched worse than the baseline of [evaluation] allows.
    """
    from rag_pipeline.migration import Migration

    settings = load_settings()
    with StageProgress("publish") as progress:
        flip = Migration(settings, progress=progress).publish(force)
    _print_flip(flip, as_json)


@migrate.command()
@as_json
def rollback(as_json: bool) -> None:
    """Make the generation live again that was live before, as it was then; the next refresh brings it up to date."""
    from rag_pipeline.migration import Migration

    _print_flip(Migration(load_settings()).rollback(), as_json)


@migrate.command()
@click.argument("generation", type=click.IntRange(min=1))
@as_json
def drop(generation: int, as_json: bool) -> None:
    """Free the tables of GENERATION: one that is retired, or one that is being built. Never the live one."""
    from rag_pipeline.migration import Migration

    Migration(load_settings()).drop(generation)
    if as_json:
        print_json({"dropped": generation})
    else:
        click.echo(f"generation {generation} is dropped")


def _build(settings: "Settings", source: str) -> None:
    """Build one source, as a run in Dagster where it is one that Dagster knows."""
    from rag_pipeline.defs.launch import launch_migration
    from rag_pipeline.migration import Migration

    with StageProgress(source) as progress:
        if source in {configured.name for configured in settings.sources}:
            launch_migration(settings, source, progress)
        else:
            Migration(settings, progress=progress).build(source)


def _print_flip(flip: "Flip", as_json: bool) -> None:
    if as_json:
        print_json(asdict(flip))
        return
    confirmed = f", confirmed {age(flip.as_of)}" if flip.as_of else ""
    click.echo(f"generation {flip.live} is live now instead of {flip.previous}{confirmed}")
    if flip.narrowed:
        click.echo(f"{flip.narrowed:,} documents are shown to fewer readers than this generation last knew")
    click.echo("bring it up to date: rag-pipeline refresh; go back: rag-pipeline migrate rollback")


def _next(status: "MigrationStatus") -> Iterator[str]:
    """Say what can be done next, and the command."""
    if status.generation is None:
        if status.differences:
            yield "see what the next generation takes: rag-pipeline migrate plan"
    elif status.ready:
        yield f"generation {status.generation} is complete; publish it: rag-pipeline migrate publish"
    else:
        yield "build what is missing: rag-pipeline migrate start"
    for generation in status.retired[:1]:
        yield f"generation {generation} is kept; go back to it: rag-pipeline migrate rollback"
