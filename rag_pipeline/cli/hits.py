"""How hits look on a terminal, and how a search says what it did."""

import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.output import age, print_notes, print_table, printable

if TYPE_CHECKING:
    from rag_pipeline.query import Explanation, Hit, Hits

_SHOWN_LINES = 5
_LAYERS = {"name": "layer", "milliseconds": "ms", "kept": "kept", "dropped": "dropped", "detail": "way"}
_TRACES = {
    "vector_rank": "vector",
    "keyword_rank": "keyword",
    "fused_rank": "fused",
    "rerank_rank": "re-ranked",
    "rank": "hit",
    "document": "document",
    "dropped": "dropped",
}


def print_hits(hits: "Hits") -> None:
    """Print the hits, best first, and how old the index is."""
    for number, hit in enumerate(hits, start=1):
        _print_hit(number, hit)
    if not hits:
        click.echo("no hit among what this caller may read")
    click.echo(freshness(hits))
    if hits.explanation:
        click.echo()
        print_explanation(hits.explanation)
    print_notes(hits.notes)


def freshness(hits: "Hits") -> str:
    """Say how old the index is; of sources that hold nothing for a caller he is not told, nor that there are any."""
    if hits.as_of:
        return f"index as of {hits.as_of.isoformat(timespec='seconds')}"
    if hits:
        return "how old the index is cannot be said: not every source was listed completely yet"
    return (
        "how old the index is cannot be said: nothing searched is for this caller, or not all was listed completely yet"
    )


def print_explanation(explanation: "Explanation") -> None:
    """Print what each layer did, then the way of every candidate, then the plans of the SQL, if they were asked for."""
    print_table([asdict(layer) for layer in explanation.layers], _LAYERS, optional=("detail",))
    click.echo()
    rows = [asdict(trace) | {"document": f"{trace.source}: {trace.document_id}"} for trace in explanation.traces]
    print_table(rows, _TRACES, optional=("rerank_rank", "dropped"))
    if explanation.plan:
        click.echo()
        for line in explanation.plan:
            click.echo(line)


def _print_hit(number: int, hit: "Hit") -> None:
    place = " > ".join(hit.heading_path) or hit.title
    click.secho(f"{number}. {printable(place or hit.document_id)}", bold=True)
    modified = f", modified {age(hit.modified_at)}" if hit.modified_at else ""
    stale = ", not confirmed for long" if hit.stale else ""
    click.echo(f"   {printable(hit.source)}: {printable(hit.uri)}{printable(spot(hit.place))}{modified}{stale}")
    for line in excerpt(hit.text):
        click.echo(f"   {line}")
    if hit.twins:
        click.echo(f"   (and {len(hit.twins)} that say nearly the same)")
    click.echo()


def spot(place: Mapping[str, Any]) -> str:
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


def excerpt(text: str) -> list[str]:
    """Return the first lines of a text, indented as they are and wrapped to the terminal."""
    width = shutil.get_terminal_size().columns - 3
    lines: list[str] = []
    for line in text.expandtabs(4).split("\n"):
        indent = line[: len(line) - len(line.lstrip(" "))]
        lines += textwrap.wrap(printable(line), width, initial_indent=indent, subsequent_indent=indent)
    return lines if len(lines) <= _SHOWN_LINES else [*lines[:_SHOWN_LINES], "…"]
