"""Amounts of the status: exact, in plain digits; a quotient has an end."""

from decimal import Decimal

import pytest

from daemon.core.status import told


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0E-8", "0"),
        ("-0.02338322365800", "-0.023383223658"),
        ("1E+3", "1000"),
        ("0.123456789012345678", "0.123456789012345678"),
        ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
    ],
)
def test_what_is_exact_stays_so(value: str, text: str) -> None:
    assert told(Decimal(value)) == text


def test_a_quotient_has_at_most_18_decimals() -> None:
    assert told(Decimal(1) / 3) == "0." + "3" * 18
    assert told(Decimal(-200000) / 3) == "-66666." + "6" * 17 + "7"
