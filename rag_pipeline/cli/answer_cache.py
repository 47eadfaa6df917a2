"""What the cache of answers saved: read from the cache itself, which counts it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.output import print_table
from rag_pipeline.database.statements import statements
from rag_pipeline.money import dollars

if TYPE_CHECKING:
    from psycopg import Connection

    from rag_pipeline.query.cache import Counts
    from rag_pipeline.settings import Settings

_COLUMNS = {"day": "day", "asked": "answers", "found": "cached", "tokens_saved": "tokens saved", "saved": "usd saved"}
_SUMS = ("asked", "found", "tokens_saved", "saved_usd", "tokens_unpriced")


@dataclass(frozen=True, slots=True)
class Saved:
    """The counts of some days on which something was asked, oldest first; None: the cache does not answer now."""

    days: "Sequence[Counts] | None"

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        rows = [
            {"day": each.day, **_numbers({name: getattr(each, name) for name in _SUMS})} for each in self.days or ()
        ]
        return {"reachable": self.days is not None, "rows": rows, "total": _numbers(self._total)}

    def show(self, by_day: bool) -> None:
        """Print it for people, with a row for each day if they want one."""
        if self.days is None:
            click.echo("the cache of answers (RAG_REDIS_URL) does not answer, so what it saved is not known")
            return
        total = self._total
        if not total["asked"]:
            return
        if by_day:
            rows = [{name: getattr(each, name, None) for name in _COLUMNS} for each in self.days]
            for row, each in zip(rows, self.days, strict=True):
                row["saved"] = dollars(each.saved_usd)
            print_table(rows, _COLUMNS)
        unpriced = ", without those of unknown price" if total["tokens_unpriced"] else ""
        click.echo(
            f"the cache had {total['found']:,} of {total['asked']:,} answers ({total['found'] / total['asked']:.1%}), "
            f"which saved {total['tokens_saved']:,} tokens, {dollars(total['saved_usd'])}{unpriced}"
        )

    @property
    def _total(self) -> dict[str, Any]:
        return {name: sum(getattr(each, name) for each in self.days or ()) for name in _SUMS}


def answer_cache(connection: "Connection[dict[str, Any]]", settings: "Settings", days: int) -> Saved | None:
    """Return what the cache of this deployment saved in the last `days`; None where there is no cache.

    Raises `ConfigurationError` for an address that cannot be one.
    """
    from rag_pipeline.query.cache import is_named, open_cache

    if not is_named(os.environ):
        return None
    row = connection.execute(statements("search")["deployment"]).fetchone()
    assert row is not None
    cache = open_cache(row["deployment"], settings.answers.cache_hours * 3600)
    counts = cache.counts(days) if cache else None
    return Saved(None if counts is None else [each for each in counts if each.asked])


def _numbers(sums: Mapping[str, Any]) -> dict[str, Any]:
    rate = sums["found"] / sums["asked"] if sums["asked"] else None
    return {**sums, "saved_usd": float(sums["saved_usd"]), "hit_rate": rate}
