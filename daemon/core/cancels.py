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

    def __init__(self, ctx: TurnContext) -> None:
        """Share the desk."""
        self._ctx = ctx

    def want(self, order: Order, why: str, by: StrategyId = ENGINE) -> None:
        """See an order gone: send a cancel now if none is under way."""
        if order.status.is_terminal:
            return
        wanted = self._ctx.pending_queries.want_cancel(order.client_order_id, why, self._ctx.now_ns)
        if wanted.stage is Stage.SEND and wanted.due_ns <= self._ctx.now_ns:
            self._send(order, wanted, by)

    def want_all(self, why: str, symbol: str = "") -> int:
        """See every order of ours gone (of one symbol, when given); how many there are."""
        orders = [
            order
            for order in self._ctx.books.working()
            if not symbol or symbol_of(order.instrument_id) == symbol
        ]
        for order in orders:
            self.want(order, why)
        return len(orders)

    def _send(self, order: Order, wanted: CancelTry, by: StrategyId = ENGINE) -> None:
        ctx = self._ctx
        if not ctx.gate.can_send:
            wanted.due_ns = ctx.now_ns + ctx.config.query_base_ns
            return
        if self._goes_with_its_list(order):
            ctx.pending_queries.cancel_sent(wanted, ctx.now_ns)
            return
        intent = CancelIntent(
            strategy_id=by, client_order_id=order.client_order_id, reason=wanted.why
        )
        verdict = ctx.interceptor.review_cancel(intent, order, ctx.now_ns)
        if isinstance(verdict, CancelApproved):
            ctx.cancel_requested(order, verdict.cancel, wanted.why)
            ctx.effects.append(SendCancel(verdict.cancel))
            self._ctx.pending_queries.cancel_sent(wanted, ctx.now_ns)
        else:
            self._ctx.pending_queries.cancel_asked(wanted, ctx.now_ns)
            wanted.stage = Stage.SEND
        if wanted.attempts > ctx.config.cancel_attempts_max and not wanted.alarmed:
            wanted.alarmed = True
            ctx.trouble(
                StopTrigger.CANCEL_STUCK,
                f"order {order.client_order_id} is not gone after {wanted.attempts} attempts",
                symbol_of(order.instrument_id),
                {"client_order_id": order.client_order_id},
            )

    def _goes_with_its_list(self, order: Order) -> bool:
        """Whether the cancel of another order of its list is under way: the venue ends them all.

        Without effect it is asked about like any cancel, and then sent itself.
        """
        cancels = self._ctx.pending_queries.cancels
        return any(
            one is not order
            and (wanted := cancels.get(one.client_order_id)) is not None
            and wanted.stage is Stage.SENT
            for one in open_legs(self._ctx, order)
        )

    def in_doubt(self, order: Order, trigger: Trigger | None, why: str) -> None:
        """A cancel was refused or not answered: query; whether to send again, the answer says."""
        if order.status.is_terminal:
            return
        if trigger is not None:
            self._ctx.fire(order, trigger, why)
        wanted = self._ctx.pending_queries.cancels.get(order.client_order_id)
        if wanted is not None:
            self._ctx.pending_queries.cancel_asked(wanted, self._ctx.now_ns)
            self._ctx.query(order)
        else:
            self._ctx.pending_queries.ask(
                order.client_order_id, "cancel in doubt", self._ctx.now_ns
            )

    def answered(self, order: Order) -> None:
        """A query found the order still open: send the wanted cancel again when its time comes."""
        wanted = self._ctx.pending_queries.cancels.get(order.client_order_id)
        if wanted is None or order.status.is_terminal or wanted.stage is not Stage.ASKED:
            return
        self._ctx.pending_queries.cancel_later(wanted, self._ctx.now_ns)
        if wanted.due_ns <= self._ctx.now_ns:
            self._send(order, wanted)

    def appeared(self, order: Order) -> None:
        """The venue has the order now: a cancel that came before it is sent again at once."""
        wanted = self._ctx.pending_queries.cancels.get(order.client_order_id)
        if wanted is None or order.status.is_terminal or wanted.stage is not Stage.ASKED:
            return
        wanted.stage, wanted.due_ns = Stage.SEND, self._ctx.now_ns
        self._send(order, wanted)

    def not_sent(self, order: Order, why: str) -> None:
        """Proof that a cancel never left."""
        ctx = self._ctx
        if order.status.is_terminal:
            return
        ctx.fire(order, Trigger.CANCEL_REFUSED, f"cancel not sent: {why}")
        if order.client_order_id in ctx.pending_queries.replaces:
            ctx.fire(order, Trigger.REPLACE_SENT, "its replace is still on its way")
        wanted = ctx.pending_queries.cancels.get(order.client_order_id)
        if wanted is not None:
            ctx.pending_queries.cancel_later(wanted, ctx.now_ns)
            wanted.due_ns = max(wanted.due_ns, ctx.now_ns + ctx.config.query_base_ns)

    def tick(self) -> None:
        """Cancels whose time has come."""
        ctx = self._ctx
        for cid, wanted in ctx.pending_queries.cancels_due(ctx.now_ns):
            order = ctx.books.orders.get(cid)
            if order is None or order.status.is_terminal:
                ctx.pending_queries.cancels.pop(cid, None)
            elif wanted.stage is Stage.SEND:
                self._send(order, wanted)
            elif ctx.gate.can_ask:
                ctx.pending_queries.cancel_asked(wanted, ctx.now_ns)
                ctx.query(order)


def open_legs(ctx: TurnContext, order: Order) -> list[Order]:
    """The open orders of an order's list, itself among them; of an order on its own: none."""
    if order.order_list is None:
        return []
    list_id = order.order_list.list_id
    return [
        one
        for one in ctx.books.open_of(order.strategy_id).values()
        if one.order_list is not None and one.order_list.list_id == list_id
    ]
