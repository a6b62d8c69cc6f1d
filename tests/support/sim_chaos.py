"""What makes a simulated run eventful: a menu of faults, and a strategy that wishes at random."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, floor_to
from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.ids import InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import (
    AmendIntent,
    CancelIntent,
    PlaceIntent,
    ReplaceIntent,
    TimerIntent,
    Wish,
)
from daemon.model.market import TopOfBook
from daemon.model.strategy import StrategyView
from daemon.strategies.silent import Silent
from tests.support.builders import BTC

MS = NS_PER_MS
LOT = Decimal("0.00001")


@dataclass(frozen=True, kw_only=True)
class FaultMenu:
    """How often each fault happens: per request, per event, per 100 ms."""

    drop_request: float = 0.0
    drop_answer: float = 0.0
    late_request: float = 0.0
    """Arrives after the deadline, and is executed all the same."""
    drop_event: float = 0.0
    duplicate_event: float = 0.0
    reorder_event: float = 0.0
    drop_query: float = 0.0
    fail_snapshot: float = 0.0
    refuse_locally: float = 0.0
    """A message of any kind is refused before a byte leaves: budget, encoder, halt flag."""
    lose_at_send: float = 0.0
    """The session is found lost just when a message is to be written."""
    disconnect: float = 0.0
    crash: float = 0.0
    operator: float = 0.0
    """An operator does something: stop, cancel-all, reconcile, kill, re-arm."""

    @staticmethod
    def of(rng: random.Random) -> "FaultMenu":
        """A random menu: some seeds calm, some stormy, each with its own mixture."""
        heat = rng.choice((0.0, 0.05, 0.15, 0.35))
        return FaultMenu(
            drop_request=heat * rng.random(),
            drop_answer=heat * rng.random(),
            late_request=heat * rng.random(),
            drop_event=heat * rng.random(),
            duplicate_event=heat * rng.random(),
            reorder_event=heat * rng.random(),
            drop_query=heat * rng.random(),
            fail_snapshot=heat * rng.random(),
            refuse_locally=heat * rng.random(),
            lose_at_send=heat * rng.random() * 0.1,
            disconnect=heat * rng.random() * 0.2,
            crash=heat * rng.random() * 0.1,
            operator=rng.choice((0.0, 0.0, 0.03)),
        )


class Chaos(Silent):
    """Wishes at random: quotes, takes, cancels, replaces, amends, timers; stubborn at the caps."""

    def __init__(
        self,
        strategy_id: StrategyId,
        instruments: dict[InstrumentId, Instrument],
        *,
        rng: random.Random,
    ) -> None:
        super().__init__(strategy_id, instruments)
        self._rng = rng

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        return (TimerIntent(strategy_id=self.strategy_id, name="go", at_ns=view.now_ns),)

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        rng = self._rng
        yield TimerIntent(
            strategy_id=self.strategy_id,
            name="go",
            at_ns=view.now_ns + rng.randrange(40, 220) * MS,
        )
        top = view.top(BTC)
        if top is None:
            return
        for order in view.open_orders():
            roll = rng.random()
            if roll < 0.25:
                yield CancelIntent(
                    strategy_id=self.strategy_id, client_order_id=order.client_order_id
                )
            elif roll < 0.5 and order.price is not None:
                yield ReplaceIntent(
                    strategy_id=self.strategy_id,
                    client_order_id=order.client_order_id,
                    qty=order.qty,
                    price=order.price + rng.randrange(-3, 4),
                )
            elif roll < 0.65:
                yield AmendIntent(
                    strategy_id=self.strategy_id,
                    client_order_id=order.client_order_id,
                    qty=floor_to(order.qty * Decimal(rng.randrange(1, 11)) / 10, LOT),
                )
        if rng.random() < 0.7:
            yield self._place(top)

    def _place(self, top: TopOfBook) -> PlaceIntent:
        rng = self._rng
        side = rng.choice((Side.BUY, Side.SELL))
        kind = rng.random()
        away = rng.randrange(-2, 6) * (1 if side is Side.BUY else -1)
        touch = top.bid_px if side is Side.BUY else top.ask_px
        market = kind < 0.1
        tif = TimeInForce.IOC if kind < 0.3 else TimeInForce.GTC
        return PlaceIntent(
            strategy_id=self.strategy_id,
            instrument_id=BTC,
            side=side,
            order_type=OrderType.MARKET if market else OrderType.LIMIT,
            qty=Decimal(rng.randrange(1, 25)) / 1000,
            price=None if market else floor_to(touch - away, Decimal("0.01")),
            time_in_force=None if market else tif,
        )
