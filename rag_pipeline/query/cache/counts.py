"""What the cache of answers saved, counted in the cache itself: one hash a UTC day.

Who searches may write nothing in the database, and may ask a replica that nobody can write to; a hit comes from the
cache, so that it can be counted there whenever there is one. What empties the cache empties its counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

KEPT_DAYS = 400
FIELDS = ("asked", "found", "tokens_saved", "nano_usd_saved", "tokens_unpriced")


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of one day's questions to the cache.

    `asked` are answers that were looked for, `found` those given from it. `tokens_saved` and `saved_usd` are what
    the model would have taken again; `tokens_unpriced` are those among the tokens whose price nobody knew.
    """

    day: date
    asked: int
    found: int
    tokens_saved: int
    saved_usd: Decimal
    tokens_unpriced: int

    @classmethod
    def of(cls, day: date, numbers: Mapping[bytes, bytes]) -> "Counts":
        """Take the hash of one day; what is no number there counts as nothing."""
        asked, found, tokens, nano, unpriced = (_number(numbers.get(name.encode())) for name in FIELDS)
        return cls(day, max(asked, found), found, tokens, Decimal(nano).scaleb(-9), unpriced)


def today() -> date:
    """Return the day in UTC."""
    return datetime.now(UTC).date()


def last_days(number: int) -> list[date]:
    """Return the last days, today included, oldest first."""
    return [today() - timedelta(days=back) for back in range(min(number, KEPT_DAYS) - 1, -1, -1)]


def _number(value: Any) -> int:
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        return 0
