"""Cancels: wanted once, seen through.

Rules of this file:
1. A wanted cancel is sent, asked about when nothing happens, and sent again with backoff, until the
   order ends. It is never sent twice in one go: no cancel storm.
2. A refused or unanswered cancel proves nothing (`-2011` may mean filled, gone, or not there yet).
3. Every cancel passes `Interceptor.review_cancel`; a denied one waits for its turn.
"""

from daemon.core.lifecycle import Trigger
from daemon.core.pending_queries import CancelTry, Stage
from daemon.core.turn_context import TurnContext
from daemon.model.effects import SendCancel
from daemon.model.ids import StrategyId, symbol_of
from daemon.model.intents import ENGINE, CancelIntent
from daemon.model.orders import Order
from daemon.model.stop_triggers import StopTrigger
from riskcaps.gate.interceptor import CancelApproved


class Cancels:
    """Sends cancels and follows them."""

    def __init__(self, desk: TurnContext) -> None:
        """Share the desk."""
        self._desk = desk

    def want(self, order: Order, why: str, by: StrategyId = ENGINE) -> None:
        """See an order gone: send a cancel now if none is under way."""
        if order.status.is_terminal:
            return
        wanted = self._desk.chase.want_cancel(order.client_order_id, why, self._desk.now_ns)
        if wanted.stage is Stage.SEND and wanted.due_ns <= self._desk.now_ns:
            self._send(order, wanted, by)

    def want_all(self, why: str, symbol: str = "") -> int:
        """See every order of ours gone (of one symbol, when given); how many there are."""
        orders = [
            order
            for order in self._desk.books.working()
            if not symbol or symbol_of(order.instrument_id) == symbol
        ]
        for order in orders:
            self.want(order, why)
        return len(orders)

    def _send(self, order: Order, wanted: CancelTry, by: StrategyId = ENGINE) -> None:
        desk = self._desk
        if not desk.gate.can_send:
            wanted.due_ns = desk.now_ns + desk.config.query_base_ns
            return
        intent = CancelIntent(
            strategy_id=by, client_order_id=order.client_order_id, reason=wanted.why
        )
        verdict = desk.interceptor.review_cancel(intent, order, desk.now_ns)
        if isinstance(verdict, CancelApproved):
            desk.cancel_requested(order, wanted.why)
            desk.effects.append(SendCancel(verdict.cancel))
            self._desk.chase.cancel_sent(wanted, desk.now_ns)
        else:
            self._desk.chase.cancel_asked(wanted, desk.now_ns)
            wanted.stage = Stage.SEND
        if wanted.attempts > desk.config.cancel_attempts_max and not wanted.alarmed:
            wanted.alarmed = True
            desk.trouble(
                StopTrigger.CANCEL_STUCK,
                f"order {order.client_order_id} is not gone after {wanted.attempts} attempts",
                symbol_of(order.instrument_id),
                {"client_order_id": order.client_order_id},
            )

    def in_doubt(self, order: Order, trigger: Trigger | None, why: str) -> None:
        """A cancel was refused or not answered: query; whether to send again, the answer says."""
        if order.status.is_terminal:
            return
        if trigger is not None:
            self._desk.fire(order, trigger, why)
        wanted = self._desk.chase.cancels.get(order.client_order_id)
        if wanted is not None:
            self._desk.chase.cancel_asked(wanted, self._desk.now_ns)
            self._desk.query(order)
        else:
            self._desk.chase.ask(order.client_order_id, "cancel in doubt", self._desk.now_ns)

    def answered(self, order: Order) -> None:
        """A query found the order still open: send the wanted cancel again when its time comes."""
        wanted = self._desk.chase.cancels.get(order.client_order_id)
        if wanted is None or order.status.is_terminal or wanted.stage is not Stage.ASKED:
            return
        self._desk.chase.cancel_later(wanted, self._desk.now_ns)
        if wanted.due_ns <= self._desk.now_ns:
            self._send(order, wanted)

    def appeared(self, order: Order) -> None:
        """The venue has the order now: a cancel that came before it is sent again at once."""
        wanted = self._desk.chase.cancels.get(order.client_order_id)
        if wanted is None or order.status.is_terminal or wanted.stage is not Stage.ASKED:
            return
        wanted.stage, wanted.due_ns = Stage.SEND, self._desk.now_ns
        self._send(order, wanted)

    def not_sent(self, order: Order, why: str) -> None:
        """Proof that a cancel never left."""
        desk = self._desk
        if order.status.is_terminal:
            return
        desk.fire(order, Trigger.CANCEL_REFUSED, f"cancel not sent: {why}")
        if order.client_order_id in desk.chase.replaces:
            desk.fire(order, Trigger.REPLACE_SENT, "its replace is still on its way")
        wanted = desk.chase.cancels.get(order.client_order_id)
        if wanted is not None:
            desk.chase.cancel_later(wanted, desk.now_ns)
            wanted.due_ns = max(wanted.due_ns, desk.now_ns + desk.config.query_base_ns)

    def tick(self) -> None:
        """Cancels whose time has come."""
        desk = self._desk
        for cid, wanted in desk.chase.cancels_due(desk.now_ns):
            order = desk.books.orders.get(cid)
            if order is None or order.status.is_terminal:
                desk.chase.cancels.pop(cid, None)
            elif wanted.stage is Stage.SEND:
                self._send(order, wanted)
            elif desk.gate.can_ask:
                desk.chase.cancel_asked(wanted, desk.now_ns)
                desk.query(order)
