"""Amounts as the venue writes them: plain decimal text, bounded, never an exponent or a NaN.

`Decimal` itself would take "1E+999999999" and then write a gigabyte of zeros.
"""

from decimal import Decimal
from functools import lru_cache

from daemon.errors import Undecodable
from daemon.model.amounts import ZERO

_LENGTH_MAX = 48
_REMEMBERED = 8_192


@lru_cache(maxsize=_REMEMBERED)
def amount(text: str) -> Decimal:
    """An unsigned amount. Prices and quantities repeat, so the last few thousand are remembered.

    Raises:
        Undecodable: for anything but digits with at most one point.
    """
    if len(text) > _LENGTH_MAX or not text.isascii() or not text.replace(".", "", 1).isdigit():
        raise Undecodable(f"not an amount: {text[:60]!r}")
    return Decimal(text)


@lru_cache(maxsize=_REMEMBERED)
def amount_or_zero(text: str) -> Decimal:
    """An amount that the venue writes negative, or leaves empty, for "not available"."""
    if not text or text[0] == "-":
        return ZERO
    return amount(text)
