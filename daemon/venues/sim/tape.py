"""What one symbol has traded: the past, live trades, aggregate trades, candles, averages.

Rules of this file:
1. Live rows are bounded: trades and seconds for about an hour, minutes for two weeks, hours for
   years. The past (past.py) is made up on request and costs no room.
2. Seconds, minutes and hours are kept; every other interval is folded from them on request. A
   candle without a trade is flat at the price before it.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from operator import attrgetter

import msgspec

from daemon.venues.binance_spot.serving.intervals import (
    HOUR_NS,
    INTERVAL_NS,
    MINUTE_NS,
    SECOND_NS,
)
from daemon.venues.binance_spot.serving.units import E8, quote_of
from daemon.venues.sim.candles import (
    Candle,
    flat,
    next_open,
    open_of,
)
from daemon.venues.sim.newest_rows import Kept
from daemon.venues.sim.past import LISTED_NS, Past, PastTrade
from daemon.venues.sim.sim_orders import TradePrint

TRADES_KEPT = 10_000
SECONDS_KEPT = 3_600
MINUTES_KEPT = 20_000
HOURS_KEPT = 26_000
_OPEN_NS = attrgetter("open_ns")


class AggTrade(msgspec.Struct, eq=False):
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

    def __init__(self, start_price: int, now_ns: int, past: Past | None = None) -> None:
        self.last_price = start_price
        self.last_ns = now_ns
        """When the latest trade was; the background flow never trades before it."""
        self.past = past
        self.trades: Kept[TradePrint] = Kept(TRADES_KEPT, attrgetter("trade_id"))
        self.aggregates: Kept[AggTrade] = Kept(TRADES_KEPT, attrgetter("agg_id"))
        self._seconds: Kept[Candle] = Kept(SECONDS_KEPT, _OPEN_NS)
        self._minutes: Kept[Candle] = Kept(MINUTES_KEPT, _OPEN_NS)
        self._hours: Kept[Candle] = Kept(HOURS_KEPT, _OPEN_NS)
        self._next_agg_id = 1 + (past.last_agg_id if past else 0)
        self._average: tuple[int, int] = (-1, start_price)
        self._start_ns = now_ns
        self._start_price = start_price
        self._past_trades: Past | None = past

    def add(self, trade: TradePrint) -> AggTrade:
        """Book a trade; returns the aggregate it belongs to."""
        self.last_price = trade.price
        self.last_ns = max(self.last_ns, trade.ts_ns)
        self.trades.append(trade)
        bar = _bar_of(trade)
        for bars, span_ns in (
            (self._seconds, SECOND_NS),
            (self._minutes, MINUTE_NS),
            (self._hours, HOUR_NS),
        ):
            _fold_into(bars, bar, trade.ts_ns - trade.ts_ns % span_ns)
        return self._aggregate(trade)

    # ------------------------------------------------------------------ candles

    def candle(self, start_ns: int, end_ns: int) -> Candle:
        """Everything from `start_ns` up to `end_ns` as one bar (whole seconds)."""
        total = self.past.fold(start_ns, end_ns) if self.past else None
        for bar in self._live(start_ns, end_ns):
            if total is None:
                total = flat(start_ns, bar.open)
            total.add(bar)
        return total or flat(start_ns, self.price_before(start_ns))

    def candles(
        self,
        interval: str,
        *,
        limit: int,
        start_ns: int | None,
        end_ns: int | None,
        now_ns: int,
        offset_ns: int = 0,
    ) -> list[Candle]:
        """Bars of an interval, oldest first; the newest `limit`, or from `start_ns` on.

        Every interval has its bar, traded in or not, from the listing to the running one; only
        seconds and minutes older than what is kept are missing.
        """
        latest_ns = now_ns if end_ns is None else min(now_ns, end_ns)
        first_ns = LISTED_NS if self.past else self._start_ns
        first_ns = open_of(interval, first_ns, offset_ns)
        if start_ns is None:
            back = self._opens_back(interval, latest_ns, first_ns, offset_ns)
            opens = list(islice(back, limit))[::-1]
        else:
            on = self._opens_on(interval, max(start_ns, first_ns), latest_ns, offset_ns)
            opens = list(islice(on, limit))
        return [self.candle(at, next_open(interval, at, offset_ns)) for at in opens]

    def price_before(self, ts_ns: int) -> int:
        """The price of the last trade before `ts_ns` (a whole second)."""
        for bars in (self._seconds, self._minutes, self._hours):
            number = bars.place_of(ts_ns)
            if number:
                return bars.rows[number - 1].close
            if bars.dropped_below is None:
                break  # a coarser bar that opened before could only have traded since
        if self.past is None or ts_ns >= self.past.end_ns:
            return self._start_price
        return self.past.trade(max(0, self.past.index_at(ts_ns) - 1)).price

    def since(self, since_ns: int, now_ns: int) -> Candle:
        """Everything from the minute of `since_ns` on as one bar."""
        return self.candle(since_ns - since_ns % MINUTE_NS, now_ns - now_ns % MINUTE_NS + MINUTE_NS)

    def average_price(self, now_ns: int, minutes: int) -> int:
        """Volume-weighted mean over `minutes`, or the last price without trades (or for 0)."""
        if minutes == 0:
            return self.last_price
        second = now_ns // SECOND_NS
        if self._average[0] != second:
            bar = self.since(now_ns - (minutes - 1) * MINUTE_NS, now_ns)
            self._average = (
                second,
                bar.quote * E8 // bar.volume if bar.volume else self.last_price,
            )
        return self._average[1]

    # ------------------------------------------------------------------ trades

    @property
    def last_trade_id(self) -> int:
        """The newest trade's id; 0 when there is none."""
        if self.trades:
            return self.trades.rows[-1].trade_id
        return self._past_trades.last_id if self._past_trades else 0

    @property
    def last_agg_id(self) -> int:
        """The newest aggregate trade's id."""
        return self._next_agg_id - 1

    def go_on_from(self, trade_id: int, agg_id: int) -> None:
        """The next trade and aggregate trade come after these ids; the past moves up to them."""
        if self._past_trades is not None:
            self._past_trades.move_ids(trade_id, agg_id)
            agg_id = self._past_trades.last_agg_id
        self._next_agg_id = max(self._next_agg_id, agg_id + 1)

    def past_trades(self, first: int, end: int) -> list[PastTrade]:
        """Trades of the past with first <= id < end; none after a wipe."""
        past = self._past_trades
        if past is None:
            return []
        return list(past.trades(first - past.first_id, end - past.first_id))

    def aggregate_at(self, ts_ns: int) -> int:
        """Id of the first aggregate trade at or after `ts_ns`."""
        past = self._past_trades
        if past is not None and ts_ns < past.end_ns:
            index = past.index_at(ts_ns)
            return past.trade(index).agg_id if index < past.count else past.last_agg_id + 1
        rows = self.aggregates.rows
        number = bisect_left(rows, ts_ns, key=attrgetter("ts_ns"))
        return rows[number].agg_id if number < len(rows) else self._next_agg_id

    def aggregates_between(self, low: int, high: int) -> Iterator[AggTrade]:
        """Aggregate trades with low <= id < high."""
        past = self._past_trades
        if past is not None and low <= past.last_agg_id:
            last = min(high, past.last_agg_id + 1)
            end = past.count if last > past.last_agg_id else past.index_of_aggregate(last)
            found: AggTrade | None = None
            for row in past.trades(past.index_of_aggregate(low), end):
                if found is not None and found.agg_id == row.agg_id:
                    found.qty += row.qty
                    found.last_id = row.trade_id
                    continue
                if found is not None:
                    yield found
                found = AggTrade(
                    row.agg_id,
                    row.price,
                    row.qty,
                    row.trade_id,
                    row.trade_id,
                    row.ts_ns,
                    row.buyer_is_maker,
                    0,
                )
            if found is not None:
                yield found
        yield from self.aggregates.between(low, high)

    def forget_trades(self) -> None:
        """After a wipe trade ids begin again; candles stay."""
        self.trades.clear()
        self.aggregates.clear()
        self._past_trades = None

    # ------------------------------------------------------------------ inside

    def _live(self, start_ns: int, end_ns: int) -> Iterator[Candle]:
        """Live bars that make up a stretch of time: the coarsest that fit."""
        if start_ns % MINUTE_NS or end_ns % MINUTE_NS:
            yield from self._seconds.between(start_ns, end_ns)
            return
        first_hour_ns = -(-start_ns // HOUR_NS) * HOUR_NS
        last_hour_ns = end_ns - end_ns % HOUR_NS
        if first_hour_ns >= last_hour_ns:
            yield from self._minutes.between(start_ns, end_ns)
            return
        yield from self._minutes.between(start_ns, first_hour_ns)
        yield from self._hours.between(first_hour_ns, last_hour_ns)
        yield from self._minutes.between(last_hour_ns, end_ns)

    def _unknown_until(self, interval: str) -> int | None:
        """From the venue's start up to here, bars as fine as this have been dropped."""
        if interval == "1s":
            return self._seconds.dropped_below
        return self._minutes.dropped_below if interval.endswith("m") else None

    def _is_known(self, interval: str, open_ns: int) -> bool:
        until_ns = self._unknown_until(interval)
        ends_in_past = open_ns + INTERVAL_NS[interval] <= self._start_ns
        return until_ns is None or ends_in_past or open_ns >= until_ns

    def _opens_back(
        self, interval: str, at_ns: int, first_ns: int, offset_ns: int
    ) -> Iterator[int]:
        """Opens of known bars from the one that holds `at_ns` back to `first_ns`."""
        open_ns = open_of(interval, at_ns, offset_ns)
        while open_ns >= first_ns:
            if self._is_known(interval, open_ns):
                yield open_ns
                open_ns = open_of(interval, open_ns - 1, offset_ns)
            else:
                open_ns = open_of(interval, open_of(interval, self._start_ns) - 1, offset_ns)

    def _opens_on(self, interval: str, at_ns: int, last_ns: int, offset_ns: int) -> Iterator[int]:
        """Opens of known bars from the first that opens at or after `at_ns` up to `last_ns`."""
        open_ns = open_of(interval, at_ns, offset_ns)
        if open_ns < at_ns:
            open_ns = next_open(interval, open_ns, offset_ns)
        while open_ns <= last_ns:
            if self._is_known(interval, open_ns):
                yield open_ns
            else:
                open_ns = open_of(interval, (self._unknown_until(interval) or open_ns) - 1)
            open_ns = next_open(interval, open_ns, offset_ns)

    def _aggregate(self, trade: TradePrint) -> AggTrade:
        last = self.aggregates.rows[-1] if self.aggregates else None
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


def _fold_into(bars: Kept[Candle], bar: Candle, open_ns: int) -> None:
    if not bars or bars.rows[-1].open_ns < open_ns:
        bars.append(flat(open_ns, bar.open))
    bars.rows[-1].add(bar)
