"""Prober: wishes for what the caps must refuse, again and again. For rehearsals of the gate only.

At each tick it asks for a few orders out of a fixed round: honest small ones, and too large, too
far, off tick, off lot, too small, duplicated, crossing our own, of a forbidden type, not reducing.
A gate that is right denies the wrong ones by their own reason and lets the honest ones pass while
there is room.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from daemon.model.amounts import NS_PER_S, ceil_to, floor_to
from daemon.model.copies import replace
from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import CancelIntent, PlaceIntent, Wish
from daemon.model.market import TopOfBook
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent
from daemon.strategies.sizing import bps_of, order_qty

ORDER_AGE_NS = 2 * NS_PER_S
FAR_BPS = 500


class Prober(Silent):
    """Walks through every way to be refused, `wishes_per_tick` steps at a time."""

    def __init__(
        self,
        strategy_id: StrategyId,
        instruments: Mapping[InstrumentId, Instrument],
        *,
        qty: Decimal,
        wishes_per_tick: int = 5,
    ) -> None:
        """Probe with honest orders of `qty` (base) and with dishonest multiples of it."""
        super().__init__(strategy_id, instruments)
        self._qty = qty
        self._wishes_per_tick = wishes_per_tick
        self._step = 0
        self._round: tuple[Callable[[Instrument, TopOfBook, Decimal], PlaceIntent], ...] = (
            lambda i, t, q: self._limit(i, Side.BUY, q, t.bid_px),
            lambda i, t, q: self._limit(i, Side.BUY, q, t.bid_px),
            lambda i, t, q: self._limit(i, Side.SELL, q, t.bid_px),
            lambda i, t, q: self._limit(i, Side.BUY, q * 1000, t.bid_px),
            lambda i, t, q: self._limit(i, Side.BUY, q, self._far(i, t)),
            lambda i, t, q: self._limit(i, Side.SELL, q, t.ask_px),
            lambda i, t, q: self._limit(i, Side.BUY, q, t.bid_px + i.tick / 2),
            lambda i, t, q: self._limit(i, Side.SELL, q + i.lot / 2, t.ask_px),
            lambda i, t, _: self._limit(i, Side.BUY, i.qty_min, t.bid_px),
            lambda i, t, q: self._limit(i, Side.SELL, q * 2, t.ask_px),
            lambda i, t, q: self._market(i, Side.BUY, q, OrderType.STOP_LOSS, t.ask_px + i.tick),
            lambda i, _, q: self._market(i, Side.SELL, q, OrderType.MARKET, None),
            lambda i, _, q: self._market(i, Side.BUY, q * 3, OrderType.MARKET, None),
            lambda i, t, q: self._reduce(i, Side.BUY, q * 5, t.ask_px),
        )

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        """The next steps of the round, and a cancel for what rests too long."""
        instrument = self.instruments[top.instrument_id]
        for order in view.open_orders():
            if (
                order.instrument_id == top.instrument_id
                and view.now_ns - order.ts_approved_ns > ORDER_AGE_NS
            ):
                yield CancelIntent(
                    strategy_id=self.strategy_id,
                    client_order_id=order.client_order_id,
                    reason="old",
                )
        qty = order_qty(instrument, self._qty, top.bid_px)
        for _ in range(self._wishes_per_tick):
            self._step += 1
            yield self._round[self._step % len(self._round)](instrument, top, qty)

    def _far(self, instrument: Instrument, top: TopOfBook) -> Decimal:
        return floor_to(top.bid_px - bps_of(top.bid_px, FAR_BPS), instrument.tick)

    def _limit(
        self, instrument: Instrument, side: Side, qty: Decimal, price: Decimal
    ) -> PlaceIntent:
        return PlaceIntent(
            strategy_id=self.strategy_id,
            instrument_id=instrument.instrument_id,
            side=side,
            order_type=OrderType.LIMIT,
            qty=qty,
            price=price,
            reason="probe",
        )

    def _market(
        self,
        instrument: Instrument,
        side: Side,
        qty: Decimal,
        order_type: OrderType,
        stop: Decimal | None,
    ) -> PlaceIntent:
        return PlaceIntent(
            strategy_id=self.strategy_id,
            instrument_id=instrument.instrument_id,
            side=side,
            order_type=order_type,
            qty=qty,
            time_in_force=None,
            stop_price=stop,
            reason="probe",
        )

    def _reduce(
        self, instrument: Instrument, side: Side, qty: Decimal, price: Decimal
    ) -> PlaceIntent:
        limit = self._limit(instrument, side, qty, ceil_to(price, instrument.tick))
        return replace(limit, time_in_force=TimeInForce.IOC, reduce_only=True)
