"""Reads the recorded inputs of one decision and names those that are absent.

An input that is absent or no amount makes a decision undecidable, which is never agreement.
"""

import decimal
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from evidence.read.exact_amounts import (
    NS_PER_S,
    ZERO,
    AmountTextError,
    amount,
    amount_of_text,
)

MINUTES_PER_DAY = 1440
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
UNLIMITED = Decimal(10) ** 28
SHARED_PARTS = ("standing", "market")
"""Tables of a decision that many decisions share; the last one that has a key counts."""

_WINDOW = re.compile(r"^(?:(\w{3})(?:-(\w{3}))? )?(\d\d):(\d\d)-(\d\d):(\d\d)$")


class UndecidableError(ValueError):
    """A rule needs an input that is not in the record."""


class StatedInputs(dict[str, Any]):
    """What a decision states, its shared parts beside its own keys."""

    def __missing__(self, key: str) -> Any:
        raise UndecidableError(f"the decision does not state {key}")


class WrittenInputs:
    """Typed access to a decision's keys.

    Every reader raises `UndecidableError` for what is absent or of another type.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.inputs = self.stated_in(inputs)
        self.caps = self._table_or_none("caps")
        self.filters = self._table_or_none("filters")
        self.portfolio_caps = self.table("portfolio_caps")

    def stated_in(self, inputs: Mapping[str, Any]) -> StatedInputs:
        """The inputs to decide from."""
        return flat(inputs)

    def _table_or_none(self, key: str) -> Mapping[str, Any]:
        """A table that may be null; then the rules end before it is read."""
        return {} if self.inputs.get(key) is None else self.table(key)

    def whole(self, key: str) -> int:
        """An integer."""
        value = self.inputs[key]
        if not isinstance(value, int) or isinstance(value, bool):
            raise UndecidableError(f"{key} is no integer: {value!r}")
        return value

    def amount_at(self, key: str) -> Decimal:
        """An amount."""
        return number_of(self.inputs[key], key)

    def wished(self, key: str) -> Decimal:
        """An amount of the wish itself, of any size: a strategy may wish for too much."""
        return wish_of(self.inputs[key], key)

    def row(self, key: str, length: int) -> Sequence[Any]:
        """A list of at least `length` cells."""
        value = self.inputs[key]
        if not isinstance(value, list) or len(value) < length:
            raise UndecidableError(f"{key} is no list of {length}: {value!r}")
        return value

    def table(self, key: str) -> Mapping[str, Any]:
        """A mapping."""
        value = self.inputs[key]
        if not isinstance(value, dict):
            raise UndecidableError(f"{key} is no table: {value!r}")
        return value

    def cap(self, key: str) -> Decimal:
        """A cap of the symbol; unset is zero."""
        return _limit_of(self.caps.get(key))

    def portfolio_cap(self, key: str) -> Decimal:
        """A cap of the portfolio; unset is zero."""
        return _limit_of(self.portfolio_caps.get(key))

    def venue_filter(self, key: str) -> Decimal:
        """A filter of the venue; absent is zero, and zero is off."""
        value = self.filters.get(key)
        return number_of(value, key) if value else ZERO


def flat(inputs: Mapping[str, Any]) -> StatedInputs:
    """A decision's inputs with its shared parts beside its own keys."""
    out = StatedInputs(inputs)
    for part in SHARED_PARTS:
        if isinstance(out.get(part), dict):
            out.update(out[part])
    return out


def stated(inputs: Mapping[str, Any], key: str) -> Any:
    """One input, as `flat` has it; None where it is absent."""
    for part in reversed(SHARED_PARTS):
        table = inputs.get(part)
        if isinstance(table, dict) and key in table:
            return table[key]
    return inputs.get(key)


def reference_price_of(decision: Mapping[str, Any]) -> Decimal:
    """The middle of the book that a decision states, or zero."""
    try:
        return (amount(stated(decision, "bid")) + amount(stated(decision, "ask"))) / 2
    except AmountTextError:
        return ZERO


def number_of(value: object, name: str) -> Decimal:
    """Read an amount of a list or table; `name` says where, for the error."""
    try:
        return amount_of_text(value) if type(value) is str else amount(value)
    except AmountTextError as error:
        raise UndecidableError(f"{name}: {error}") from error


def limit_of(value: object) -> Decimal:
    """A cap's value; unset is zero."""
    if value is None:
        return ZERO
    return UNLIMITED if value == "unlimited" else number_of(value, "cap")


_limit_of = lru_cache(maxsize=4096, typed=True)(limit_of)
"""The caps in force come again with every decision: sixty look-ups, each a call less."""


@lru_cache(maxsize=4096, typed=True)
def is_unset(value: object) -> bool:
    """Whether a cap that must be set is absent, empty or zero."""
    if not isinstance(value, str) or not value:
        return not value
    try:
        return amount(value) == 0
    except AmountTextError:
        return False  # a word: "USDT", "unlimited"


def wish_of(value: object, name: str) -> Decimal:
    """A finite amount of any size; `name` is where it stands."""
    try:
        found = Decimal(value) if isinstance(value, str) else amount(value)
    except (decimal.InvalidOperation, AmountTextError) as error:
        raise UndecidableError(f"{name}: {value!r:.40} is no amount") from error
    if not found.is_finite():
        raise UndecidableError(f"{name}: {value!r:.40} is not finite")
    return found


def is_positive(value: object) -> bool:
    """A finite positive amount of a wish, of any size."""
    try:
        return wish_of(value, "") > 0
    except UndecidableError:
        return False


def in_windows(now_ns: int, windows: Sequence[str]) -> bool:
    """Whether a moment lies in one of the weekly windows, for example `Mon-Fri 07:00-21:30`."""
    minutes = now_ns // (60 * NS_PER_S)
    weekday = (minutes // MINUTES_PER_DAY + 3) % 7  # 1970-01-01 was a Thursday
    minute = minutes % MINUTES_PER_DAY
    for text in windows:
        found = _WINDOW.match(text)
        if found is None:
            continue
        first, last, from_h, from_m, to_h, to_m = found.groups()
        start, end = int(from_h) * 60 + int(from_m), int(to_h) * 60 + int(to_m)
        low = DAYS.index(first) if first else 0
        high = DAYS.index(last or first) if first else 6
        if low <= weekday <= high and start <= minute < end:
            return True
    return False
