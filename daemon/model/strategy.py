"""The strategy's contract: a read-only view in, wishes out.

It stands on the ground floor because `daemon.core` (which calls strategies) and
`daemon.strategies` (which are called) are siblings and may not import each other.

A strategy is a class built as `Cls(strategy_id, instruments, **params)`: `params` come from the
config and are checked against the constructor's keyword arguments and annotations at start-up. It
holds no socket, no clock, no randomness of its own; every method returns wishes and must return
quickly. A method that raises stops the strategy, is journalled, and halts the session. Wishes are
frozen: `daemon.model.copies.replace(wish, qty=…)` makes another one with the named fields changed.

A class whose `on_market` and `on_trade` keep nothing from a call that returns no wish declares
`needs_every_tick = False` in its own body (a base class does not speak for it). Only then may the
journal leave out ticks without a consequence; a class that declares nothing keeps them all.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Protocol

from daemon.model.enums import Side, TradingState
from daemon.model.ids import ClientOrderId, InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.intents import PlaceIntent, Wish
from daemon.model.market import TopOfBook, TradeTick
from daemon.model.orders import Order
from daemon.model.reports import ExecutionReport


class StrategyView(Protocol):
    """What a strategy may see. Values are live; keep none of them across calls."""

    @property
    def now_ns(self) -> int:
        """Engine time of this turn, UTC nanoseconds."""

    @property
    def trading_state(self) -> TradingState:
        """ACTIVE while wishes can pass."""

    @property
    def instruments(self) -> Mapping[InstrumentId, Instrument]:
        """Instruments of this strategy, with filters."""

    def top(self, instrument: InstrumentId) -> TopOfBook | None:
        """Latest top of book, or None before the first."""

    def position(self, instrument: InstrumentId) -> Decimal:
        """Net traded quantity in base."""

    def open_orders(self) -> Sequence[Order]:
        """This strategy's own non-terminal orders, oldest first."""

    def order(self, client_order_id: ClientOrderId) -> Order | None:
        """One of this strategy's own orders, terminal ones included."""

    @property
    def orders_approved(self) -> int:
        """Orders that this session has approved so far, of all strategies and bots."""

    def working_qty(self, instrument: InstrumentId, side: Side) -> Decimal:
        """Open quantity of this strategy's own orders on one side."""


class Strategy(Protocol):
    """What a user writes. Order of calls: `on_start`, then the others, then `on_stop`."""

    strategy_id: StrategyId

    def on_start(self, view: StrategyView) -> Iterable[Wish]:
        """A session has started (also after a restart: the view shows adopted orders)."""

    def on_market(self, view: StrategyView, top: TopOfBook) -> Iterable[Wish]:
        """A new top of book of one of this strategy's instruments."""

    def on_trade(self, view: StrategyView, trade: TradeTick) -> Iterable[Wish]:
        """A public trade on one of this strategy's instruments."""

    def on_report(self, view: StrategyView, report: ExecutionReport) -> Iterable[Wish]:
        """A report on one of this strategy's own orders; the view is already up to date."""

    def on_denied(self, view: StrategyView, intent: PlaceIntent, code: str) -> Iterable[Wish]:
        """The interceptor denied a wish; `code` is the DenyReason. Do not simply wish it again."""

    def on_timer(self, view: StrategyView, name: str) -> Iterable[Wish]:
        """A timer wished by a TimerIntent is due."""

    def on_stop(self, view: StrategyView) -> None:
        """The session ends; wishes are no longer taken, open orders are being cancelled."""
