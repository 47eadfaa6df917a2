from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.money import dollars


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "$0.00"),
        ("0.000000004", "$0.0000000040"),
        ("0.000123", "$0.00012"),
        ("0.5", "$0.50"),
        ("0.999", "$1.00"),
        ("1", "$1.00"),
        ("1234.567", "$1,234.57"),
    ],
)
def test_small_amounts_keep_two_digits_that_say_something(amount: str, text: str) -> None:
    assert dollars(Decimal(amount)) == text


@given(st.decimals("1e-9", 10**9, places=9))
def test_what_is_read_is_close_to_the_amount(amount: Decimal) -> None:
    read = Decimal(dollars(amount).removeprefix("$").replace(",", ""))
    assert abs(read - amount) <= max(amount / 20, Decimal(0)) if amount < 1 else abs(read - amount) <= Decimal("0.005")
