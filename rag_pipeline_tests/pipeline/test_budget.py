"""Budgets of refreshes that buy from a service over HTTP: what was charged, what the ledger says, how it goes on."""

import threading
from decimal import Decimal
from pathlib import Path

import pytest
from psycopg import Connection

from rag_pipeline.database.connection import connect
from rag_pipeline.errors import BudgetExhausted, ConfigurationError
from rag_pipeline.handover import Published
from rag_pipeline.settings import FilesSettings, Settings
from rag_pipeline_tests.embedding_server import EmbeddingServer, embedding_server
from rag_pipeline_tests.scripted import Entry, ScriptedPipeline, World

USD = Decimal(1000)
"""A million tokens; so that a token is a tenth of a cent."""


def pipeline(
    settings: Settings, server: EmbeddingServer, run: str, passage_prefix: str = "", **budget: object
) -> ScriptedPipeline:
    """A run over two sources of 60 documents each, of which 20 say the same."""
    sources = ("handbook", "wiki")
    worlds = {name: World() for name in sources}
    for name, start in (("handbook", 0), ("wiki", 40)):
        for number in range(start, start + 60):
            text = f"# Page {number}\n\nAbout topic {number}, at some length, with words.\n"
            worlds[name].documents[f"{number}.md"] = Entry(text)
    configured = settings.model_copy(
        update={
            "sources": tuple(FilesSettings(name=name, type="files", path=Path(".")) for name in sources),
            "embedding": type(settings.embedding).model_validate(server.settings(passage_prefix=passage_prefix)),
            "budget": type(settings.budget).model_validate(budget),
        }
    )
    made = ScriptedPipeline(configured, worlds)
    made.run_id = run
    return made


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-tests")


def ledger(settings: Settings) -> tuple[int, Decimal]:
    with connect(settings) as connection:
        row = connection.execute(
            "select coalesce(sum(tokens), 0)::int, coalesce(sum(cost_usd), 0) from rag.usage_ledger"
        ).fetchone()
        assert row is not None
        return row


def reserved(connection: Connection[tuple[Decimal]]) -> list[tuple[Decimal]]:
    return connection.execute("select cost_usd from rag.budget_reservations").fetchall()


def test_two_refreshes_at_once_keep_to_the_month_and_go_on_with_more(
    settings: Settings, connection: Connection[tuple[Decimal]]
) -> None:
    prices = {"tests-embedding": USD}
    with embedding_server() as server:
        server.seconds = 0.01
        first = pipeline(settings, server, "first", per_month_usd=1, prices=prices)
        assert first.generation == 1
        ends: dict[str, BudgetExhausted | Published] = {}

        def refresh(source: str) -> None:
            try:
                ends[source] = pipeline(settings, server, source, per_month_usd=1, prices=prices).refresh(source)
            except BudgetExhausted as error:
                ends[source] = error

        threads = [threading.Thread(target=refresh, args=[source]) for source in ("handbook", "wiki")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(isinstance(end, BudgetExhausted) for end in ends.values())
        assert 0 < server.charged * USD / 1_000_000 <= 1
        assert ledger(settings) == (server.charged, server.charged * USD / 1_000_000)
        assert reserved(connection) == []
        bought = set(server.sold)

        more = pipeline(settings, server, "more", per_month_usd=100, prices=prices)
        done = [more.refresh(source) for source in ("handbook", "wiki")]
        assert [published.added for published in done] == [60, 60]
        assert sum(published.texts_embedded for published in done) == 100 - len(bought)
        assert len(server.sold) == 100
        assert ledger(settings) == (server.charged, server.charged * USD / 1_000_000)


def test_a_run_stops_at_its_own_bound_and_the_next_one_goes_on(
    settings: Settings, connection: Connection[tuple[Decimal]]
) -> None:
    with embedding_server() as server:
        runs, messages = 0, []
        while True:
            runs += 1
            before = server.charged
            run = pipeline(settings, server, f"{runs}", per_run_usd="0.7", prices={"tests-embedding": USD})
            try:
                published = run.refresh("handbook")
                break
            except BudgetExhausted as error:
                messages.append(str(error))
            finally:
                assert (server.charged - before) * USD / 1_000_000 <= Decimal("0.7")
            assert runs < 10
        assert len(messages) == runs - 1 > 0
        assert all("run again" in message for message in messages)
        assert published.added == 60
        assert max(server.sold.values()) == 1, "nothing is bought twice"
        assert reserved(connection) == []


def test_without_a_price_a_budget_sends_nothing_and_no_budget_says_so(settings: Settings) -> None:
    with embedding_server() as server:
        with pytest.raises(ConfigurationError, match=r'\[budget.prices\] "tests-embedding"'):
            pipeline(settings, server, "run", per_month_usd=5).refresh("handbook")
        assert server.asked == []
        published = pipeline(settings, server, "run").refresh("handbook")
        assert (published.texts_embedded, published.cost_usd) == (60, None)
        with connect(settings) as connection:
            row = connection.execute("select sum(tokens_unpriced) from rag.usage_by_model").fetchone()
            assert row == (server.charged,)


@pytest.mark.parametrize("prefix", ["", "a passage of the handbook of ours: "])
def test_a_dry_run_is_close_to_what_is_then_charged(settings: Settings, prefix: str) -> None:
    prices = {"tests-embedding": USD}
    with embedding_server() as server:
        planned = pipeline(settings, server, "plan", prefix, prices=prices).dry_run("handbook")
        assert server.asked == []
        done = pipeline(settings, server, "run", prefix, prices=prices).refresh("handbook")
        requests = len(server.asked)
        assert planned.texts_embedded == done.texts_embedded == 60
        assert done.cost_usd == pytest.approx(done.tokens / 1000)
        assert planned.cost_usd == pytest.approx(planned.tokens / 1000)
        assert done.tokens == server.charged
        # Each request carries the sample.
        assert 0 < done.tokens - planned.tokens <= 20 * requests


def test_a_tiny_cost_is_not_nothing(settings: Settings, connection: Connection[tuple[Decimal, Decimal]]) -> None:
    with embedding_server() as server:
        pipeline(settings, server, "run", prices={"tests-embedding": Decimal("0.0001")}).refresh("handbook")
        row = connection.execute(
            "select sum(refreshes.cost_usd), (select sum(cost_usd) from rag.usage_ledger) from rag.refreshes"
        ).fetchone()
        assert row is not None
        assert row[0] == row[1] > 0
