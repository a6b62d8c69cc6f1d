"""Reconciliation rounds: when to ask for a snapshot, and what to do with it.

Rules of this file:
1. One round at a time; a wish during a round is kept and runs after it.
2. A snapshot's fills and statuses are facts of the venue: booked first, marked `recovered`. What
   still differs is classified (`reconcile.py`), must stand twice, and then stops us (promise P8).
3. The gate is READY only after a round whose differences are all accounted for.
"""

from dataclasses import dataclass, replace

from daemon.core.desk import Desk
from daemon.core.execution import Execution, as_recovered
from daemon.core.ledger import WIPE
from daemon.core.reconcile import Difference, Suspects, Weighed, compare
from daemon.core.retry import backoff_ns
from daemon.model.amounts import ZERO, plain
from daemon.model.effects import OrderRef, Reply, TakeSnapshot
from daemon.model.enums import GateState
from daemon.model.ids import InstrumentId, VenueOrderId, instrument_id, is_ours
from daemon.model.orders import Order
from daemon.model.position import Balance
from daemon.model.records import EventType
from daemon.model.reports import Fill, VenueSnapshot


@dataclass(slots=True, kw_only=True)
class Round:
    """A snapshot on its way."""

    reason: str
    asked_ns: int
    asked_mark: int
    trades_after: dict[InstrumentId, int]


class Rounds:
    """Asks for snapshots and digests them."""

    def __init__(self, desk: Desk, execution: Execution) -> None:
        """Share the desk."""
        self._desk = desk
        self._execution = execution
        self._under_way: Round | None = None
        self._wanted = ""
        self._due_ns = 0
        self._failures = 0
        self._suspects = Suspects(desk.config.confirm_ns)
        self._rebase = False
        self.last_clean_ns = 0
        self.last_round_ns = 0
        self.last_reason = ""
        self.rounds = 0
        self.last_asked_ns = 0
        self.last_open_ours = 0
        self._commands: list[str] = []
        self._told: dict[str, Balance] = {}
        """Balances as the lines of this run say them."""

    # ------------------------------------------------------------------ asking
    def want(self, reason: str, *, delay_ns: int = 0) -> None:
        """Have a round run as soon as the links allow; the first reason is kept."""
        due = self._desk.now_ns + delay_ns
        if not self._wanted or due < self._due_ns:
            self._due_ns = due
        self._wanted = self._wanted or reason
        self.tick()

    def tick(self) -> None:
        """Start the wanted round, give up one without answer, begin an audit when it is time."""
        desk, now = self._desk, self._desk.now_ns
        if not desk.gate.all_up:
            return
        running = self._under_way
        if running is not None and now - running.asked_ns >= desk.config.snapshot_deadline_ns:
            self.on_failed("no answer within the deadline")
        audit = desk.config.audit_period_ns
        if not self._wanted and audit and now - self.last_round_ns >= audit and self.rounds:
            self._wanted, self._due_ns = "audit", now
        if self._wanted and self._under_way is None and now >= self._due_ns:
            self._start()

    def abandon(self) -> None:
        """The link is lost: whatever was asked will not be answered."""
        self._under_way = None

    def rebase(self) -> None:
        """After an operator resolved a mismatch: the next round takes the venue's balances over."""
        self._rebase = True
        self._suspects.forgive()
        self.want("resolved")

    def _start(self) -> None:
        desk = self._desk
        ours = [instrument_id(s, desk.config.environment) for s in desk.config.symbols]
        refs = [
            OrderRef(one.client_order_id, one.instrument_id, one.venue_order_id)
            for one in desk.books.open.values()
        ]
        cursor = {iid: desk.books.last_trade.get(iid, -1) for iid in ours}
        self._under_way = Round(
            reason=self._wanted,
            asked_ns=desk.now_ns,
            asked_mark=desk.books.flow_mark,
            trades_after=cursor,
        )
        desk.effects.append(TakeSnapshot(self._wanted, tuple(refs), cursor))
        self._wanted = ""

    # ------------------------------------------------------------------ answers
    def on_failed(self, why: str) -> None:
        """Nothing may be concluded; try again, slower each time."""
        desk = self._desk
        reason = self._under_way.reason if self._under_way else "retry"
        self._under_way = None
        self._failures += 1
        config = desk.config
        wait = backoff_ns(self._failures, config.query_base_ns, config.query_cap_ns)
        desk.record(
            EventType.RECONCILED,
            {
                "reason": reason,
                "clean": False,
                "failed": why,
                "differences": [],
                "recovered_fills": 0,
                "adopted": 0,
                "canceled": 0,
                "balances": {},
                "basis_set": False,
            },
        )
        self.want(self._wanted or reason, delay_ns=wait)

    def on_taken(self, snapshot: VenueSnapshot) -> bool:
        """Digest a snapshot; True when the gate became (or stayed) reconciled by it."""
        desk = self._desk
        running = self._under_way
        if running is None or snapshot.reason != running.reason:
            return False  # asked before a link was lost: a picture of another time
        self._under_way = None
        self.last_asked_ns = running.asked_ns
        self._failures = 0
        self.rounds += 1
        self.last_round_ns = desk.now_ns
        self.last_reason = running.reason
        recovered, adopted = self._digest(snapshot, running.asked_ns)
        ledger = desk.ledger
        rebase, self._rebase = self._rebase, False
        differences: tuple[Difference, ...] = compare(
            desk.books,
            snapshot,
            basis={} if rebase else ledger.basis,
            asked_ns=running.asked_ns,
            asked_mark=running.asked_mark,
            instance=desk.config.instance,
            settle_ns=desk.config.unknown_settle_ns,
            trades_after=running.trades_after,
        )
        weighed = self._suspects.weigh(differences, desk.books, desk.now_ns)
        set_basis = rebase or not ledger.basis
        balances = ledger.whole(snapshot.balances)
        ledger.reconciled(balances, desk.now_ns, rebase=set_basis)
        desk.record(
            EventType.RECONCILED,
            {
                "reason": running.reason,
                "clean": weighed.clean,
                "differences": [one.fields() for one in weighed.reported],
                "recovered_fills": recovered,
                "adopted": adopted,
                "canceled": 0,
                "balances": self._changed(balances, all_of_them=set_basis),
                "basis_set": set_basis,
            },
        )
        ours = [o for o in snapshot.open_orders if is_ours(o.client_order_id, desk.config.instance)]
        self.last_open_ours = len(ours)
        self._stop_for(weighed.newly)
        self._answer(weighed)
        if weighed.clean and not weighed.waiting:
            self.last_clean_ns = desk.now_ns
        if weighed.waiting:
            self.want("confirm", delay_ns=desk.config.confirm_ns)
        if not weighed.waiting or desk.gate.state is GateState.READY:
            desk.gate.set_reconciled()
            return True
        return False

    def _changed(self, balances: tuple[Balance, ...], *, all_of_them: bool) -> dict[str, list[str]]:
        """What the run's line before did not say; all, where they are the basis from now on."""
        told = self._told
        self._told = {one.asset: one for one in balances}
        return {
            one.asset: [plain(one.free), plain(one.locked)]
            for one in balances
            if all_of_them or told.get(one.asset, Balance(one.asset, ZERO, ZERO)) != one
        }

    def reply_when_done(self, command_id: str) -> None:
        """An operator asked for a round and waits for what it finds."""
        self._commands.append(command_id)
        self.want("operator")

    def _answer(self, weighed: Weighed) -> None:
        found = {
            "clean": weighed.clean and not weighed.waiting,
            "waiting": weighed.waiting,
            "differences": [one.fields() for one in weighed.reported],
        }
        for command_id in self._commands:
            self._desk.effects.append(Reply(command_id=command_id, result=found))
        self._commands.clear()

    def _digest(self, snapshot: VenueSnapshot, asked_ns: int) -> tuple[int, int]:
        """Book the venue's facts: fills, statuses, open orders, proofs of absence."""
        desk, execution = self._desk, self._execution
        before, orders_before = desk.ledger.session.fills, len(desk.books.orders)
        by_venue_id: dict[tuple[InstrumentId, VenueOrderId | None], Order] = {
            (order.instrument_id, order.venue_order_id): order
            for order in desk.books.orders.values()
            if order.venue_order_id is not None
        }
        touched: dict[str, Order] = {}
        for report in (*snapshot.open_orders, *snapshot.statuses):
            if report.client_order_id in desk.books.orders:
                touched[report.client_order_id] = desk.books.orders[report.client_order_id]
        for fill in snapshot.fills:
            order = self._owner(fill, by_venue_id)
            if order is not None and not desk.books.has_fill(fill):
                fixed = replace(fill, client_order_id=order.client_order_id, recovered=True)
                desk.book(fixed, order)
                touched[order.client_order_id] = order
        for report in (*snapshot.statuses, *snapshot.open_orders):
            execution.on_report(as_recovered(report))
        for order in touched.values():
            execution.check_quantities(order)
        for absent in snapshot.absent:
            execution.on_absent(absent, asked_ns=asked_ns)
        execution.foreign.clear()
        adopted = max(0, len(desk.books.orders) - orders_before)
        return desk.ledger.session.fills - before, adopted

    def _owner(
        self, fill: Fill, by_venue_id: dict[tuple[InstrumentId, VenueOrderId | None], Order]
    ) -> Order | None:
        order = self._desk.books.orders.get(fill.client_order_id)
        return order or by_venue_id.get((fill.instrument_id, fill.venue_order_id))

    def _stop_for(self, newly: tuple[Difference, ...]) -> None:
        """One incident a trigger, however many differences it is made of."""
        groups: dict[str, list[Difference]] = {}
        for one in newly:
            groups.setdefault(_trigger_of(one), []).append(one)
        for trigger, ones in groups.items():
            shown = "; ".join(
                f"{one.kind} {one.symbol} {one.client_order_id}".strip()
                + f": ours {one.ours or 'none'}, venue {one.venue}"
                for one in ones[:SHOWN_MAX]
            )
            self._desk.trouble(
                trigger,
                f"{_WHAT[trigger]}: {shown}",
                ones[0].symbol if len(ones) == 1 else "",
                {"differences": [one.fields() for one in ones]},
            )


def _trigger_of(one: Difference) -> str:
    if one.kind == "foreign_order":
        return "foreign_order"
    return WIPE if one.cls == "wipe" else "position_mismatch"


SHOWN_MAX = 4
_WHAT = {
    "foreign_order": "an open order on our account that is not ours",
    WIPE: "the venue has begun anew",
    "position_mismatch": "our books and the venue's differ",
}
