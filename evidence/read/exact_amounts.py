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
LARGEST_DIGIT, SMALLEST_DIGIT = 29, -40
INTEGER_MAX = 10**30
TEXT_LENGTH_MAX = 80

# 64 digits hold every sum and product of venue amounts exactly. Set at import: threads copy it.
decimal.DefaultContext.prec = 64
decimal.setcontext(decimal.DefaultContext)


class AmountTextError(ValueError):
    """Text that is not a finite decimal amount."""


def amount(text: object) -> Decimal:
    """Read an amount from decimal text or an integer.

    Raises:
        AmountError: for floats, NaN, infinities, booleans, text that is no number, and numbers
            beyond 30 digits before or 40 after the point.
    """
    if type(text) is str:
        return amount_of_text(text)
    if type(text) is int and -INTEGER_MAX < text < INTEGER_MAX:
        return Decimal(text)
    if not isinstance(text, Decimal):
        raise AmountTextError(f"not decimal text: {str(text)[:40]!r}")
    return _bounded(text)


@lru_cache(maxsize=4096)
def amount_of_text(text: str) -> Decimal:
    """Read decimal text; caps and filters come again with every decision, so they are kept."""
    if len(text) > TEXT_LENGTH_MAX or not text.isascii() or "_" in text:
        raise AmountTextError(f"not an amount of any venue: {text[:40]!r}")
    try:
        value = Decimal(text)
    except decimal.InvalidOperation as error:
        raise AmountTextError(f"not a decimal amount: {text!r}") from error
    return _bounded(value)


def _bounded(value: Decimal) -> Decimal:
    """Refuse what no venue has and what sums and products of 64 digits could not hold."""
    if not value.is_finite():
        raise AmountTextError(f"not a finite amount: {value}")
    if not SMALLEST_DIGIT <= value.adjusted() <= LARGEST_DIGIT:
        raise AmountTextError("an amount of more than 30 digits before or 40 after the point")
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
