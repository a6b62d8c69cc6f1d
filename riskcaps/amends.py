"""Amends: what an order must be to be made smaller in its place.

Rules of this file:
1. An amend only takes risk away, so no cap on risk is asked; but it is a message, it is refused in
   a halt like all that is not a cancel, and it never asks for what the venue would refuse.
2. Nothing is released by a wish: the hold stays at the old quantity until the venue has said the
   new one (`on_leaves`), however long that takes.
"""

from decimal import Decimal

from daemon.model.enums import OrderStatus, TradingState
from daemon.model.intents import AmendIntent
from daemon.model.orders import Order
from riskcaps.denials import DenyReason
from riskcaps.keeper import Keeper
from riskcaps.rules import HUMAN_ROADS

AMENDABLE = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)


def amend_denial(
    keeper: Keeper, intent: AmendIntent, order: Order, now_ns: int
) -> DenyReason | None:
    """Why this amend may not leave, or None."""
    if order.status not in AMENDABLE or order.venue_order_id is None:
        return DenyReason.ORDER_NOT_OPEN
    if intent.strategy_id not in HUMAN_ROADS and intent.strategy_id != order.strategy_id:
        return DenyReason.NOT_OWNER
    if keeper.halt.closed:
        return DenyReason.HALT_FLAG_CLOSED
    if keeper.trading_state is TradingState.HALTED:
        return DenyReason.TRADING_HALTED
    if not keeper.journal_ok:
        return DenyReason.JOURNAL_UNHEALTHY
    return _qty_denial(keeper, intent.qty, order) or _message_denial(keeper, now_ns)


def _qty_denial(keeper: Keeper, qty: Decimal, order: Order) -> DenyReason | None:
    if type(qty) is not Decimal or not qty.is_finite() or qty <= 0:
        return DenyReason.MALFORMED_ORDER
    if not max(order.cum_qty, order.venue_cum_qty) < qty < order.qty:
        return DenyReason.AMEND_NOT_SMALLER
    book = keeper.books.get(order.instrument_id)
    if book is None or book.instrument is None:
        return DenyReason.INSTRUMENT_UNKNOWN
    often = book.instrument.amends_max
    if often and order.amends + 1 > often:
        return DenyReason.FILTER_AMENDS
    if qty < book.qty_low:
        return DenyReason.FILTER_QTY
    return DenyReason.FILTER_LOT if qty % book.qty_step else None


def _message_denial(keeper: Keeper, now_ns: int) -> DenyReason | None:
    if keeper.cancels.counts(now_ns)[0] + 1 > keeper.capset.cancels_per_second_max:
        return DenyReason.CANCELS_PER_SECOND
    second, minute = keeper.messages(now_ns)
    if second + 1 > keeper.watch["messages_per_second_max"].limit:
        return DenyReason.MESSAGES_PER_SECOND
    if minute + 1 > keeper.watch["messages_per_minute_max"].limit:
        return DenyReason.MESSAGES_PER_MINUTE
    return None
