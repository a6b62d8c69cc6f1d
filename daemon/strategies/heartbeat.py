"""Heartbeat: keeps the order path warm. Places off the market and cancels; now and then it takes.

The takes alternate buy and sell, so that its own position stays near zero, and alternate IOC and
MARKET, so that both routes are walked.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import ClassVar

from daemon.model.amounts import NS_PER_MS, ZERO
from daemon.model.enums import OrderStatus, OrderType, Side, TimeInForce, TradingState
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import CancelIntent, PlaceIntent, TimerIntent, Wish
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent
from daemon.strategies.sizing import bps_of, order_qty, passive_price, taking_price

BEAT = "beat"


class Heartbeat(Silent):
    """One passive order at a time on each instrument, and a small take every few beats."""

    needs_every_tick: ClassVar[bool] = False

    def __init__(
        self,
        strategy_id: StrategyId,
        instruments: Mapping[InstrumentId, Instrument],
        *,
        qty: Decimal = ZERO,
        period_ms: int = 1000,
        away_bps: int = 50,
        take_every: int = 5,
        slip_bps: int = 20,
    ) -> None:
        """Beat each `period_ms`: place `qty` (base; zero: the least) `away_bps` off, or cancel it.

        Every `take_every`-th beat takes instead (0: never), at most `slip_bps` beyond the touch.
        """
        super().__init__(strategy_id, instruments)
        self._qty = qty
        self._period_ns = period_ms * NS_PER_MS
        self._away_bps = away_bps
        self._take_every = take_every
        self._slip_bps = slip_bps
        self._beats = 0
        self._takes = 0
        self._take_side: dict[InstrumentId, Side] = {}

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        """The first beat comes a period after the start."""
        return (self._next_beat(view),)

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        """One beat."""
        if name != BEAT:
            return ()
        return (*self._beat(view), self._next_beat(view))

    def on_denied(self, view: StrategyView, intent: PlaceIntent, code: str) -> Iterable[Wish]:
        """A take that the caps deny on one side may pass on the other, at the next beat."""
        del view, code
        if intent.reason == "take":
            self._take_side[intent.instrument_id] = intent.side.opposite
        return ()

    def _next_beat(self, view: StrategyView) -> TimerIntent:
        at_ns = view.now_ns + self._period_ns
        return TimerIntent(strategy_id=self.strategy_id, name=BEAT, at_ns=at_ns)

    def _beat(self, view: StrategyView) -> Iterator[Wish]:
        if view.trading_state is not TradingState.ACTIVE:
            return
        self._beats += 1
        takes = self._take_every > 0 and self._beats % self._take_every == 0
        busy: set[InstrumentId] = set()
        for order in view.open_orders():
            busy.add(order.instrument_id)
            if order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
                yield CancelIntent(
                    strategy_id=self.strategy_id,
                    client_order_id=order.client_order_id,
                    reason="heartbeat",
                )
        for instrument in view.instruments.values():
            if instrument.instrument_id in busy:
                continue
            wish = self._take(view, instrument) if takes else self._passive(view, instrument)
            if wish is not None:
                yield wish

    def _passive(self, view: StrategyView, instrument: Instrument) -> PlaceIntent | None:
        top = view.top(instrument.instrument_id)
        if top is None or top.is_crossed:
            return None
        side = Side.BUY if self._beats % 4 < 2 else Side.SELL
        offset = bps_of(top.mid, self._away_bps)
        wanted = top.bid_px - offset if side is Side.BUY else top.ask_px + offset
        price = passive_price(instrument, side, wanted)
        return self._wish(instrument, side, price, TimeInForce.GTC, "heartbeat")

    def _take(self, view: StrategyView, instrument: Instrument) -> PlaceIntent | None:
        top = view.top(instrument.instrument_id)
        if top is None or top.is_crossed:
            return None
        iid = instrument.instrument_id
        side = self._take_side.get(iid, Side.BUY)
        self._take_side[iid] = side.opposite
        self._takes += 1
        touch = top.ask_px if side is Side.BUY else top.bid_px
        slip = bps_of(touch, self._slip_bps)
        price = taking_price(instrument, side, touch + slip if side is Side.BUY else touch - slip)
        if self._takes % 2 == 0 and OrderType.MARKET in instrument.order_types:
            return self._wish(instrument, side, price, None, "take")
        return self._wish(instrument, side, price, TimeInForce.IOC, "take")

    def _wish(
        self,
        instrument: Instrument,
        side: Side,
        price: Decimal,
        time_in_force: TimeInForce | None,
        reason: str,
    ) -> PlaceIntent:
        market = time_in_force is None
        return PlaceIntent(
            strategy_id=self.strategy_id,
            instrument_id=instrument.instrument_id,
            side=side,
            order_type=OrderType.MARKET if market else OrderType.LIMIT,
            qty=order_qty(instrument, self._qty, price),
            price=None if market else price,
            time_in_force=time_in_force,
            reason=reason,
        )
