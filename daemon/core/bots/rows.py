"""Orders as their bots see them, and what has changed of them since they were last told.

Rules of this file:
1. A row is made from the fold alone, at the moment it is told.
2. Changes are found by comparing the order with what was told of it, not by listening to reports:
   so whatever route proves a change (reply, stream, query, snapshot), it is told once, and in the
   order in which the venue would tell it: NEW, every trade, the end.
3. What the bot has been told is volatile: a restart begins with the fold, and bots ask.
"""

from collections.abc import Iterator

import msgspec

from daemon.core.books import trade_id_of
from daemon.core.turn_context import TurnContext
from daemon.model.amounts import ZERO
from daemon.model.bots import BotFill, BotOrderRow, bot_of
from daemon.model.copies import replace
from daemon.model.effects import BotOrderChanged
from daemon.model.enums import ExecType, LiquidityFlag, OrderStatus, VenueOrderStatus
from daemon.model.ids import ClientOrderId, first_of_list
from daemon.model.orders import Order
from daemon.model.reports import Fill

_REJECTED, _FILLED, _PARTIALLY_FILLED = (
    VenueOrderStatus.REJECTED,
    VenueOrderStatus.FILLED,
    VenueOrderStatus.PARTIALLY_FILLED,
)
_NEW = VenueOrderStatus.NEW
_CANCELED, _ORDERSTATUS_FILLED, _UNKNOWN = (
    OrderStatus.CANCELED,
    OrderStatus.FILLED,
    OrderStatus.UNKNOWN,
)
_EXECTYPE_NEW, _TRADE, _REPLACED = ExecType.NEW, ExecType.TRADE, ExecType.REPLACED
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

_ENDS = {
    OrderStatus.FILLED: VenueOrderStatus.FILLED,
    OrderStatus.CANCELED: VenueOrderStatus.CANCELED,
    OrderStatus.EXPIRED: VenueOrderStatus.EXPIRED,
    OrderStatus.REJECTED: VenueOrderStatus.REJECTED,
}
_EXEC_TYPES = {
    VenueOrderStatus.CANCELED: ExecType.CANCELED,
    VenueOrderStatus.EXPIRED: ExecType.EXPIRED,
    VenueOrderStatus.REJECTED: ExecType.REJECTED,
}


class BotTold(msgspec.Struct):
    """How much of an order its bot has heard."""

    is_new: bool = False
    fills: int = 0
    is_ended: bool = False
    amends: int = 0
    was_in_doubt: bool = False
    was_pending: bool = False


class Rows:
    """Makes rows and changes; remembers what was told."""

    def __init__(self, ctx: TurnContext) -> None:
        """Share the desk."""
        self._ctx = ctx
        self._patience = {spec.name: spec.patience_ns for spec in ctx.config.bots}
        self._told: dict[ClientOrderId, BotTold] = {}
        self._fresh: dict[ClientOrderId, BotOrderRow] = {}
        """Made at the end of this turn, which changes no order any more."""
        self.cancel_ids: dict[ClientOrderId, str] = {}
        """The bot's id of the cancel that it asked for last, by our id of the order."""
        self.reasons: dict[ClientOrderId, str] = {}
        """Why an order was refused or never left."""

    def begin(self) -> None:
        """A run begins: everything that the fold has counts as told."""
        for order in self._ctx.books.orders.values():
            if order.bot_order_id:
                self._told[order.client_order_id] = BotTold(
                    is_new=is_shown(order),
                    fills=len(self._fills(order)),
                    is_ended=order.status.is_terminal,
                    amends=order.amends,
                    was_in_doubt=order.status is OrderStatus.UNKNOWN,
                    was_pending=self._is_pending(order),
                )

    def turn_over(self) -> None:
        """The turn has told all that it had to tell."""
        self._fresh.clear()

    def row(self, order: Order) -> BotOrderRow:
        """The order as it stands."""
        cid = order.client_order_id
        made = self._fresh.get(cid)
        if made is not None:
            return made
        terms = order.terms
        fills = self._fills(order)
        venue_order_id = order.venue_order_id
        if venue_order_id is None and fills:  # a trade of it was seen before its report
            venue_order_id = fills[0].venue_order_id
        is_paid = order.order_list is not None and order.order_list.is_paid
        is_pending = self._is_pending(order)
        by_quote = terms is not None and terms.quote_qty is not None
        is_whole = by_quote and order.status is _ORDERSTATUS_FILLED  # until then it is a bound
        return BotOrderRow(
            bot=bot_of(order.strategy_id) or "",
            client_order_id=order.bot_order_id,
            own_id=cid,
            instrument_id=order.instrument_id,
            venue_order_id=venue_order_id,
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            status=status_of(order),
            qty=ZERO if is_paid and is_pending else order.cum_qty if is_whole else order.qty,
            price=order.price,
            stop_price=order.stop_price,
            cum_qty=order.cum_qty,
            cum_quote=order.cum_quote,
            extras=order.extras,
            quote_qty=None if terms is None else terms.quote_qty,
            tags=() if terms is None else terms.tags,
            fills=tuple(_fill_of(one) for one in fills),
            amends=0 if by_quote or is_paid else order.amends,  # the venue has said its size
            in_doubt=order.status is _UNKNOWN,
            cancel_client_order_id=self.cancel_ids.get(cid, ""),
            reason=self.reasons.get(cid, ""),
            ts_placed_ns=order.ts_venue_placed_ns or order.ts_approved_ns,
            ts_updated_ns=order.ts_venue_ns or order.ts_updated_ns,
            order_list=order.order_list,
            venue_list_id=order.venue_list_id,
            is_pending=is_pending,
        )

    def _is_pending(self, order: Order) -> bool:
        """Whether it waits for the first order of its list, as far as the fold knows."""
        leg = order.order_list
        if leg is None or not leg.is_pending or order.cum_qty > 0:
            return False
        is_sized = order.amends > 0 or order.client_order_id in self._ctx.books.sized
        if leg.is_paid and not (is_sized or order.status.is_terminal):
            return True  # the venue says its quantity when its turn has come
        first = self._ctx.books.orders.get(first_of_list(leg.list_id))
        return first is not None and first.status is not OrderStatus.FILLED

    def changes(self, order: Order) -> Iterator[BotOrderChanged]:
        """What has changed since its bot was last told; it counts as told from here on."""
        cid = order.client_order_id
        told = self._told.get(cid)
        if told is None:
            told = self._told[cid] = BotTold()
        row = self._fresh[cid] = self.row(order)
        if order.status is _UNKNOWN:
            told.was_in_doubt = True
        if not told.is_new and is_shown(order):
            told.is_new = True
            yield _change(_before_trades(row), _EXECTYPE_NEW)
        if row.is_pending:
            told.was_pending = True
        elif told.was_pending and row.status is VenueOrderStatus.NEW:
            told.was_pending = False  # its turn has come: the venue says NEW again
            yield _change(row, _EXECTYPE_NEW)
        for count in range(told.fills + 1, len(row.fills) + 1):
            yield _change(_after_trades(row, count), _TRADE, row.fills[count - 1])
        told.fills = len(row.fills)
        if row.amends > told.amends:
            told.amends = row.amends
            yield _change(row, _REPLACED)
        if not order.status.is_terminal:
            told.is_ended = False
        elif not told.is_ended:
            told.is_ended = True
            kind = _EXEC_TYPES.get(row.status) if row.status is not None else None
            # A placement that was refused in so many words is no event at the venue either; one
            # that was in doubt, or refused late, is: its bot has heard "unknown".
            age_ns = self._ctx.now_ns - order.ts_approved_ns
            was_in_doubt = told.was_in_doubt or age_ns >= self._patience.get(row.bot, 0)
            if kind is not None and (told.is_new or was_in_doubt):
                yield _change(row, kind)

    def forget_gone(self) -> None:
        """Drop what was told of orders that the books no longer have."""
        orders = self._ctx.books.orders
        self._told = {cid: one for cid, one in self._told.items() if cid in orders}
        self.cancel_ids = {cid: one for cid, one in self.cancel_ids.items() if cid in orders}
        self.reasons = {cid: one for cid, one in self.reasons.items() if cid in orders}

    @property
    def remembered(self) -> int:
        """Of how many orders something is remembered."""
        return len(self._told)

    def _fills(self, order: Order) -> list[Fill]:
        return self._ctx.ledger.bots.fills.get(order.client_order_id, [])


def is_shown(order: Order) -> bool:
    """Whether the venue has shown that it has, or had, the order."""
    return order.venue_order_id is not None or order.cum_qty > 0


def status_of(order: Order) -> VenueOrderStatus | None:
    """The venue's word for where the order stands; None: nothing proves that it has it."""
    if order.status is _CANCELED and not is_shown(order):
        return _REJECTED  # it never left
    end = _ENDS.get(order.status)
    if end is not None:
        return end
    if order.cum_qty >= order.qty:
        return _FILLED
    if order.cum_qty > 0:
        return _PARTIALLY_FILLED
    return _NEW if order.venue_order_id is not None else None


def _fill_of(fill: Fill) -> BotFill:
    return BotFill(
        trade_id=trade_id_of(fill.exec_id),
        qty=fill.qty,
        price=fill.price,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        is_maker=fill.liquidity is LiquidityFlag.MAKER,
        ts_venue_ns=fill.ts_venue_ns,
    )


def _change(row: BotOrderRow, kind: ExecType, fill: BotFill | None = None) -> BotOrderChanged:
    return BotOrderChanged(bot=row.bot, row=row, exec_type=kind, fill=fill)


def _before_trades(row: BotOrderRow) -> BotOrderRow:
    return replace(
        row,
        status=_NEW,
        cum_qty=ZERO,
        cum_quote=ZERO,
        fills=(),
        ts_updated_ns=row.ts_placed_ns,
    )


def _after_trades(row: BotOrderRow, count: int) -> BotOrderRow:
    """The row as it was after so many of its trades."""
    fills = row.fills[:count]
    done = sum((one.qty for one in fills), ZERO)
    whole = done >= row.qty or (row.status is VenueOrderStatus.FILLED and count == len(row.fills))
    return replace(
        row,
        status=VenueOrderStatus.FILLED if whole else VenueOrderStatus.PARTIALLY_FILLED,
        cum_qty=done,
        cum_quote=sum((one.qty * one.price for one in fills), ZERO),
        fills=fills,
        ts_updated_ns=fills[-1].ts_venue_ns,
    )
