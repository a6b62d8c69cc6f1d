"""Execution: what the venue says, or does not say, about our orders.

Rules of this file:
1. Fills first, by ExecId; then the status, by the lifecycle table.
2. The venue's cumulative quantity ahead of our fills means that fills are owed: they are fetched.
3. A timeout, a refused cancel, an unknown status: query. Nothing is concluded from silence.
"""

from daemon.core.amend_requests import Amends
from daemon.core.cancels import Cancels
from daemon.core.lifecycle import TRIGGER_OF_VENUE_STATUS, Trigger
from daemon.core.made_reports import adopted_from
from daemon.core.pending_queries import Ask
from daemon.core.replaces import Replaces
from daemon.core.turn_context import TurnContext, names_of
from daemon.model import journal_records as journal
from daemon.model.amounts import ZERO, plain
from daemon.model.enums import (
    OrderStatus,
    ReportSource,
)
from daemon.model.ids import ClientOrderId, is_ours, symbol_of
from daemon.model.inputs import NotSent, OutcomeUnknown, QueryFailed
from daemon.model.orders import Order
from daemon.model.records import EventType
from daemon.model.reject_kind import RejectKind
from daemon.model.reports import CancelReject, ExecutionReport, Mute, NotFound, Reject
from daemon.model.stop_triggers import StopTrigger

_FILLED = OrderStatus.FILLED
_FILL, _PARTIAL = Trigger.FILL, Trigger.PARTIAL
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

DUPLICATE_ORDER = "Duplicate order sent"
_ANSWERS = (ReportSource.QUERY, ReportSource.RECOVERED)


class Execution:
    """The order path after the wire: reports, refusals, silence, cancels."""

    def __init__(
        self, ctx: TurnContext, cancels: Cancels, amends: Amends, replaces: Replaces
    ) -> None:
        """Share the desk."""
        self._replaces = replaces
        self._ctx = ctx
        self._cancels = cancels
        self._amends = amends
        self.foreign: dict[ClientOrderId, None] = {}
        """Orders of others seen on the stream since the last snapshot."""
        self.vanished: dict[ClientOrderId, None] = {}
        """Orders that the venue had shown and now knows nothing of: a snapshot must tell."""

    # ------------------------------------------------------------------ reports
    def on_report(self, report: ExecutionReport) -> Order | None:
        """Take one report; the order it is about, or None when it is not ours."""
        order = self._ctx.books.orders.get(report.client_order_id) or self.stranger(report)
        if order is not None:
            self.absorb(order, report)
        return order

    def absorb(self, order: Order, report: ExecutionReport) -> None:
        """Book what is new in a report, then move the order."""
        ctx, is_new = self._ctx, order.venue_order_id is None
        for fill in report.fills:
            if not ctx.books.has_fill(fill):
                ctx.book(fill, order)
        if report.qty < order.qty or self._amends.under_way:
            self._amends.absorb(order, report)
        if order.order_list is not None and order.order_list.is_paid and report.qty:
            ctx.books.size(order)
        trigger = TRIGGER_OF_VENUE_STATUS.get(report.venue_status)
        if trigger is None:
            self._unrecognised(order, report)
        else:
            ctx.fire(order, trigger, report.reason or report.exec_type._value_, report)
        self.check_quantities(order)
        if report.source in _ANSWERS:
            self._after_answer(order)
        if is_new and ctx.pending_queries.cancels and order.venue_order_id is not None:
            self._cancels.appeared(order)

    def check_quantities(self, order: Order) -> None:
        """Whole means FILLED; more than the whole is an alarm; less than claimed is fetched."""
        ctx, cum_qty = self._ctx, order.cum_qty
        if cum_qty >= order.qty:
            if order.status is not _FILLED:
                ctx.fire(order, _FILL, "booked fills add up to the whole")
            if cum_qty > order.qty:
                ctx.trouble(
                    StopTrigger.OVERFILL,
                    f"order {order.client_order_id} is filled beyond its quantity: "
                    f"{plain(cum_qty)} of {plain(order.qty)}",
                    symbol_of(order.instrument_id),
                    {"client_order_id": order.client_order_id},
                )
        elif order.status in _BEFORE_FILLS and cum_qty > ZERO:
            ctx.fire(order, _PARTIAL, "fill before the acknowledgement")
        if order.venue_cum_qty > cum_qty:
            grace = ctx.config.owed_fill_grace_ns
            ctx.pending_queries.ask(order.client_order_id, "fills owed", ctx.now_ns, delay_ns=grace)
        elif order.status.is_terminal:
            ctx.pending_queries.forget(order.client_order_id)

    def stranger(self, report: ExecutionReport, *, is_open: bool = False) -> Order | None:
        """A report for an order that the books do not have: an echo, ours, or somebody else's.

        `is_open`: the venue lists it as open for sure, so it is no echo.
        """
        ctx = self._ctx
        cid = report.client_order_id
        if not is_ours(cid, ctx.config.instance):
            self.foreign[cid] = None
            return None
        news = [fill for fill in report.fills if not ctx.books.has_fill(fill)]
        if ctx.books.is_forgotten(cid) and not news and not is_open:
            return None
        order = self.adopt(report)
        ctx.trouble(
            StopTrigger.UNKNOWN_OWN_ORDER,
            f"the venue reports our order {cid}, which the books do not have: adopted",
            symbol_of(report.instrument_id),
            {"client_order_id": cid, "venue_status": report.venue_status.value},
        )
        return order

    def adopt(self, report: ExecutionReport) -> Order:
        """Take an order of ours that the books do not have into them."""
        ctx = self._ctx
        order = adopted_from(report, ctx.now_ns)
        ctx.resolved(order, "adopted", f"{report.source.value} report {report.venue_status.value}")
        return order

    def _unrecognised(self, order: Order, report: ExecutionReport) -> None:
        ctx = self._ctx
        ctx.pending_queries.ask(
            order.client_order_id,
            "unrecognised status",
            ctx.now_ns,
            delay_ns=ctx.config.query_base_ns,
        )
        ask = ctx.pending_queries.asks[order.client_order_id]
        if not ask.alarmed:
            ask.alarmed = True
            fields = journal.ExchangeErrorRecord(
                code=0,
                msg=f"order {order.client_order_id}: a status we do not know; querying",
                context=report.reason,
            )
            ctx.record(EventType.EXCHANGE_ERROR, fields)

    def _after_answer(self, order: Order) -> None:
        """A query was answered: drop the question if it is settled; send a wanted cancel again."""
        owed = order.venue_cum_qty > order.cum_qty
        if order.status is not OrderStatus.UNKNOWN and not owed:
            self._ctx.pending_queries.asks.pop(order.client_order_id, None)
        self._replaces.answered(order)
        self._cancels.answered(order)

    # ------------------------------------------------------------------ refusals and silence
    def on_reject(self, reject: Reject) -> Order | None:
        """The venue's definite no to a placement."""
        ctx = self._ctx
        order = ctx.books.orders.get(reject.client_order_id)
        if order is None:
            return None
        if DUPLICATE_ORDER in reject.reason:
            fields = journal.ExchangeErrorRecord(
                code=reject.code, msg=reject.reason, context=order.client_order_id
            )
            ctx.record(EventType.EXCHANGE_ERROR, fields)
            self.doubt(order, "the venue has an order with this id already")
        else:
            is_fault = reject.kind is RejectKind.FAULT
            ctx.ledger.reject(order.client_order_id, ctx.now_ns, is_fault=is_fault)
            refusal: journal.OrderRejectRecord = {
                **_refusal(order, reject), "kind": reject.kind.value,
            }  # fmt: skip
            ctx.record(EventType.ORDER_REJECT, refusal)
            ctx.refusals[order.instrument_id] = f"{reject.code} {reject.reason}"
            ctx.fire(order, Trigger.REJECT, f"{reject.code} {reject.reason}")
            self.check_quantities(order)
        return order

    def on_cancel_reject(self, reject: CancelReject) -> Order | None:
        """A cancel did nothing; why, only a query tells."""
        ctx = self._ctx
        order = ctx.books.orders.get(reject.client_order_id)
        if order is None:
            return None
        ctx.record(EventType.CANCEL_REJECT, _refusal(order, reject))
        why = f"{reject.code} {reject.reason}"
        if order.status is OrderStatus.PENDING_REPLACE:
            self._replaces.refused(order, why)
            self._cancels.in_doubt(order, None, why)
        else:
            self._cancels.in_doubt(order, Trigger.CANCEL_REFUSED, why)
        return order

    def on_amend_reject(self, reject: CancelReject) -> None:
        """An amend did nothing."""
        order = self._ctx.books.orders.get(reject.client_order_id)
        if order is not None:
            self._amends.on_reject(order, reject)
            self.ask_due()

    def on_outcome_unknown(self, unknown: OutcomeUnknown) -> Order | None:
        """A request left and was not answered."""
        ctx = self._ctx
        order = ctx.books.orders.get(unknown.client_order_id)
        fields = journal.TimeoutRecord(
            client_order_id=unknown.client_order_id, symbol=symbol_of(unknown.instrument_id),
            instrument_id=unknown.instrument_id, request=unknown.request, msg=unknown.reason,
        )  # fmt: skip
        ctx.record(EventType.TIMEOUT, fields)
        if order is None:
            return None
        if unknown.request == "place":
            self.doubt(order, unknown.reason)
        elif unknown.request == "replace":
            self._replaces.in_doubt(order, unknown.reason)
        elif unknown.request == "amend":
            self._amends.in_doubt(order, unknown.reason)
        else:
            self._cancels.in_doubt(order, None, unknown.reason)
        return order

    def doubt(self, order: Order, why: str) -> None:
        """Silence about a placement: UNKNOWN, unless the venue has shown the order already."""
        ctx = self._ctx
        ctx.fire(order, Trigger.SILENCE, why)
        if order.status is OrderStatus.UNKNOWN:
            ctx.pending_queries.ask(order.client_order_id, "outcome unknown", ctx.now_ns)

    def on_not_sent(self, not_sent: NotSent) -> Order | None:
        """Proof that bytes never left; the order whose placement it was, when that ends it.

        A cancel, an amend or a replace that never left changes nothing of its target.
        """
        ctx = self._ctx
        order = ctx.books.orders.get(not_sent.client_order_id)
        if order is None:
            return None
        if not_sent.request == "place":
            if ctx.fire(order, Trigger.NOT_SENT, not_sent.reason):
                ctx.resolved(order, "not_sent", not_sent.reason)
                self.check_quantities(order)
                return order
        elif not_sent.request == "replace":
            self._replaces.not_sent(order, not_sent.reason)
        elif not_sent.request == "amend":
            self._amends.not_sent(order, not_sent.reason)
        else:
            self._cancels.not_sent(order, not_sent.reason)
        return None

    def on_absent(self, absent: NotFound, *, asked_ns: int | None = None) -> Order | None:
        """The venue knows no such order: a proof only when asked after the settling time.

        The order when this ends it, else None.
        """
        ctx = self._ctx
        order = ctx.books.orders.get(absent.client_order_id)
        if order is None or order.status.is_terminal:
            return None
        ask = ctx.pending_queries.asks.get(order.client_order_id)
        if asked_ns is None:
            asked_ns = ask.asked_ns if ask is not None else 0
        config = ctx.config
        if order.venue_order_id is not None or order.cum_qty > 0:
            self._vanished(order, asked_ns)
        elif asked_ns - order.ts_approved_ns >= config.unknown_settle_ns:
            age_ms = (asked_ns - order.ts_approved_ns) // 1_000_000
            proof = f"not found when asked {age_ms} ms after sending"
            if ctx.fire(order, Trigger.ABSENT, proof):
                ctx.resolved(order, "absent", proof)
                ctx.pending_queries.forget(order.client_order_id)
                return order
        else:
            self.doubt(order, "not found, but too early to be a proof")
            ctx.pending_queries.ask(order.client_order_id, "absent?", ctx.now_ns)
            ask = ctx.pending_queries.asks[order.client_order_id]
            settled = order.ts_approved_ns + config.unknown_settle_ns
            ask.due_ns = max(ask.due_ns, min(settled, ctx.now_ns + config.query_cap_ns))
        return None

    def on_open_there(self, report: ExecutionReport) -> None:
        """An order that the books hold ended, or have forgotten, is open at the venue for sure.

        It is held again and counts against the caps; the incident cancels it. One whose fills add
        up to the whole has nothing left to hold: that is only told.
        """
        ctx = self._ctx
        order = ctx.books.orders.get(report.client_order_id)
        if order is None:
            self.stranger(report, is_open=True)
        elif order.cum_qty >= order.qty:
            ctx.trouble(
                StopTrigger.LIFECYCLE,
                f"order {order.client_order_id} is filled, and the venue lists it as open",
                symbol_of(order.instrument_id),
                {"client_order_id": order.client_order_id, "status": order.status.value},
            )
        else:
            ctx.fire(order, Trigger.OPEN_THERE, "open at the venue in two snapshots", report)

    def on_mute(self, mute: Mute) -> None:
        """Asked about an order, the venue gave no usable answer, though it answers otherwise."""
        ctx, config = self._ctx, self._ctx.config
        order = ctx.books.orders.get(mute.client_order_id)
        if order is None:
            return
        ctx.pending_queries.ask(
            order.client_order_id, "no answer", ctx.now_ns, delay_ns=config.query_base_ns
        )
        ask = ctx.pending_queries.asks[order.client_order_id]
        ask.mute = mute.reason
        ask.mute_ns = ask.mute_ns or ctx.now_ns
        bound = config.confirm_ns if mute.refused else config.unknown_settle_ns
        if ctx.now_ns - ask.mute_ns >= bound:
            ctx.fire(order, Trigger.UNANSWERED, mute.reason)

    def on_query_failed(self, failed: QueryFailed) -> None:
        """No answer to a query: it is asked again; what came instead is kept for the incident."""
        ask = self._ctx.pending_queries.asks.get(failed.client_order_id)
        if ask is not None:
            ask.mute = failed.reason

    def _vanished(self, order: Order, asked_ns: int) -> None:
        ctx = self._ctx
        ctx.pending_queries.ask(
            order.client_order_id, "vanished", ctx.now_ns, delay_ns=ctx.config.query_base_ns
        )
        if asked_ns - order.ts_updated_ns >= ctx.config.unknown_settle_ns:
            self.vanished[order.client_order_id] = None

    def after_restart(self) -> None:
        """What was under way when the last run ended went unanswered."""
        ctx = self._ctx
        for order in list(ctx.books.working()):
            if order.status in (OrderStatus.APPROVED, OrderStatus.SUBMITTED):
                self.doubt(order, "restart: whether its bytes left is not known")
            elif order.status is OrderStatus.PENDING_REPLACE:
                self._replaces.in_doubt(order, "restart")
            elif order.status is OrderStatus.PENDING_CANCEL:
                ctx.pending_queries.want_cancel(order.client_order_id, "restart", ctx.now_ns)

    # ------------------------------------------------------------------ time
    def tick(self) -> None:
        """Everything that is due: missing acknowledgements, queries, cancels."""
        ctx, now = self._ctx, self._ctx.now_ns
        for order in ctx.books.open.values():
            silent = now - order.ts_approved_ns >= ctx.config.ack_deadline_ns
            if order.status is OrderStatus.SUBMITTED and silent:
                self.doubt(order, "no answer within the deadline")
        self.ask_due()
        self._cancels.tick()

    def ask_due(self) -> None:
        """Send the queries whose time has come."""
        ctx, now = self._ctx, self._ctx.now_ns
        if not ctx.gate.can_ask:
            return
        for cid, ask in ctx.pending_queries.asks_due(now):
            order = ctx.books.orders.get(cid)
            if order is None:
                ctx.pending_queries.forget(cid)
                continue
            ctx.pending_queries.asked(ask, now)
            ctx.query(order)
            self._alarm_when_old(order, ask)

    def _alarm_when_old(self, order: Order, ask: Ask) -> None:
        ctx = self._ctx
        if ctx.now_ns - ask.since_ns < ctx.config.unknown_incident_ns or ask.alarmed:
            return
        ask.alarmed = True
        ctx.trouble(
            StopTrigger.UNKNOWN_ORDER,
            f"order {order.client_order_id} ({order.status}, {ask.why}) is unsettled after "
            f"{(ctx.now_ns - ask.since_ns) // 1_000_000_000} s"
            + (f"; the venue says: {ask.mute}" if ask.mute else ""),
            symbol_of(order.instrument_id),
            {"client_order_id": order.client_order_id, "attempts": ask.attempts},
        )


_BEFORE_FILLS = (OrderStatus.SUBMITTED, OrderStatus.ACCEPTED)


def _refusal(order: Order, reject: Reject | CancelReject) -> journal.CancelRejectRecord:
    return {**names_of(order), "code": reject.code, "msg": reject.reason}
