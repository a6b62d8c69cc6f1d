"""The venue's own arithmetic: every price, quantity and balance is an int in units of 1e-8.

Rules of this file:
1. No float, no Decimal in the matching path: ints add, compare and multiply exactly and fast.
2. Tick and step of every symbol multiply to a whole number of 1e-8, so price x quantity is exact.
3. Text goes in and out here only, always with eight decimals, as the real venue prints it.
"""

from decimal import Decimal
from functools import lru_cache

E8 = 100_000_000
_DIGITS_MAX = 20


class UnitError(ValueError):
    """Text that is not an amount the venue can hold; `too_precise` tells -1111 from -1100."""

    def __init__(self, text: str, *, too_precise: bool) -> None:
        why = "has more than 8 decimals" if too_precise else "is not a plain decimal number"
        super().__init__(f"{text!r} {why}")
        self.too_precise = too_precise


@lru_cache(maxsize=1_024)  # one amount of a request is looked at three times
def e8_of(text: str | Decimal | int) -> int:
    """Units of 1e-8 from plain decimal text, exactly.

    Raises:
        UnitError: for signs, exponents, other characters, and non-zero digits past the eighth.
    """
    plain = text if isinstance(text, str) else format(Decimal(text), "f")
    whole, dot, fraction = plain.partition(".")
    digits = whole + fraction
    shape_ok = whole and (fraction or not dot) and digits.isascii() and digits.isdigit()
    if not shape_ok or len(whole) > _DIGITS_MAX or len(fraction) > _DIGITS_MAX:
        raise UnitError(plain, too_precise=False)
    if len(fraction) > 8:
        if fraction[8:].strip("0"):
            raise UnitError(plain, too_precise=True)
        fraction = fraction[:8]
    return int(whole) * E8 + int(fraction.ljust(8, "0"))


def text_of(value: int) -> str:
    """Eight decimals, as the venue prints amounts: `123.45000000`."""
    if value < 0:
        return "-" + text_of(-value)
    return f"{value // E8}.{value % E8:08d}"


def decimal_of_e8(value: int) -> Decimal:
    """The same amount as an exact Decimal."""
    return Decimal(value).scaleb(-8)


def quote_of(price: int, qty: int) -> int:
    """Price x qty in quote units of 1e-8; exact on every symbol of the table (rule 2)."""
    return price * qty // E8


def ms_of(ts_ns: int) -> int:
    """Milliseconds, as most wire fields carry them."""
    return ts_ns // 1_000_000
