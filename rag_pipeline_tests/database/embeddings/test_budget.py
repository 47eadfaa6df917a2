"""Budgets in dollars, on a real Postgres: by run, by month, by many runs at once, and after a crash."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg import Connection

from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings.budget import Budget, open_budget
from rag_pipeline.errors import BudgetExhausted, ConfigurationError
from rag_pipeline.settings import Budget as Bounds
from rag_pipeline.settings import Settings

MODEL = "paid/8"
MILLION = 1_000_000


def bounds(**values: Any) -> Bounds:
    """A budget for a model that costs a dollar per million tokens."""
    return Bounds.model_validate({"prices": {"paid": 1}, **values})


def bought(connection: Connection[Any], budget: Budget, reserved: int, charged: int, run: str | None = "run") -> None:
    """One request, from reservation to ledger, as the store makes it."""
    budget.reserve(reserved)
    with connection.transaction():
        connection.execute(
            statements("embeddings")["add_usage"],
            {
                "run_id": run,
                "source": "handbook",
                "model": MODEL,
                "purpose": "index",
                "texts": 1,
                "tokens": charged,
                "cost_usd": budget.cost(charged),
            },
        )
        budget.spend(reserved, charged)


def spent(connection: Connection[Any]) -> Decimal:
    row = connection.execute("select coalesce(sum(cost_usd), 0) from rag.usage_ledger").fetchone()
    assert row is not None
    return row[0]


def reservations(connection: Connection[Any]) -> list[Decimal]:
    return [row[0] for row in connection.execute("select cost_usd from rag.budget_reservations order by 1")]


def test_a_month_is_not_passed_and_says_how_to_go_on(connection: Connection[Any]) -> None:
    with open_budget(connection, bounds(per_month_usd=3), MODEL, "run") as budget:
        bought(connection, budget, MILLION, MILLION)
        bought(connection, budget, 2 * MILLION, MILLION)
        with pytest.raises(BudgetExhausted) as caught:
            budget.reserve(MILLION + 1)
        bought(connection, budget, MILLION, MILLION)
    assert spent(connection) == 3
    assert reservations(connection) == []
    message = str(caught.value)
    row = connection.execute(
        "select (date_trunc('month', now() at time zone 'UTC') + interval '1 month')::date::text"
    ).fetchone()
    assert row is not None
    for words in ("per_month_usd = 3", "$2.00 are gone", "$1.00", "is kept", f"from {row[0]} on (UTC)"):
        assert words in message
    with (
        open_budget(connection, bounds(per_month_usd=3), MODEL, "later") as later,
        pytest.raises(BudgetExhausted, match=r"\$3.00 are gone"),
    ):
        later.reserve(1)


def test_a_run_has_its_own_bound_whatever_others_spend(connection: Connection[Any]) -> None:
    for run in ("one", "two"):
        with open_budget(connection, bounds(per_run_usd=1), MODEL, run) as budget:
            bought(connection, budget, MILLION, MILLION // 2, run)
        # The same run goes on, as after a retried step.
        with open_budget(connection, bounds(per_run_usd=1), MODEL, run) as budget:
            with pytest.raises(BudgetExhausted, match=r"per_run_usd = 1 \$0.50 are gone.* run again"):
                budget.reserve(MILLION)
            bought(connection, budget, MILLION // 2, MILLION // 2, run)
    assert spent(connection) == 2


def test_a_run_without_a_name_is_bounded_too(connection: Connection[Any]) -> None:
    with open_budget(connection, bounds(per_run_usd=1), MODEL, None) as budget:
        bought(connection, budget, MILLION, MILLION // 2, None)
        with pytest.raises(BudgetExhausted):
            budget.reserve(MILLION)
    with open_budget(connection, bounds(per_run_usd=1), MODEL, None) as budget:
        budget.reserve(MILLION)
        budget.spend(MILLION, 0)


def test_earlier_months_do_not_count(connection: Connection[Any]) -> None:
    with open_budget(connection, bounds(per_month_usd=1), MODEL, "run") as budget:
        bought(connection, budget, MILLION, MILLION)
    connection.execute("update rag.usage_ledger set at = date_trunc('month', now()) - interval '1 second'")
    with open_budget(connection, bounds(per_month_usd=1), MODEL, "other") as budget:
        bought(connection, budget, MILLION, MILLION)


def test_what_was_in_flight_when_a_run_was_killed_counts_until_the_month_is_over(
    settings: Settings, connection: Connection[Any]
) -> None:
    killed = connect(settings)
    with open_budget(killed, bounds(per_month_usd=2), MODEL, "killed") as budget:
        bought(killed, budget, MILLION, MILLION // 2)
        budget.reserve(MILLION)
        killed.close()
    assert reservations(connection) == [Decimal(1)]
    with open_budget(connection, bounds(per_month_usd=2), MODEL, "next") as budget:
        with pytest.raises(BudgetExhausted, match=r"\$1.50 are gone, \$1.00 of it for requests in flight"):
            budget.reserve(MILLION)
        budget.reserve(MILLION // 2)
        budget.spend(MILLION // 2, 0)
    connection.execute(
        "update rag.budget_reservations set changed_at = date_trunc('month', now()) - interval '2 hours'"
    )
    with open_budget(connection, bounds(per_month_usd=2), MODEL, "next month") as budget:
        budget.reserve(MILLION)
        budget.spend(MILLION, 0)


def test_a_model_without_a_price_is_refused_by_a_budget_and_only_then(connection: Connection[Any]) -> None:
    with open_budget(connection, Bounds(), "unheard-of/8", "run") as budget:
        assert budget.cost(5) is None
        bought(connection, budget, 10, 5)
    with (
        open_budget(connection, Bounds.model_validate({"per_run_usd": 1}), "unheard-of/8", "run") as budget,
        pytest.raises(ConfigurationError, match=r'\[budget.prices\] "unheard-of" = '),
    ):
        budget.reserve(1)


def test_what_costs_nothing_asks_nobody(connection: Connection[Any]) -> None:
    with open_budget(connection, Bounds.model_validate({"per_month_usd": 0}), "hashed/64", "run") as budget:
        bought(connection, budget, 10**12, 10**12)
    assert reservations(connection) == []


def test_a_reservation_inside_a_transaction_would_not_be_seen_and_is_refused(connection: Connection[Any]) -> None:
    with (
        open_budget(connection, bounds(per_month_usd=1), MODEL, "run") as budget,
        connection.transaction(),
        pytest.raises(AssertionError),
    ):
        budget.reserve(1)


@pytest.fixture
def runs(settings: Settings) -> Iterator[list[Connection[Any]]]:
    """Sessions of eight runs."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(settings)) for _ in range(8)]


def test_runs_at_the_same_time_do_not_pass_the_month_together(runs: list[Connection[Any]]) -> None:
    refusals: list[str] = []

    def run(number: int, connection: Connection[Any]) -> None:
        with open_budget(connection, bounds(per_month_usd=10), MODEL, f"run {number}") as budget:
            try:
                for _ in range(100):
                    bought(connection, budget, MILLION, MILLION, f"run {number}")
            except BudgetExhausted as error:
                refusals.append(str(error))

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refusals) == len(runs)
    assert spent(runs[0]) == 10
    assert reservations(runs[0]) == []


REQUESTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3 * MILLION), st.integers(0, 100)), min_size=1, max_size=25
)


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40, deadline=None
)
@given(st.integers(0, 6), st.integers(0, 4), REQUESTS)
def test_whatever_is_asked_no_bound_is_passed_and_nothing_is_refused_that_fits(
    connection: Connection[Any], month: int, run: int, requests: list[tuple[int, int, int]]
) -> None:
    for table in (b"usage_ledger", b"budget_reservations"):
        connection.execute(b"delete from rag." + table)
    given_bounds = bounds(per_month_usd=month, per_run_usd=run)
    by_run = [Decimal(0)] * 3
    with ExitStack() as stack:
        budgets = [stack.enter_context(open_budget(connection, given_bounds, MODEL, f"{n}")) for n in range(3)]
        for number, tokens, percent in requests:
            cost, charged = Decimal(tokens) / MILLION, tokens * percent // 100
            fits = sum(by_run) + cost <= month and by_run[number] + cost <= run
            try:
                bought(connection, budgets[number], tokens, charged, str(number))
            except BudgetExhausted:
                assert not fits
            else:
                assert fits or not tokens
                by_run[number] += Decimal(charged) / MILLION
    assert spent(connection) == sum(by_run) <= month
    assert max(by_run) <= run
    assert reservations(connection) == []
