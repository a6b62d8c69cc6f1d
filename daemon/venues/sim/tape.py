"""What one symbol has traded: recent trades, aggregate trades, candles, averages.

Rules of this file:
1. Everything is bounded: a venue that runs for days keeps hours of candles and thousands of trades.
2. Candles are kept per minute and per second; longer intervals are folded from minutes on request.
"""

from collections import deque
from dataclasses import dataclass
from itertools import islice

from daemon.venues.sim.orders import TradePrint
from daemon.venues.sim.units import E8, quote_of

TRADES_KEPT = 2_000
SECONDS_KEPT = 900
MINUTES_KEPT = 3_000
MINUTE_NS = 60_000_000_000
DAY_NS = 1_440 * MINUTE_NS
SECOND_NS = 1_000_000_000
INTERVAL_NS: dict[str, int] = {
    "1s": SECOND_NS,
    "1m": MINUTE_NS,
    "3m": 3 * MINUTE_NS,
    "5m": 5 * MINUTE_NS,
    "15m": 15 * MINUTE_NS,
    "30m": 30 * MINUTE_NS,
    "1h": 60 * MINUTE_NS,
    "2h": 120 * MINUTE_NS,
    "4h": 240 * MINUTE_NS,
    "6h": 360 * MINUTE_NS,
    "8h": 480 * MINUTE_NS,
    "12h": 720 * MINUTE_NS,
    "1d": 1440 * MINUTE_NS,
    "3d": 3 * 1440 * MINUTE_NS,
    "1w": 7 * 1440 * MINUTE_NS,
    "1M": 30 * 1440 * MINUTE_NS,
}


@dataclass(slots=True, eq=False)
class Candle:
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
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        self.close = other.close
        self.volume += other.volume
        self.quote += other.quote
        self.trades += other.trades
        self.taker_base += other.taker_base
        self.taker_quote += other.taker_quote
        if self.first_id < 0:
            self.first_id = other.first_id
        if other.last_id >= 0:
            self.last_id = other.last_id


@dataclass(slots=True, eq=False)
class AggTrade:
    """Trades of one taker order at one price."""

    agg_id: int
    price: int
    qty: int
    first_id: int
    last_id: int
    ts_ns: int
    buyer_is_maker: bool
    taker_order_id: int


class Tape:
    """Trade history of one symbol."""

    def __init__(self, start_price: int, now_ns: int) -> None:
        self.last_price = start_price
        self.trades: deque[TradePrint] = deque(maxlen=TRADES_KEPT)
        self.aggregates: deque[AggTrade] = deque(maxlen=TRADES_KEPT)
        self.seconds: deque[Candle] = deque(maxlen=SECONDS_KEPT)
        self.minutes: deque[Candle] = deque(maxlen=MINUTES_KEPT)
        self._next_agg_id = 1
        self._average: tuple[int, int] = (-1, start_price)
        self._start_ns = now_ns

    def add(self, trade: TradePrint) -> AggTrade:
        """Book a trade; returns the aggregate it belongs to."""
        self.last_price = trade.price
        self.trades.append(trade)
        bar = _bar_of(trade)
        _fold_into(self.seconds, bar, trade.ts_ns - trade.ts_ns % SECOND_NS)
        _fold_into(self.minutes, bar, trade.ts_ns - trade.ts_ns % MINUTE_NS)
        return self._aggregate(trade)

    def average_price(self, now_ns: int, minutes: int) -> int:
        """Volume-weighted mean over `minutes`, or the last price without trades (or for 0)."""
        if minutes == 0:
            return self.last_price
        second = now_ns // SECOND_NS
        if self._average[0] != second:
            since = now_ns - minutes * MINUTE_NS
            quote = volume = 0
            for bar in reversed(self.minutes):
                if bar.open_ns < since:
                    break
                quote += bar.quote
                volume += bar.volume
            self._average = (second, quote * E8 // volume if volume else self.last_price)
        return self._average[1]

    def candles(
        self, interval: str, *, limit: int, start_ns: int | None, end_ns: int | None
    ) -> list[Candle]:
        """Bars of an interval, oldest first; the newest `limit`, or from `start_ns` on."""
        span = INTERVAL_NS[interval]
        source = self.seconds if span < MINUTE_NS else self.minutes
        bars: list[Candle] = []
        for bar in source:
            open_ns = bar.open_ns - bar.open_ns % span
            if (start_ns is not None and open_ns < start_ns) or (
                end_ns is not None and open_ns > end_ns
            ):
                continue
            if not bars or bars[-1].open_ns != open_ns:
                bars.append(Candle(open_ns, bar.open, bar.open, bar.open, bar.open))
            bars[-1].add(bar)
        return bars[:limit] if start_ns is not None else bars[-limit:]

    def current(self, interval: str, now_ns: int) -> Candle:
        """The running bar; flat at the last price when nothing has traded in it yet."""
        span = INTERVAL_NS[interval]
        open_ns = now_ns - now_ns % span
        last = self.last_price
        bar: Candle | None = None
        source = self.seconds if span < MINUTE_NS else self.minutes
        tail = list(islice(reversed(source), max(1, span // MINUTE_NS)))
        for part in reversed(tail):
            if part.open_ns >= open_ns:
                bar = bar or Candle(open_ns, part.open, part.open, part.open, part.open)
                bar.add(part)
        return bar or Candle(open_ns, last, last, last, last)

    def since(self, since_ns: int) -> Candle:
        """Everything from `since_ns` on as one bar; flat at the last price without trades."""
        total: Candle | None = None
        for bar in self.minutes:
            if bar.open_ns >= since_ns:
                total = total or Candle(since_ns, bar.open, bar.open, bar.open, bar.open)
                total.add(bar)
        last = self.last_price
        return total or Candle(since_ns, last, last, last, last)

    def seed(self, bars: list[Candle]) -> None:
        """Give the symbol a past, so that charts and averages are not empty at the start."""
        self.minutes.extend(bars)

    def forget_trades(self) -> None:
        """After a wipe trade ids begin again; candles stay."""
        self.trades.clear()
        self.aggregates.clear()

    def _aggregate(self, trade: TradePrint) -> AggTrade:
        last = self.aggregates[-1] if self.aggregates else None
        if (
            last is not None
            and last.taker_order_id == trade.taker_order_id
            and last.price == trade.price
        ):
            last.qty += trade.qty
            last.last_id = trade.trade_id
            return last
        aggregate = AggTrade(
            self._next_agg_id,
            trade.price,
            trade.qty,
            trade.trade_id,
            trade.trade_id,
            trade.ts_ns,
            trade.buyer_is_maker,
            trade.taker_order_id,
        )
        self._next_agg_id += 1
        self.aggregates.append(aggregate)
        return aggregate


def _bar_of(trade: TradePrint) -> Candle:
    quote = quote_of(trade.price, trade.qty)
    taker_buys = not trade.buyer_is_maker
    return Candle(
        trade.ts_ns,
        trade.price,
        trade.price,
        trade.price,
        trade.price,
        volume=trade.qty,
        quote=quote,
        trades=1,
        taker_base=trade.qty if taker_buys else 0,
        taker_quote=quote if taker_buys else 0,
        first_id=trade.trade_id,
        last_id=trade.trade_id,
    )


def _fold_into(bars: deque[Candle], bar: Candle, open_ns: int) -> None:
    if not bars or bars[-1].open_ns < open_ns:
        bars.append(Candle(open_ns, bar.open, bar.open, bar.open, bar.open))
    bars[-1].add(bar)
