"""Anchor: one order that can hardly trade, when nothing else was sent for long, canceled at once.

The first comes soon after the session's start, so it covers what stands before: drills, refused
starts, resolutions, the end of the session before. With `stands` the order is left at the venue
until the next one; the cancel that the session's end sends for it is the last anchor.

Each order at the venue carries a digest of the journal (daemon/model/ids.py), so it bounds the
stretch in which the journal could be rewritten unseen. A trial call (`order/test`) leaves no trace
at the venue: only a real order does. This one is post-only, of the least size, and away from the
market. It passes every cap like any other; it has bounds of its own. Whoever wants none lists none.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from daemon.model.amounts import NS_PER_S, ZERO
from daemon.model.enums import OrderStatus, OrderType, Side, TradingState
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import CancelIntent, PlaceIntent, TimerIntent, Wish
from daemon.model.reports import ExecutionReport
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent
from daemon.strategies.sizing import bps_of, order_qty, passive_price

LOOK = "look"
FIRST_LOOK_NS = 5 * NS_PER_S
"""After a session's start: others may have sent an order by then."""
WHY = "anchor"


class Anchor(Silent):
    """Looks every `quiet_s`: where no order of anybody was approved since, it places one."""

    needs_every_tick: ClassVar[bool] = False

    def __init__(
        self,
        strategy_id: StrategyId,
        instruments: Mapping[InstrumentId, Instrument],
        *,
        quiet_s: int = 300,
        away_bps: int = 40,
        orders_max: int = 288,
        stands: bool = False,
    ) -> None:
        """Bid `away_bps` below the best bid, on the first of its symbols with a price.

        At most `orders_max` in a session. Where the collar does not admit the distance, it is
        halved. With `stands` one order is open all the while.
        """
        if quiet_s < 1 or away_bps < 1 or orders_max < 0:
            raise ValueError("quiet_s and away_bps begin at 1, orders_max at 0")
        super().__init__(strategy_id, instruments)
        self._quiet_ns = quiet_s * NS_PER_S
        self._away_bps = away_bps
        self._left = orders_max
        self._stands = stands
        self._approved = 0
        """Orders of the session at the last look."""

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        """The first look comes soon after the start."""
        self._approved = view.orders_approved
        return (*self._end(view), self._next_look(view, min(FIRST_LOOK_NS, self._quiet_ns)))

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        """One look."""
        if name != LOOK:
            return ()
        is_quiet, is_open = view.orders_approved == self._approved, bool(view.open_orders())
        self._approved = view.orders_approved
        is_due = is_quiet or not is_open if self._stands else is_quiet and not is_open
        wishes: tuple[Wish, ...] = ()
        if is_due or not self._stands:
            wishes = tuple(self._end(view))
        if is_due and self._left and view.trading_state is TradingState.ACTIVE:
            wishes += tuple(self._order(view))
        return (*wishes, self._next_look(view, self._quiet_ns))

    def on_report(self, view: StrategyView, report: ExecutionReport) -> Iterable[Wish]:
        """It stands at the venue, and has done all that it is for."""
        del report
        return () if self._stands else tuple(self._end(view))

    def on_denied(self, view: StrategyView, intent: PlaceIntent, code: str) -> Iterable[Wish]:
        """Beyond the collar, it goes half as far; after any other denial the next look comes."""
        del intent
        self._left += 1
        self._approved -= 1
        if code != "price_collar" or self._away_bps == 1:
            return ()
        self._away_bps //= 2
        return tuple(self._order(view))

    def _end(self, view: StrategyView) -> Iterator[CancelIntent]:
        for order in view.open_orders():
            if order.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED):
                yield CancelIntent(
                    strategy_id=self.strategy_id,
                    client_order_id=order.client_order_id,
                    reason=WHY,
                )

    def _order(self, view: StrategyView) -> Iterator[PlaceIntent]:
        for instrument in view.instruments.values():
            top = view.top(instrument.instrument_id)
            if top is None or top.is_crossed:
                continue
            wanted = top.bid_px - bps_of(top.bid_px, self._away_bps)
            price = passive_price(instrument, Side.BUY, wanted)
            self._left -= 1
            self._approved += 1  # its own is no reason to wait
            yield PlaceIntent(
                strategy_id=self.strategy_id,
                instrument_id=instrument.instrument_id,
                side=Side.BUY,
                order_type=OrderType.LIMIT_MAKER,
                qty=order_qty(instrument, ZERO, price),
                price=price,
                time_in_force=None,
                reason=WHY,
            )
            return

    def _next_look(self, view: StrategyView, wait_ns: int) -> TimerIntent:
        return TimerIntent(strategy_id=self.strategy_id, name=LOOK, at_ns=view.now_ns + wait_ns)
