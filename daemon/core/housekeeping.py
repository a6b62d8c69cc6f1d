"""Our own clockwork: due each 200 ms, a heartbeat now and then, and the proof that we ran at all.

Rules of this file:
1. A stopped process (SIGSTOP, a frozen group, starvation) notices nothing itself: only that
   its own clockwork comes late. Whatever it reads first when it wakes was sent long ago. (Engine
   time goes on while the machine sleeps, so a suspend shows here, too.)
2. After a gap inside a session the books are compared before anything may be placed; a gap that
   left orders of ours alone for too long is an incident.
"""

from collections.abc import Sequence

from daemon.core.reconciliation_rounds import ReconciliationRounds
from daemon.core.ticks import HOUSEKEEPING
from daemon.core.turn_context import TurnContext
from daemon.model import journal_records as journal
from daemon.model.effects import ArmTimer
from daemon.model.enums import OrderStatus
from daemon.model.records import EventType
from daemon.model.stop_triggers import StopTrigger

_NS_PER_MS = 1_000_000
NEVER_NS = 1 << 62
"""Later than any time."""


class Housekeeping:
    """When things come round, and whether they did."""

    def __init__(self, ctx: TurnContext, rounds: ReconciliationRounds) -> None:
        """Not running yet: `begin` starts it."""
        self._ctx = ctx
        self._rounds = rounds
        self._due_ns = 0
        self.overdue_ns = NEVER_NS
        """From then on it comes so late that nothing of the process ran meanwhile (`overslept`)."""
        self._heartbeat_ns = 0
        self.queue_age_ms = 0
        """The oldest input since the last heartbeat."""

    def begin(self) -> None:
        """The first turn of a run."""
        self._heartbeat_ns = self._ctx.now_ns
        self.wind_up()

    def wind_up(self) -> None:
        """Come round again in a while."""
        ctx = self._ctx
        self._due_ns = ctx.now_ns + ctx.config.housekeeping_period_ns
        self.overdue_ns = self._due_ns + ctx.config.process_gap_ns
        ctx.effects.append(ArmTimer(HOUSEKEEPING, self._due_ns))

    def overslept(self) -> bool:
        """Ask before anything else when `overdue_ns` is over: True when a session missed it."""
        ctx = self._ctx
        late_ns = ctx.now_ns - self._due_ns
        self.wind_up()
        if not ctx.ledger.session.session_id:
            return False
        late_ms = late_ns // _NS_PER_MS
        self._rounds.abandon()
        ctx.gate.forget_reconciled()
        self._rounds.want(f"slept {late_ms} ms")
        orders = [order.client_order_id for order in ctx.books.working()]
        if orders and late_ns >= ctx.config.process_stopped_ns:
            ctx.trouble(
                StopTrigger.PROCESS_STOPPED,
                f"the process did not run for {late_ms} ms, with {len(orders)} order(s) open",
                context={"slept_ms": late_ms, "orders": orders},
            )
        return True

    def beat(self, counts: Sequence[int]) -> None:
        """Write a heartbeat when it is time; `counts` are the running totals that it states."""
        ctx = self._ctx
        if ctx.now_ns - self._heartbeat_ns < ctx.config.heartbeat_period_ns:
            return
        self._heartbeat_ns = ctx.now_ns
        working = list(ctx.books.working())
        fields: journal.HeartbeatRecord = {
            "trading_state": ctx.trading_state.value, "gate_state": ctx.gate.state.value,
            "open_orders": len(working),
            "unknown_orders": sum(order.status is OrderStatus.UNKNOWN for order in working),
            "queue_age_ms": self.queue_age_ms,
            "period_ms": ctx.config.heartbeat_period_ns // _NS_PER_MS, "counts": list(counts),
        }  # fmt: skip
        ctx.record(EventType.HEARTBEAT, fields)
        self.queue_age_ms = 0
