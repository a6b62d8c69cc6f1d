"""Recorded trades as the flow plays them: rows of `time_ms,trade_id,taker_side,price,qty`.

Venues write times in s, ms, us or ns, whatever the heading says: the unit is told by the size of
the first row's time, and all other rows must be of the same.
"""

from collections.abc import Iterable

import msgspec

from daemon.model.enums import Side
from daemon.venues.binance_spot.serving.units import UnitError, e8_of
from daemon.venues.sim.flow import RecordedTrade
from daemon.venues.sim.listed_symbols import SymbolSpec

_HEADER = ["time_ms", "trade_id", "taker_side", "price", "qty"]
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}


_UNITS = {10: ("s", 1_000_000_000), 13: ("ms", 1_000_000), 16: ("us", 1_000), 19: ("ns", 1)}
"""Digits of a time between 2001 and 2286 -> its unit, and nanoseconds in it."""
_PLAIN = ("ms", 1_000_000)
"""Times too small to be of this century count from the file's own beginning."""


class RecordingError(ValueError):
    """A recording that cannot be played; the text names the file and the line."""


class Recording(msgspec.Struct, frozen=True):
    """Trades in their order, and the unit that their times were read in."""

    trades: list[RecordedTrade]
    unit: str

    @property
    def span_s(self) -> int:
        """From the first trade to the last."""
        return (self.trades[-1].ts_ns - self.trades[0].ts_ns) // 1_000_000_000


def parse_recording(rows: Iterable[list[str]], *, name: str, spec: SymbolSpec) -> Recording:
    """Trades in the order of the file; amounts are cut to the symbol's steps upwards.

    Raises:
        RecordingError: wrong header, wrong row, times in two units or running backwards, no trades.
    """
    trades: list[RecordedTrade] = []
    unit = _PLAIN
    for line, row in enumerate(rows, start=1):
        if line == 1:
            if row != _HEADER:
                raise RecordingError(f"{name} line 1: the header must be {','.join(_HEADER)}")
            continue
        found = _unit_of(row, f"{name} line {line}")
        if not trades:
            unit = found
        elif found != unit:
            raise RecordingError(
                f"{name} line {line}: time {row[0]} is in {found[0]}, the lines before it are in "
                f"{unit[0]}; write one unit"
            )
        trade = _trade(row, f"{name} line {line}", spec, unit[1])
        if trades and trade.ts_ns < trades[-1].ts_ns:
            raise RecordingError(f"{name} line {line}: time runs backwards; sort the file by time")
        trades.append(trade)
    if not trades:
        raise RecordingError(f"{name}: no trades in it")
    return Recording(trades, unit[0])


def _unit_of(row: list[str], where: str) -> tuple[str, int]:
    if len(row) != len(_HEADER):
        raise RecordingError(f"{where}: {len(row)} fields instead of {len(_HEADER)}")
    if not (row[0].isascii() and row[0].isdigit() and len(row[0]) <= 19):
        raise RecordingError(f"{where}: time_ms {row[0]!r} is no whole number below 10^19")
    return _UNITS.get(len(row[0].lstrip("0")), _PLAIN)


def _trade(row: list[str], where: str, spec: SymbolSpec, unit_ns: int) -> RecordedTrade:
    time, _, side, price_text, qty_text = row
    if side.lower() not in _SIDES:
        raise RecordingError(f"{where}: taker_side {side!r} is neither buy nor sell")
    try:
        price, qty = e8_of(price_text), e8_of(qty_text)
    except UnitError as error:
        raise RecordingError(f"{where}: {error}") from error
    if price <= 0 or qty <= 0:
        raise RecordingError(f"{where}: price and qty must be above zero")
    if price % spec.tick:
        raise RecordingError(f"{where}: price {price_text} is not on {spec.symbol}'s tick")
    rest = qty % spec.step
    return RecordedTrade(
        ts_ns=int(time) * unit_ns,
        side=_SIDES[side.lower()],
        price=price,
        qty=qty + (spec.step - rest if rest else 0),
    )
