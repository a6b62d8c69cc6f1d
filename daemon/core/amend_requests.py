"""Amends: sent once, believed when the venue says so.

Rules of this file:
1. One amend at a time on an order; while one is under way a further wish is passed over.
2. The order keeps its old quantity, and the gate its hold, until the venue has said the new one:
   by the answer, by the event, or by a query after silence. Nothing is concluded from silence.
3. What is under way is volatile: after a restart the boot snapshot tells every open quantity.
"""

from decimal import Decimal

from daemon.core.turn_context import TurnContext, names_of
from daemon.model import journal_records as journal
from daemon.model.amounts import plain
from daemon.model.effects import SendAmend
from daemon.model.enums import ReportSource
from daemon.model.ids import ClientOrderId
from daemon.model.intents import AmendIntent
from daemon.model.orders import Order
from daemon.model.records import EventType
from daemon.model.reports import CancelReject, ExecutionReport
from riskcaps.gate.interceptor import AmendApproved


class Amends:
    """Sends amends and takes what the venue says of quantities."""

    def __init__(self, ctx: TurnContext) -> None:
        """Share the desk."""
        self._ctx = ctx
        self.under_way: dict[ClientOrderId, Decimal] = {}

    def want(self, order: Order, intent: AmendIntent) -> str:
        """One wish through the interceptor; its line stands before its bytes leave.

        The deny code, or empty: it has left, or was passed over.
        """
        ctx = self._ctx
        if order.client_order_id in self.under_way or not ctx.gate.can_send:
            return ""
        verdict = ctx.interceptor.review_amend(intent, order, ctx.now_ns)
        if not isinstance(verdict, AmendApproved):
            self._refused(order, intent.qty, "caps", 0, verdict.reason.value)
            return str(verdict.reason.value)
        ctx.amend_requested(order, verdict.amend, intent.reason or "strategy")
        self.under_way[order.client_order_id] = verdict.amend.qty
        ctx.effects.append(SendAmend(verdict.amend))
        return ""

    def absorb(self, order: Order, report: ExecutionReport) -> None:
        """Follow the quantity that a report shows when it is smaller; older ones say more."""
        if 0 < report.qty < order.qty:
            self._ctx.amended(order, report.qty, report.source.value)
        wanted = self.under_way.get(order.client_order_id)
        if wanted is None:
            return
        asked = report.source in (ReportSource.QUERY, ReportSource.RECOVERED)
        if report.qty <= wanted or order.status.is_terminal or asked:
            del self.under_way[order.client_order_id]

    def on_reject(self, order: Order, reject: CancelReject) -> None:
        """The venue's no: the order is as it was, or has ended; a query tells which."""
        qty = self.under_way.pop(order.client_order_id, order.qty)
        self._refused(order, qty, "venue", reject.code, reject.reason)
        if not order.status.is_terminal:
            self._ctx.pending_queries.ask(order.client_order_id, "amend refused", self._ctx.now_ns)

    def in_doubt(self, order: Order, why: str) -> None:
        """Silence: the quantity is one of two, and the larger counts, until a query tells."""
        if order.status.is_terminal:
            self.under_way.pop(order.client_order_id, None)
        else:
            self._ctx.pending_queries.ask(
                order.client_order_id, f"amend in doubt: {why}", self._ctx.now_ns
            )

    def not_sent(self, order: Order, why: str) -> None:
        """Proof that an amend never left."""
        qty = self.under_way.pop(order.client_order_id, order.qty)
        self._refused(order, qty, "link", 0, why)

    def _refused(self, order: Order, qty: Decimal, by: str, code: int, msg: str) -> None:
        fields: journal.AmendRejectRecord = {
            **names_of(order), "qty": plain(qty), "by": by, "code": code, "msg": msg,
        }  # fmt: skip
        self._ctx.record(EventType.AMEND_REJECT, fields)
