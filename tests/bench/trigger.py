"""A strategy that answers each trigger of the spinning venue with one order, and nothing else."""

from collections.abc import Iterable
from decimal import Decimal

from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.intents import PlaceIntent, Wish
from daemon.model.market import TopOfBook
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent
from tests.bench.spin_venue import TRIGGER_UPDATE_ID

QTY = Decimal("0.05000")
TICK = Decimal("0.01")


class Trigger(Silent):
    """One IOC order a trigger; the venue lets it expire at once, so nothing piles up."""

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        """Answer a trigger."""
        del view
        if top.update_id < TRIGGER_UPDATE_ID:
            return ()
        return (
            PlaceIntent(
                strategy_id=self.strategy_id,
                instrument_id=top.instrument_id,
                side=Side.BUY,
                order_type=OrderType.LIMIT,
                qty=QTY,
                price=top.bid_px - 2 * TICK * (top.update_id % 100),
                time_in_force=TimeInForce.IOC,
                reason="trigger",
            ),
        )
