"""Candles: what one holds, the intervals, and when each interval's candles open.

Rules of this file:
1. A candle opens at a whole multiple of its interval counted from 1970-01-01 in its time zone;
   weeks open on Monday and months on the first.
2. A time zone is an offset from UTC in whole minutes, -12:00 to +14:00; times stay UTC.
"""

import re
from datetime import date

import msgspec

from daemon.venues.binance_spot.serving.intervals import DAY_NS, INTERVAL_NS, MINUTE_NS, MONTH

_FIRST_MONDAY_NS = 4 * DAY_NS
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_ZONE = re.compile(r"([+-]?)([0-9]{1,2})(?::([0-9]{2}))?")


class Candle(msgspec.Struct, eq=False):
    """One bar; `open_ns` is its start. Amounts in units of 1e-8."""

    open_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote: int = 0
    trades: int = 0
    taker_base: int = 0
    taker_quote: int = 0
    first_id: int = -1
    last_id: int = -1

    def add(self, other: "Candle") -> None:
        """Fold a later bar into this one."""
        if not self.trades:
            self.open, self.first_id = other.open, other.first_id
            self.high, self.low = other.high, other.low
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.quote += other.quote
        self.trades += other.trades
        self.taker_base += other.taker_base
        self.taker_quote += other.taker_quote
        self.last_id = other.last_id


def flat(open_ns: int, price: int) -> Candle:
    """A bar without a trade, at the price before it."""
    return Candle(open_ns, price, price, price, price)


def open_of(interval: str, ts_ns: int, offset_ns: int = 0) -> int:
    """When the candle that holds `ts_ns` opened."""
    local_ns = ts_ns + offset_ns
    if interval == MONTH:
        first = date.fromordinal(_EPOCH_DAY + local_ns // DAY_NS).replace(day=1)
        return (first.toordinal() - _EPOCH_DAY) * DAY_NS - offset_ns
    since_ns = _FIRST_MONDAY_NS if interval == "1w" else 0
    return local_ns - (local_ns - since_ns) % INTERVAL_NS[interval] - offset_ns


def next_open(interval: str, open_ns: int, offset_ns: int = 0) -> int:
    """When the candle after the one that opened at `open_ns` opens."""
    end_ns = open_ns + INTERVAL_NS[interval]
    return open_of(MONTH, end_ns, offset_ns) if interval == MONTH else end_ns


def zone_offset_ns(text: str) -> int | None:
    """The offset that `8`, `-1:00` or `05:45` means; None for no time zone of the venue."""
    found = _ZONE.fullmatch(text)
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    offset = (int(hours) * 60 + int(minutes or "0")) * (-1 if sign == "-" else 1)
    if not -12 * 60 <= offset <= 14 * 60 or int(minutes or "0") > 59:
        return None
    return offset * MINUTE_NS
