"""Amounts as people write them are read where they can be read in one way only."""

from __future__ import annotations

import pytest

from experiments.amounts import read_amount
from experiments.bounds import BoundsError


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("12.90", 12.9), ("12,90", 12.9), ("€12,90", 12.9), ("12,90 €", 12.9), ("$12.90", 12.9),
        ("EUR 12,90", 12.9), ("12.90 EUR", 12.9), ("1.299,00", 1299.0), ("1,299.00", 1299.0),
        ("1 299,00", 1299.0), ("1\u202f299,00", 1299.0), ("1'299.50", 1299.5), ("1,299,000", 1_299_000.0),
        ("0,125", 0.125), ("-3,50", -3.5), ("1.299", 1.299), ("1e3", 1000.0), (7, 7.0),
    ],
)  # fmt: skip
def test_what_is_clear_is_read(written, amount):
    assert read_amount(written, "price") == amount


@pytest.mark.parametrize(
    "written",
    [
        "1,299",
        "€1.299",
        "12 90",
        "five",
        "1_000",
        "nan",
        "5,-",
        "1.2.3",
        "12,90,1",
        "",
        "1,29.00",
        True,
    ],
)
def test_what_is_not_clear_is_no_number(written):
    with pytest.raises(BoundsError, match=r"must be a number such as 12\.90\."):
        read_amount(written, "price")


def test_an_amount_below_its_bound_is_refused():
    with pytest.raises(BoundsError, match=r"^price == '-3,50', must be 0 or more\.$"):
        read_amount("-3,50", "price", low=0, rule="0 or more")
