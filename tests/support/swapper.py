"""Strategies that show what leaves: one swaps its order for ever, one places in bursts."""

from collections.abc import Iterable
from decimal import Decimal

from daemon.model.amounts import floor_to
from daemon.model.enums import OrderStatus, OrderType, Side
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import CancelIntent, PlaceIntent, ReplaceIntent, Wish
from daemon.model.market import TopOfBook
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent

BIG, SMALL = Decimal("0.003"), Decimal("0.001")
BURST = 4


class Swapper(Silent):
    """One BUY rests far below the market; it is replaced by a smaller one, canceled, and anew.

    What it believes is what the view says: an order that the view has lost is placed again.
    """

    def __init__(
        self, strategy_id: StrategyId, instruments: dict[InstrumentId, Instrument]
    ) -> None:
        super().__init__(strategy_id, instruments)
        self._instrument = next(iter(instruments))
        self._tick = instruments[self._instrument].tick
        self._turn = 0

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        self._turn += 1
        far = floor_to(top.bid_px * Decimal("0.98"), self._tick) - self._tick * (self._turn % 50)
        mine = view.open_orders()
        if not mine:
            yield self.place(far, BIG)
            return
        order = mine[0]
        if len(mine) > 1 or order.status is not OrderStatus.ACCEPTED:
            return
        if order.qty == BIG:
            if self._turn % 6:
                return  # mostly the big one rests: what a test does then meets a replace
            yield ReplaceIntent(
                strategy_id=self.strategy_id,
                client_order_id=order.client_order_id,
                qty=SMALL,
                price=far,
            )
        else:
            yield CancelIntent(strategy_id=self.strategy_id, client_order_id=order.client_order_id)

    def place(self, price: Decimal, qty: Decimal) -> PlaceIntent:
        return PlaceIntent(
            strategy_id=self.strategy_id,
            instrument_id=self._instrument,
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            qty=qty,
            price=price,
        )


class Burster(Swapper):
    """As many orders as the caps let it have, all the time."""

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        self._turn += 1
        far = floor_to(top.bid_px * Decimal("0.98"), self._tick)
        for order in view.open_orders():
            yield CancelIntent(strategy_id=self.strategy_id, client_order_id=order.client_order_id)
        for n in range(BURST):
            yield self.place(far - self._tick * ((self._turn * BURST + n) % 900), SMALL)
