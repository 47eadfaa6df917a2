"""The verb that counts: what models were asked, what it cost, what was saved by what was kept, what is left."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.answer_cache import answer_cache
from rag_pipeline.cli.options import as_json, load_settings
from rag_pipeline.cli.output import cell, print_json, printable
from rag_pipeline.cli.session import prepared_session
from rag_pipeline.database.statements import statements
from rag_pipeline.money import dollars

if TYPE_CHECKING:
    from rag_pipeline.settings import Budget

Rows = Sequence[Mapping[str, Any]]
_SUMS = ("texts", "tokens", "cost_usd", "tokens_unpriced", "texts_wanted", "texts_found", "tokens_saved", "saved_usd")
_BAR = 24


@click.command(short_help="Show tokens, dollars, and what was saved by what was kept.")
@click.option(
    "--days", type=click.IntRange(1, 3660), default=30, metavar="N", help="The last N UTC days; 30 by default."
)
@click.option(
    "--by", type=click.Choice(["day", "source", "model"]), default="day", help="What a row stands for; day by default."
)
@as_json
def usage(days: int, by: str, as_json: bool) -> None:
    """Show what models were asked, what it cost, and what the embedding store and the cache of answers saved.

    Questions are not counted: who searches may not write.
    """
    settings = load_settings()
    with prepared_session(settings) as connection:
        # The views stand on the tables of a generation.
        live = connection.execute(statements("generations")["live_generation"]).fetchone()
        found = connection.execute(statements("usage")[f"by_{by}"], {"days": days}).fetchall() if live else []
        gone = connection.execute(statements("budget")["committed"], {"run_id": None}).fetchone() or {}
        cached = answer_cache(connection, settings, days)
    total = {name: sum(row[name] for row in found) for name in _SUMS}
    if as_json:
        bounds = settings.budget
        print_json(
            {
                "days": days,
                "by": by,
                "rows": [_numbers(row) for row in found],
                "total": _numbers(total),
                "month": {
                    **_plain(gone),
                    "per_month_usd": _plain(bounds.per_month_usd),
                    "per_run_usd": _plain(bounds.per_run_usd),
                },
                "answer_cache": cached and cached.as_json(),
            }
        )
        return
    if not any(row["tokens"] or row["texts_wanted"] for row in found):
        click.echo(f"no model was asked anything in the last {days} days")
    else:
        _plot(found, by)
        for line in _summary(total, days):
            click.echo(line)
    if cached is not None:
        cached.show(by == "day")
    click.echo(_month(gone, settings.budget))


def _plot(rows: Rows, by: str) -> None:
    """Print a row with a bar each: of dollars where something was paid, else of tokens."""
    from rich.bar import Bar
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    measure = "cost_usd" if any(row["cost_usd"] for row in rows) else "tokens"
    longest = float(max(row[measure] for row in rows)) or 1.0
    table = Table(box=None, pad_edge=False)
    for heading in (by, "texts", "tokens", "usd", "found"):
        # Where a terminal is too narrow a name goes on in the next line; a number is never cut.
        table.add_column(heading, justify="left" if heading == by else "right", no_wrap=heading != by, overflow="fold")
    table.add_column("usd" if measure == "cost_usd" else "tokens", width=_BAR)
    for row in rows:
        found = f"{row['texts_found'] / row['texts_wanted']:.0%}" if row["texts_wanted"] else "-"
        money = "?" if row["tokens_unpriced"] and not row["cost_usd"] else dollars(row["cost_usd"])
        numbers = (Text(text) for text in (cell(row["texts"]), cell(row["tokens"]), money, found))
        bar = Bar(longest, 0, float(row[measure]), width=_BAR)
        table.add_row(Text(printable(str(row[by] or "-"))), *numbers, bar)
    Console().print(table)


def _summary(total: Mapping[str, Any], days: int) -> Iterator[str]:
    yield f"in {days} days: {total['texts']:,} texts, {total['tokens']:,} tokens, {dollars(total['cost_usd'])}"
    if total["tokens_unpriced"]:
        yield (
            f"{total['tokens_unpriced']:,} of these tokens are not in the dollars, because nobody knew the price of "
            "their model; name it: [budget.prices] in rag.toml"
        )
    if total["texts_wanted"]:
        yield (
            f"the embedding store had {total['texts_found']:,} of {total['texts_wanted']:,} texts "
            f"({total['texts_found'] / total['texts_wanted']:.1%}), which saved {total['tokens_saved']:,} tokens, "
            f"{dollars(total['saved_usd'])}"
        )


def _month(gone: Mapping[str, Any], bounds: "Budget") -> str:
    """Say what of the month's budget is gone."""
    in_flight = f", {dollars(gone['in_flight_usd'])} of it in flight now or when a run was killed"
    of = "" if bounds.per_month_usd is None else f" of [budget] per_month_usd = {bounds.per_month_usd}"
    return (
        f"this month: {dollars(gone['month_usd'])}{of}{in_flight if gone['in_flight_usd'] else ''}; "
        f"the next one begins on {gone['next_month']} (UTC)"
    )


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for JSON, with the share of the wanted texts that the store had."""
    rate = row["texts_found"] / row["texts_wanted"] if row["texts_wanted"] else None
    return {**_plain(row), "hit_rate": rate}


def _plain(value: Any) -> Any:
    """Return a value with numbers that JSON knows."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return float(value) if isinstance(value, Decimal) else value
