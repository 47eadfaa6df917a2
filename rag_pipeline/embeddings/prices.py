"""What a model charges for a token: a dated table, ``prices.toml``; ``[budget.prices]`` and ``[answers]`` override it.

Models that run on this machine cost nothing. A hosted model that neither list names has no price: then its
cost is unknown, which is not the same as nothing.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

_PER_MILLION = Decimal(1_000_000)
_SMALLEST = Decimal("1e-9")
_NONE: Mapping[str, Decimal] = MappingProxyType({})
# Weights that were loaded here are named by their hash (``model@1f0d…/384``), and vectors without meaning need none.
# What a service calls so has a ``#`` before its size (`hosted_name`), which makes it another name.
_LOCAL = re.compile(r"hashed/\d+|.+@[0-9a-f]{8,}(\.\w+)?/\d+")
_HOSTED = re.compile(r"(?P<name>.+?)(#[\w.-]*)?(/\d+)?")


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens of input. `date` is when the figure was read in `source`; None for one's own."""

    model: str
    usd_per_million: Decimal
    date: date | None
    source: str

    def cost(self, tokens: int) -> Decimal:
        """Return the dollars for so many tokens, to a billionth, as the ledger keeps them."""
        return (tokens * self.usd_per_million / _PER_MILLION).quantize(_SMALLEST)


@dataclass(frozen=True, slots=True)
class ChatPrice:
    """Dollars per million tokens that a model reads, and that it writes; `date` and `source` as of a `Price`."""

    model: str
    input_usd: Decimal
    output_usd: Decimal
    date: date | None
    source: str

    def cost(self, read: int, wrote: int) -> Decimal:
        """Return the dollars for so many tokens, to a billionth, as the ledger keeps them."""
        return ((read * self.input_usd + wrote * self.output_usd) / _PER_MILLION).quantize(_SMALLEST)


def price(model: str, given: Mapping[str, Decimal] = _NONE) -> Price | None:
    """Return the price of a model, named as its `Embedder` does; None when nobody knows it.

    `given` are dollars per million tokens by name, stronger than the packaged list.
    """
    name = api_name(model)
    for known in dict.fromkeys((model, name or model)):
        if known in given:
            return Price(known, given[known], None, "[budget.prices] of rag.toml")
    if name is None:
        return Price(model, Decimal(0), None, "runs on this machine")
    return price_list().get(name)


def api_name(model: str) -> str | None:
    """Return what the API calls a model, without what its `Embedder` adds to it; None for one that runs here."""
    # What a model reads before a passage stands behind its name: ``model/1536+"passage: "``.
    bare = re.sub(r'\+".*"$', "", model, flags=re.DOTALL)
    if _LOCAL.fullmatch(bare):
        return None
    hosted = _HOSTED.fullmatch(bare)
    return hosted["name"] if hosted else bare


def hosted_name(model: str, revision: str, dimensions: int) -> str:
    """Return the name of a service's model: never that of a local one, whatever the service calls it."""
    name = f"{model}#{revision}/{dimensions}" if revision else f"{model}/{dimensions}"
    return name if api_name(name) is not None else f"{model}#/{dimensions}"


def chat_price(model: str, input_usd: Decimal | None, output_usd: Decimal | None) -> ChatPrice | None:
    """Return the price of a model that writes answers; None when nobody knows it.

    What the settings say, if they do, is stronger than the packaged list.
    """
    if input_usd is not None and output_usd is not None:
        return ChatPrice(model, input_usd, output_usd, None, "[answers] of rag.toml")
    return chat_price_list().get(model)


@cache
def chat_price_list() -> Mapping[str, ChatPrice]:
    """Return the packaged prices of models that write, by model."""
    return MappingProxyType(
        {
            row["model"]: ChatPrice(
                row["model"],
                row["usd_per_million_input_tokens"],
                row["usd_per_million_output_tokens"],
                row["date"],
                row["source"],
            )
            for row in _table()["chat"]
        }
    )


@cache
def price_list() -> Mapping[str, Price]:
    """Return the packaged prices by model."""
    return MappingProxyType(
        {
            row["model"]: Price(row["model"], row["usd_per_million_tokens"], row["date"], row["source"])
            for row in _table()["prices"]
        }
    )


def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("prices.toml").read_text("utf-8"), parse_float=Decimal)
