"""The fields of the lines `order_approved` and `order_denied` (daemon/model/records.py)."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from daemon.model import journal_records as journal
from daemon.model.amounts import plain
from daemon.model.enums import OrderStatus
from daemon.model.ids import symbol_of
from daemon.model.intents import PlaceIntent
from daemon.model.list_legs import ListLeg
from daemon.model.orders import NewOrder, Order
from daemon.model.plain_values import to_plain

_APPROVED = OrderStatus.APPROVED
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

_NOTHING: journal.SomeExtras = {}
Owner = Mapping[str, Any]
"""Of a bot's order: `bot`, `client_order_id` (the bot's own), `request`."""


def amount(value: Decimal | None) -> str | None:
    """Decimal text for a record, or null."""
    return None if value is None else plain(value)


def approved_fields(
    order: NewOrder,
    reason: str,
    decision: Mapping[str, Any],
    counts: Sequence[int],
    owner: Owner | None,
) -> journal.OrderApprovedRecord:
    """What an approval's line says; `counts` are those of the session, this one included."""
    is_plain = order.extras is None and order.terms is None and order.order_list is None
    is_plain = is_plain and owner is None
    return {
        "client_order_id": order.client_order_id,
        "symbol": symbol_of(order.instrument_id),
        "instrument_id": order.instrument_id,
        "strategy_id": order.strategy_id,
        "side": order.side._value_,
        "order_type": order.order_type._value_,
        "qty": plain(order.qty),
        "price": None if order.price is None else plain(order.price),
        "time_in_force": order.time_in_force._value_ if order.time_in_force else None,
        "stop_price": None if order.stop_price is None else plain(order.stop_price),
        "reduce_only": order.reduce_only,
        **(_NOTHING if is_plain else _extras(order, owner)),
        "reason": reason,
        "decision": decision,
        "counts": counts,
    }


def denied_fields(
    intent: PlaceIntent,
    verdict: tuple[str, Mapping[str, Any], Mapping[str, Any]],
    counts: Sequence[int],
    owner: Owner | None,
) -> journal.OrderDeniedRecord:
    """What a denial's line says; `verdict`: the reason, its context, the decision."""
    reason, context, decision = verdict
    return {
        "symbol": symbol_of(intent.instrument_id),
        "instrument_id": intent.instrument_id,
        "strategy_id": intent.strategy_id,
        "side": intent.side._value_,
        "order_type": intent.order_type._value_,
        "qty": amount(intent.qty),
        "price": amount(intent.price),
        "time_in_force": intent.time_in_force._value_ if intent.time_in_force else None,
        **_owner(owner),
        **_listed(intent.order_list),
        "deny_reason": reason,
        "deny_context": to_plain(context),
        "decision": decision,
        "counts": counts,
    }


def _extras(order: NewOrder, owner: Owner | None) -> journal.SomeExtras:
    found: journal.SomeExtras = {}
    if order.extras is not None:
        found["extras"] = to_plain(order.extras)
    if order.terms is not None:
        found["terms"] = to_plain(order.terms)
    if owner is not None:
        found["owner"] = owner
    return {**found, **_listed(order.order_list)}


def _listed(leg: ListLeg | None) -> journal.SomeList:
    return {} if leg is None else {"order_list": to_plain(leg)}


def _owner(owner: Owner | None) -> journal.SomeOwner:
    return {} if owner is None else {"owner": owner}


def order_of(order: NewOrder) -> Order:
    """Our view of an order at the moment of its approval."""
    return Order(  # by place, as far as it goes: by name it takes four times as long
        order.client_order_id,
        order.strategy_id,
        order.instrument_id,
        order.side,
        order.order_type,
        order.qty,
        order.price,
        order.time_in_force,
        order.stop_price,
        _APPROVED,
        order.ts_ns,
        order.ts_ns,
        reduce_only=order.reduce_only,
        extras=order.extras,
        terms=order.terms,
        order_list=order.order_list,
    )
