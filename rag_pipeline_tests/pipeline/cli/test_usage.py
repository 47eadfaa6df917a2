"""What a refresh costs and what it says about it, on a real Postgres, with a model that has a price."""

import json
import shlex
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rag_pipeline.cli import main
from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings import Batch, Embedder, Reserve, unbounded
from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.errors import BudgetExhausted
from rag_pipeline.query.cache import CachedAnswer, open_cache
from rag_pipeline.settings import Settings
from rag_pipeline.stages import Pipeline
from rag_pipeline_tests.redis_server import needs_redis, redis_server

SUMS = {
    *("texts", "tokens", "cost_usd", "tokens_unpriced", "texts_wanted", "texts_found", "tokens_saved", "saved_usd"),
    "hit_rate",
}
PRICED = '[budget.prices]\n"hashed/64" = 10\n'


@pytest.fixture
def folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sources of ten documents; one half of what the second says is said by the first, too."""
    folder = settings.folder
    configure(folder, settings, PRICED)
    for source, start in (("docs", 0), ("notes", 5)):
        (folder / source).mkdir()
        for number in range(start, start + 10):
            (folder / source / f"{number}.md").write_text(f"# Page {number}\n\nThis page is about topic{number}.\n")
    monkeypatch.chdir(folder)
    return folder


def configure(folder: Path, settings: Settings, budget: str) -> None:
    (folder / "rag.toml").write_text(
        f'[database]\nurl = "{settings.database.url}"\n[embedding]\nprovider = "hashed"\n{budget}'
        '[[sources]]\nname = "docs"\ntype = "files"\npath = "docs"\naccess = ["public"]\n'
        '[[sources]]\nname = "notes"\ntype = "files"\npath = "notes"\naccess = ["public"]\n'
    )


def run(command: str) -> Result:
    return CliRunner().invoke(main, shlex.split(command), prog_name="rag-pipeline")


def answer(command: str) -> dict[str, Any]:
    result = run(f"{command} --json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refreshed(source: str, embedder: Embedder | None = None) -> None:
    pipeline = Pipeline(Settings.load(), run_id=f"refresh of {source}")
    if embedder is not None:
        pipeline.embedder = embedder
    pipeline.refresh(source)


def tokens_of(settings: Settings) -> int:
    with connect(settings) as connection:
        row = connection.execute("select sum(tokens) from rag.embedding_store").fetchone()
        assert row is not None
        return row[0]


def test_a_dry_run_says_what_the_refresh_then_costs(folder: Path, settings: Settings) -> None:
    refreshed("docs")
    (plan,) = answer("refresh --dry-run --source notes")["sources"]
    assert (plan["texts_wanted"], plan["texts_found"], plan["texts_embedded"]) == (10, 5, 5)
    shown = run("refresh --dry-run --source notes")
    headings, row = (line.split() for line in shown.stdout.splitlines())
    assert headings[-4:-1] == ["embedded", "tokens", "usd"]
    assert row[-4:-1] == ["5", str(plan["tokens"]), f"${plan['cost_usd']:.5f}"]
    assert "price" not in shown.stderr
    before = tokens_of(settings)
    done = Pipeline(Settings.load()).refresh("notes")
    assert (done.texts_wanted, done.texts_found, done.texts_embedded) == (10, 5, 5)
    assert plan["tokens"] == done.tokens == tokens_of(settings) - before > 0
    assert plan["cost_usd"] == done.cost_usd == pytest.approx(done.tokens * 10 / 1_000_000)
    shown = run("refresh --dry-run").stdout.splitlines()
    assert "usd" not in shown[0], "nothing is left to pay"


def test_a_dry_run_counts_a_text_once_wherever_it_stands(folder: Path, settings: Settings) -> None:
    for number in range(2500):
        (folder / "docs" / f"copy-{number}.md").write_text("# Page 3\n\nThis page is about topic3.\n")
    (plan,) = answer("refresh --dry-run --source docs")["sources"]
    assert (plan["added"], plan["texts_wanted"], plan["texts_embedded"]) == (2510, 10, 10)
    texts = [f"Page {number}\n\nThis page is about topic{number}." for number in range(10)]
    assert plan["tokens"] == sum(HashedEmbedder().count_tokens(texts))


def test_usage_adds_up_by_day_source_and_model(folder: Path, settings: Settings) -> None:
    refreshed("docs")
    refreshed("notes")
    found = {by: answer(f"usage --by {by}") for by in ("day", "source", "model")}
    tokens = tokens_of(settings)
    for by, usage in found.items():
        assert usage["by"] == by
        assert usage["rows"][0].keys() == SUMS | {by}
        assert usage["total"] == {
            "texts": 15,
            "tokens": tokens,
            "cost_usd": pytest.approx(tokens * 10 / 1_000_000),
            "tokens_unpriced": 0,
            "texts_wanted": 20,
            "texts_found": 5,
            "tokens_saved": pytest.approx(tokens / 3),
            "saved_usd": pytest.approx(tokens / 3 * 10 / 1_000_000),
            "hit_rate": 0.25,
        }
    assert [(row["source"], row["texts"], row["hit_rate"]) for row in found["source"]["rows"]] == [
        ("docs", 10, 0.0),
        ("notes", 5, 0.5),
    ]
    assert [row["model"] for row in found["model"]["rows"]] == ["hashed/64"]
    assert found["day"]["month"]["month_usd"] == pytest.approx(tokens * 10 / 1_000_000)
    with connect(settings, role="rag_analyst") as analyst:
        for view in ("usage_by_day", "usage_by_source", "usage_by_model", "usage"):
            row = analyst.execute(f"select sum(tokens), sum(texts_found) from rag.{view}").fetchone()  # pyright: ignore[reportArgumentType]
            assert row == (tokens, 5), view


def test_days_without_use_are_shown_and_days_before_the_window_are_not(folder: Path, settings: Settings) -> None:
    refreshed("docs")
    with connect(settings) as connection:
        for table in (b"usage_ledger", b"store_lookups"):
            connection.execute(b"update rag." + table + b" set at = at - interval '3 days'")
    refreshed("notes")
    today = datetime.now(UTC).date()
    rows = answer("usage --days 4")["rows"]
    assert [row["day"] for row in rows] == [str(today - timedelta(days)) for days in (3, 2, 1, 0)]
    assert [row["texts"] for row in rows] == [10, 0, 0, 5]
    assert [row["texts"] for row in answer("usage --days 3")["rows"]] == [5]


def test_usage_is_shown_with_a_bar_a_row(folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("usage").stdout.startswith("no model was asked anything in the last 30 days\nthis month: $0.00; ")
    refreshed("docs")
    refreshed("notes")
    heading, docs, notes, total, store, month = run("usage --by source").stdout.splitlines()
    assert heading.split() == ["source", "texts", "tokens", "usd", "found", "usd"]
    assert docs.split()[:2] == ["docs", "10"]
    assert docs.count("█") == 2 * notes.count("█") == 24
    assert total == f"in 30 days: 15 texts, {tokens_of(settings)} tokens, {docs_and_notes(docs, notes)}"
    assert "had 5 of 20 texts (25.0%), which saved" in store
    assert month.startswith("this month: $0.0")
    for columns in ("58", "62", "66"):
        monkeypatch.setenv("COLUMNS", columns)
        narrow = run("usage --by model").stdout
        assert "…" not in narrow
        assert {"15", str(tokens_of(settings))} <= set(narrow.split())


@needs_redis
def test_what_the_cache_of_answers_saved_is_told(
    folder: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshed("docs")
    assert answer("usage")["answer_cache"] is None
    with connect(settings) as connection:
        row = connection.execute(statements("search")["deployment"]).fetchone()
    assert row is not None
    with redis_server(tmp_path) as server:
        monkeypatch.setenv("RAG_REDIS_URL", server.url)
        assert "cache" not in run("usage").stdout
        cache = open_cache(row[0], 60)
        assert cache is not None
        for _ in range(4):
            cache.get("0" * 64, b"")
        cache.found(CachedAnswer("Yearly.", (), (), "writer", 1200, Decimal("0.0045")))
        told = answer("usage --days 2 --by source")["answer_cache"]
        sums = {"asked": 4, "found": 1, "tokens_saved": 1200, "saved_usd": 0.0045, "tokens_unpriced": 0}
        assert told == {
            "reachable": True,
            "rows": [{"day": str(datetime.now(UTC).date()), **sums, "hit_rate": 0.25}],
            "total": {**sums, "hit_rate": 0.25},
        }
        shown = run("usage").stdout
        assert [str(datetime.now(UTC).date()), "4", "1", "1,200", "$0.0045"] in map(str.split, shown.splitlines())
        line = "the cache had 1 of 4 answers (25.0%), which saved 1,200 tokens, $0.0045"
        assert line in shown
        assert line in run("usage --by model").stdout
        server.stop()
        assert answer("usage")["answer_cache"]["reachable"] is False
        assert "does not answer" in run("usage").stdout


def docs_and_notes(*lines: str) -> str:
    return f"${sum(float(line.split()[3].removeprefix('$')) for line in lines):.4f}"


def test_what_has_no_price_is_said_to_be_missing_from_the_dollars(folder: Path, settings: Settings) -> None:
    refreshed("docs")
    with connect(settings) as connection:
        connection.execute("update rag.usage_ledger set cost_usd = null")
    tokens = tokens_of(settings)
    assert answer("usage")["total"]["tokens_unpriced"] == tokens
    shown = run("usage").stdout
    assert f"{tokens} of these tokens are not in the dollars" in shown
    assert "[budget.prices]" in shown


@pytest.mark.parametrize("by", ["day", "source", "model"])
def test_a_day_on_which_nothing_has_a_price_and_nothing_was_looked_up_is_shown(
    folder: Path, settings: Settings, by: str
) -> None:
    """As after a run that looked into the store before midnight and asked the model after it."""
    refreshed("docs")
    with connect(settings) as connection:
        connection.execute("update rag.usage_ledger set cost_usd = null")
        connection.execute("update rag.store_lookups set at = at - interval '3 days'")
    found = answer(f"usage --days 1 --by {by}")
    assert (found["total"]["cost_usd"], found["total"]["tokens_unpriced"]) == (0, tokens_of(settings))
    assert "?" in run(f"usage --days 1 --by {by}").stdout


class Paid(HashedEmbedder):
    """Asks before each request, of one text, as a hosted model does."""

    def embed(self, texts: Iterable[str], reserve: Reserve = unbounded, known: int = 0) -> Iterator[Batch]:
        """Yield a batch a text, for which one token more was reserved than is charged."""
        for position, text in enumerate(texts):
            (count,) = self.count_tokens([text])
            reserve(count + 1)
            yield Batch([position], self.embed_query(text)[None], [count], count, count + 1)


def test_a_refresh_stops_before_the_budget_is_passed_and_goes_on_with_a_larger_one(
    folder: Path, settings: Settings
) -> None:
    configure(folder, settings, f"[budget]\nper_month_usd = 0.0007\n{PRICED}")
    with pytest.raises(BudgetExhausted, match=r"per_month_usd = 0\.0007"):
        refreshed("docs", Paid())
    stopped = answer("usage")
    assert 0 < stopped["total"]["texts"] < 10
    assert stopped["total"]["cost_usd"] <= 0.0007
    assert stopped["month"]["in_flight_usd"] == 0
    assert answer("status")["sources"][0]["documents"] == 0
    configure(folder, settings, f"[budget]\nper_month_usd = 1\n{PRICED}")
    refreshed("docs", Paid())
    assert answer("usage")["total"]["texts"] == 10, "nothing is bought twice"
    assert answer("status")["sources"][0]["documents"] == 10
