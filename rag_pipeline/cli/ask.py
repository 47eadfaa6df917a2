"""The verbs that ask the index: always on behalf of somebody."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.answers import Shown, print_answer
from rag_pipeline.cli.hits import print_hits
from rag_pipeline.cli.options import as_json, caller_of, caller_option, chosen, load_settings, source_option
from rag_pipeline.cli.output import print_json

if TYPE_CHECKING:
    from rag_pipeline.query import Filters
    from rag_pipeline.settings import Settings


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


_ASKING = (
    click.argument("text"),
    caller_option(),
    click.option("-k", default=10, show_default=True, help="How many hits, at most."),
    source_option("Search only this source"),
    click.option(
        "--since", type=Moment(), metavar="T", help="Only documents modified since this date or time (ISO 8601)."
    ),
    click.option("--until", type=Moment(), metavar="T", help="Only documents modified before this date or time."),
    click.option(
        "--confirmed-since", type=Moment(), metavar="T", help="Only sources listed completely since this time."
    ),
    click.option(
        "--media-type", "media_types", metavar="M", multiple=True, help="Only this media type; may be repeated."
    ),
    click.option("--language", "languages", metavar="L", multiple=True, help="Only this language; may be repeated."),
    click.option("--uri-prefix", metavar="URI", help="Only documents whose address begins like this."),
    click.option(
        "--where", type=JsonObject(), metavar="JSON", help="Only documents whose metadata contain this object."
    ),
    click.option("--rerank/--no-rerank", default=None, help="Have a cross-encoder re-rank, whatever rag.toml says."),
)
"""What both verbs take: the question, who asks, and among what."""


def _asking(verb: Callable[..., None]) -> Callable[..., None]:
    return reduce(lambda decorated, option: option(decorated), reversed(_ASKING), verb)


@click.command(short_help="Search on behalf of a caller.")
@_asking
@click.option("--explain", is_flag=True, help="Say what each layer kept, dropped and took, and why.")
@click.option("--plan", is_flag=True, help="--explain, and the plans of the SQL.")
@as_json
def search(
    text: str,
    principals: tuple[str, ...],
    k: int,
    rerank: bool | None,
    explain: bool,
    plan: bool,
    as_json: bool,
    **narrowing: Any,
) -> None:
    """Search the index for TEXT, among what the caller may read. Words in "quotation marks" must follow each other."""
    caller = caller_of(principals)
    from rag_pipeline.query import Index

    settings = load_settings()
    try:
        filters = _filters(settings, **narrowing)
        with Index.connect(settings) as index:
            hits = index.search(text, caller=caller, k=k, filters=filters, rerank=rerank, explain=explain, plan=plan)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        found = {
            "as_of": hits.as_of,
            "hits": [asdict(hit) for hit in hits],
            "windows": [asdict(window) for window in hits.windows],
            "notes": hits.notes,
            "reranked": hits.reranked,
        }
        print_json(found | ({"explanation": asdict(hits.explanation)} if hits.explanation else {}))
    else:
        print_hits(hits)


@click.command(short_help="Answer a question on behalf of a caller.")
@_asking
@as_json
def ask(text: str, principals: tuple[str, ...], k: int, rerank: bool | None, as_json: bool, **narrowing: Any) -> None:
    """Answer the question TEXT from what the caller may read, with citations; or say that it is not known.

    A model writes the answer if [answers] model names one, else the best passages are quoted.
    """
    caller = caller_of(principals)
    from rag_pipeline.query import Index

    settings = load_settings()
    shown = Shown()
    try:
        filters = _filters(settings, **narrowing)
        with Index.connect(settings) as index:
            on_text = None if as_json else shown.add
            answer = index.answer(text, caller=caller, k=k, filters=filters, rerank=rerank, on_text=on_text)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        values = {field.name: _as_json(getattr(answer, field.name)) for field in fields(answer)}
        print_json(values | {"cost_usd": None if answer.cost_usd is None else float(answer.cost_usd)})
    else:
        print_answer(answer, shown)


def _as_json(value: Any) -> Any:
    """Return a value of an answer, records as objects."""
    if isinstance(value, tuple):
        return [asdict(each) if is_dataclass(each) and not isinstance(each, type) else each for each in value]
    return value


def _filters(
    settings: "Settings",
    names: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    confirmed_since: datetime | None,
    media_types: tuple[str, ...],
    languages: tuple[str, ...],
    uri_prefix: str | None,
    where: Mapping[str, Any] | None,
) -> "Filters":
    """Return what narrows the question. Raises `ValueError` for what cannot be meant."""
    from rag_pipeline.query import Filters

    return Filters(
        sources=chosen(settings, names) if names else None,
        media_types=media_types or None,
        uri_prefix=uri_prefix,
        languages=languages or None,
        modified_since=since,
        modified_until=until,
        confirmed_since=confirmed_since,
        where=where,
    )
