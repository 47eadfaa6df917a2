"""How amounts of money are written for people."""

from decimal import Decimal


def dollars(amount: Decimal) -> str:
    """Return an amount in dollars: with cents, and below a dollar with two digits that say something."""
    if abs(amount) >= 1 or not amount:
        return f"${amount:,.2f}"
    return f"${amount:.{1 - amount.adjusted()}f}"
