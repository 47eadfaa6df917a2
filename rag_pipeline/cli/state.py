"""The verbs that look: how fresh and how large the index is, and what could not be read."""

from collections.abc import Iterator
from typing import Any

import click

from rag_pipeline.cli.generations import standing
from rag_pipeline.cli.options import as_json, chosen, load_settings, source_option
from rag_pipeline.cli.output import print_json, print_notes, print_table
from rag_pipeline.cli.session import prepared_session
from rag_pipeline.database.statements import statements

_STATUS = {
    "source": "source",
    "documents": "documents",
    "chunks": "chunks",
    "as_of": "as of",
    "stale": "stale",
    "oldest_unpublished_change": "oldest unpublished change",
    "withheld": "withheld",
    "quarantined": "quarantined",
    "pinned_snapshot": "held at snapshot",
    "gate_closed_since": "gate closed since",
}
_ONLY_IF_ANY = ("oldest_unpublished_change", "withheld", "quarantined", "pinned_snapshot", "gate_closed_since")
_NEVER_REFRESHED = {
    "documents": 0,
    "chunks": 0,
    "as_of": None,
    "stale": True,
    "oldest_unpublished_change": None,
    "quarantined": 0,
    "withheld": 0,
    "pinned_snapshot": None,
    "gate_closed_since": None,
}
_QUARANTINE = {
    "source": "source",
    "uri": "document",
    "reason": "reason",
    "first_seen": "first seen",
    "attempts": "attempts",
}


@click.command(short_help="Show freshness, size and generation.")
@as_json
def status(as_json: bool) -> None:
    """Show how fresh and how large each source's part of the index is, and which generations of it there are.

    A stale source leaves the exit code 0.
    """
    settings = load_settings()
    with prepared_session(settings) as connection:
        now = standing(settings, connection)
        # The view stands on the tables of a generation.
        published = connection.execute(statements("status")["freshness"]).fetchall() if now.generation else []
    known = {row["source"]: row for row in published}
    configured = {source.name: source.type for source in settings.sources}
    rows = [
        {"source": name, "type": configured.get(name), **_NEVER_REFRESHED, **known.get(name, {})}
        | {"configured": name in configured}
        for name in [*configured, *(name for name in known if name not in configured)]
    ]
    if as_json:
        print_json({"sources": rows} | now.as_json())
        return
    if rows:
        print_table(rows, _STATUS, optional=_ONLY_IF_ANY)
    if now.generation:
        click.echo(f"generation {now.generation}, model {now.model}")
        print_notes([*(note for row in rows for note in _attention(row)), *now.notes()])
    else:
        click.echo("nothing was refreshed yet; start with: rag-pipeline refresh")


def _attention(row: dict[str, Any]) -> Iterator[str]:
    """Say what a person should look at, and the command that helps."""
    name = row["source"]
    if not row["configured"]:
        yield f"{name}: is in the index, but not in rag.toml"
    elif row["pinned_snapshot"]:
        yield f"{name}: is held at a snapshot; let it go on: rag-pipeline rollback --source {name} --to latest"
    elif row["gate_closed_since"]:
        yield f"{name}: the gate is closed; see what fell, and what to do: rag-pipeline refresh --source {name}"
    elif row["stale"]:
        yield f"{name}: is stale; bring it up to date: rag-pipeline refresh --source {name}"


@click.command(short_help="List documents that could not be read.")
@source_option("Only this source")
@as_json
def quarantine(names: tuple[str, ...], as_json: bool) -> None:
    """List the documents that could not be read, and why. Each is tried again when it, or its parser, changes."""
    settings = load_settings()
    sources = chosen(settings, names) if names else None
    with prepared_session(settings) as connection:
        documents = connection.execute(statements("status")["quarantine"], {"sources": sources}).fetchall()
    if as_json:
        print_json({"documents": documents})
    elif documents:
        print_table(documents, _QUARANTINE)
    else:
        click.echo("no document is quarantined")
