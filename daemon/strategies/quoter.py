"""Quoter: a small order on each side of the middle, renewed when it is old or the market has moved.

It exercises the whole order path: placements, cancels, partial fills, denials at the caps. It is
no way to make money, and does not try.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import ClassVar

from daemon.model.amounts import NS_PER_MS, ZERO
from daemon.model.enums import OrderStatus, OrderType, Side, TimeInForce, TradingState
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import CancelIntent, PlaceIntent, Wish
from daemon.model.market import TopOfBook
from daemon.model.orders import Order
from daemon.model.reports import ExecutionReport
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent
from daemon.strategies.sizing import bps_of, order_qty, passive_price

_LIVE = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
Quote = tuple[InstrumentId, Side]


class Quoter(Silent):
    """Two-sided LIMIT quotes around the middle of each of its instruments."""

    needs_every_tick: ClassVar[bool] = False

    def __init__(
        self,
        strategy_id: StrategyId,
        instruments: Mapping[InstrumentId, Instrument],
        *,
        qty: Decimal = ZERO,
        half_spread_bps: int = 8,
        requote_bps: int = 4,
        order_age_ms: int = 3000,
        pause_ms: int = 250,
        denied_pause_ms: int = 1000,
        position_qtys_max: int = 5,
    ) -> None:
        """Quote `qty` (base; zero: the least the filters admit) `half_spread_bps` off the middle.

        A quote is renewed when it is `order_age_ms` old or `requote_bps` off its place; a side
        rests `pause_ms` between orders and `denied_pause_ms` after a denial or a venue's no; the
        side that would grow a position beyond `position_qtys_max` quotes rests altogether.
        """
        super().__init__(strategy_id, instruments)
        self._qty = qty
        self._half_spread_bps = half_spread_bps
        self._requote_bps = requote_bps
        self._age_ns = order_age_ms * NS_PER_MS
        self._pause_ns = pause_ms * NS_PER_MS
        self._denied_pause_ns = denied_pause_ms * NS_PER_MS
        self._position_qtys_max = position_qtys_max
        self._rest_until_ns: dict[Quote, int] = {}

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        """Look at both sides; renew what is old or off its place."""
        if view.trading_state is not TradingState.ACTIVE or top.is_crossed:
            return ()
        instrument = view.instruments.get(top.instrument_id)
        if instrument is None:
            return ()
        return tuple(self._both(view, instrument, top.mid))

    def on_report(self, view: StrategyView, report: ExecutionReport) -> Iterable[Wish]:
        """After the venue's no, the side rests; a finished quote is renewed at the next tick."""
        order = view.order(report.client_order_id)
        if order is not None and order.status is OrderStatus.REJECTED:
            self._rest(view, (order.instrument_id, order.side), self._denied_pause_ns)
        return ()

    def on_denied(self, view: StrategyView, intent: PlaceIntent, code: str) -> Iterable[Wish]:
        """The side rests; the caps may have room later."""
        del code
        self._rest(view, (intent.instrument_id, intent.side), self._denied_pause_ns)
        return ()

    def _rest(self, view: StrategyView, quote: Quote, pause_ns: int) -> None:
        self._rest_until_ns[quote] = view.now_ns + pause_ns

    def _both(self, view: StrategyView, instrument: Instrument, mid: Decimal) -> Iterator[Wish]:
        working: dict[Side, Order] = {
            order.side: order
            for order in view.open_orders()
            if order.instrument_id == instrument.instrument_id
        }
        for side in (Side.BUY, Side.SELL):
            offset = bps_of(mid, self._half_spread_bps)
            wanted = mid - offset if side is Side.BUY else mid + offset
            price = passive_price(instrument, side, wanted)
            order = working.get(side)
            if order is None:
                yield from self._place(view, instrument, side, price)
            elif self._is_due(view, order, price):
                yield CancelIntent(
                    strategy_id=self.strategy_id,
                    client_order_id=order.client_order_id,
                    reason="requote",
                )

    def _place(
        self, view: StrategyView, instrument: Instrument, side: Side, price: Decimal
    ) -> Iterator[Wish]:
        quote = (instrument.instrument_id, side)
        if view.now_ns < self._rest_until_ns.get(quote, 0) or price <= 0:
            return
        qty = order_qty(instrument, self._qty, price)
        position = view.position(instrument.instrument_id)
        grown = position if side is Side.BUY else -position
        if grown + qty > qty * self._position_qtys_max:
            return
        self._rest(view, quote, self._pause_ns)
        yield PlaceIntent(
            strategy_id=self.strategy_id,
            instrument_id=instrument.instrument_id,
            side=side,
            order_type=OrderType.LIMIT,
            qty=qty,
            price=price,
            time_in_force=TimeInForce.GTC,
            reason="quote",
        )

    def _is_due(self, view: StrategyView, order: Order, price: Decimal) -> bool:
        if order.status not in _LIVE or order.price is None:
            return False
        age_ns = view.now_ns - order.ts_approved_ns
        if age_ns < self._pause_ns:
            return False
        off = abs(order.price - price) > bps_of(price, self._requote_bps)
        return off or age_ns >= self._age_ns
