"""Moving-average crossover: long while the fast average of the middle is above the slow one.

A classic for showing a strategy with a position of its own; long or flat, as a spot account is.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, ZERO
from daemon.model.enums import OrderType, Side, TimeInForce, TradingState
from daemon.model.ids import ClientOrderId, InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent, Wish
from daemon.model.market import TopOfBook
from daemon.model.reports import ExecutionReport
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent
from daemon.strategies.sizing import bps_of, order_qty, signed, taking_price

COUNTED_MAX = 1000


class Average:
    """A moving average that costs the same however long its window is."""

    def __init__(self, length: int) -> None:
        """Average the last `length` samples."""
        self._samples: deque[Decimal] = deque()
        self._length = length
        self._sum = ZERO

    def add(self, sample: Decimal) -> None:
        """One more sample."""
        self._samples.append(sample)
        self._sum += sample
        if len(self._samples) > self._length:
            self._sum -= self._samples.popleft()

    @property
    def value(self) -> Decimal | None:
        """The average, once the window is full."""
        if len(self._samples) < self._length:
            return None
        return self._sum / self._length


class MovingAverageCrossover(Silent):
    """Long `qty` above the slow average, flat below it; IOC orders at most `slip_bps` away."""

    def __init__(
        self,
        strategy_id: StrategyId,
        instruments: Mapping[InstrumentId, Instrument],
        *,
        qty: Decimal = ZERO,
        fast: int = 10,
        slow: int = 40,
        sample_ms: int = 250,
        slip_bps: int = 10,
        pause_ms: int = 2000,
    ) -> None:
        """Sample the middle each `sample_ms`; trade `qty` (base; zero: the least admitted).

        Raises:
            ValueError: the fast window is not shorter than the slow one.
        """
        super().__init__(strategy_id, instruments)
        if not 0 < fast < slow:
            raise ValueError(f"fast must be positive and below slow, got {fast} and {slow}")
        self._qty = qty
        self._sample_ns = sample_ms * NS_PER_MS
        self._slip_bps = slip_bps
        self._pause_ns = pause_ms * NS_PER_MS
        self._fast = {iid: Average(fast) for iid in instruments}
        self._slow = {iid: Average(slow) for iid in instruments}
        self._sampled_ns: dict[InstrumentId, int] = {}
        self._rest_until_ns: dict[InstrumentId, int] = {}
        self._held: dict[InstrumentId, Decimal] = {}
        self._counted: dict[ClientOrderId, None] = {}

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        """Sample; trade when the averages have crossed."""
        iid = top.instrument_id
        if top.is_crossed or iid not in self._fast:
            return ()
        if view.now_ns - self._sampled_ns.get(iid, 0) < self._sample_ns:
            return ()
        self._sampled_ns[iid] = view.now_ns
        self._fast[iid].add(top.mid)
        self._slow[iid].add(top.mid)
        fast, slow = self._fast[iid].value, self._slow[iid].value
        if fast is None or slow is None or view.trading_state is not TradingState.ACTIVE:
            return ()
        if view.now_ns < self._rest_until_ns.get(iid, 0):
            return ()
        if any(order.instrument_id == iid for order in view.open_orders()):
            return ()
        held = self._held.get(iid, ZERO)
        if fast > slow and held <= 0:
            return (self._wish(view, top, Side.BUY, self._qty),)
        if fast < slow and held > 0:
            return (self._wish(view, top, Side.SELL, held),)
        return ()

    def on_report(self, view: StrategyView, report: ExecutionReport) -> Iterable[Wish]:
        """Count what a finished order traded, once."""
        order = view.order(report.client_order_id)
        if order is None or not order.status.is_terminal:
            return ()
        if order.client_order_id not in self._counted:
            self._counted[order.client_order_id] = None
            if len(self._counted) > COUNTED_MAX:
                del self._counted[next(iter(self._counted))]
            held = self._held.get(order.instrument_id, ZERO)
            self._held[order.instrument_id] = held + signed(order.side, order.cum_qty)
        return ()

    def on_denied(self, view: StrategyView, intent: PlaceIntent, code: str) -> Iterable[Wish]:
        """Rest; the averages will still be crossed later if they mean it."""
        del code
        self._rest_until_ns[intent.instrument_id] = view.now_ns + self._pause_ns
        return ()

    def _wish(self, view: StrategyView, top: TopOfBook, side: Side, qty: Decimal) -> PlaceIntent:
        instrument = view.instruments[top.instrument_id]
        self._rest_until_ns[top.instrument_id] = view.now_ns + self._pause_ns
        touch = top.ask_px if side is Side.BUY else top.bid_px
        slip = bps_of(touch, self._slip_bps)
        price = taking_price(instrument, side, touch + slip if side is Side.BUY else touch - slip)
        return PlaceIntent(
            strategy_id=self.strategy_id,
            instrument_id=top.instrument_id,
            side=side,
            order_type=OrderType.LIMIT,
            qty=order_qty(instrument, qty, price),
            price=price,
            time_in_force=TimeInForce.IOC,
            reason="crossover",
        )
