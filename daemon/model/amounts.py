"""Exact money: Decimal from text, integer nanoseconds, and rounding that names its direction.

Rules of this file:
1. No float ever enters: `decimal_of` takes text or int, refuses NaN and infinities.
2. The context of every thread is wide enough (64 digits) that products of venue amounts
   (at most 18 + 18 digits) are exact; invalid operations, overflow and division by zero raise.
"""

import decimal
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
ZERO = Decimal(0)

# Set where Decimal is first used for money, not in an entry point: a forgotten call would round
# silently. Later threads copy DefaultContext.
decimal.DefaultContext.prec = 64
decimal.setcontext(decimal.DefaultContext)


class AmountError(ValueError):
    """Text that is not a finite decimal amount."""


def decimal_of(text: str | int | Decimal) -> Decimal:
    """Parse an amount exactly.

    Raises:
        AmountError: for floats, NaN, infinities and text that is no number. Python would read
            "0_5" as 5, and the digits of other scripts as ours: neither is an amount.
    """
    if isinstance(text, float):
        raise AmountError(f"a float is not money: {text!r}; write it as text")
    if type(text) is str and (not text.isascii() or "_" in text):
        raise AmountError(f"not a decimal amount: {text!r}")
    try:
        value = Decimal(text)
    except (decimal.InvalidOperation, TypeError, ValueError) as error:
        raise AmountError(f"not a decimal amount: {text!r}") from error
    if not value.is_finite():
        raise AmountError(f"not a finite amount: {text!r}")
    return value


def plain(value: Decimal) -> str:
    """Write an amount without exponent and without trailing zeros: `0.0100` -> `0.01`."""
    if not value:  # no sign, and most zeros have an exponent
        return "0"
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value` (step > 0)."""
    return (value / step).to_integral_value(rounding=ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value` (step > 0)."""
    return (value / step).to_integral_value(rounding=ROUND_CEILING) * step
