"""Amounts as people write them are read where they can be read in one way only."""

from __future__ import annotations

import pytest

from experiments.amounts import has_decimal_comma, read_amount
from experiments.bounds import BoundsError


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("12.90", 12.9), ("12,90", 12.9), ("€12,90", 12.9), ("12,90 €", 12.9), ("$12.90", 12.9),
        ("EUR 12,90", 12.9), ("12.90 EUR", 12.9), ("1.299,00", 1299.0), ("1,299.00", 1299.0),
        ("1 299,00", 1299.0), ("1\u202f299,00", 1299.0), ("1'299.50", 1299.5), ("1,299,000", 1_299_000.0),
        ("0,125", 0.125), ("-3,50", -3.5), ("1.299", 1.299), ("1e3", 1000.0), (7, 7.0),
        ("12.90EUR", 12.9), ("USD12.90", 12.9), ("R$ 1.299,90", 1299.9), ("-€3,50", -3.5), ("€-3,50", -3.5),
        ("US$ 5", 5.0), ("1 299,00 PLN", 1299.0), ("\u22123,50 €", -3.5), ("¥1299", 1299.0),
    ],
)  # fmt: skip
def test_what_is_clear_is_read(written, amount):
    assert read_amount(written, "price") == amount


@pytest.mark.parametrize(
    "written",
    [
        "1,299", "€1.299", "12 90", "five", "1_000", "nan", "5,-", "1.2.3", "12,90,1", "", "1,29.00",
        "12€90", "12$50", "€10 €200", "€12 EUR", "SKU 129", "129 XYZ", "-€-3", "90¢", "EUR", "€1e3",
        "1" + " " * 100_000 + "x",
        True,
    ],
)  # fmt: skip
def test_what_is_not_clear_is_no_number(written):
    with pytest.raises(BoundsError, match=r"must be (a number such as|clear, such as) 12\.90"):
        read_amount(written, "price")


def test_an_amount_below_its_bound_is_refused():
    with pytest.raises(BoundsError, match=r"^price == '-3,50', must be 0 or more\.$"):
        read_amount("-3,50", "price", low=0, rule="0 or more")


@pytest.mark.parametrize("written", ["1.299", "-1.299", " 12.000 "])
def test_a_point_before_three_digits_is_not_read_beside_decimal_commas(written):
    assert read_amount(written, "price") == float(written)
    with pytest.raises(BoundsError, match="must be clear, such as 1\\.299,00: other values have"):
        read_amount(written, "price", has_commas=True)
    for clear in ("12.90", "0.125", "12,90", "1.299,00", "1.299.000"):
        assert read_amount(clear, "price", has_commas=True) == read_amount(clear, "price")


@pytest.mark.parametrize(
    ("written", "has"),
    [
        ("12,90", True), ("€12,90", True), ("1.299,00", True), ("0,125", True), ("12,90 EUR", True),
        ("1,299", False), ("1,299.00", False), ("1,299,000", False), ("12.90", False), ("a,b", False),
    ],
)  # fmt: skip
def test_a_decimal_comma_is_seen_where_it_can_be_nothing_else(written, has):
    assert has_decimal_comma(written) is has
