"""Reads the recorded inputs of one decision and names those that are absent.

An input that is absent or no amount makes a decision undecidable, which is never agreement.
"""

import decimal
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property, lru_cache
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
REQUIRED_OF_PORTFOLIO = (
    "numeraire", "messages_per_second_cancel_reserve", "messages_per_minute_cancel_reserve",
    "venue_budget_percent_max", "order_to_trade_ratio_max", "loss_session_numeraire_max",
    "loss_day_numeraire_max", "drawdown_numeraire_max", "loss_streak_max",
    "executions_without_human_max", "venue_reject_streak_max", "duplicate_window_ms",
    "clock_offset_ms_max", "clock_age_ms_max", "valuation_age_ms_max",
)  # fmt: skip
REQUIRED_OF_SYMBOL = ("collar_bps_max", "market_slippage_bps", "market_data_age_ms_max")
"""Caps whose zero does not deny by arithmetic: unset is told as such."""
SHARED_PARTS = ("standing", "market")
"""Tables of a decision that many decisions share."""

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

    def __init__(self, inputs: Mapping[str, Any], terms: "CapsAndFilters | None" = None) -> None:
        """Read a decision's inputs; `terms`: those that it states, if they were read before."""
        self.inputs = self.stated_in(inputs)
        self.terms = terms = terms or CapsAndFilters(self.inputs)
        self.caps, self.filters = terms.caps, terms.filters
        self.portfolio_caps = terms.portfolio_caps
        self.cap: Mapping[str, Decimal] = terms.cap
        self.portfolio_cap: Mapping[str, Decimal] = terms.portfolio_cap
        self.venue_filter: Mapping[str, Decimal] = terms.venue_filter

    def stated_in(self, inputs: Mapping[str, Any]) -> StatedInputs:
        """The inputs to decide from."""
        return flat(inputs)

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
        return table_in(self.inputs, key)


def table_in(inputs: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping among the inputs."""
    value = inputs[key]
    if not isinstance(value, dict):
        raise UndecidableError(f"{key} is no table: {value!r}")
    return value


def flat(inputs: Mapping[str, Any]) -> StatedInputs:
    """A decision's inputs with its shared parts beside its own keys."""
    out = StatedInputs(inputs)
    for part in SHARED_PARTS:
        if isinstance(out.get(part), dict):
            out.update(out[part])
    return out


def stated_once(inputs: Mapping[str, Any]) -> None:
    """Check that no shared part states again what stands beside it: either could count.

    Raises:
        UndecidableError: one does.
    """
    for part in SHARED_PARTS:
        table = inputs.get(part)
        if isinstance(table, dict) and not inputs.keys().isdisjoint(table):
            raise UndecidableError(f"{part} states again what stands beside it")


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


@lru_cache(maxsize=4096, typed=True)
def is_unset(value: object) -> bool:
    """Whether a cap that must be set is absent, empty or zero."""
    if not isinstance(value, str) or not value:
        return not value
    try:
        return amount(value) == 0
    except AmountTextError:
        return False  # a word: "USDT", "unlimited"


class AmountsOf(dict[str, Decimal]):
    """The amounts of a table, each read when it is first asked for."""

    def __init__(self, table: Mapping[str, Any], read: Callable[[object, str], Decimal]) -> None:
        super().__init__()
        self._table, self._read = table, read

    def __missing__(self, key: str) -> Decimal:
        found = self[key] = self._read(self._table.get(key), key)
        return found


class CapsAndFilters:
    """The caps and the venue's filters that decisions state; most state those of the one before.

    What is read of them once is right for all of them, because it is kept with these tables alone.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        """Take the three tables of a decision's inputs.

        Raises:
            UndecidableError: one is no table, or no caps of the portfolio are stated.
        """
        self.caps = _table_or_none(inputs, "caps")
        self.filters = _table_or_none(inputs, "filters")
        self.portfolio_caps = table_in(inputs, "portfolio_caps")
        self.cap = AmountsOf(self.caps, _cap_of)
        self.portfolio_cap = AmountsOf(self.portfolio_caps, _cap_of)
        self.venue_filter = AmountsOf(self.filters, _filter_of)

    @cached_property
    def lacks_a_cap(self) -> bool:
        """Whether a cap that must be set is not."""
        of_portfolio = map(self.portfolio_caps.get, REQUIRED_OF_PORTFOLIO)
        of_symbol = map(self.caps.get, REQUIRED_OF_SYMBOL)
        return True in map(is_unset, of_portfolio) or True in map(is_unset, of_symbol)


def _table_or_none(inputs: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A table that may be null; then the rules end before it is read."""
    return {} if inputs.get(key) is None else table_in(inputs, key)


@lru_cache(maxsize=4096, typed=True)
def _cap_of(value: object, _: str) -> Decimal:
    return limit_of(value)


def _filter_of(value: object, key: str) -> Decimal:
    """A filter of the venue; absent is zero, and zero is off."""
    return number_of(value, key) if value else ZERO


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
