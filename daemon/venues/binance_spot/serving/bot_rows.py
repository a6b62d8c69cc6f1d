"""A bot's orders, fills and executions as the rows of the protocol want them, from the fold.

What the venue has not told us of an order is said as the protocol says "none", never made up.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from daemon.model.bots import BotFill, BotOrderRow
from daemon.model.effects import BotListChanged, BotOrderChanged
from daemon.model.enums import ExecType, OrderType, Side, TimeInForce, VenueOrderStatus
from daemon.model.ids import symbol_of
from daemon.model.list_legs import Contingency
from daemon.model.position import Balance
from daemon.venues.binance_spot.serving.events import AccountPosition, ExecReport, ListStatus
from daemon.venues.binance_spot.serving.order_requests import (
    OPEN_STATUSES,
    TRIGGER_TYPES,
    PegType,
    Status,
    StpMode,
)
from daemon.venues.binance_spot.serving.order_view import ServedFill

_STATUSES = {one.value: one for one in Status}
_NO_LIST = -1
_NO_ORDER_ID = -1
_ENDED = frozenset(
    {
        VenueOrderStatus.FILLED,
        VenueOrderStatus.CANCELED,
        VenueOrderStatus.EXPIRED,
        VenueOrderStatus.REJECTED,
    }
)


class SeenOrder(msgspec.Struct, kw_only=True):
    """One order of a bot (`OrderLike`); amounts in units of 1e-8, times in nanoseconds."""

    symbol: str
    order_id: int
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    status: Status
    qty: int
    price: int
    stop_price: int
    iceberg_qty: int
    quote_order_qty: int
    executed: int
    cum_quote: int
    prevented: int = 0
    ts_ns: int
    updated_ns: int
    working_ns: int
    waiting: bool
    trailing_bps: int
    trailing_since_ns: int = 0
    peg: PegType | None
    peg_levels: int
    stp_mode: StpMode
    strategy_id: int | None
    strategy_type: int | None
    expiry_reason: str = ""
    list_id: int
    own_client_order_id: str
    shown_client_order_id: str


def e8(amount: Decimal | None) -> int:
    """Units of 1e-8 of an amount; 0 for none."""
    return 0 if amount is None else int(amount.scaleb(8))


def seen_order(row: BotOrderRow) -> SeenOrder:
    """One order as it is now. `row.status` None has no word in the protocol: shown as REJECTED.

    Callers answer -1007 for such a row before they come here.
    """
    tags, extras = dict(row.tags), row.extras
    # Nobody has told us that a stop has triggered before it has traded.
    waiting = row.order_type in TRIGGER_TYPES and not row.cum_qty
    is_canceled = row.status is VenueOrderStatus.CANCELED
    is_pending = row.is_pending and row.status is VenueOrderStatus.NEW
    return SeenOrder(
        symbol=symbol_of(row.instrument_id),
        order_id=_order_id(row),
        side=row.side,
        type=row.order_type,
        time_in_force=row.time_in_force or TimeInForce.GTC,
        status=(
            Status.PENDING_NEW if is_pending else _STATUSES[row.status or VenueOrderStatus.REJECTED]
        ),
        qty=e8(row.qty),
        price=e8(row.price),
        stop_price=e8(row.stop_price),
        iceberg_qty=e8(extras.iceberg_qty if extras else None),
        quote_order_qty=e8(row.quote_qty),
        executed=e8(row.cum_qty),
        cum_quote=e8(row.cum_quote),
        ts_ns=row.ts_placed_ns,
        updated_ns=row.ts_updated_ns,
        working_ns=0 if waiting or is_pending else row.ts_placed_ns,
        waiting=waiting,
        trailing_bps=extras.trailing_bps if extras else 0,
        peg=PegType(extras.peg) if extras and extras.peg else None,
        peg_levels=extras.peg_levels if extras else 0,
        stp_mode=StpMode(tags.get("selfTradePreventionMode", StpMode.EXPIRE_MAKER)),
        strategy_id=int(tags["strategyId"]) if "strategyId" in tags else None,
        strategy_type=int(tags["strategyType"]) if "strategyType" in tags else None,
        list_id=_list_id(row),
        own_client_order_id=row.client_order_id,
        shown_client_order_id=(is_canceled and row.cancel_client_order_id) or row.client_order_id,
    )


def seen_fill(row: BotOrderRow, fill: BotFill) -> ServedFill:
    """One trade of an order."""
    return ServedFill(
        symbol=symbol_of(row.instrument_id),
        trade_id=fill.trade_id,
        order_id=_order_id(row),
        list_id=_list_id(row),
        side=row.side,
        price=e8(fill.price),
        qty=e8(fill.qty),
        fee=e8(fill.fee),
        fee_asset=fill.fee_asset,
        maker=fill.is_maker,
        ts_ns=fill.ts_venue_ns,
    )


def seen_fills(row: BotOrderRow) -> list[ServedFill]:
    """All trades of an order."""
    return [seen_fill(row, fill) for fill in row.fills]


def report_of(changed: BotOrderChanged, execution_id: int) -> ExecReport[SeenOrder]:
    """One change of an order; `execution_id` is the gateway's own count, not the venue's."""
    row, order = changed.row, seen_order(changed.row)
    fill = seen_fill(row, changed.fill) if changed.fill is not None else None
    is_resting = order.status in OPEN_STATUSES
    has_old_id = changed.exec_type in {ExecType.CANCELED, ExecType.REPLACED}
    is_refused = changed.exec_type is ExecType.REJECTED
    return ExecReport(
        account=changed.bot,
        order=order,
        exec_type=changed.exec_type,
        status=order.status,
        client_order_id=order.shown_client_order_id,
        orig_client_order_id=row.client_order_id if has_old_id else "",
        qty=order.qty,
        executed=order.executed,
        leaves=order.qty - order.executed if is_resting else 0,
        cum_quote=order.cum_quote,
        last_qty=fill.qty if fill else 0,
        last_price=fill.price if fill else 0,
        fee=fill.fee if fill else 0,
        fee_asset=fill.fee_asset if fill else "",
        trade_id=fill.trade_id if fill else -1,
        execution_id=execution_id,
        maker=fill.maker if fill else False,
        on_book=is_resting and not order.waiting and order.status is not Status.PENDING_NEW,
        reject_reason=(row.reason or "NONE") if is_refused else "NONE",
        expiry_reason="",
        prevented=None,
        ts_ns=fill.ts_ns if fill else row.ts_updated_ns,
    )


class SeenList(msgspec.Struct, kw_only=True):
    """One order list of a bot (`ListLike`)."""

    list_id: int
    symbol: str
    contingency: Contingency
    client_id: str
    updated_ns: int
    is_done: bool
    orders: tuple[SeenOrder, ...]


def seen_list(rows: Sequence[BotOrderRow]) -> SeenList:
    """A list by its orders as they are now, in the order of its legs.

    Raises:
        ValueError: these are not the orders of a list.
    """
    first = rows[0].order_list
    if first is None:
        raise ValueError(f"{rows[0].own_id} is in no order list")
    return SeenList(
        list_id=max(_list_id(row) for row in rows),
        symbol=symbol_of(rows[0].instrument_id),
        contingency=first.contingency,
        client_id=first.bot_list_id,
        updated_ns=max(row.ts_updated_ns for row in rows),
        is_done=all(row.status in _ENDED and not row.in_doubt for row in rows),
        orders=tuple(seen_order(row) for row in rows),
    )


def list_status_of(changed: BotListChanged) -> ListStatus:
    """One change of a list."""
    seen = seen_list(changed.rows)
    return ListStatus(
        account=changed.bot,
        order_list=seen,
        is_done=changed.is_done,
        orders=tuple((one.order_id, one.shown_client_order_id) for one in seen.orders),
        ts_ns=seen.updated_ns,
    )


def seen_balances(balances: Iterable[Balance]) -> list[tuple[str, int, int]]:
    """(asset, free, locked) in units of 1e-8."""
    return [(one.asset, e8(one.free), e8(one.locked)) for one in balances]


def position_of(bot: str, balances: Iterable[Balance], now_ns: int) -> AccountPosition:
    """What a bot may spend of the assets that have changed."""
    return AccountPosition(account=bot, balances=seen_balances(balances), ts_ns=now_ns)


def _order_id(row: BotOrderRow) -> int:
    """The venue's id; -1 as long as it has said none."""
    return int(row.venue_order_id) if row.venue_order_id else _NO_ORDER_ID


def _list_id(row: BotOrderRow) -> int:
    """The venue's id of its list; -1: it is in none, or the venue has said none."""
    return int(row.venue_list_id) if row.venue_list_id else _NO_LIST
