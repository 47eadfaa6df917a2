"""What answers cost: in the ledger, and within the month's budget, by a session that may write there.

Who searches may only read, perhaps on a replica. What a model wrote for an answer costs a thousand times what its
question did, so it is booked all the same: by a session of role ``rag_writer`` on ``[database] url``, opened for that
alone, and only where whoever runs this may assume the role. Where not, the answer tells its cost, and the log says
once that nobody books it; a budget that cannot be kept is a model that is not asked.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg

from rag_pipeline.database.connection import connect
from rag_pipeline.database.statements import statements
from rag_pipeline.embeddings.budget import Budget, open_budget
from rag_pipeline.embeddings.prices import ChatPrice, chat_price
from rag_pipeline.errors import BudgetExhausted, ConfigurationError, RagError

if TYPE_CHECKING:
    from psycopg import Connection

    from rag_pipeline.settings import Settings

_logger = logging.getLogger(__name__)


class Unaffordable(Exception):
    """A model may not be asked now; the text says why, for whoever asked."""


class Purchase:
    """One request to a model, for which at most so much is set aside."""

    def __init__(self, connection: "Connection[Any] | None", budget: Budget | None, model: str, most: Decimal) -> None:
        self._connection = connection
        self._budget = budget
        self._model = model
        self._most = most
        self.is_booked = False

    def book(self, tokens: int, cost: Decimal | None, *, of_use: bool, purpose: str = "answer") -> None:
        """Write down what was charged; it never fails. A request that was not sent is booked with no tokens."""
        self.is_booked = True
        if self._connection is None:
            return
        row = {
            "run_id": None,
            "source": None,
            "model": self._model,
            "purpose": purpose if of_use else "lost",
            "texts": int(of_use),
            "tokens": tokens,
            "cost_usd": cost,
        }
        try:
            with self._connection.transaction():
                if self._budget is not None:
                    self._budget.spend_usd(self._most, cost or Decimal(0))
                if tokens:
                    self._connection.execute(statements("embeddings")["add_usage"], row)
        except psycopg.Error as error:
            _logger.warning("%s tokens of %s could not be booked: %s", tokens, self._model, error)


class Spending:
    """What the model of the settings may cost. Any number of threads may use it at once."""

    def __init__(self, settings: "Settings", model: str) -> None:
        """Raises `ConfigurationError` where there is a budget for the month and nobody knows what the model costs."""
        answers = settings.answers
        self._settings = settings
        self._model = model
        self.price: ChatPrice | None = chat_price(model, answers.usd_per_million_input, answers.usd_per_million_output)
        # The bound of a run is one of a refresh.
        self._bounds = settings.budget.model_copy(update={"per_run_usd": None})
        self._told = False
        if self.price is None and self._bounds.per_month_usd is not None:
            raise ConfigurationError(
                f"nobody knows what the model {model} costs, so that [budget] cannot be kept; add its prices: "
                "[answers] usd_per_million_input and usd_per_million_output"
            )

    def cost(self, read: int, wrote: int) -> Decimal | None:
        """Return the dollars for so many tokens; None when the model's price is not known."""
        return None if self.price is None else self.price.cost(read, wrote)

    @contextmanager
    def purchase(self, read: int, wrote: int) -> Iterator[Purchase]:
        """Set aside what a request of at most so many tokens can cost. Raises `Unaffordable`.

        Whoever leaves without having booked it, as when the reader of an answer goes away, may have been charged for
        what the model read; that is booked then.
        """
        most = self.cost(read, wrote) or Decimal(0)
        connection = self._session(most)
        if connection is None:
            yield Purchase(None, None, self._model, most)
            return
        with connection, open_budget(connection, self._bounds, self._model, None) as budget:
            try:
                budget.reserve_usd(most)
            except BudgetExhausted as error:
                _logger.warning("%s", error)
                raise Unaffordable("this month's budget for models is spent") from error
            except psycopg.Error as error:
                _logger.warning("the budget could not be asked: %s", error)
                raise Unaffordable("the budget for models cannot be asked") from error
            purchase = Purchase(connection, budget, self._model, most)
            try:
                yield purchase
            finally:
                if not purchase.is_booked:
                    purchase.book(read, self.cost(read, 0), of_use=False)

    def _session(self, most: Decimal) -> "Connection[Any] | None":
        """Open a session that may write; None where there is none, which matters only if there is a budget to keep."""
        try:
            return connect(self._settings)
        except (RagError, psycopg.Error) as error:
            if self._bounds.per_month_usd is not None and most:
                _logger.warning("answers need a session that may write, to keep [budget] per_month_usd: %s", error)
                raise Unaffordable("the budget for models cannot be asked") from error
            if not self._told:
                self._told = True
                _logger.warning("what answers cost is not in the ledger: %s", error)
            return None
