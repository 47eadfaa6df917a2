"""How a migration looks on a terminal: its plan, and how far it is."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from rag_pipeline.cli.output import print_table, printable
from rag_pipeline.money import dollars

if TYPE_CHECKING:
    from rag_pipeline.index.migration import MigrationStatus, Plan, SourceProgress
    from rag_pipeline.recipe import Difference

_PLAN = {
    "documents": "documents",
    "chunks": "chunks",
    "texts_to_embed": "to embed",
    "tokens": "tokens",
    "cost": "cost",
    "time": "time",
    "space": "space",
}
_PROGRESS = {
    "source": "source",
    "documents": "documents",
    "chunks": "chunks",
    "texts": "embedded",
    "state": "state",
    "quarantined": "quarantined",
}
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
_KIB = 1024


def print_plan(plan: "Plan") -> None:
    """Print what the next generation would take, and what it is for."""
    click.echo(f"generation {plan.generation}, model {printable(plan.model)}, instead of {plan.live}")
    print_differences(plan.differences)
    row = asdict(plan) | {
        "cost": _cost(plan.cost_usd),
        "time": "not known" if plan.hours is None else duration(plan.hours * 3600),
        "space": size(plan.bytes),
    }
    print_table([row], _PLAN)
    if not plan.exact:
        click.echo(f"projected from {plan.counted:,} of {plan.documents:,} documents")


def print_status(status: "MigrationStatus") -> None:
    """Print the live generation, the one that is built, and how far each source is there."""
    click.echo(f"generation {status.live} is live, model {printable(status.live_model)}")
    if status.generation is not None:
        click.echo(f"generation {status.generation} is being built, model {printable(status.model or '')}")
    print_differences(status.differences)
    if status.sources:
        print_table([_progress_row(source) for source in status.sources], _PROGRESS, optional=["quarantined"])
    if status.generation is not None and not status.ready:
        click.echo(", ".join(_outlook(status)))


def print_differences(differences: "tuple[Difference, ...]") -> None:
    """Print what is not alike in two recipes, a line each."""
    for difference in differences:
        click.echo(f"  {printable(str(difference))}")


def duration(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for length, unit in _UNITS:
        if seconds >= length:
            count = round(seconds / length)
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "under a minute"


def size(count: int) -> str:
    """Return a number of bytes in its largest unit."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < _KIB:
            return f"{amount:,.0f} {unit}"
        amount /= _KIB
    return f"{amount:,.1f} TiB"


def _cost(amount: float | None) -> str:
    return "not known" if amount is None else dollars(Decimal(str(amount)))


def _progress_row(source: "SourceProgress") -> Mapping[str, Any]:
    state = "equal" if source.equal else "to follow" if source.built else "to build"
    return {
        "source": source.source,
        "documents": _share(source.documents, source.documents_total),
        "chunks": _share(source.chunks, source.chunks_total),
        "texts": _share(source.texts, source.texts_total),
        "state": f"{state}, failed" if source.failure else state,
        "quarantined": source.quarantined,
    }


def _share(done: int, total: int | None) -> str:
    return f"{done:,} of {'?' if total is None else f'{total:,}'}"


def _outlook(status: "MigrationStatus") -> Iterator[str]:
    if status.rate:
        yield f"{status.rate:,.1f} texts a second"
    yield "time left: " + ("not known" if status.remaining_seconds is None else duration(status.remaining_seconds))
    yield f"cost so far {_cost(status.cost_usd)}, left {_cost(status.remaining_cost_usd)}"
