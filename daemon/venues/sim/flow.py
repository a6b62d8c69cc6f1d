"""The background flow: seeded market makers and takers, so that there is always a live book.

Rules of this file:
1. Everything comes from the seed and the times handed in; two venues with the same seed that are
   advanced to the same instants make the same market.
2. Background orders have no account: they own no money and send no user events.
3. One `advance` is bounded, so that a stalled or fast-forwarded venue never starves its clients.
"""

from collections.abc import Sequence
from math import exp
from typing import Protocol

import msgspec

from daemon.model.enums import OrderType, Side, SymbolStatus, TimeInForce
from daemon.venues.binance_spot.serving.order_requests import Status
from daemon.venues.binance_spot.serving.units import E8
from daemon.venues.sim.matching import Matcher
from daemon.venues.sim.sim_orders import OrderOrigin, RandomSource, SimOrder
from daemon.venues.sim.symbol_market import SymbolMarket

EVENTS_PER_ADVANCE_MAX = 200
_LADDER_ORDERS = 30
"""Orders a side at the start."""
_ORDERS_MIN = 60
_ORDERS_MAX = 160
_LEVELS_MIN = 12
_TAKE_SHARE = 0.2
_ADD_SHARE = 0.5
_NS = 1_000_000_000


class Flow(Protocol):
    """What drives one symbol's background."""

    @property
    def events(self) -> int:
        """Background events so far."""

    def open(self, now_ns: int) -> None:
        """Build the first book."""

    def advance(self, now_ns: int) -> None:
        """Play everything that is due."""

    def clear(self, now_ns: int) -> None:
        """Take every background order off the book."""

    def jump(self, price: int, now_ns: int) -> None:
        """Move the whole crowd to a price at once."""

    def trade_with(self, order: SimOrder, qty: int, now_ns: int) -> None:
        """A taker comes for one resting order of a client."""


class FlowOrders:
    """Places and pulls one symbol's background orders."""

    def __init__(self, market: SymbolMarket, matcher: Matcher, rng: RandomSource) -> None:
        self.market = market
        self.rng = rng
        self.live: list[SimOrder] = []
        self._matcher = matcher

    def limit(
        self, side: Side, price: int, qty: int, now_ns: int, tif: TimeInForce = TimeInForce.GTC
    ) -> SimOrder:
        """Enter a limit order; what does not trade rests (GTC) or vanishes (IOC)."""
        order = SimOrder(
            order_id=self.market.next_order_id(),
            symbol=self.market.spec.symbol,
            account="",
            origin=OrderOrigin.BACKGROUND,
            client_order_id="",
            side=side,
            type=OrderType.LIMIT,
            time_in_force=tif,
            qty=qty,
            price=price,
            ts_ns=now_ns,
            updated_ns=now_ns,
        )
        self._matcher.enter(self.market, order, now_ns)
        if order.is_open:
            self.live.append(order)
        return order

    def end(self, order: SimOrder, status: Status, now_ns: int) -> None:
        """Take one resting order off the book."""
        self._matcher.end(self.market, order, status, now_ns)

    def pull_random(self, now_ns: int) -> None:
        """Cancel a random resting order."""
        while self.live:
            order = self._pop(self.rng.randrange(0, len(self.live)))
            if order.is_open:
                self._matcher.end(self.market, order, Status.CANCELED, now_ns)
                return

    def pull_beyond(self, side: Side, price: int, now_ns: int) -> None:
        """Cancel resting orders of a side that are better than `price`."""
        kept: list[SimOrder] = []
        for order in self.live:
            if not order.is_open:
                continue
            better = order.price > price if side is Side.BUY else order.price < price
            if order.side is side and better:
                self._matcher.end(self.market, order, Status.CANCELED, now_ns)
            else:
                kept.append(order)
        self.live = kept

    def clear(self, now_ns: int) -> None:
        """Cancel everything."""
        for order in self.live:
            if order.is_open:
                self._matcher.end(self.market, order, Status.CANCELED, now_ns)
        self.live = []

    def take(self, order: SimOrder, qty: int, now_ns: int) -> None:
        """Trade with a client's resting order, the crowd's orders before it set aside."""
        tick = self.market.spec.tick if order.side is Side.BUY else -self.market.spec.tick
        self.pull_beyond(order.side, order.price - tick, now_ns)
        self.limit(order.side.opposite, order.price, qty, now_ns, TimeInForce.IOC)
        self.settle(now_ns)

    def sweep(self) -> None:
        """Forget orders that have traded away."""
        self.live = [order for order in self.live if order.is_open]

    def settle(self, now_ns: int) -> None:
        """After one event: triggers, top of book."""
        self._matcher.run_triggers(self.market, now_ns)
        self._matcher.publish_top(self.market, now_ns)

    def _pop(self, index: int) -> SimOrder:
        last = self.live.pop()
        if index == len(self.live):
            return last
        chosen, self.live[index] = self.live[index], last
        return chosen


class SyntheticFlow:
    """Makers around a wandering middle, and takers now and then."""

    def __init__(self, desk: FlowOrders, *, rate_per_s: float, takes: bool = True) -> None:
        self._desk = desk
        self._rate_per_s = rate_per_s
        self._takes = takes
        self._next_ns = 0
        spec = desk.market.spec
        self._tick = spec.tick
        """The middle is counted in the first tick of the market, so another tick moves no price."""
        self._anchor_ticks = spec.start_price / spec.tick
        self.middle_ticks = self._anchor_ticks
        self._count = 0

    @property
    def events(self) -> int:
        """Background events so far."""
        return self._count

    def open(self, now_ns: int) -> None:
        """Build the first book and plan the first event."""
        for _ in range(_LADDER_ORDERS):
            for side in (Side.BUY, Side.SELL):
                self._add(side, now_ns)
        self._desk.settle(now_ns)
        self._plan(now_ns)

    def advance(self, now_ns: int) -> None:
        """Play due events, at most EVENTS_PER_ADVANCE_MAX; a longer backlog is skipped."""
        if self._rate_per_s <= 0:
            return
        for _ in range(EVENTS_PER_ADVANCE_MAX):
            due_ns = self._next_ns
            if due_ns > now_ns:
                return
            if (
                self._desk.market.status is SymbolStatus.TRADING
                and not self._desk.market.is_deserted
            ):
                # A client's trade may have come between: time on the tape never runs backwards.
                self._event(max(due_ns, self._desk.market.tape.last_ns))
            self._plan(due_ns)
        self._plan(now_ns)

    def clear(self, now_ns: int) -> None:
        """Take every background order off the book."""
        self._desk.clear(now_ns)

    def jump(self, price: int, now_ns: int) -> None:
        """Move the whole crowd to a price at once."""
        self._desk.clear(now_ns)
        self.move_to(price)
        self.open(now_ns)

    def trade_with(self, order: SimOrder, qty: int, now_ns: int) -> None:
        """A taker comes for one resting order of a client."""
        self._desk.take(order, qty, now_ns)
        self._refill(now_ns)

    def _refill(self, now_ns: int) -> None:
        """Makers that come back at once where a taker has swept them away."""
        market = self._desk.market
        for _ in range(0 if market.is_deserted else _LADDER_ORDERS):
            for side in (Side.BUY, Side.SELL):
                if len(market.book.side(side).prices) < _LEVELS_MIN:
                    self._add(side, now_ns)
        self._desk.settle(now_ns)

    def move_to(self, price: int) -> None:
        """Pin the middle, and what it is drawn back to."""
        self.middle_ticks = self._anchor_ticks = price / self._tick

    def _plan(self, after_ns: int) -> None:
        if self._rate_per_s > 0:
            gap_s = self._desk.rng.expovariate(self._rate_per_s)
            self._next_ns = after_ns + max(1, int(gap_s * _NS))

    def _event(self, now_ns: int) -> None:
        desk, rng = self._desk, self._desk.rng
        self._count += 1
        if self._count % 64 == 0:
            desk.sweep()
        self._wander()
        choice = rng.random()
        side = Side.BUY if rng.random() < 0.5 else Side.SELL
        thin = min(len(desk.market.book.bids.prices), len(desk.market.book.asks.prices))
        if thin < _LEVELS_MIN:
            fewer_bids = len(desk.market.book.bids.prices) == thin
            self._add(Side.BUY if fewer_bids else Side.SELL, now_ns)
        elif self._takes and choice < _TAKE_SHARE:
            self._take(side, now_ns)
        elif choice < _TAKE_SHARE + _ADD_SHARE and len(desk.live) < _ORDERS_MAX:
            self._add(side, now_ns)
        elif len(desk.live) > _ORDERS_MIN:
            desk.pull_random(now_ns)
        desk.settle(now_ns)

    def _wander(self) -> None:
        spread = self._desk.market.spec.spread_ticks
        pull = (self._anchor_ticks - self.middle_ticks) * 0.0005
        self.middle_ticks += pull + self._desk.rng.gauss(0.0, spread * 0.2)
        self.middle_ticks = max(self.middle_ticks, spread * 20.0)

    def _price(self, side: Side, distance_ticks: float) -> int:
        sign = -1 if side is Side.BUY else 1
        price = max(1, round(self.middle_ticks + sign * distance_ticks)) * self._tick
        tick = self._desk.market.spec.tick
        return max(price - price % (-sign * tick), tick)

    def _qty(self, price: int) -> int:
        spec = self._desk.market.spec
        scale = exp(self._desk.rng.gauss(0.0, 0.8))
        qty = int(spec.typical_notional * scale) * E8 // price
        return max(qty - qty % spec.step, spec.step)

    def _add(self, side: Side, now_ns: int) -> None:
        spread = self._desk.market.spec.spread_ticks
        distance = spread / 2 + self._desk.rng.expovariate(1.0 / (spread * 4.0))
        price = self._price(side, distance)
        if not self._takes:
            # The recording alone trades here: makers step aside instead of crossing.
            best = self._desk.market.best_price(side.opposite)
            if best and (price >= best if side is Side.BUY else price <= best):
                return
        self._desk.limit(side, price, self._qty(price), now_ns)

    def _take(self, side: Side, now_ns: int) -> None:
        spread = self._desk.market.spec.spread_ticks
        price = self._price(side.opposite, spread * 12.0)
        self._desk.limit(side, price, self._qty(price), now_ns, TimeInForce.IOC)


class RecordedTrade(msgspec.Struct, frozen=True):
    """One row of a recording; amounts in units of 1e-8."""

    ts_ns: int
    side: Side
    price: int
    qty: int


class RecordedFlow:
    """Takers from a recording, at its prices and pace times `speed`; makers keep a book around it.

    At the end of the recording it is played backwards, and so on: the price never jumps.
    """

    def __init__(
        self, desk: FlowOrders, trades: Sequence[RecordedTrade], *, speed: float, rate_per_s: float
    ) -> None:
        if not trades or speed <= 0:
            raise ValueError("a replay needs trades and a speed above zero")
        self._desk = desk
        self._trades = trades
        self._speed = speed
        self._makers = SyntheticFlow(desk, rate_per_s=rate_per_s, takes=False)
        self._makers.move_to(trades[0].price)
        self._index = 0
        self._step = 1
        self._next_ns = 0
        self.played = 0

    @property
    def events(self) -> int:
        """Background events so far, recorded trades included."""
        return self.played + self._makers.events

    def open(self, now_ns: int) -> None:
        """Build the first book around the first price (after a wipe: go on where it was)."""
        self._makers.open(now_ns)
        self._next_ns = max(self._next_ns, now_ns)

    def advance(self, now_ns: int) -> None:
        """Play due trades and the makers between them."""
        for _ in range(EVENTS_PER_ADVANCE_MAX):
            if self._next_ns > now_ns:
                break
            due_ns = self._next_ns
            self._makers.advance(due_ns)
            market = self._desk.market
            if market.status is SymbolStatus.TRADING and not market.is_deserted:
                moment_ns = max(due_ns, self._desk.market.tape.last_ns)
                self._play(self._trades[self._index], moment_ns)
            self._turn()
        self._makers.advance(now_ns)

    def clear(self, now_ns: int) -> None:
        """Take every background order off the book."""
        self._desk.clear(now_ns)

    def jump(self, price: int, now_ns: int) -> None:
        """Move the makers at once; the recording brings them back."""
        self._makers.jump(price, now_ns)

    def trade_with(self, order: SimOrder, qty: int, now_ns: int) -> None:
        """A taker comes for one resting order of a client."""
        self._desk.take(order, qty, now_ns)

    def _play(self, trade: RecordedTrade, now_ns: int) -> None:
        desk = self._desk
        self.played += 1
        # What stood in the way of this price in our book did not stand there in the real one.
        desk.pull_beyond(trade.side.opposite, trade.price, now_ns)
        one_tick = desk.market.spec.tick if trade.side is Side.BUY else -desk.market.spec.tick
        desk.pull_beyond(trade.side, trade.price - one_tick, now_ns)
        desk.limit(trade.side.opposite, trade.price, trade.qty, now_ns)
        desk.limit(trade.side, trade.price, trade.qty, now_ns, TimeInForce.IOC)
        half_spread = desk.market.spec.spread_ticks * desk.market.spec.tick // 2
        sign = -1 if trade.side is Side.BUY else 1
        self._makers.move_to(max(desk.market.spec.tick, trade.price + sign * half_spread))
        desk.settle(now_ns)

    def _turn(self) -> None:
        """Plan the next row; at an end of the recording, turn round."""
        if len(self._trades) == 1:
            self._next_ns += _NS
            return
        if not 0 <= self._index + self._step < len(self._trades):
            self._step = -self._step
        here = self._trades[self._index]
        self._index += self._step
        gap_ns = abs(self._trades[self._index].ts_ns - here.ts_ns)
        self._next_ns += max(1_000, int(gap_ns / self._speed))
