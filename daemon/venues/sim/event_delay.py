"""The post office of user events: sends them on in order, or as the fault plan says.

An event that is not disturbed leaves at once; a disturbed one waits here until its time. Times are
handed in, so the same script disturbs the same events under virtual and under wall time.
"""

from heapq import heappop, heappush

from daemon.venues.binance_spot.serving.events import ExecReport
from daemon.venues.sim.exchange import Exchange
from daemon.venues.sim.sim_orders import UserEvent

_MS_NS = 1_000_000


class UserEventDelay:
    """Takes the exchange's user events, hands them out when they are due."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._held: list[tuple[int, int, UserEvent]] = []
        self._number = 0
        self._hold_until_ns = 0

    def take(self, now_ns: int) -> list[UserEvent]:
        """Everything that goes out now, in the order it goes out."""
        outbox = self._exchange.user_outbox
        ready: list[UserEvent] = []
        while self._held and self._held[0][0] <= now_ns:
            ready.append(heappop(self._held)[2])
        if outbox:
            self._exchange.user_outbox = []
            for event in outbox:
                self._post(event, now_ns, ready)
        return ready

    def _post(self, event: UserEvent, now_ns: int, ready: list[UserEvent]) -> None:
        is_fill = isinstance(event, ExecReport) and event.trade_id >= 0
        verdict = self._exchange.faults.on_event(is_fill=is_fill, now_ns=now_ns)
        for kind in verdict.kinds:
            detail = event.order.client_order_id if isinstance(event, ExecReport) else ""
            self._exchange.ledger.on_fault(kind, now_ns, detail)
        for delay_ms in verdict.delays_ms:
            due_ns = max(now_ns + delay_ms * _MS_NS, self._hold_until_ns)
            if verdict.in_order:
                self._hold_until_ns = due_ns
            if due_ns <= now_ns:
                ready.append(event)
            else:
                self._number += 1
                heappush(self._held, (due_ns, self._number, event))
