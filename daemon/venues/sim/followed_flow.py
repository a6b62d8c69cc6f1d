"""The background of a symbol that follows another venue's public market (shadow mode).

Rules of this file:
1. The book has the followed best bid and ask, with their quantities, and nothing behind them: what
   was not heard is not made up.
2. A quantity of the followed book is traded with once: what clients took at a price stays taken
   until that price moves. Our orders do not change the followed market, so this errs against us.
3. A followed trade happens here at its price and quantity. Whoever rests at that price or a better
   one is filled first come, first served; what was shown there before stands before us.
4. A symbol that was not heard of for `STALE_NS` has no book: a stale quote is no quote.
"""

from collections.abc import Sequence

import msgspec

from daemon.model.enums import Side, SymbolStatus, TimeInForce
from daemon.venues.binance_spot.serving.order_requests import Status
from daemon.venues.sim.flow import (
    Flow,
    FlowOrders,
    RecordedFlow,
    RecordedTrade,
    SyntheticFlow,
)
from daemon.venues.sim.sim_orders import SimOrder

STALE_NS = 10_000_000_000
"""A living follower asks for a quiet top every few seconds, so this is no quiet market."""


class FollowedTop(msgspec.Struct, frozen=True):
    """Best bid and ask of the followed venue, in units of 1e-8."""

    bid: int
    bid_qty: int
    ask: int
    ask_qty: int

    def of(self, side: Side) -> tuple[int, int]:
        """Price and quantity of one side."""
        return (self.bid, self.bid_qty) if side is Side.BUY else (self.ask, self.ask_qty)


class FollowedFlow:
    """One symbol's followed book and trades."""

    def __init__(self, desk: FlowOrders) -> None:
        """The book stays empty until the first top."""
        self._desk = desk
        self._top: FollowedTop | None = None
        self._shown = {Side.BUY: (0, 0), Side.SELL: (0, 0)}
        """Price, and what the followed orders left there when we last looked."""
        self._taken = {Side.BUY: 0, Side.SELL: 0}
        """What clients took at that price."""
        self.heard_ns = 0
        """When the top was last heard of; 0: never."""
        self.tops = 0
        self.trades = 0

    @property
    def events(self) -> int:
        """Tops and trades so far."""
        return self.tops + self.trades

    def open(self, now_ns: int) -> None:
        """Show the last top again (after a wipe), unless it is stale."""
        self._forget_taken()
        if self._top is not None and not self.is_stale(now_ns):
            self._show(self._top, now_ns)

    def advance(self, now_ns: int) -> None:
        """Take the book away when it is stale."""
        if self._desk.live and self.is_stale(now_ns):
            self.clear(now_ns)
            self._desk.settle(now_ns)

    def is_stale(self, now_ns: int) -> bool:
        """Whether the top was not heard of for too long, or never."""
        return now_ns - self.heard_ns > STALE_NS

    def clear(self, now_ns: int) -> None:
        """Take every followed order off the book."""
        self._desk.clear(now_ns)
        self._forget_taken()

    def jump(self, price: int, now_ns: int) -> None:
        """Move both sides around a price, until the next top is heard."""
        tick = self._desk.market.spec.tick
        qty = self._top.ask_qty if self._top is not None else self._desk.market.spec.min_qty
        self._show(FollowedTop(price - tick, qty, price + tick, qty), now_ns)

    def trade_with(self, order: SimOrder, qty: int, now_ns: int) -> None:
        """A taker comes for one resting order of a client."""
        self._desk.take(order, qty, now_ns)

    def on_top(self, top: FollowedTop, now_ns: int) -> None:
        """The followed venue told its best bid and ask; a crossed or empty one is passed over."""
        if not 0 < top.bid < top.ask or min(top.bid_qty, top.ask_qty) <= 0:
            return
        self.tops += 1
        self.heard_ns, self._top = now_ns, top
        if self._is_open():
            self._show(top, now_ns)

    def on_trade(self, side: Side, price: int, qty: int, now_ns: int) -> None:
        """The followed venue told a trade; `side` is the taker's."""
        if price <= 0 or qty <= 0 or not self._is_open():
            return
        self.trades += 1
        desk, maker = self._desk, side.opposite
        moment_ns = max(now_ns, desk.market.tape.last_ns)
        self._note_taken()
        tick = desk.market.spec.tick if side is Side.BUY else -desk.market.spec.tick
        # Who stood in the way of this price here has gone there.
        desk.pull_beyond(maker, price, moment_ns)
        desk.pull_beyond(side, price - tick, moment_ns)
        self._add(maker, price, qty - self._left_at(maker, price), moment_ns)
        desk.limit(side, price, qty, moment_ns, TimeInForce.IOC)
        self._look()
        desk.settle(moment_ns)

    # ------------------------------------------------------------------ inside

    def _is_open(self) -> bool:
        market = self._desk.market
        return market.status is SymbolStatus.TRADING and not market.is_deserted

    def _show(self, top: FollowedTop, now_ns: int) -> None:
        self._note_taken()
        for side in (Side.BUY, Side.SELL):
            price, qty = top.of(side)
            if self._shown[side][0] != price:
                self._taken[side] = 0
            self._keep(side, price, max(0, qty - self._taken[side]), now_ns)
        for side in (Side.BUY, Side.SELL):
            price, qty = top.of(side)
            wanted = max(0, qty - self._taken[side])
            self._add(side, price, wanted - self._left_at(side, price), now_ns)
            # What rests here against this price is filled by it; that is taken as well.
            self._shown[side] = (price, wanted)
        self._note_taken()
        self._desk.settle(now_ns)

    def _keep(self, side: Side, price: int, qty: int, now_ns: int) -> None:
        """Cancel the side's other prices; shrink this one to `qty`, the newest orders first."""
        desk = self._desk
        excess = self._left_at(side, price) - qty
        for order in reversed(desk.live):
            if order.side is not side or not order.is_open:
                continue
            if order.price != price or 0 < order.leaves <= excess:
                excess -= order.leaves if order.price == price else 0
                desk.end(order, Status.CANCELED, now_ns)
            elif excess > 0:
                order.qty -= excess
                desk.market.book.reduce(order)
                excess = 0
        desk.sweep()

    def _add(self, side: Side, price: int, qty: int, now_ns: int) -> None:
        if qty > 0:
            self._desk.limit(side, price, qty, now_ns)

    def _left_at(self, side: Side, price: int) -> int:
        return sum(
            order.leaves
            for order in self._desk.live
            if order.side is side and order.price == price and order.is_open
        )

    def _note_taken(self) -> None:
        """What is missing since we last looked was taken by clients."""
        for side, (price, shown) in self._shown.items():
            self._taken[side] += max(0, shown - self._left_at(side, price))
        self._look()

    def _look(self) -> None:
        for side, (price, _) in self._shown.items():
            self._shown[side] = (price, self._left_at(side, price))

    def _forget_taken(self) -> None:
        self._shown = {Side.BUY: (0, 0), Side.SELL: (0, 0)}
        self._taken = {Side.BUY: 0, Side.SELL: 0}


def flow_of(
    desk: FlowOrders,
    recording: tuple[Sequence[RecordedTrade], float] | None,
    *,
    rate_per_s: float,
    is_following: bool,
) -> Flow:
    """The background of one symbol: followed, recorded (trades and speed), or made up."""
    if is_following:
        return FollowedFlow(desk)
    if recording:
        return RecordedFlow(desk, recording[0], speed=recording[1], rate_per_s=rate_per_s)
    return SyntheticFlow(desk, rate_per_s=rate_per_s)
