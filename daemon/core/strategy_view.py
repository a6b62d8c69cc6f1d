"""What a strategy sees: a window on the desk, never a copy and never a handle to change it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from daemon.core.latest_market import LatestMarket
from daemon.core.turn_context import TurnContext
from daemon.model.amounts import ZERO
from daemon.model.enums import Side, TradingState
from daemon.model.ids import ClientOrderId, InstrumentId, StrategyId
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook
from daemon.model.orders import Order


class View:
    """Implements `daemon.model.strategy.StrategyView` for one strategy."""

    __slots__ = ("_ctx", "_instruments", "_market", "_version", "strategy_id")

    def __init__(
        self,
        ctx: TurnContext,
        market: LatestMarket,
        strategy_id: StrategyId,
        instruments: Mapping[InstrumentId, Instrument],
    ) -> None:
        """Look at the desk as `strategy_id`."""
        self._ctx = ctx
        self._market = market
        self.strategy_id = strategy_id
        self._instruments = instruments
        self._version = ctx.ledger.instruments_version

    @property
    def now_ns(self) -> int:
        """Engine time of this turn."""
        return self._ctx.now_ns

    @property
    def trading_state(self) -> TradingState:
        """ACTIVE while wishes can pass."""
        return self._ctx.trading_state

    @property
    def instruments(self) -> Mapping[InstrumentId, Instrument]:
        """The strategy's own instruments, with the filters of now."""
        ledger = self._ctx.ledger
        if self._version != ledger.instruments_version:
            loaded = ledger.instruments
            self._instruments = {iid: loaded.get(iid, o) for iid, o in self._instruments.items()}
            self._version = ledger.instruments_version
        return self._instruments

    def top(self, instrument: InstrumentId) -> TopOfBook | None:
        """Latest top of book, or None before the first."""
        return self._market.tops.get(instrument)

    def position(self, instrument: InstrumentId) -> Decimal:
        """Net traded quantity in base, of all strategies together."""
        return self._ctx.interceptor.risk.books.position(instrument)

    def open_orders(self) -> Sequence[Order]:
        """This strategy's own non-terminal orders, oldest first."""
        return tuple(self._ctx.books.open_of(self.strategy_id).values())

    def order(self, client_order_id: ClientOrderId) -> Order | None:
        """One of this strategy's own orders, finished ones included while in memory."""
        order = self._ctx.books.orders.get(client_order_id)
        return order if order is not None and order.strategy_id == self.strategy_id else None

    @property
    def orders_approved(self) -> int:
        """Orders that this session has approved so far, of all strategies and bots."""
        return self._ctx.ledger.session.orders

    def working_qty(self, instrument: InstrumentId, side: Side) -> Decimal:
        """Open quantity of this strategy's own orders on one side."""
        mine = self._ctx.books.open_of(self.strategy_id).values()
        return sum(
            (o.leaves_qty for o in mine if o.instrument_id == instrument and o.side is side), ZERO
        )
