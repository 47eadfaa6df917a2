"""Budgets in dollars: before a request leaves, the most that it can cost is reserved, or nothing is sent.

What is spent stands in ``rag.usage_ledger``, what is in flight in ``rag.budget_reservations``; both count.
Reservations are made one at a time under a lock in the database, so that runs at the same time cannot pass
a budget together. A request is settled in the transaction that keeps its vectors and writes the ledger. A
run that is killed leaves its reservation behind: its requests may have been charged although nobody saw the
answers, so it counts until the month is over.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings.prices import api_name, price
from rag_pipeline.errors import BudgetExhausted, ConfigurationError
from rag_pipeline.money import dollars
from rag_pipeline.settings import Budget as Bounds

_KEPT = "What was embedded is kept and is not paid for again. To go on,"


class Budget:
    """What one run may still spend on one model; made by `open_budget`."""

    def __init__(
        self, connection: Connection[Any], bounds: Bounds, model: str, run_id: str | None, source: str | None
    ) -> None:
        self.price = price(model, bounds.prices)
        self._connection = connection
        self._bounds = bounds
        self._model = model
        self._names = {"run_id": run_id, "source": source, "model": model}
        self._reservation: int | None = None
        self._committed = Decimal(0)

    def cost(self, tokens: int) -> Decimal | None:
        """Return the dollars for so many tokens; None when the model's price is not known."""
        return None if self.price is None else self.price.cost(tokens)

    def reserve(self, tokens: int) -> None:
        """Set aside what a request of at most so many tokens can cost. Call it before the request is sent.

        Raises `BudgetExhausted` when that could pass a budget, and `ConfigurationError` when there is a budget
        but no price.
        """
        if self._unbounded:
            return
        if self.price is None:
            name = api_name(self._model) or self._model
            raise ConfigurationError(
                f"nobody knows what the model {name} costs, so that [budget] cannot be kept; "
                f'add its price in dollars per million tokens: [budget.prices] "{name}" = …'
            )
        self.reserve_usd(self.price.cost(tokens))

    def reserve_usd(self, cost: Decimal) -> None:
        """Set aside dollars that a request can cost at most. Raises `BudgetExhausted` when they could pass a budget."""
        if cost and not self._unbounded:
            # Others must see it before the request is sent.
            assert self._connection.info.transaction_status == TransactionStatus.IDLE
            with self._connection.transaction():
                self._take(cost)
            self._committed += cost

    def spend(self, reserved: int, charged: int) -> None:
        """Settle a request, in the transaction that writes its ledger row.

        `reserved` tokens are free again; `charged` ones are in the ledger, 0 for a request that was not charged.
        """
        if self.price is not None:
            self.spend_usd(self.price.cost(reserved), self.price.cost(charged))

    def spend_usd(self, reserved: Decimal, charged: Decimal) -> None:
        """Settle dollars, as `spend` does tokens."""
        if self._unbounded:
            return
        self._connection.execute(
            statements("budget")["settle"], {"reservation_id": self._reservation, "cost_usd": reserved}
        )
        self._committed += charged - reserved

    def close(self) -> None:
        """Forget the reservation, unless something was never settled: that may have been charged."""
        if self._reservation is not None:
            self._connection.execute(statements("budget")["close_reservation"], {"reservation_id": self._reservation})

    @property
    def _unbounded(self) -> bool:
        return self._bounds.per_run_usd is None and self._bounds.per_month_usd is None

    def _take(self, cost: Decimal) -> None:
        queries = statements("budget")
        self._connection.execute(queries["lock_budget"])
        row = self._connection.execute(queries["committed"], self._names).fetchone()
        assert row is not None
        in_month, in_run, in_flight, next_month = row
        if self._names["run_id"] is None:
            in_run = self._committed
        per_run, per_month = self._bounds.per_run_usd, self._bounds.per_month_usd
        if per_month is not None and in_month + cost > per_month:
            raise BudgetExhausted(
                f"the next request may cost {dollars(cost)}, and of [budget] per_month_usd = {per_month} "
                f"{dollars(in_month)} are gone{_including(in_flight)}. {_KEPT} raise per_month_usd, "
                f"or run again from {next_month} on (UTC)"
            )
        if per_run is not None and in_run + cost > per_run:
            raise BudgetExhausted(
                f"the next request may cost {dollars(cost)}, and of [budget] per_run_usd = {per_run} "
                f"{dollars(in_run)} are gone. {_KEPT} run again, which may spend as much once more, "
                "or raise per_run_usd"
            )
        if self._reservation is None:
            made = self._connection.execute(queries["reserve"], {**self._names, "cost_usd": cost}).fetchone()
            assert made is not None
            self._reservation = made[0]
        else:
            more = {"reservation_id": self._reservation, "cost_usd": cost}
            self._connection.execute(queries["reserve_more"], more)


@contextmanager
def open_budget(
    connection: Connection[Any], bounds: Bounds, model: str, run_id: str | None, source: str | None = None
) -> Iterator[Budget]:
    """Give the budget of a run for a model, named as its `Embedder` does.

    `connection` is the session, in autocommit mode, that keeps the vectors and writes the ledger.
    """
    budget = Budget(connection, bounds, model, run_id, source)
    try:
        yield budget
    finally:
        # A session that is gone leaves its reservation behind, as a killed run does.
        with suppress(psycopg.OperationalError):
            budget.close()


def _including(in_flight: Decimal) -> str:
    return f", {dollars(in_flight)} of it for requests in flight now or when a run was killed" if in_flight else ""
