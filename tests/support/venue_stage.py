"""A stage whose venue is the simulated one's core: what the engine sends is matched there.

    stage = VenueStage(("BTCUSDT", "ETHUSDT"))
    stage.people("BTCUSDT", bid=("100.00", "5"), ask=("100.10", "5"))
    stage.ready_at_venue().start()
    stage.buy("BTCUSDT", "0.5")
    assert stage.wallet("BTC") == ...

No sockets and no wall clock: each answer follows its turn at once, and `after` moves the time.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from daemon.model.copies import replace
from daemon.model.effects import (
    Effect,
    QueryOrder,
    SendCancel,
    SendOrder,
    TakeSnapshot,
)
from daemon.model.enums import (
    ExecType,
    Link,
    LiquidityFlag,
    OrderType,
    ReportSource,
    Side,
    SymbolStatus,
    TimeInForce,
)
from daemon.model.ids import ClientOrderId, ExecId, VenueOrderId, instrument_id, symbol_of
from daemon.model.inputs import (
    BalancesChanged,
    ClockSampled,
    Input,
    InstrumentsLoaded,
    LinkUp,
    MarketData,
    OrderAbsent,
    SnapshotTaken,
    VenueReject,
    VenueReport,
)
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook
from daemon.model.position import Balance
from daemon.model.reports import ExecutionReport, Fill, NotFound, Reject, VenueSnapshot
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.events import AccountPosition, ExecReport
from daemon.venues.binance_spot.serving.order_requests import PlaceRequest
from daemon.venues.binance_spot.serving.units import decimal_of_e8, e8_of
from daemon.venues.sim.listed_symbols import SymbolSpec, spec_of
from daemon.venues.sim.sim_orders import BookTop, SimOrder, TradeFill
from daemon.venues.sim.venue import SimVenue
from tests.support.builders import ENVIRONMENT, T0, wish
from tests.support.screenplay import Stage, only
from tests.support.sim_runner import STATUS

OURS, CROWD = "main", "crowd"


class VenueStage(Stage):
    """`Stage` with a venue behind it; its ledger is the judge."""

    def __init__(
        self,
        symbols: tuple[str, ...] = ("BTCUSDT",),
        *,
        specs: Iterable[SymbolSpec] | None = None,
        grants: dict[str, str] | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(symbols=symbols, **changes)
        self.specs = {one.symbol: one for one in specs or map(spec_of, symbols)}
        self.venue = SimVenue(
            tuple(self.specs.values()),
            rng_of=random.Random,
            now_ns=T0,
            flow_rate_per_s=0.0,
        )
        held = grants or {"USDT": "1000000", "BTC": "100", "ETH": "100"}
        self.venue.add_account(OURS, {asset: e8_of(amount) for asset, amount in held.items()})
        self.venue.add_account(
            CROWD, {asset: e8_of("90000000") for asset in ("USDT", "BTC", "ETH", "BNB")}
        )
        self.todo: deque[Callable[[], None]] = deque()
        self.busy = False
        self.instrument_changes: dict[str, dict[str, Any]] = {}
        self.lag_trades = False
        """Whether the venue's history leaves out the newest trades."""
        self._updates = 0

    # ------------------------------------------------------------------ the road to the venue
    def _perform(self, effect: Effect, session: str) -> None:
        super()._perform(effect, session)
        if isinstance(effect, SendOrder):
            self.todo.append(lambda: self._place(effect.order))
        elif isinstance(effect, SendCancel):
            self.todo.append(lambda: self._cancel(effect.cancel))
        elif isinstance(effect, QueryOrder):
            self.todo.append(lambda: self._query(effect))
        elif isinstance(effect, TakeSnapshot):
            self.todo.append(lambda: self._snapshot(effect))

    def tell(self, *items: Input) -> tuple[Effect, ...]:
        out = super().tell(*items)
        if self.busy:
            return out
        self.busy = True
        while self.todo:
            self.todo.popleft()()
        self.busy = False
        return out

    def after(self, ms: int) -> tuple[Effect, ...]:
        out = super().after(ms)
        for symbol in self.specs:  # a living feed tells its top again
            self._top(symbol)
        return out

    def _place(self, order: Any) -> None:
        request = PlaceRequest(
            symbol=symbol_of(order.instrument_id),
            side=order.side,
            type=order.order_type,
            time_in_force=order.time_in_force or TimeInForce.GTC,
            qty=e8_of(order.qty),
            price=e8_of(order.price or 0),
            client_order_id=order.client_order_id,
        )
        try:
            self.venue.place(OURS, request, self.now_ns)
        except DialectError as error:
            self.tell(
                VenueReject(
                    Reject(
                        client_order_id=order.client_order_id,
                        instrument_id=order.instrument_id,
                        code=error.code,
                        reason=error.msg,
                        ts_recv_ns=self.now_ns,
                    )
                )
            )
        self.stream()

    def _cancel(self, cancel: Any) -> None:
        self.venue.cancel(
            OURS,
            symbol_of(cancel.instrument_id),
            now_ns=self.now_ns,
            client_order_id=cancel.client_order_id,
        )
        self.stream()

    def _query(self, asked: QueryOrder) -> None:
        try:
            order = self.venue.query(
                OURS, symbol_of(asked.instrument_id), client_order_id=asked.client_order_id
            )
        except DialectError:
            self.tell(
                OrderAbsent(
                    NotFound(
                        client_order_id=asked.client_order_id,
                        instrument_id=asked.instrument_id,
                        ts_recv_ns=self.now_ns,
                    )
                )
            )
            return
        rows = self._trades(order.symbol, order_id=order.order_id)
        self.tell(VenueReport(self.report_of(order, rows)))

    def _trades(self, symbol: str, **which: Any) -> list[TradeFill]:
        rows = list(self.venue.my_trades(OURS, symbol, **which))
        return [] if self.lag_trades else rows

    def _snapshot(self, asked: TakeSnapshot) -> None:
        listed, statuses, absent, fills = [], [], [], []
        for symbol in self.specs:
            listed += [self.report_of(one, ()) for one in self.venue.open_orders(OURS, symbol)]
            fills += [self.fill_of(row) for row in self._trades(symbol, from_id=0)]
        shown = {one.client_order_id for one in listed}
        for ref in asked.believed_open:
            if ref.client_order_id in shown:
                continue
            symbol = symbol_of(ref.instrument_id)
            try:
                order = self.venue.query(OURS, symbol, client_order_id=ref.client_order_id)
            except DialectError:
                absent.append(
                    NotFound(
                        client_order_id=ref.client_order_id,
                        instrument_id=ref.instrument_id,
                        ts_recv_ns=self.now_ns,
                    )
                )
            else:
                rows = self._trades(symbol, order_id=order.order_id)
                statuses.append(self.report_of(order, rows))
        self.asked.clear()
        self.tell(
            SnapshotTaken(
                VenueSnapshot(
                    ts_ns=self.now_ns,
                    balances=self.balances(),
                    open_orders=tuple(listed),
                    statuses=tuple(statuses),
                    absent=tuple(absent),
                    fills=tuple(fills),
                    reason=asked.reason,
                )
            )
        )

    # ------------------------------------------------------------------ what the venue says
    def stream(self) -> None:
        """Every event of the venue, told."""
        self.venue.matcher.flush_positions(self.now_ns)
        for event in self.venue.drain_events():
            if isinstance(event, ExecReport) and event.account == OURS:
                self.tell(VenueReport(self._stream_report(event)))
            elif isinstance(event, AccountPosition) and event.account == OURS:
                held = tuple(
                    Balance(asset, decimal_of_e8(free), decimal_of_e8(locked))
                    for asset, free, locked in event.balances
                )
                self.tell(BalancesChanged(held, event.ts_ns))
            elif isinstance(event, BookTop):
                self._top(event.symbol)

    def _top(self, symbol: str) -> None:
        book = self.venue.market(symbol).book
        bid, ask = book.side(Side.BUY).best(), book.side(Side.SELL).best()
        if bid is None or ask is None:
            return
        self._updates += 1
        self.tell(
            MarketData(
                TopOfBook(
                    instrument_id(symbol, ENVIRONMENT),
                    decimal_of_e8(bid.price), Decimal(1), decimal_of_e8(ask.price), Decimal(1),
                    self._updates, self.now_ns, self.now_ns,
                )
            )
        )  # fmt: skip

    def _stream_report(self, event: ExecReport) -> ExecutionReport:
        fills: tuple[Fill, ...] = ()
        if event.exec_type is ExecType.TRADE:
            row = TradeFill(
                symbol=event.order.symbol, trade_id=event.trade_id,
                order_id=event.order.order_id, client_order_id=event.order.client_order_id,
                account=OURS, side=event.order.side, price=event.last_price, qty=event.last_qty,
                fee=event.fee, fee_asset=event.fee_asset, maker=event.maker, ts_ns=event.ts_ns,
                origin=event.order.origin, epoch=0,
            )  # fmt: skip
            fills = (self.fill_of(row),)
        made = self.report_of(event.order, ())
        return replace(
            made,
            exec_type=event.exec_type,
            venue_status=STATUS[event.status],
            qty=decimal_of_e8(event.qty),
            cum_qty=decimal_of_e8(event.executed),
            fills=fills,
            source=ReportSource.STREAM,
        )

    def report_of(self, order: SimOrder, rows: Iterable[TradeFill]) -> ExecutionReport:
        return ExecutionReport(
            client_order_id=ClientOrderId(order.client_order_id),
            venue_order_id=VenueOrderId(str(order.order_id)),
            instrument_id=instrument_id(order.symbol, ENVIRONMENT),
            exec_type=ExecType.STATUS,
            venue_status=STATUS[order.status],
            side=order.side,
            qty=decimal_of_e8(order.qty),
            price=decimal_of_e8(order.price),
            cum_qty=decimal_of_e8(order.executed),
            cum_quote=Decimal(0),
            fills=tuple(self.fill_of(row) for row in rows),
            source=ReportSource.QUERY,
            reason="",
            ts_venue_ns=order.updated_ns,
            ts_recv_ns=self.now_ns,
        )

    def fill_of(self, row: TradeFill) -> Fill:
        return Fill(
            exec_id=ExecId(f"{row.symbol}:{row.trade_id}:{row.order_id}"),
            client_order_id=ClientOrderId(row.client_order_id),
            venue_order_id=VenueOrderId(str(row.order_id)),
            instrument_id=instrument_id(row.symbol, ENVIRONMENT),
            side=row.side,
            qty=decimal_of_e8(row.qty),
            price=decimal_of_e8(row.price),
            fee=decimal_of_e8(row.fee),
            fee_asset=row.fee_asset,
            liquidity=LiquidityFlag.MAKER if row.maker else LiquidityFlag.TAKER,
            ts_venue_ns=row.ts_ns,
            ts_recv_ns=self.now_ns,
        )

    # ------------------------------------------------------------------ scenes
    def instruments(self) -> tuple[Instrument, ...]:
        """What exchangeInfo says of each symbol, with the changes of the test."""
        return tuple(self._instrument(one) for one in self.specs.values())

    def _instrument(self, spec: SymbolSpec) -> Instrument:
        made = Instrument(
            instrument_id=instrument_id(spec.symbol, ENVIRONMENT),
            symbol=spec.symbol,
            base=spec.base,
            quote=spec.quote,
            status=SymbolStatus.TRADING,
            order_types=frozenset({OrderType.LIMIT, OrderType.LIMIT_MAKER, OrderType.MARKET}),
            base_precision=8,
            quote_precision=8,
            price_min=decimal_of_e8(spec.tick),
            price_max=decimal_of_e8(spec.max_price),
            tick=decimal_of_e8(spec.tick),
            qty_min=decimal_of_e8(spec.min_qty),
            qty_max=decimal_of_e8(spec.max_qty),
            lot=decimal_of_e8(spec.step),
            market_qty_max=decimal_of_e8(spec.max_market_qty),
            notional_min=decimal_of_e8(spec.min_notional),
            orders_open_max=spec.max_num_orders,
        )
        return replace(made, **self.instrument_changes.get(spec.symbol, {}))

    def ready_links(self) -> "VenueStage":
        self.tell(ClockSampled(0, 1_000_000))
        self.tell(InstrumentsLoaded(self.instruments()))
        self.tell(LinkUp(Link.REST), LinkUp(Link.MARKET), LinkUp(Link.ORDER))
        return self

    def open(self) -> "VenueStage":
        """Everything up, books compared, prices told, a session on."""
        self.ready_links()
        for symbol in self.specs:
            self._top(symbol)
        self.start()
        return self

    def people(self, symbol: str, side: Side, price: str, qty: str) -> None:
        """An order of somebody else, resting or taking."""
        self._updates += 1
        request = PlaceRequest(
            symbol=symbol, side=side, type=OrderType.LIMIT, time_in_force=TimeInForce.GTC,
            qty=e8_of(qty), price=e8_of(price), client_order_id=f"crowd-{self._updates}",
        )  # fmt: skip
        self.venue.place(CROWD, request, self.now_ns)
        self.stream()

    def people_leave(self, symbol: str) -> None:
        """Nobody quotes any more."""
        for order in self.venue.open_orders(CROWD, symbol):
            self.venue.cancel(CROWD, symbol, now_ns=self.now_ns, order_id=order.order_id)
        self.stream()

    def take(self, symbol: str, side: Side, qty: str) -> None:
        """Have the strategy trade at the market."""
        iid = instrument_id(symbol, ENVIRONMENT)
        assert self.puppet is not None
        self.puppet.wishes.append((wish(side, qty, None, iid=iid),))
        self._top(symbol)
        self.after(2)

    def tell_balances(self) -> None:
        """The account as it is, told as the stream tells it."""
        self.tell(BalancesChanged(self.balances(), self.now_ns))

    # ------------------------------------------------------------------ the judge
    def balances(self) -> tuple[Balance, ...]:
        wallets = self.venue.accounts[OURS].wallets
        return tuple(
            Balance(asset, decimal_of_e8(w.free), decimal_of_e8(w.locked))
            for asset, w in sorted(wallets.items())
        )

    def held(self, asset: str) -> Decimal:
        """What the venue's ledger says that we own of an asset."""
        return next((b.free + b.locked for b in self.balances() if b.asset == asset), Decimal(0))

    def sent(self) -> list[Any]:
        """Every order that left."""
        return [one.order for _, effects in self.turns for one in only(SendOrder, effects)]
