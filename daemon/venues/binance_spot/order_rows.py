"""Rows that REST and WebSocket API replies share -> model values.

Rules of this file:
1. A row that cannot be read raises `Undecodable`, never another exception and never a guess.
2. `client_order_id` of a report is the order's own id, whatever id the row shows (see own_ids.py).
"""

from collections.abc import Iterable

import msgspec

from daemon.errors import Undecodable
from daemon.model.amounts import NS_PER_MS
from daemon.model.enums import (
    ExecType,
    LiquidityFlag,
    ReportSource,
    Side,
    VenueOrderStatus,
)
from daemon.model.ids import ClientOrderId, ExecId, InstrumentId, VenueOrderId
from daemon.model.position import Balance
from daemon.model.reports import ExecutionReport, Fill
from daemon.venues.binance_spot.amount_text import amount, amount_or_zero
from daemon.venues.binance_spot.spot_rows import FillRow, SpotOrderRow
from daemon.venues.own_ids import OwnIds, SymbolNames

_UNRECOGNISED = VenueOrderStatus.UNRECOGNISED
_TAKER = LiquidityFlag.TAKER
_REPLY = ReportSource.REPLY
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

STATUSES = {
    "NEW": VenueOrderStatus.NEW,
    "PENDING_NEW": VenueOrderStatus.NEW,
    "PARTIALLY_FILLED": VenueOrderStatus.PARTIALLY_FILLED,
    "FILLED": VenueOrderStatus.FILLED,
    "CANCELED": VenueOrderStatus.CANCELED,
    "EXPIRED": VenueOrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": VenueOrderStatus.EXPIRED,
    "REJECTED": VenueOrderStatus.REJECTED,
}
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
_EXEC_TYPES = {
    VenueOrderStatus.NEW: ExecType.NEW,
    VenueOrderStatus.PARTIALLY_FILLED: ExecType.TRADE,
    VenueOrderStatus.FILLED: ExecType.TRADE,
    VenueOrderStatus.CANCELED: ExecType.CANCELED,
    VenueOrderStatus.EXPIRED: ExecType.EXPIRED,
    VenueOrderStatus.REJECTED: ExecType.REJECTED,
    VenueOrderStatus.UNRECOGNISED: ExecType.STATUS,
}


class AmendedOrderRow(msgspec.Struct, rename="camel"):
    """`amendedOrder`: other names than elsewhere for what is the same."""

    symbol: str
    order_id: int
    client_order_id: str
    qty: str
    executed_qty: str
    status: str
    side: str
    price: str = "0"
    orig_client_order_id: str = ""
    cumulative_quote_qty: str = ""


class AmendedRow(msgspec.Struct, rename="camel"):
    """The reply of amend keep priority (binance-spot.md §5)."""

    transact_time: int
    amended_order: AmendedOrderRow


class SpotTradeRow(msgspec.Struct, rename="camel"):
    """One row of `myTrades`."""

    symbol: str
    id: int
    order_id: int
    price: str
    qty: str
    commission: str
    time: int
    is_buyer: bool
    is_maker: bool
    commission_asset: str = ""


class BalanceRow(msgspec.Struct):
    """One asset of `account`."""

    asset: str
    free: str
    locked: str


class AccountRow(msgspec.Struct, rename="camel"):
    """`account`: flags describe the account, not the key (binance-spot.md §12)."""

    balances: list[BalanceRow]
    can_trade: bool = True
    can_withdraw: bool = False
    update_time: int = 0
    uid: int = 0


def exec_id(symbol: str, trade_id: int, order_id: int) -> ExecId:
    """The dedupe key of a fill (binance-spot.md §13)."""
    return ExecId(f"{symbol}:{trade_id}:{order_id}")


def status_of(text: str) -> VenueOrderStatus:
    """The status of a row; one that this build does not know is UNRECOGNISED."""
    return STATUSES.get(text, _UNRECOGNISED)


def side_of(text: str) -> Side:
    """The side of a row.

    Raises:
        Undecodable: for any other word.
    """
    side = SIDES.get(text)
    if side is None:
        raise Undecodable(f"not a side: {text[:20]!r}")
    return side


class SpotRowReader:
    """Turns rows into reports and fills for one environment."""

    __slots__ = ("ids", "names")

    def __init__(self, names: SymbolNames, ids: OwnIds) -> None:
        self.names = names
        self.ids = ids

    def placed(self, row: SpotOrderRow, ts_recv_ns: int) -> ExecutionReport:
        """The reply to a placement: its id is the order's own, its fills took liquidity."""
        own = self.ids.learn(row.symbol, row.order_id, row.client_order_id)
        status = status_of(row.status)
        return self._report(row, own, _EXEC_TYPES[status], _REPLY, ts_recv_ns, with_fills=True)

    def canceled(self, row: SpotOrderRow, ts_recv_ns: int) -> ExecutionReport:
        """The reply to a cancel: `origClientOrderId` is the order's own id."""
        if row.orig_client_order_id:
            own = self.ids.learn_former(row.symbol, row.order_id, row.orig_client_order_id)
        else:
            own = self.ids.resolve(row.symbol, row.order_id, row.client_order_id)
        return self._report(row, own, ExecType.CANCELED, ReportSource.REPLY, ts_recv_ns)

    def amended(self, row: AmendedRow, ts_recv_ns: int) -> ExecutionReport:
        """The reply to an amend: the id that it had is its own."""
        order = row.amended_order
        known = order.orig_client_order_id or order.client_order_id
        own = self.ids.resolve(order.symbol, order.order_id, known)
        return ExecutionReport(
            client_order_id=own,
            venue_order_id=VenueOrderId(str(order.order_id)),
            instrument_id=self.names.instrument(order.symbol),
            exec_type=ExecType.REPLACED,
            venue_status=status_of(order.status),
            side=side_of(order.side),
            qty=amount(order.qty),
            price=amount(order.price),
            cum_qty=amount(order.executed_qty),
            cum_quote=amount_or_zero(order.cumulative_quote_qty),
            fills=(),
            source=ReportSource.REPLY,
            reason="",
            ts_venue_ns=row.transact_time * NS_PER_MS,
            ts_recv_ns=ts_recv_ns,
        )

    def queried(
        self,
        row: SpotOrderRow,
        ts_recv_ns: int,
        *,
        own: ClientOrderId | None = None,
        fills: Iterable[Fill] = (),
        source: ReportSource = ReportSource.QUERY,
    ) -> ExecutionReport:
        """A row of a query. `own` is the id that was asked for, when one was."""
        if own is None:
            own = self.ids.resolve(row.symbol, row.order_id, row.client_order_id)
        else:
            self.ids.learn(row.symbol, row.order_id, own)
        return self._report(row, own, ExecType.STATUS, source, ts_recv_ns, fills=tuple(fills))

    def trade(
        self, row: SpotTradeRow, own: ClientOrderId, ts_recv_ns: int, *, recovered: bool = True
    ) -> Fill:
        """A row of the account's trade history; it names no client id, so the caller does."""
        return Fill(
            exec_id=exec_id(row.symbol, row.id, row.order_id),
            client_order_id=own,
            venue_order_id=VenueOrderId(str(row.order_id)),
            instrument_id=self.names.instrument(row.symbol),
            side=Side.BUY if row.is_buyer else Side.SELL,
            qty=amount(row.qty),
            price=amount(row.price),
            fee=amount(row.commission),
            fee_asset=row.commission_asset,
            liquidity=LiquidityFlag.MAKER if row.is_maker else LiquidityFlag.TAKER,
            ts_venue_ns=row.time * NS_PER_MS,
            ts_recv_ns=ts_recv_ns,
            recovered=recovered,
        )

    def _report(
        self,
        row: SpotOrderRow,
        own: ClientOrderId,
        exec_type: ExecType,
        source: ReportSource,
        ts_recv_ns: int,
        *,
        fills: tuple[Fill, ...] = (),
        with_fills: bool = False,
    ) -> ExecutionReport:
        instrument = self.names.instrument(row.symbol)
        side = side_of(row.side)
        ts_venue_ns = (row.transact_time or row.update_time or row.time) * NS_PER_MS
        if with_fills and row.fills:
            fills = tuple(
                _reply_fill(
                    row,
                    part,
                    own=own,
                    instrument=instrument,
                    side=side,
                    ts_venue_ns=ts_venue_ns,
                    ts_recv_ns=ts_recv_ns,
                )
                for part in row.fills
            )
        return ExecutionReport(
            client_order_id=own,
            venue_order_id=VenueOrderId(str(row.order_id)),
            instrument_id=instrument,
            exec_type=exec_type,
            venue_status=status_of(row.status),
            side=side,
            qty=amount(row.orig_qty),
            price=amount(row.price),
            cum_qty=amount(row.executed_qty),
            cum_quote=amount_or_zero(row.cummulative_quote_qty),
            fills=fills,
            source=source,
            reason=row.expiry_reason,
            ts_venue_ns=ts_venue_ns,
            ts_recv_ns=ts_recv_ns,
            venue_list_id=list_id_of_row(row.order_list_id),
        )


def list_id_of_row(order_list_id: int) -> str | None:
    """The venue's id of a list; None: -1, the order is in none."""
    return str(order_list_id) if order_list_id >= 0 else None


def _reply_fill(
    row: SpotOrderRow,
    part: FillRow,
    *,
    own: ClientOrderId,
    instrument: InstrumentId,
    side: Side,
    ts_venue_ns: int,
    ts_recv_ns: int,
) -> Fill:
    return Fill(
        exec_id=exec_id(row.symbol, part.trade_id, row.order_id),
        client_order_id=own,
        venue_order_id=VenueOrderId(str(row.order_id)),
        instrument_id=instrument,
        side=side,
        qty=amount(part.qty),
        price=amount(part.price),
        fee=amount(part.commission),
        fee_asset=part.commission_asset,
        liquidity=_TAKER,
        ts_venue_ns=ts_venue_ns,
        ts_recv_ns=ts_recv_ns,
    )


def balances_of(rows: Iterable[BalanceRow]) -> tuple[Balance, ...]:
    """Balances, those of zero included: absence and zero are not the same."""
    return tuple(
        Balance(asset=row.asset, free=amount(row.free), locked=amount(row.locked)) for row in rows
    )
