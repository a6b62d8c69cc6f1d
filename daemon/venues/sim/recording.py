"""Recorded trades as the flow plays them: rows of `time_ms,trade_id,taker_side,price,qty`."""

from collections.abc import Iterable

from daemon.model.enums import Side
from daemon.venues.sim.flow import RecordedTrade
from daemon.venues.sim.symbols import SymbolSpec
from daemon.venues.sim.units import UnitError, e8_of

_HEADER = ["time_ms", "trade_id", "taker_side", "price", "qty"]
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class RecordingError(ValueError):
    """A recording that cannot be played; the text names the file and the line."""


def parse_recording(
    rows: Iterable[list[str]], *, name: str, spec: SymbolSpec
) -> list[RecordedTrade]:
    """Trades in the order of the file; amounts are cut to the symbol's steps upwards.

    Raises:
        RecordingError: wrong header, wrong row, time running backwards, no trades.
    """
    trades: list[RecordedTrade] = []
    for line, row in enumerate(rows, start=1):
        if line == 1:
            if row != _HEADER:
                raise RecordingError(f"{name} line 1: the header must be {','.join(_HEADER)}")
            continue
        trade = _trade(row, f"{name} line {line}", spec)
        if trades and trade.ts_ns < trades[-1].ts_ns:
            raise RecordingError(f"{name} line {line}: time runs backwards")
        trades.append(trade)
    if not trades:
        raise RecordingError(f"{name}: no trades in it")
    return trades


def _trade(row: list[str], where: str, spec: SymbolSpec) -> RecordedTrade:
    if len(row) != len(_HEADER):
        raise RecordingError(f"{where}: {len(row)} fields instead of {len(_HEADER)}")
    time_ms, _, side, price_text, qty_text = row
    if not (time_ms.isascii() and time_ms.isdigit()):
        raise RecordingError(f"{where}: time_ms {time_ms!r} is not a whole number")
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
        ts_ns=int(time_ms) * 1_000_000,
        side=_SIDES[side.lower()],
        price=price,
        qty=qty + (spec.step - rest if rest else 0),
    )
