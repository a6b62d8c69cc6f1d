"""Recovery: one journal fact folded into the ledger.

Rules of this file:
1. A fact calls the same ledger function that the live turn called, with the values of its line.
2. `FOLDS` lists the events that recovery needs; its functions see a line as `journal_records.py`
   declares it. A line that this build does not need for its state is skipped; one that it needs
   and cannot read stops recovery with a sentence (no guess ever enters the books).
"""

from collections.abc import Callable, Mapping
from typing import Any

from daemon.core.durable_state import DurableState, Incident
from daemon.core.lifecycle import Trigger, advance
from daemon.core.turn_context import SENT
from daemon.model import journal_records as journal
from daemon.model.amounts import AmountError, decimal_of
from daemon.model.bots import BotState, bot_of
from daemon.model.enums import OrderStatus
from daemon.model.ids import ClientOrderId
from daemon.model.instrument import Instrument
from daemon.model.orders import Order
from daemon.model.plain_values import from_plain
from daemon.model.position import Balance
from daemon.model.records import EventType
from daemon.model.reject_kind import RejectKind
from daemon.model.reports import Fill

Fields = Mapping[str, Any]


class FoldError(ValueError):
    """A journal line that recovery needs and cannot read."""


def apply_fact(ledger: DurableState, record: Fields) -> None:
    """Fold one line (envelope and fields).

    Raises:
        FoldError: naming the line and what is wrong with it.
    """
    fold = FOLDS.get(record["event_type"])
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


def _order(ledger: DurableState, client_order_id: ClientOrderId) -> Order:
    order = ledger.books.orders.get(client_order_id)
    if order is None:
        raise FoldError(f"no such order: {client_order_id}")
    return order


def _instruments(ledger: DurableState, record: journal.InstrumentsRecord, _: int) -> None:
    ledger.load_instruments([from_plain(Instrument, one) for one in record["instruments"]])


def _approved(ledger: DurableState, record: journal.OrderApprovedRecord, now_ns: int) -> None:
    owner = record.get("owner")
    facts = {"status": SENT, "ts_approved_ns": now_ns, "ts_updated_ns": now_ns}
    if owner:
        facts["bot_order_id"] = owner["client_order_id"]
    order = from_plain(Order, {**record, **facts})
    ledger.interceptor.restore_approved(record, now_ns)
    ledger.approve(order)


def _denied(ledger: DurableState, record: journal.OrderDeniedRecord, _: int) -> None:
    ledger.deny(record["deny_reason"], bot_of(record["strategy_id"]))


def _state(ledger: DurableState, record: journal.OrderStateRecord, now_ns: int) -> None:
    ledger.move(
        _order(ledger, record["client_order_id"]),
        OrderStatus(record["new"]),
        now_ns,
        venue_order_id=record["order_id"],
        venue_cum_qty=decimal_of(record["venue_cum_qty"]),
        ts_venue_ns=record.get("ts_venue_ns", 0),
        venue_list_id=record.get("order_list_id"),
    )


def _fill(ledger: DurableState, record: journal.FillRecord, now_ns: int) -> None:
    fill = from_plain(Fill, {**record, "venue_order_id": record["order_id"]})
    ledger.book_fill(fill, _order(ledger, record["client_order_id"]), now_ns)


def _reject(ledger: DurableState, record: journal.OrderRejectRecord, now_ns: int) -> None:
    is_fault = record.get("kind", RejectKind.FAULT) == RejectKind.FAULT
    ledger.reject(record["client_order_id"], now_ns, is_fault=is_fault)


def _resolved(ledger: DurableState, record: journal.OrderResolvedRecord, now_ns: int) -> None:
    if record["outcome"] == "adopted":
        order = from_plain(Order, record["order"])
        ledger.adopt(order, now_ns, counted=record.get("counted", False))


def _cancel_requested(
    ledger: DurableState, record: journal.CancelRequestedRecord, now_ns: int
) -> None:
    order = _order(ledger, record["client_order_id"])
    row = advance(order.status, Trigger.CANCEL_SENT, order.venue_order_id, order.cum_qty)
    ledger.heard(ledger.interceptor.risk.on_cancel_sent(order.client_order_id, now_ns))
    ledger.request_cancel(order, row.new, now_ns)


def _amend_requested(
    ledger: DurableState, record: journal.AmendRequestedRecord, now_ns: int
) -> None:
    risk = ledger.interceptor.risk  # the same budget of messages
    ledger.heard(risk.on_cancel_sent(record["client_order_id"], now_ns))


def _amended(ledger: DurableState, record: journal.OrderAmendedRecord, now_ns: int) -> None:
    ledger.amend(_order(ledger, record["client_order_id"]), decimal_of(record["qty"]), now_ns)


def _session_start(ledger: DurableState, record: journal.SessionStartRecord, now_ns: int) -> None:
    ledger.start_session(record["session_id"], now_ns)


def _session_stop(ledger: DurableState, _: Fields, __: int) -> None:
    ledger.stop_session()


def _trading_state(ledger: DurableState, record: journal.TradingStateRecord, _: int) -> None:
    if record["latched"]:
        ledger.latch(record["why"])


def _kill(ledger: DurableState, record: journal.KillRecord, _: int) -> None:
    if record["step"] == "latched":
        ledger.latch(f"kill: {record['reason']}")


def _re_arm(ledger: DurableState, _: Fields, __: int) -> None:
    ledger.re_arm()


def _incident(ledger: DurableState, record: journal.IncidentOpenedRecord, now_ns: int) -> None:
    ledger.open_incident(from_plain(Incident, {**record, "opened_ns": now_ns}))


def _incident_resolved(
    ledger: DurableState, record: journal.IncidentResolvedRecord, now_ns: int
) -> None:
    ledger.resolve_incident(record["incident_id"], record["by"], now_ns)


def _explanation(ledger: DurableState, record: journal.ExplanationRecord, now_ns: int) -> None:
    if record.get("incident_id"):
        ledger.explain(record["incident_id"], record["why"])
    if record.get("re_enabled"):
        ledger.re_enable(record["by"], now_ns)


def _caps_changed(ledger: DurableState, record: journal.CapsChangedRecord, _: int) -> None:
    is_of_ours = record["old_hash"] == ledger.interceptor.risk.capset.hash
    (ledger.tighten if is_of_ours else ledger.ended.update)(record["changes"])


def _reconciled(ledger: DurableState, record: journal.ReconciledRecord, now_ns: int) -> None:
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


def _equity(ledger: DurableState, record: journal.EquityRecord, _: int) -> None:
    ledger.interceptor.risk.ledger.apply(record)


def _cap_alert(ledger: DurableState, record: journal.CapAlertRecord, _: int) -> None:
    if record.get("kind") == "breach" and not record.get("bot"):
        ledger.interceptor.risk.ledger.latch(record["cap"])


def _checkpoint(ledger: DurableState, record: journal.CheckpointRecord, _: int) -> None:
    ledger.restore(record["state"])


def _rate_limit(ledger: DurableState, record: journal.RateLimitRecord, _: int) -> None:
    ledger.rate_limited(record["scope"], record["until_ns"], record.get("msg", ""))


def _bot_switched(ledger: DurableState, record: journal.BotSwitchedRecord, _: int) -> None:
    ledger.bots.switch(record["bot"], BotState(record["state"]), record["reason"])


def _bot_refused(ledger: DurableState, record: journal.BotRefusedRecord, _: int) -> None:
    ledger.bots.refuse(record["bot"], record["refusal"])


def _bot_throttled(ledger: DurableState, record: journal.BotThrottledRecord, _: int) -> None:
    ledger.bots.throttle(record["bot"], record["count"])


FOLDS: dict[str, Callable[[DurableState, Any, int], None]] = {
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
    EventType.BOT_SWITCHED: _bot_switched,
    EventType.BOT_REFUSED: _bot_refused,
    EventType.BOT_THROTTLED: _bot_throttled,
}
