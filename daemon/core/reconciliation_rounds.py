"""Reconciliation rounds: when to ask for a snapshot, and what to do with it.

Rules of this file:
1. One round at a time; a wish during a round is kept and runs after it. Routine rounds (others'
   orders, audits) are spaced, however many events ask for them, and have a budget of their own.
2. A snapshot's fills and statuses are facts of the venue: booked first, marked `recovered`. What
   still differs is classified (`reconcile.py`), must stand twice, and then stops us (promise P8).
3. The gate is READY only after a round whose differences are all accounted for; `gate.books` says
   what stands against the last one, and a start needs that to be nothing.
4. One order or symbol that the venue does not answer about is no reason to fail a round: it is
   blocked, with the reason, and the others go on.
"""

import msgspec

from daemon.core.basis_taking import BasisTaking
from daemon.core.command_errors import CommandErrorCode
from daemon.core.execution import Execution
from daemon.core.lost_history import history_after, take_lost
from daemon.core.made_reports import as_recovered
from daemon.core.reconcile import Assets, Difference, Suspects, Weighed, compare
from daemon.core.retry import backoff_ns
from daemon.core.turn_context import TurnContext
from daemon.model import journal_records as journal
from daemon.model.amounts import ZERO, plain
from daemon.model.copies import replace
from daemon.model.effects import OrderRef, Reply, TakeSnapshot
from daemon.model.enums import GateState
from daemon.model.ids import (
    ClientOrderId,
    InstrumentId,
    VenueOrderId,
    instrument_of,
    is_ours,
)
from daemon.model.orders import Order
from daemon.model.position import Balance
from daemon.model.readiness import NotReady, Obstacle
from daemon.model.records import EventType
from daemon.model.reports import Fill, VenueSnapshot
from daemon.model.stop_triggers import StopTrigger


class ReconciliationRound(msgspec.Struct, kw_only=True):
    """A snapshot on its way."""

    reason: str
    asked_ns: int
    asked_mark: int
    trades_after: dict[InstrumentId, int]


class ReconciliationRounds:
    """Asks for snapshots and digests them."""

    def __init__(self, ctx: TurnContext, execution: Execution) -> None:
        """Share the desk."""
        self._ctx = ctx
        self._execution = execution
        self._under_way: ReconciliationRound | None = None
        self._wanted = ""
        self._due_ns = 0
        self._failures = 0
        self._looks = 0
        """Rounds in a row that another one must follow."""
        self._began_ns = 0
        self.foreign_events = 0
        self.foreign_open = 0
        self.foreign_traded = 0
        self._suspects = Suspects(ctx.config.confirm_ns)
        self._taking = BasisTaking()
        self.last_clean_ns = 0
        self.last_round_ns = 0
        self.last_reason = ""
        self.rounds = 0
        self.last_asked_ns = 0
        self.last_open_ours = 0
        self.last_waiting = False
        """Whether the last snapshot left a difference that another one must tell."""
        self._commands: list[str] = []
        self._history_seen = False
        """Whether the venue was asked, in this run, for orders of ours that we do not know."""
        self._told: dict[str, Balance] = {}
        """Balances as the lines of this run say them."""

    # ------------------------------------------------------------------ asking
    def want(self, reason: str, *, delay_ns: int = 0) -> None:
        """Have a round run as soon as the links allow; the most urgent reason is kept."""
        due = self._ctx.now_ns + delay_ns
        if reason in _SPACED and self._began_ns:
            due = max(due, self._began_ns + self._ctx.config.round_spacing_ns)
        if not self._wanted or due < self._due_ns:
            self._due_ns = due
        if not self._wanted or (self._wanted in _ROUTINE and reason not in _ROUTINE):
            self._wanted = reason
        self.tick()

    def heard_of_others(self) -> None:
        """Others trade on our account: what of theirs stands open, the next round tells."""
        self.foreign_events += len(self._execution.foreign)
        self._execution.foreign.clear()
        self.want(FOREIGN)

    def tick(self) -> None:
        """Start the wanted round, give up one without answer, begin an audit when it is time."""
        ctx, now = self._ctx, self._ctx.now_ns
        if not ctx.gate.all_up:
            return
        running = self._under_way
        if running is not None and now - running.asked_ns >= ctx.config.snapshot_deadline_ns:
            self.on_failed("no answer within the deadline")
        audit = ctx.config.audit_period_ns
        if not self._wanted and audit and now - self.last_round_ns >= audit and self.rounds:
            self._wanted, self._due_ns = "audit", now
        if self._wanted and self._under_way is None and now >= self._due_ns:
            self._start()

    def abandon(self) -> None:
        """The link is lost: whatever was asked will not be answered."""
        self._under_way = None
        self._looks = 0
        self._refuse_commands("a link was lost while the books were compared")

    def rebase(self) -> None:
        """After an operator resolved a mismatch: the next round takes the venue's balances over."""
        self._taking.want()
        self._suspects.forgive()
        self._ctx.gate.books = Obstacle(NotReady.RESOLVED)
        self.want("resolved")

    def _start(self) -> None:
        ctx = self._ctx
        ours = [instrument_of(s, ctx.config.environment) for s in ctx.config.symbols]
        refs = [
            OrderRef(one.client_order_id, one.instrument_id, one.venue_order_id)
            for one in ctx.books.open.values()
        ]
        cursor = {iid: ctx.books.last_trade.get(iid, -1) for iid in ours}
        self._under_way = ReconciliationRound(
            reason=self._wanted,
            asked_ns=ctx.now_ns,
            asked_mark=ctx.books.flow_mark,
            trades_after=cursor,
        )
        self._began_ns = ctx.now_ns
        ctx.effects.append(
            TakeSnapshot(
                self._wanted,
                tuple(refs),
                cursor,
                routine=self._wanted in _ROUTINE and ctx.gate.state is GateState.READY,
                instance=ctx.config.instance,
                history=None if self._history_seen else history_after(ctx),
            )
        )
        self._wanted = ""

    # ------------------------------------------------------------------ answers
    def on_failed(self, why: str) -> None:
        """Nothing may be concluded; try again, slower each time."""
        ctx = self._ctx
        reason = self._under_way.reason if self._under_way else "retry"
        self._under_way = None
        self._failures += 1
        config = ctx.config
        wait = backoff_ns(self._failures, config.query_base_ns, config.query_cap_ns)
        fields = journal.ReconciledRecord(
            reason=reason, clean=False, failed=why, differences=[], recovered_fills=0, adopted=0,
            canceled=0, balances={}, basis_set=False,
        )  # fmt: skip
        ctx.record(EventType.RECONCILED, fields)
        times = f", {self._failures} times in a row" if self._failures > 1 else ""
        ctx.gate.books = Obstacle(NotReady.ROUND_FAILED, f"{why}{times}")
        paused = ctx.ledger.pause.text(ctx.now_ns)
        self._refuse_commands(paused or f"the round failed: {why}; it is tried again")
        self.want(self._wanted or reason, delay_ns=wait)

    def on_taken(self, snapshot: VenueSnapshot) -> bool:
        """Digest a snapshot; True when the gate became (or stayed) reconciled by it."""
        ctx = self._ctx
        running = self._under_way
        if running is None or snapshot.reason != running.reason:
            return False  # asked before a link was lost: a picture of another time
        self._under_way = None
        self.last_asked_ns = running.asked_ns
        self._failures = 0
        self.rounds += 1
        self.last_round_ns = ctx.now_ns
        self.last_reason = running.reason
        self._history_seen = True
        take_lost(ctx, self._execution, snapshot)
        recovered, adopted = self._digest(snapshot, running.asked_ns)
        ledger = ctx.ledger
        differences: tuple[Difference, ...] = compare(
            ctx.books,
            snapshot,
            basis={} if self._taking.is_wanted else ledger.basis,
            asked_ns=running.asked_ns,
            asked_mark=running.asked_mark,
            instance=ctx.config.instance,
            assets=self._assets(),
            settle_ns=ctx.config.unknown_settle_ns,
            ended_settle_ns=ctx.config.ended_settle_ns,
            trades_after=running.trades_after,
        )
        weighed = self._suspects.weigh(differences, ctx.books, ctx.now_ns)
        set_basis = self._taking.takes(
            ctx.books,
            snapshot,
            self._assets(),
            has_basis=bool(ledger.basis),
            asked_ns=running.asked_ns,
            asked_mark=running.asked_mark,
            settle_ns=ctx.config.unknown_settle_ns,
        )
        balances = ledger.whole(snapshot.balances)
        ledger.reconciled(balances, ctx.now_ns, rebase=set_basis)
        ledger.accept(weighed.accepted)
        fields = journal.ReconciledRecord(
            reason=running.reason, clean=weighed.clean,
            differences=[one.fields() for one in weighed.reported], recovered_fills=recovered,
            adopted=adopted, canceled=0, balances=self._changed(balances, all_of_them=set_basis),
            basis_set=set_basis,
            accepted={asset: plain(total) for asset, total in weighed.accepted.items()},
        )  # fmt: skip
        ctx.record(EventType.RECONCILED, fields)
        ours = [o for o in snapshot.open_orders if is_ours(o.client_order_id, ctx.config.instance)]
        self.last_open_ours = len(ours)
        self.last_waiting = weighed.waiting
        self.foreign_open = len(snapshot.open_orders) - len(ours)
        self.foreign_traded = snapshot.foreign_traded
        self._revive(weighed.newly, snapshot)
        self._stop_for(weighed.newly)
        stands = ctx.gate.books = self._standing(weighed, snapshot)
        self._answer(weighed, stands)
        if stands is None:
            self.last_clean_ns = ctx.now_ns
        waiting = weighed.waiting or bool(snapshot.unread) or self._taking.is_wanted
        self._looks = self._looks + 1 if waiting else 0
        if waiting:
            config = ctx.config
            slowest = max(config.confirm_ns, config.query_cap_ns)
            self.want("confirm", delay_ns=backoff_ns(self._looks, config.confirm_ns, slowest))
        if not waiting or ctx.gate.state is GateState.READY:
            ctx.gate.set_reconciled()
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

    def _standing(self, weighed: Weighed, snapshot: VenueSnapshot) -> Obstacle | None:
        """What this round leaves standing against us, under its name."""
        shown = "; ".join(_line_of(one) for one in weighed.reported[:SHOWN_MAX])
        if not weighed.clean:
            return Obstacle(NotReady.NOT_CLEAN, shown)
        if snapshot.unread:
            return Obstacle(NotReady.UNREAD, snapshot.unread)
        if self._taking.is_wanted:
            return Obstacle(
                NotReady.TO_CONFIRM, "a trade is owed, or may be: no balances are taken over yet"
            )
        return Obstacle(NotReady.TO_CONFIRM, shown) if weighed.waiting else None

    def _refuse_commands(self, why: str) -> None:
        for command_id in self._commands:
            code = CommandErrorCode.NOT_READY.value
            refusal = Reply(command_id=command_id, error_code=code, error_message=why)
            self._ctx.effects.append(refusal)
        self._commands.clear()

    def _answer(self, weighed: Weighed, stands: Obstacle | None) -> None:
        found = {
            "clean": stands is None,
            "why": "" if stands is None else _why(stands),
            "waiting": weighed.waiting,
            "differences": [one.fields() for one in weighed.reported],
        }
        for command_id in self._commands:
            self._ctx.effects.append(Reply(command_id=command_id, result=found))
        self._commands.clear()

    def _digest(self, snapshot: VenueSnapshot, asked_ns: int) -> tuple[int, int]:
        """Book the venue's facts: fills, statuses, open orders, proofs of absence."""
        ctx, execution = self._ctx, self._execution
        before, orders_before = ctx.ledger.session.fills, len(ctx.books.orders)
        by_venue_id: dict[tuple[InstrumentId, VenueOrderId | None], Order] = {
            (order.instrument_id, order.venue_order_id): order
            for order in ctx.books.orders.values()
            if order.venue_order_id is not None
        }
        touched: dict[str, Order] = {}
        for report in (*snapshot.open_orders, *snapshot.statuses):
            if report.client_order_id in ctx.books.orders:
                touched[report.client_order_id] = ctx.books.orders[report.client_order_id]
        for fill in snapshot.fills:
            order = self._owner(fill, by_venue_id)
            if order is not None and not ctx.books.has_fill(fill):
                fixed = replace(fill, client_order_id=order.client_order_id, recovered=True)
                ctx.book(fixed, order)
                touched[order.client_order_id] = order
        for report in (*snapshot.statuses, *snapshot.open_orders):
            execution.on_report(as_recovered(report))
        for order in touched.values():
            execution.check_quantities(order)
        for absent in snapshot.absent:
            execution.on_absent(absent, asked_ns=asked_ns)
        for mute in snapshot.mute:
            execution.on_mute(mute)
        ctx.gate.mute = dict(snapshot.mute_symbols)
        execution.foreign.clear()
        adopted = max(0, len(ctx.books.orders) - orders_before)
        return ctx.ledger.session.fills - before, adopted

    def _assets(self) -> Assets:
        """What we trade and what caps speak of; the rest of the account is somebody else's."""
        ledger, caps = self._ctx.ledger, self._ctx.interceptor.risk.capset
        return Assets(
            pairs=ledger.compared(),
            capped=frozenset({caps.numeraire, *caps.balance_free_min} - {""}),
            fees=frozenset(self._ctx.interceptor.risk.books.fees_owed),
        )

    def _owner(
        self, fill: Fill, by_venue_id: dict[tuple[InstrumentId, VenueOrderId | None], Order]
    ) -> Order | None:
        order = self._ctx.books.orders.get(fill.client_order_id)
        return order or by_venue_id.get((fill.instrument_id, fill.venue_order_id))

    def _revive(self, newly: tuple[Difference, ...], snapshot: VenueSnapshot) -> None:
        """What is open there and ended here is held again; its incident cancels it."""
        listed = {report.client_order_id: report for report in snapshot.open_orders}
        for one in newly:
            if one.kind == "ended_order":
                self._execution.on_open_there(listed[ClientOrderId(one.client_order_id)])
                self._suspects.forget(one)

    def _stop_for(self, newly: tuple[Difference, ...]) -> None:
        """One incident a trigger, however many differences it is made of."""
        groups: dict[StopTrigger, list[Difference]] = {}
        for one in newly:
            if one.kind != "ended_order" and one.cls != "external":
                # An ended order's own row of the lifecycle opens one.
                groups.setdefault(_trigger_of(one), []).append(one)
        for trigger, ones in groups.items():
            shown = "; ".join(_line_of(one) for one in ones[:SHOWN_MAX])
            self._ctx.trouble(
                trigger,
                f"{_WHAT[trigger]}: {shown}",
                ones[0].symbol if len(ones) == 1 else "",
                {"differences": [one.fields() for one in ones]},
            )


def _why(stands: Obstacle) -> str:
    """For who has just asked for the round: what it found, not that one is to be asked for."""
    if stands.reason is not NotReady.NOT_CLEAN:
        return stands.text
    return f"{stands.reason}: {stands.detail}; mend it; `seatrial incident list` has what it opened"


def _trigger_of(one: Difference) -> StopTrigger:
    if one.kind == "foreign_order":
        return StopTrigger.FOREIGN_ORDER
    wiped = one.cls == "wipe"
    return StopTrigger.TESTNET_WIPE if wiped else StopTrigger.POSITION_MISMATCH


def _line_of(one: Difference) -> str:
    name = f"{one.kind} {one.symbol} {one.client_order_id}".strip()
    change = f" ({one.change})" if one.change else ""
    return f"{name}: ours {one.ours or 'none'}, venue {one.venue}{change}"


FOREIGN, VANISHED = "foreign order", "order vanished"
_SPACED = frozenset({FOREIGN, VANISHED})
_ROUTINE = _SPACED | {"audit", "confirm"}
SHOWN_MAX = 4
_WHAT = {
    StopTrigger.FOREIGN_ORDER: "an open order on our account that is not ours",
    StopTrigger.TESTNET_WIPE: "the venue has begun anew",
    StopTrigger.POSITION_MISMATCH: "our books and the venue's differ",
}
