"""The accountant's own arithmetic for money: decimal text in, exact results, decimal text out.

It repeats on purpose what the daemon has elsewhere: an accountant who borrows the books' adding
machine proves nothing (promise P10).
"""

import decimal
from decimal import Decimal
from functools import lru_cache

ZERO = Decimal(0)
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

# 64 digits hold every sum and product of venue amounts exactly. Set at import: threads copy it.
decimal.DefaultContext.prec = 64
decimal.setcontext(decimal.DefaultContext)


class AmountError(ValueError):
    """Text that is not a finite decimal amount."""


def amount(text: object) -> Decimal:
    """Read an amount from decimal text or an integer.

    Raises:
        AmountError: for floats, NaN, infinities, booleans and text that is no number.
    """
    if type(text) is str:
        return _parsed(text)
    if not isinstance(text, int | Decimal) or isinstance(text, bool):
        raise AmountError(f"not decimal text: {text!r}")
    value = Decimal(text)
    if not value.is_finite():
        raise AmountError(f"not a finite amount: {text!r}")
    return value


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Decimal:
    """Read decimal text; caps and filters come again with every decision, so they are kept."""
    try:
        value = Decimal(text)
    except decimal.InvalidOperation as error:
        raise AmountError(f"not a decimal amount: {text!r}") from error
    if not value.is_finite():
        raise AmountError(f"not a finite amount: {text!r}")
    return value


def amount_or_zero(text: object) -> Decimal:
    """Like `amount`; absent (None or empty text) is zero."""
    return ZERO if text is None or text == "" else amount(text)


def text_of(value: Decimal) -> str:
    """Write an amount without exponent and trailing zeros, so that equal amounts read equal."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
