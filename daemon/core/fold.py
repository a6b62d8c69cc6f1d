"""Recovery: one journal fact folded into the ledger.

Rules of this file:
1. A fact calls the same ledger function that the live turn called, with the values of its line.
2. A line that this build does not need for its state is skipped; a line that it needs and cannot
   read stops recovery with a sentence (no guess ever enters the books).
"""

from collections.abc import Callable, Mapping
from typing import Any

from daemon.core.durable_state import DurableState, Incident
from daemon.core.lifecycle import Trigger, advance
from daemon.core.turn_context import SENT
from daemon.model.amounts import AmountError, decimal_of
from daemon.model.enums import (
    LiquidityFlag,
    OrderStatus,
    OrderType,
    RejectKind,
    Side,
    TimeInForce,
)
from daemon.model.ids import SessionId
from daemon.model.instrument import Instrument
from daemon.model.order_features import OrderExtras
from daemon.model.orders import Order
from daemon.model.plain_values import from_plain
from daemon.model.position import Balance
from daemon.model.records import EventType
from daemon.model.reports import Fill

Fields = Mapping[str, Any]


class FoldError(ValueError):
    """A journal line that recovery needs and cannot read."""


def apply_fact(ledger: DurableState, record: Fields) -> None:
    """Fold one line (envelope and fields).

    Raises:
        FoldError: naming the line and what is wrong with it.
    """
    fold = _FOLDS.get(record["event_type"])
    # Every fact moves the gate's time: a mark of an old time would open yesterday's day again.
    ledger.interceptor.risk.advance(record["ts_ns"])
    if fold is None:
        return
    try:
        fold(ledger, record, record["ts_ns"])
    except (KeyError, ValueError, TypeError, AmountError) as error:
        raise FoldError(
            f"journal line seq {record.get('seq')} ({record['event_type']}) cannot be folded: "
            f"{type(error).__name__} {error}; the journal is damaged or from another build"
        ) from error


def _order(ledger: DurableState, record: Fields) -> Order:
    order = ledger.books.orders.get(record["client_order_id"])
    if order is None:
        raise FoldError(f"no such order: {record['client_order_id']}")
    return order


def _instruments(ledger: DurableState, record: Fields, _: int) -> None:
    ledger.load_instruments([from_plain(Instrument, one) for one in record["instruments"]])


def _approved(ledger: DurableState, record: Fields, now_ns: int) -> None:
    order = Order(
        client_order_id=record["client_order_id"],
        strategy_id=record["strategy_id"],
        instrument_id=record["instrument_id"],
        side=Side(record["side"]),
        order_type=OrderType(record["order_type"]),
        qty=decimal_of(record["qty"]),
        price=None if record["price"] is None else decimal_of(record["price"]),
        time_in_force=TimeInForce(record["time_in_force"]) if record["time_in_force"] else None,
        stop_price=None if record["stop_price"] is None else decimal_of(record["stop_price"]),
        status=OrderStatus.APPROVED,
        ts_approved_ns=now_ns,
        ts_updated_ns=now_ns,
        reduce_only=record.get("reduce_only", False),
        extras=from_plain(OrderExtras, record["extras"]) if record.get("extras") else None,
    )
    order.status = SENT
    ledger.interceptor.restore_approved(record, now_ns)
    ledger.approve(order)


def _denied(ledger: DurableState, record: Fields, _: int) -> None:
    ledger.deny(record["deny_reason"])


def _state(ledger: DurableState, record: Fields, now_ns: int) -> None:
    ledger.move(
        _order(ledger, record),
        OrderStatus(record["new"]),
        now_ns,
        venue_order_id=record["order_id"],
        venue_cum_qty=decimal_of(record["venue_cum_qty"]),
    )


def _fill(ledger: DurableState, record: Fields, now_ns: int) -> None:
    fill = Fill(
        exec_id=record["exec_id"],
        client_order_id=record["client_order_id"],
        venue_order_id=record["order_id"],
        instrument_id=record["instrument_id"],
        side=Side(record["side"]),
        qty=decimal_of(record["qty"]),
        price=decimal_of(record["price"]),
        fee=decimal_of(record["fee"]),
        fee_asset=record["fee_asset"],
        liquidity=LiquidityFlag(record["liquidity"]),
        ts_venue_ns=record["ts_venue_ns"],
        ts_recv_ns=record["ts_recv_ns"],
        recovered=record["recovered"],
    )
    ledger.book_fill(fill, _order(ledger, record), now_ns)


def _reject(ledger: DurableState, record: Fields, now_ns: int) -> None:
    is_fault = record.get("kind", RejectKind.FAULT) == RejectKind.FAULT
    ledger.reject(record["client_order_id"], now_ns, is_fault=is_fault)


def _resolved(ledger: DurableState, record: Fields, now_ns: int) -> None:
    if record["outcome"] == "adopted":
        order = from_plain(Order, record["order"])
        ledger.adopt(order, now_ns, counted=record.get("counted", False))


def _cancel_requested(ledger: DurableState, record: Fields, now_ns: int) -> None:
    order = _order(ledger, record)
    row = advance(
        order.status,
        Trigger.CANCEL_SENT,
        acknowledged=order.venue_order_id is not None,
        partly_filled=order.cum_qty > 0,
    )
    ledger.heard(ledger.interceptor.risk.on_cancel_sent(order.client_order_id, now_ns))
    ledger.request_cancel(order, row.new, now_ns)


def _amend_requested(ledger: DurableState, record: Fields, now_ns: int) -> None:
    risk = ledger.interceptor.risk  # the same budget of messages
    ledger.heard(risk.on_cancel_sent(record["client_order_id"], now_ns))


def _amended(ledger: DurableState, record: Fields, now_ns: int) -> None:
    ledger.amend(_order(ledger, record), decimal_of(record["qty"]), now_ns)


def _session_start(ledger: DurableState, record: Fields, now_ns: int) -> None:
    ledger.start_session(SessionId(record["session_id"]), now_ns)


def _session_stop(ledger: DurableState, _: Fields, __: int) -> None:
    ledger.stop_session()


def _trading_state(ledger: DurableState, record: Fields, _: int) -> None:
    if record["latched"]:
        ledger.latch(record["why"])


def _kill(ledger: DurableState, record: Fields, _: int) -> None:
    if record["step"] == "latched":
        ledger.latch(f"kill: {record['reason']}")


def _re_arm(ledger: DurableState, _: Fields, __: int) -> None:
    ledger.re_arm()


def _incident(ledger: DurableState, record: Fields, now_ns: int) -> None:
    ledger.open_incident(
        Incident(
            incident_id=record["incident_id"],
            trigger=record["trigger"],
            msg=record["msg"],
            symbol=record["symbol"],
            opened_ns=now_ns,
            context=dict(record["context"]),
        )
    )


def _incident_resolved(ledger: DurableState, record: Fields, now_ns: int) -> None:
    ledger.resolve_incident(record["incident_id"], record["by"], now_ns)


def _explanation(ledger: DurableState, record: Fields, now_ns: int) -> None:
    if record.get("incident_id"):
        ledger.explain(record["incident_id"], record["why"])
    if record.get("re_enabled"):
        ledger.re_enable(record["by"], now_ns)


def _caps_changed(ledger: DurableState, record: Fields, _: int) -> None:
    if record["old_hash"] == ledger.interceptor.risk.capset.hash:
        ledger.tighten(record["changes"])


def _reconciled(ledger: DurableState, record: Fields, now_ns: int) -> None:
    if record.get("failed"):
        return
    balances = [
        Balance(asset, decimal_of(free), decimal_of(locked))
        for asset, (free, locked) in record["balances"].items()
    ]
    ledger.reconciled(balances, now_ns, rebase=record["basis_set"])
    accepted = record.get("accepted")
    if accepted is None:  # a journal from before changes had names: new assets were taken over
        known = {b.asset: b.free + b.locked for b in balances if b.asset not in ledger.basis}
        ledger.accept(known)
    else:
        ledger.accept({asset: decimal_of(total) for asset, total in accepted.items()})


def _equity(ledger: DurableState, record: Fields, _: int) -> None:
    ledger.interceptor.risk.ledger.apply(record)


def _cap_alert(ledger: DurableState, record: Fields, _: int) -> None:
    if record.get("kind") == "breach":
        ledger.interceptor.risk.ledger.latch(record["cap"])


def _checkpoint(ledger: DurableState, record: Fields, _: int) -> None:
    ledger.restore(record["state"])


def _rate_limit(ledger: DurableState, record: Fields, _: int) -> None:
    ledger.rate_limited(record["scope"], record["until_ns"], record.get("msg", ""))


_FOLDS: dict[str, Callable[[DurableState, Fields, int], None]] = {
    EventType.INSTRUMENTS: _instruments,
    EventType.ORDER_APPROVED: _approved,
    EventType.ORDER_DENIED: _denied,
    EventType.ORDER_STATE: _state,
    EventType.FILL: _fill,
    EventType.ORDER_REJECT: _reject,
    EventType.ORDER_RESOLVED: _resolved,
    EventType.CANCEL_REQUESTED: _cancel_requested,
    EventType.AMEND_REQUESTED: _amend_requested,
    EventType.ORDER_AMENDED: _amended,
    EventType.SESSION_START: _session_start,
    EventType.SESSION_STOP: _session_stop,
    EventType.TRADING_STATE: _trading_state,
    EventType.KILL: _kill,
    EventType.RE_ARM: _re_arm,
    EventType.INCIDENT_OPENED: _incident,
    EventType.INCIDENT_RESOLVED: _incident_resolved,
    EventType.EXPLANATION: _explanation,
    EventType.RECONCILED: _reconciled,
    EventType.EQUITY: _equity,
    EventType.RATE_LIMIT: _rate_limit,
    EventType.CAP_ALERT: _cap_alert,
    EventType.CAPS_CHANGED: _caps_changed,
    EventType.CHECKPOINT: _checkpoint,
}
