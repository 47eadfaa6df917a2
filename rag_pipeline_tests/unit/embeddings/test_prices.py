"""What a model is called in the price list, and what it costs."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.embeddings.hashed import HashedEmbedder
from rag_pipeline.embeddings.local import LocalEmbedder
from rag_pipeline.embeddings.prices import Price, api_name, chat_price, chat_price_list, hosted_name, price, price_list
from rag_pipeline.embeddings.weights import PACKAGED

TOKENS = st.integers(0, 10**12)


@pytest.mark.parametrize("model", [HashedEmbedder().model, *(LocalEmbedder(name).model for name in PACKAGED)])
def test_what_runs_here_costs_nothing(model: str) -> None:
    found = price(model)
    assert found is not None
    assert found.cost(10**9) == 0


@pytest.mark.parametrize("model", price_list())
def test_the_list_names_where_and_when_each_figure_was_read(model: str) -> None:
    entry = price_list()[model]
    assert entry.model == model == api_name(model)
    assert 0 < entry.usd_per_million < 10
    assert entry.date is not None
    assert date(2026, 1, 1) < entry.date <= datetime.now(UTC).date()
    assert "https://" in entry.source


@pytest.mark.parametrize("model", chat_price_list())
def test_what_a_model_writes_costs_more_than_what_it_reads(model: str) -> None:
    entry = chat_price(model, None, None)
    assert entry is not None
    assert 0 < entry.input_usd < entry.output_usd < 100
    assert entry.date is not None
    assert date(2026, 1, 1) < entry.date <= datetime.now(UTC).date()
    assert "https://" in entry.source


def test_the_prices_of_the_settings_are_stronger_than_the_list() -> None:
    packaged = chat_price("gpt-4.1-mini", None, None)
    assert packaged is not None
    assert packaged.cost(1_000_000, 1_000_000) == Decimal("2.00")
    own = chat_price("gpt-4.1-mini", Decimal(0), Decimal(3))
    assert own is not None
    assert (own.cost(10**6, 1), own.date) == (Decimal("0.000003"), None)
    assert chat_price("nobody-knows", None, None) is None


@given(TOKENS, TOKENS)
def test_a_charge_is_the_sum_of_both_kinds_of_tokens(read: int, wrote: int) -> None:
    entry = chat_price("m", Decimal("0.25"), Decimal(2))
    assert entry is not None
    assert abs(entry.cost(read, wrote) - (read * Decimal("0.25") + wrote * 2) / 1_000_000) < Decimal("1e-9")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("text-embedding-3-small", "text-embedding-3-small"),
        ("text-embedding-3-small/512", "text-embedding-3-small"),
        ('text-embedding-3-small#2026-05/512+"a /9 + \\"b\\" "', "text-embedding-3-small"),
        ("intfloat/e5-large/1024", "intfloat/e5-large"),
        ("models/7/768", "models/7"),
        ("textembedding-gecko@003/768", "textembedding-gecko@003"),
        ("@cf/baai/bge-m3/1024", "@cf/baai/bge-m3"),
        ("textembedding@0123abcd#/768", "textembedding@0123abcd"),
        ("hashed#/64", "hashed"),
        ("hashed/64", None),
        ("BAAI/bge-small-en-v1.5@68807e3f/384", None),
        ('intfloat/multilingual-e5-small@68807e3f0a.1/384+"passage: "', None),
    ],
)
def test_what_an_embedder_adds_to_a_name_is_taken_off(model: str, name: str | None) -> None:
    assert api_name(model) == name


@given(
    st.text(min_size=1) | st.from_regex(r"[a-z/]{1,9}@[0-9a-f]{8,12}(\.\w+)?", fullmatch=True) | st.just("hashed"),
    st.from_regex(r"[A-Za-z0-9._-]{0,4}", fullmatch=True),
    st.integers(1, 4000),
)
def test_what_a_service_gives_is_never_free_and_never_taken_for_what_runs_here(
    model: str, revision: str, dimensions: int
) -> None:
    name = hosted_name(model, revision, dimensions)
    assert api_name(name) is not None
    assert price(name) is None or name.startswith("text-embedding")


@pytest.mark.parametrize(
    "model", ["text-embedding-3-small", "text-embedding-3-small/1536", "text-embedding-3-small/512"]
)
def test_a_model_is_found_whatever_its_size(model: str) -> None:
    found = price(model)
    assert found is not None
    assert found.cost(1_000_000) == Decimal("0.02")


def test_a_model_that_nobody_knows_has_no_price() -> None:
    assert price("text-embedding-9/1536") is None


def test_a_price_in_the_settings_is_stronger() -> None:
    for name in ("text-embedding-3-small", "text-embedding-3-small/1536"):
        found = price("text-embedding-3-small/1536", {name: Decimal("0.5")})
        assert found is not None
        assert (found.usd_per_million, found.source) == (Decimal("0.5"), "[budget.prices] of rag.toml")
    own = price("intfloat/multilingual-e5/1024", {"intfloat/multilingual-e5": Decimal(1)})
    assert own is not None
    assert own.model == "intfloat/multilingual-e5"


@given(TOKENS, TOKENS, st.decimals(0, 100, places=3))
def test_costs_add_up(one: int, other: int, usd: Decimal) -> None:
    of = Price("any", usd, None, "")
    assert of.cost(one) + of.cost(other) == of.cost(one + other)
    assert of.cost(one) * 1_000_000 == one * usd
