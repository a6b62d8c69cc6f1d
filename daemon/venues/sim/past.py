"""The trades before the venue was started: years of them, made up when somebody asks.

Rules of this file:
1. The past is a function of the seed, the symbol and the time: nothing is stored but caches, and a
   question about any stretch of time costs as much as the hours and days that it spans.
2. The trades are the truth: a candle is the exact sum of its trades, at every interval. A day is a
   shape (24 hours, each a shape of 480 trades) moved to the day's price and multiplied in size, so
   that sums over a whole shape are known without visiting its trades.
3. The price is the symbol's start price when the past ends, and stays above a tenth of it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from math import exp, floor
from typing import NamedTuple

import msgspec

from daemon.venues.binance_spot.serving.intervals import DAY_NS, HOUR_NS
from daemon.venues.binance_spot.serving.units import E8
from daemon.venues.sim.candles import Candle
from daemon.venues.sim.listed_symbols import SymbolSpec
from daemon.venues.sim.sim_orders import RandomSource

LISTED_NS = 1_514_764_800_000_000_000
"""2018-01-01 00:00 UTC, a Monday: the first trade of every symbol."""
TRADES_AN_HOUR = 480
AGGREGATES_AN_HOUR = 400
_HOURS = 24
_MINUTE_MS = 60_000
_DRIFTS = (-2, -1, 0, 1, 2)
"""By how many steps of the walk an hour may move the price."""
_HOUR_VARIANTS = 5
_DAY_VARIANTS = 6
_STEPS_TO_PRICE = 256
"""A step of the walk is so many-th of the start price."""
_OCTAVES = ((120, 60), (20, 24), (5, 8), (1, 1))
"""(days, steps): how far the daily price swings, and how fast."""
_BUSY = 8
"""A past trade stands for many: there are fewer of them than the live market has."""


class Part(NamedTuple):
    """Sums over trades of a shape: prices in ticks from its start, sizes in steps."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    moment: int
    """Sum of price x size."""
    taker_volume: int
    taker_moment: int
    trades: int
    first: int
    """Number of the first trade within the shape."""


class PastTrade(NamedTuple):
    """One trade of the past."""

    trade_id: int
    agg_id: int
    price: int
    qty: int
    ts_ns: int
    buyer_is_maker: bool


class _Hour:
    """480 trades that move the price by `drift` steps of the walk."""

    def __init__(self, rng: RandomSource, drift: int, step_ticks: int, typical: float) -> None:
        idle = {rng.randrange(1, 60), rng.randrange(1, 60)}  # minutes without a trade
        busy = [minute for minute in range(60) if minute not in idle]
        times = sorted(
            busy[rng.randrange(0, len(busy))] * _MINUTE_MS + rng.randrange(0, _MINUTE_MS)
            for _ in range(AGGREGATES_AN_HOUR)
        )
        walk, at = [], 0.0
        for _ in times:
            at += rng.gauss(0.0, 0.04)
            walk.append(at)
        self.ms: list[int] = []
        self.ticks: list[int] = []
        self.sizes: list[int] = []
        self.takers_buy: list[bool] = []
        self.aggregates: list[int] = []
        for number, ms in enumerate(times):
            share = (number + 1) / AGGREGATES_AN_HOUR
            ticks = round((walk[number] - at * share + drift * share) * step_ticks)
            buys = rng.random() < 0.5
            for _ in range(2 if number % 5 == 0 else 1):
                self.ms.append(ms)
                self.ticks.append(ticks)
                self.sizes.append(max(1, round(typical * exp(rng.gauss(0.0, 0.8)))))
                self.takers_buy.append(buys)
                self.aggregates.append(number)
        self.drift_ticks = drift * step_ticks
        self.whole = self.part(0, TRADES_AN_HOUR)

    def part(self, first: int, end: int) -> Part:
        """The trades from number `first` up to `end`; there is at least one."""
        ticks, sizes = self.ticks[first:end], self.sizes[first:end]
        taken = [
            (tick, size)
            for tick, size, buys in zip(ticks, sizes, self.takers_buy[first:end], strict=True)
            if buys
        ]
        return Part(
            open=ticks[0],
            high=max(ticks),
            low=min(ticks),
            close=ticks[-1],
            volume=sum(sizes),
            moment=sum(t * s for t, s in zip(ticks, sizes, strict=True)),
            taker_volume=sum(size for _, size in taken),
            taker_moment=sum(tick * size for tick, size in taken),
            trades=end - first,
            first=first,
        )


class _Day(NamedTuple):
    """A shape of 24 hours: which, how far from the day's first price each begins, and the sum."""

    hours: tuple[int, ...]
    offsets: tuple[int, ...]
    whole: Part


class _Placed(msgspec.Struct, frozen=True):
    """A day as it was: its shape, its first price in ticks, its size."""

    shape: _Day
    ticks: int
    size: int


class Past:
    """Every trade of one symbol from `LISTED_NS` up to `end_ns`."""

    def __init__(
        self, spec: SymbolSpec, rng_of: Callable[[str], RandomSource], end_ns: int
    ) -> None:
        self.end_ns = max(end_ns, LISTED_NS + HOUR_NS)
        self._spec = spec
        self._rng_of = rng_of
        start_ticks = spec.start_price // spec.tick
        self._step_ticks = start_ticks // _STEPS_TO_PRICE
        usual = spec.typical_notional * E8 // spec.start_price / spec.step
        self._typical = max(1.0, usual * _BUSY / 2)
        self._anchor = 0
        self._hour = lru_cache(maxsize=None)(self._make_hour)  # len(_DRIFTS) * _HOUR_VARIANTS
        self._day_shape = lru_cache(maxsize=None)(self._make_day_shape)
        self._day = lru_cache(maxsize=4_096)(self._make_day)
        self._knot = lru_cache(maxsize=512)(self._make_knot)
        self.first_id = self.first_agg_id = 1
        self.count = self.index_at(self.end_ns)
        last = self.trade(self.count - 1)
        self._aggregates = last.agg_id
        self._anchor = start_ticks - last.price // spec.tick
        self._day.cache_clear()

    def fold(self, start_ns: int, end_ns: int) -> Candle | None:
        """All trades from `start_ns` up to `end_ns` as one bar; None when there are none."""
        at, end_ns = max(start_ns, LISTED_NS), min(end_ns, self.end_ns)
        total: Candle | None = None
        while at < end_ns:
            day = self._day(at // DAY_NS)
            first_of_day = (at - at % DAY_NS - LISTED_NS) // HOUR_NS * TRADES_AN_HOUR
            if at % DAY_NS == 0 and at + DAY_NS <= end_ns:
                bar = self._candle(start_ns, day.shape.whole, day.ticks, day.size, first_of_day)
                at += DAY_NS
            else:
                number, from_ns = divmod(at % DAY_NS, HOUR_NS)
                to_ns = min(HOUR_NS, from_ns + end_ns - at)
                part = self._part(day.shape.hours[number], from_ns, to_ns)
                at += to_ns - from_ns
                if part is None:
                    continue
                ticks = day.ticks + day.shape.offsets[number]
                first = first_of_day + number * TRADES_AN_HOUR
                bar = self._candle(start_ns, part, ticks, day.size, first)
            if total is None:
                total = bar
            else:
                total.add(bar)
        return total

    @property
    def last_id(self) -> int:
        """Id of the last trade."""
        return self.first_id + self.count - 1

    @property
    def last_agg_id(self) -> int:
        """Id of the last aggregate trade."""
        return self.first_agg_id + self._aggregates - 1

    def move_ids(self, last_id: int, last_agg_id: int) -> None:
        """Let the ids end here, unless they end later already."""
        self.first_id += max(0, last_id - self.last_id)
        self.first_agg_id += max(0, last_agg_id - self.last_agg_id)

    def index_at(self, ts_ns: int) -> int:
        """How many trades there were before `ts_ns`."""
        if ts_ns <= LISTED_NS:
            return 0
        hours, rest_ns = divmod(ts_ns - LISTED_NS, HOUR_NS)
        shape = self._hour(self._day(ts_ns // DAY_NS).shape.hours[hours % _HOURS])
        return hours * TRADES_AN_HOUR + bisect_left(shape.ms, -(-rest_ns // 1_000_000))

    def trade(self, index: int) -> PastTrade:
        """Trade number `index`; the first is 0."""
        hour_number, number = divmod(index, TRADES_AN_HOUR)
        hour_ns = LISTED_NS + hour_number * HOUR_NS
        day = self._day(hour_ns // DAY_NS)
        of_day = hour_number % _HOURS
        shape = self._hour(day.shape.hours[of_day])
        ticks = day.ticks + day.shape.offsets[of_day] + shape.ticks[number]
        return PastTrade(
            trade_id=index + self.first_id,
            agg_id=hour_number * AGGREGATES_AN_HOUR + shape.aggregates[number] + self.first_agg_id,
            price=ticks * self._spec.tick,
            qty=shape.sizes[number] * day.size * self._spec.step,
            ts_ns=hour_ns + shape.ms[number] * 1_000_000,
            buyer_is_maker=not shape.takers_buy[number],
        )

    def trades(self, first: int, end: int) -> Iterator[PastTrade]:
        """Trades number `first` up to `end`, as far as there are any."""
        for index in range(max(0, first), min(end, self.count)):
            yield self.trade(index)

    def index_of_aggregate(self, agg_id: int) -> int:
        """Number of the first trade of an aggregate trade."""
        hour_number, number = divmod(max(0, agg_id - self.first_agg_id), AGGREGATES_AN_HOUR)
        # Aggregates 0, 5, 10, ... of an hour have two trades.
        return hour_number * TRADES_AN_HOUR + number + (number + 4) // 5

    # ------------------------------------------------------------------ shapes

    def _part(self, hour: int, from_ns: int, to_ns: int) -> Part | None:
        shape = self._hour(hour)
        if to_ns - from_ns == HOUR_NS:
            return shape.whole
        first = bisect_left(shape.ms, -(-from_ns // 1_000_000))
        end = bisect_left(shape.ms, -(-to_ns // 1_000_000))
        return shape.part(first, end) if first < end else None

    def _candle(self, open_ns: int, part: Part, ticks: int, size: int, first: int) -> Candle:
        spec = self._spec
        tick, worth = spec.tick, spec.tick * spec.step // E8 * size
        taker_moment = part.taker_moment + ticks * part.taker_volume
        return Candle(
            open_ns,
            (ticks + part.open) * tick,
            (ticks + part.high) * tick,
            (ticks + part.low) * tick,
            (ticks + part.close) * tick,
            volume=part.volume * size * spec.step,
            quote=(part.moment + ticks * part.volume) * worth,
            trades=part.trades,
            taker_base=part.taker_volume * size * spec.step,
            taker_quote=taker_moment * worth,
            first_id=first + part.first + self.first_id,
            last_id=first + part.first + part.trades - 1 + self.first_id,
        )

    def _make_hour(self, number: int) -> _Hour:
        rng = self._rng_of(f"{self._spec.symbol}/past/hour/{number}")
        return _Hour(rng, _DRIFTS[number % len(_DRIFTS)], self._step_ticks, self._typical)

    def _make_day_shape(self, drift: int, variant: int) -> _Day:
        rng = self._rng_of(f"{self._spec.symbol}/past/day/{drift}/{variant}")
        hours: list[int] = []
        while not hours:
            hours = [rng.randrange(0, len(_DRIFTS) * _HOUR_VARIANTS) for _ in range(_HOURS - 1)]
            missing = drift - sum(_DRIFTS[hour % len(_DRIFTS)] for hour in hours)
            if missing in _DRIFTS:
                hours.append(_DRIFTS.index(missing))
            else:
                hours = []
        offsets, total = [0], self._hour(hours[0]).whole
        for hour_before, hour in pairwise(hours):
            offsets.append(offsets[-1] + self._hour(hour_before).drift_ticks)
            total = _joined(total, self._hour(hour).whole, offsets[-1])
        return _Day(tuple(hours), tuple(offsets), total)

    def _make_day(self, day: int) -> _Placed:
        level = self._level(day)
        rng = self._rng_of(f"{self._spec.symbol}/past/{day}")
        shape = self._day_shape(self._level(day + 1) - level, rng.randrange(0, _DAY_VARIANTS))
        return _Placed(shape, self._anchor + level * self._step_ticks, rng.randrange(1, 5))

    def _level(self, day: int) -> int:
        """Where the walk stands at a day's beginning, in steps: a sum of slow and fast swings."""
        height = 0.0
        for octave, (days, _) in enumerate(_OCTAVES):
            number, rest = divmod(day, days)
            before, after = self._knot(octave, number), self._knot(octave, number + 1)
            height += before + (after - before) * rest / days
        return floor(height)

    def _make_knot(self, octave: int, number: int) -> int:
        most = _OCTAVES[octave][1]
        rng = self._rng_of(f"{self._spec.symbol}/past/swing/{octave}/{number}")
        return rng.randrange(-most, most + 1)


def _joined(first: Part, later: Part, ticks: int) -> Part:
    """Two parts of one shape, the later one beginning `ticks` from where the shape begins."""
    return Part(
        open=first.open,
        high=max(first.high, later.high + ticks),
        low=min(first.low, later.low + ticks),
        close=later.close + ticks,
        volume=first.volume + later.volume,
        moment=first.moment + later.moment + ticks * later.volume,
        taker_volume=first.taker_volume + later.taker_volume,
        taker_moment=first.taker_moment + later.taker_moment + ticks * later.taker_volume,
        trades=first.trades + later.trades,
        first=first.first,
    )
