"""A strategy that wishes each order that is more than its type, and amends one, once."""

from collections.abc import Iterable
from decimal import Decimal

from daemon.model.amounts import floor_to
from daemon.model.enums import OrderType, Side, VenueOrderStatus
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import AmendIntent, PlaceIntent, Wish
from daemon.model.market import TopOfBook, TradeTick
from daemon.model.order_features import OrderExtras, PegPrice
from daemon.model.reports import ExecutionReport
from daemon.model.strategy import StrategyView

QTY = Decimal("0.002")
TRAIL_BPS = 300


class Exerciser:
    """One round: an iceberg, a trailing stop, a pegged order, and a plain one that is halved."""

    def __init__(
        self, strategy_id: StrategyId, instruments: dict[InstrumentId, Instrument]
    ) -> None:
        self.strategy_id = strategy_id
        self._instrument = next(iter(instruments))
        self._tick = instruments[self._instrument].tick
        self._has_wished = False
        self._amended = ""

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        return ()

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        if self._has_wished:
            return ()
        self._has_wished = True
        far = floor_to(top.bid_px * Decimal("0.97"), self._tick)
        return (
            self._wish("plain", Side.BUY, OrderType.LIMIT, far, None),
            self._wish(
                "iceberg",
                Side.BUY,
                OrderType.LIMIT,
                far - self._tick,
                OrderExtras(iceberg_qty=QTY / 2),
            ),
            self._wish(
                "pegged",
                Side.BUY,
                OrderType.LIMIT,
                None,
                OrderExtras(peg=PegPrice.PRIMARY_PEG, peg_levels=3),
            ),
            self._wish(
                "trailing",
                Side.BUY,
                OrderType.STOP_LOSS_LIMIT,
                top.ask_px,
                OrderExtras(trailing_bps=TRAIL_BPS),
            ),
        )

    def _wish(
        self,
        reason: str,
        side: Side,
        kind: OrderType,
        price: Decimal | None,
        extras: OrderExtras | None,
    ) -> PlaceIntent:
        return PlaceIntent(
            strategy_id=self.strategy_id,
            instrument_id=self._instrument,
            side=side,
            order_type=kind,
            qty=QTY,
            price=price,
            extras=extras,
            reason=reason,
        )

    def on_report(self, view: StrategyView, report: ExecutionReport) -> Iterable[Wish]:
        order = view.order(report.client_order_id)
        is_plain = order is not None and order.price is not None and not self._amended
        if not is_plain or report.venue_status is not VenueOrderStatus.NEW:
            return ()
        if order is not view.open_orders()[0]:
            return ()
        self._amended = report.client_order_id
        return (
            AmendIntent(
                strategy_id=self.strategy_id,
                client_order_id=report.client_order_id,
                qty=QTY / 2,
                reason="half of it",
            ),
        )

    def on_trade(self, view: StrategyView, trade: TradeTick) -> Iterable[Wish]:
        return ()

    def on_denied(self, view: StrategyView, intent: PlaceIntent, code: str) -> Iterable[Wish]:
        return ()

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        return ()

    def on_stop(self, view: StrategyView) -> None:
        return
