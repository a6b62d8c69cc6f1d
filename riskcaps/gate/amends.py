"""Cancels and amends: who may, and what an order must be to be made smaller in its place.

Rules of this file:
1. A cancel passes in every state of trading; people and the engine have no budget.
2. An amend only takes risk away, so no cap on risk is asked; but it is a message, it is refused in
   a halt like all that is not a cancel, and it never asks for what the venue would refuse.
3. Nothing is released by a wish: the hold stays at the old quantity until the venue has said the
   new one (`on_leaves`), however long that takes.
"""

from decimal import Decimal

from daemon.model.enums import OrderStatus, TradingState
from daemon.model.intents import AmendIntent, CancelIntent
from daemon.model.orders import Order
from riskcaps.state.risk_state import RiskState
from riskcaps.words.denials import DenyReason
from riskcaps.words.order_kinds import PEOPLE

AMENDABLE = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)


def amend_denial(
    risk: RiskState, intent: AmendIntent, order: Order, now_ns: int
) -> DenyReason | None:
    """Why this amend may not leave, or None."""
    if order.status not in AMENDABLE or order.venue_order_id is None:
        return DenyReason.ORDER_NOT_OPEN
    if intent.strategy_id not in PEOPLE and intent.strategy_id != order.strategy_id:
        return DenyReason.NOT_OWNER
    if risk.health.halt.closed:
        return DenyReason.HALT_FLAG_CLOSED
    if risk.health.trading_state is TradingState.HALTED:
        return DenyReason.TRADING_HALTED
    if not risk.health.journal_ok:
        return DenyReason.JOURNAL_UNHEALTHY
    return _qty_denial(risk, intent.qty, order) or _messages(risk, order, now_ns, is_cancel=False)


def _qty_denial(risk: RiskState, qty: Decimal, order: Order) -> DenyReason | None:
    if type(qty) is not Decimal or not qty.is_finite() or qty <= 0:
        return DenyReason.MALFORMED_ORDER
    if not max(order.cum_qty, order.venue_cum_qty) < qty < order.qty:
        return DenyReason.AMEND_NOT_SMALLER
    book = risk.books.by_id.get(order.instrument_id)
    if book is None or book.instrument is None:
        return DenyReason.INSTRUMENT_UNKNOWN
    often = book.instrument.amends_max
    if often and order.amends + 1 > often:
        return DenyReason.FILTER_AMENDS
    if qty < book.qty_low:
        return DenyReason.FILTER_QTY
    return DenyReason.FILTER_LOT if qty % book.qty_step else None


def cancel_denial(
    risk: RiskState, intent: CancelIntent, order: Order, now_ns: int
) -> DenyReason | None:
    """Why this cancel may not leave, or None."""
    if order.status.is_terminal:
        return DenyReason.ORDER_NOT_OPEN
    if intent.strategy_id in PEOPLE:
        return None
    if intent.strategy_id != order.strategy_id:
        return DenyReason.NOT_OWNER
    return _messages(risk, order, now_ns, is_cancel=True)


def _messages(risk: RiskState, order: Order, now_ns: int, *, is_cancel: bool) -> DenyReason | None:
    """Whether one more message has room, of the account and of the bot whose order it is.

    A cancel may use what is kept for cancels; an amend may not.
    """
    for scope in (risk, risk.bots.of(order.client_order_id)):
        if scope is None:
            continue
        caps = scope.capset
        if scope.windows.cancels.counts(now_ns)[0] + 1 > caps.cancels_per_second_max:
            return DenyReason.CANCELS_PER_SECOND
        second, minute = scope.windows.messages(now_ns)
        second_max, minute_max = caps.messages_per_second_max, caps.messages_per_minute_max
        if not is_cancel:
            second_max = caps.limit("messages_per_second_max")
            minute_max = caps.limit("messages_per_minute_max")
        if second + 1 > second_max:
            return DenyReason.MESSAGES_PER_SECOND
        if minute + 1 > minute_max:
            return DenyReason.MESSAGES_PER_MINUTE
    return None
