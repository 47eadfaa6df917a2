"""The verbs that ask the index: always on behalf of somebody."""

import json
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.options import as_json, chosen, load_settings, source_option
from rag_pipeline.cli.output import age, print_json, printable

if TYPE_CHECKING:
    from rag_pipeline.query import Hits

_SHOWN_LINES = 5


class Moment(click.ParamType):
    """An ISO 8601 date or time; without a time zone it is UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return a moment with a time zone."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date; write 2026-01-31 or 2026-01-31T08:00:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class JsonObject(click.ParamType):
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mapping[str, Any]:
        """Return the object."""
        try:
            found = json.loads(value)
        except (ValueError, RecursionError) as error:
            self.fail(f"{value!r} is no JSON ({error}); write an object such as '{{\"team\": 42}}'", param, ctx)
        if not isinstance(found, dict):
            self.fail(f"{value!r} is no JSON object; write one such as '{{\"team\": 42}}'", param, ctx)
        return found


@click.command(short_help="Search on behalf of a caller.")
@click.argument("text")
@click.option(
    "--as", "principals", metavar="P", multiple=True, help="Who asks: public, user:NAME or group:NAME; repeat for each."
)
@click.option("-k", default=10, show_default=True, help="How many hits, at most.")
@source_option("Search only this source")
@click.option("--since", type=Moment(), metavar="T", help="Only documents modified since this date or time (ISO 8601).")
@click.option("--where", type=JsonObject(), metavar="JSON", help="Only documents whose metadata contain this object.")
@as_json
def search(
    text: str,
    principals: tuple[str, ...],
    k: int,
    names: tuple[str, ...],
    since: datetime | None,
    where: Mapping[str, Any] | None,
    as_json: bool,
) -> None:
    """Search the index for TEXT, among what the caller may read."""
    if not principals:
        raise click.UsageError(
            "say on whose behalf: --as user:NAME, --as group:NAME (repeat for every group) or --as public; "
            "nothing is shown that they may not read"
        )
    from rag_pipeline.query import Caller, Filters, Index

    settings = load_settings()
    sources = chosen(settings, names) if names else None
    try:
        caller = Caller(*principals)
        filters = Filters(sources=sources, modified_since=since, where=where)
        with Index.connect(settings) as index:
            hits = index.search(text, caller=caller, k=k, filters=filters)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        print_json({"as_of": hits.as_of, "hits": [asdict(hit) for hit in hits]})
    else:
        _print(hits)


def _print(hits: "Hits") -> None:
    for number, hit in enumerate(hits, start=1):
        place = " > ".join(hit.heading_path) or hit.title
        click.secho(f"{number}. {printable(place or hit.document_id)}", bold=True)
        modified = f", modified {age(hit.modified_at)}" if hit.modified_at else ""
        click.echo(f"   {printable(hit.source)}: {printable(hit.uri)}{printable(_spot(hit.place))}{modified}")
        for line in _excerpt(hit.text):
            click.echo(f"   {line}")
        click.echo()
    if not hits:
        click.echo("no hit among what this caller may read")
    click.echo(f"index as of {hits.as_of.isoformat(timespec='seconds') if hits.as_of else 'no complete listing yet'}")


def _spot(place: Mapping[str, Any]) -> str:
    """Say where in its source a hit is: pages, lines, or who spoke when."""
    words: list[str] = []
    for name, singular in (("pages", "page"), ("lines", "line")):
        if span := place.get(name):
            first, last = span
            words.append(f", {singular} {first}" if first == last else f", {name} {first} to {last}")
    if span := place.get("seconds"):
        words.append(", {} to {}".format(*(f"{int(at) // 60}:{int(at) % 60:02}" for at in span)))
    if speakers := place.get("speakers"):
        words.append(f", {', '.join(speakers)}")
    return "".join(words)


def _excerpt(text: str) -> list[str]:
    """Return the first lines of a text, indented as they are and wrapped to the terminal."""
    width = shutil.get_terminal_size().columns - 3
    lines: list[str] = []
    for line in text.expandtabs(4).split("\n"):
        indent = line[: len(line) - len(line.lstrip(" "))]
        lines += textwrap.wrap(printable(line), width, initial_indent=indent, subsequent_indent=indent)
    return lines if len(lines) <= _SHOWN_LINES else [*lines[:_SHOWN_LINES], "…"]
