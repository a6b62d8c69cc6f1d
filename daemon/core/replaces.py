"""Replaces: a cancel and a placement in one request, and what its silence or refusal means.

Rules of this file:
1. A replace that never left, or that the venue refused, leaves its target as it was. Only the
   placement of the new order is ended by it, by a `NotSent` or a reject of its own.
2. Silence about a replace says nothing of its target: it is asked about, and stays pending until a
   query shows it as it was, or gone.
3. What is under way is volatile: after a restart a pending replace is in doubt.
"""

from daemon.core.lifecycle import Trigger
from daemon.core.turn_context import TurnContext
from daemon.model.effects import SendReplace
from daemon.model.enums import OrderStatus
from daemon.model.orders import Order, ReplaceOrder

REPLACEABLE = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
"""Where an order must stand to be replaced or amended: shown by the venue, nothing under way."""


class Replaces:
    """Follows the targets of replaces."""

    def __init__(self, ctx: TurnContext) -> None:
        """Share the desk."""
        self._ctx = ctx

    def send(self, target: Order, replace: ReplaceOrder, why: str) -> None:
        """Mark the target; its request leaves in this turn."""
        ctx = self._ctx
        ctx.fire(target, Trigger.REPLACE_SENT, why)
        ctx.pending_queries.replaces[target.client_order_id] = False
        ctx.effects.append(SendReplace(replace))

    def not_sent(self, target: Order, why: str) -> None:
        """Proof that a replace never left."""
        self._over(target, f"replace not sent: {why}")

    def refused(self, target: Order, why: str) -> None:
        """The venue's no to the cancel half."""
        self._over(target, why)

    def in_doubt(self, target: Order, why: str) -> None:
        """Silence: whether the target is gone, a query tells."""
        ctx = self._ctx
        if target.status.is_terminal:
            return
        ctx.pending_queries.replaces[target.client_order_id] = True
        ctx.pending_queries.ask(target.client_order_id, f"replace in doubt: {why}", ctx.now_ns)

    def answered(self, target: Order) -> None:
        """A query was answered after silence: the target stands as it was, or has ended."""
        if self._ctx.pending_queries.replaces.get(target.client_order_id):
            self._over(target, "asked after silence: the replace has not touched it")

    def _over(self, target: Order, why: str) -> None:
        self._ctx.pending_queries.replaces.pop(target.client_order_id, None)
        if target.status is OrderStatus.PENDING_REPLACE:
            self._ctx.fire(target, Trigger.REPLACE_REFUSED, why)
