"""The venue of a bench, in memory: it answers placements, cancels and questions with inputs.

Rules of this file:
1. An order that crosses the latest top of book trades whole: one that rests at its own price, one
   that may not rest at the market's; what may not rest and does not trade, expires.
2. Every method says what the engine is to be told; nobody is called from here.
"""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.enums import (
    ExecType,
    LiquidityFlag,
    OrderType,
    ReportSource,
    Side,
    TimeInForce,
    VenueOrderStatus,
)
from daemon.model.ids import ClientOrderId, ExecId, VenueOrderId
from daemon.model.inputs import Input, VenueCancelReject, VenueReject, VenueReport
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook
from daemon.model.orders import NewOrder
from daemon.model.position import Balance
from daemon.model.reports import CancelReject, ExecutionReport, Fill, Reject, VenueSnapshot

RICH = Decimal(1_000_000)
"""What the account has of base and quote at the start."""
_V = VenueOrderStatus


class VenueSide(msgspec.Struct):
    """One order as the venue has it."""

    order: NewOrder
    number: int
    cum: Decimal = ZERO
    status: VenueOrderStatus = VenueOrderStatus.NEW
    is_told: bool = False
    fills: list[Fill] = msgspec.field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.is_told and self.status in (_V.NEW, _V.PARTIALLY_FILLED)


class BenchVenue:
    """One symbol, one account."""

    def __init__(self, instrument: Instrument) -> None:
        """No order and no market yet."""
        self._instrument = instrument
        self._trades = 0
        self.top: TopOfBook | None = None
        self.orders: dict[ClientOrderId, VenueSide] = {}
        self.now_ns = 0

    def placed(self, order: NewOrder) -> VenueSide:
        """Remember an order that has left."""
        one = self.orders[order.client_order_id] = VenueSide(order, len(self.orders) + 1)
        return one

    def accept(self, one: VenueSide) -> Iterator[Input]:
        """Take it, and let it trade where it crosses the market."""
        one.is_told = True
        yield VenueReport(self.report(one, ExecType.NEW))

    def match(self, one: VenueSide) -> Iterator[Input]:
        """Fill what crosses the top of book; what must not rest, ends."""
        if not one.is_open:
            return
        top, order = self.top, one.order
        is_buy = order.side is Side.BUY
        touch = None if top is None else (top.ask_px if is_buy else top.bid_px)
        crosses = touch is not None and (
            order.price is None or (order.price >= touch if is_buy else order.price <= touch)
        )
        may_rest = order.order_type is not OrderType.MARKET and order.time_in_force not in (
            TimeInForce.IOC,
            TimeInForce.FOK,
        )
        if crosses and touch is not None:
            price = order.price if may_rest and order.price is not None else touch
            yield from self.trade(one, order.qty - one.cum, price)
        elif not may_rest:
            yield from self.end(one, ExecType.EXPIRED, _V.EXPIRED)

    def price_of(self, one: VenueSide) -> Decimal:
        """Its own price, or the market's.

        Raises:
            RuntimeError: it has none and there is no market.
        """
        if one.order.price is not None:
            return one.order.price
        if self.top is None:
            raise RuntimeError("a market order needs a market: call tick() first")
        return self.top.ask_px if one.order.side is Side.BUY else self.top.bid_px

    def trade(self, one: VenueSide, qty: Decimal, price: Decimal) -> Iterator[Input]:
        """It trades: `qty` in base, `price` in quote per base.

        Raises:
            RuntimeError: it was not accepted.
        """
        if not one.is_told:
            raise RuntimeError(f"order {one.order.client_order_id} is not accepted yet")
        self._trades += 1
        one.cum += qty
        one.status = _V.FILLED if one.cum == one.order.qty else _V.PARTIALLY_FILLED
        traded = Fill(
            exec_id=ExecId(f"{self._instrument.symbol}:{self._trades}:{one.number}"),
            client_order_id=one.order.client_order_id, venue_order_id=VenueOrderId(str(one.number)),
            instrument_id=one.order.instrument_id, side=one.order.side, qty=qty, price=price,
            fee=ZERO, fee_asset=self._instrument.quote, liquidity=LiquidityFlag.MAKER,
            ts_venue_ns=self.now_ns, ts_recv_ns=self.now_ns,
        )  # fmt: skip
        one.fills.append(traded)
        yield VenueReport(self.report(one, ExecType.TRADE, (traded,)))

    def end(self, one: VenueSide, kind: ExecType, status: VenueOrderStatus) -> Iterator[Input]:
        """It ends: canceled or expired."""
        one.status = status
        yield VenueReport(self.report(one, kind))

    def reject(self, one: VenueSide, code: int, reason: str) -> Iterator[Input]:
        """It is refused."""
        one.is_told, one.status = True, _V.REJECTED
        yield VenueReject(
            Reject(
                client_order_id=one.order.client_order_id, instrument_id=one.order.instrument_id,
                code=code, reason=reason, ts_recv_ns=self.now_ns,
            )
        )  # fmt: skip

    def refuse_cancel(self, one: VenueSide) -> Iterator[Input]:
        """Its cancel is refused."""
        yield VenueCancelReject(
            CancelReject(
                client_order_id=one.order.client_order_id, instrument_id=one.order.instrument_id,
                code=-2011, reason="Unknown order sent.", ts_recv_ns=self.now_ns,
            )
        )  # fmt: skip

    def answer_query(self, name: ClientOrderId) -> Iterator[Input]:
        """Whoever is asked about an order whose answer was lost says that it has it."""
        one = self.orders.get(name)
        if one is not None:
            one.is_told = True
            yield VenueReport(self.report(one, ExecType.STATUS))

    def report(
        self, one: VenueSide, kind: ExecType, fills: tuple[Fill, ...] = ()
    ) -> ExecutionReport:
        """What is said of it."""
        return ExecutionReport(
            client_order_id=one.order.client_order_id, venue_order_id=VenueOrderId(str(one.number)),
            instrument_id=one.order.instrument_id, exec_type=kind, venue_status=one.status,
            side=one.order.side, qty=one.order.qty, price=one.order.price or ZERO, cum_qty=one.cum,
            cum_quote=sum((fill.qty * fill.price for fill in one.fills), ZERO), fills=fills,
            source=ReportSource.QUERY if kind is ExecType.STATUS else ReportSource.STREAM,
            reason="", ts_venue_ns=self.now_ns, ts_recv_ns=self.now_ns,
        )  # fmt: skip

    def snapshot(self, reason: str) -> VenueSnapshot:
        """Balances and orders as they are now."""
        base = quote = RICH
        for fill in (fill for one in self.orders.values() for fill in one.fills):
            bought = fill.qty if fill.side is Side.BUY else -fill.qty
            base, quote = base + bought, quote - bought * fill.price
        known = [one for one in self.orders.values() if one.is_told]
        return VenueSnapshot(
            ts_ns=self.now_ns,
            balances=(Balance(self._instrument.base, base, ZERO),
                      Balance(self._instrument.quote, quote, ZERO)),
            open_orders=tuple(self.report(one, ExecType.STATUS) for one in known if one.is_open),
            statuses=tuple(self.report(one, ExecType.STATUS) for one in known if not one.is_open),
            absent=(), fills=(), reason=reason,
        )  # fmt: skip
