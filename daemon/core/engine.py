"""The engine: one pure step from an input to effects.

Rules of this file:
1. `step` is a function of the engine's state and its turn: no clock, no I/O, no randomness.
   Stepping the same turns from the same state gives the same effects and `state_hash`.
2. It dispatches; the parts decide (`execution`: orders, `session_control`: sessions, and so on).
3. A turn ends in `SessionControl.settle_turn`: what asked for an incident opens it there, once.
"""

from collections.abc import Callable, Mapping
from typing import Any

from daemon.core import fold
from daemon.core.amend_requests import Amends
from daemon.core.blocked_symbols import BlockedSymbols
from daemon.core.bots.bot_handler import Bots
from daemon.core.cancels import Cancels
from daemon.core.canonical import hash_of
from daemon.core.commands import Commands
from daemon.core.engine_config import EngineConfig, Storm, StrategySpec
from daemon.core.execution import Execution
from daemon.core.housekeeping import Housekeeping
from daemon.core.incidents import Incidents
from daemon.core.latest_market import LatestMarket
from daemon.core.made_reports import told
from daemon.core.reconciliation_rounds import VANISHED, ReconciliationRounds
from daemon.core.replaces import Replaces
from daemon.core.session_control import BEGIN, SessionControl
from daemon.core.status import status as status_of
from daemon.core.strategy_runner import TIMER_PREFIX, StrategyRunner
from daemon.core.strategy_view import View
from daemon.core.ticks import HOUSEKEEPING
from daemon.core.tripwires import Tripwires
from daemon.core.turn_context import TurnContext
from daemon.core.venue_bans import follow_ban, on_rate_limited
from daemon.core.venue_pause import VenuePause
from daemon.model import journal_records as journal
from daemon.model.bots import BotView
from daemon.model.effects import Effect
from daemon.model.enums import (
    GateState,
    Link,
    TradingState,
    VenueOrderStatus,
)
from daemon.model.ids import SessionId
from daemon.model.inputs import (
    BalancesChanged,
    BudgetSampled,
    ClockSampled,
    Command,
    InstrumentsLoaded,
    JournalFault,
    JournalMended,
    KillLatched,
    LinkDown,
    LinkUp,
    LoopLagged,
    MarketData,
    NotSent,
    OrderAbsent,
    OutcomeUnknown,
    PublicTrade,
    QueryFailed,
    RateLimited,
    SnapshotFailed,
    SnapshotTaken,
    TimerFired,
    Turn,
    VenueAmendReject,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.model.orders import Order
from daemon.model.records import EventType
from daemon.model.stop_triggers import StopTrigger
from riskcaps.gate.interceptor import Interceptor

__all__ = ["Engine", "EngineConfig", "Storm", "StrategySpec", "View"]

_NS_PER_MS = 1_000_000


class Engine:
    """Steps inputs into effects. Build, fold the journal, `finish_recovery`, then step."""

    def __init__(self, *, config: EngineConfig, interceptor: Interceptor) -> None:
        """Begin HALTED, with the gate DOWN and empty books."""
        self._config = config
        self._ctx = TurnContext(config, interceptor)
        self._risk = interceptor.risk
        self.own_id = self._ctx.books.own_id
        """The id of the order that a request of ours is about, by what their ids share."""
        self._market = LatestMarket()
        cancels = Cancels(self._ctx)
        amends, replaces = Amends(self._ctx), Replaces(self._ctx)
        self._execution = Execution(self._ctx, cancels, amends, replaces)
        self._rounds = ReconciliationRounds(self._ctx, self._execution)
        self._runner = StrategyRunner(self._ctx, self._market, cancels, amends, replaces)
        self._bots = Bots(self._ctx, self._market, cancels, amends, replaces)
        self._symbols = BlockedSymbols(self._ctx)
        self._session_control = SessionControl(
            self._ctx,
            cancels,
            self._rounds,
            self._runner,
            incidents=Incidents(self._ctx),
            symbols=self._symbols,
        )
        self._wires = Tripwires(self._ctx, self._market, self._symbols)
        self._commands = Commands(self._ctx, self._session_control, cancels, self._rounds)
        self._housekeeping = Housekeeping(self._ctx, self._rounds)
        self._armed = False
        self._booted_ns = 0
        self._handlers: dict[type, Callable[[Any], object]] = {
            MarketData: self._on_market,
            PublicTrade: self._on_trade,
            VenueReport: self._on_report,
            VenueReject: self._on_reject,
            VenueCancelReject: lambda item: self._execution.on_cancel_reject(item.reject),
            VenueAmendReject: lambda item: self._execution.on_amend_reject(item.reject),
            OutcomeUnknown: self._on_outcome_unknown,
            NotSent: self._on_not_sent,
            OrderAbsent: self._on_absent,
            QueryFailed: self._execution.on_query_failed,
            BalancesChanged: self._on_balances,
            SnapshotTaken: self._on_snapshot,
            SnapshotFailed: lambda failed: self._rounds.on_failed(failed.reason),
            TimerFired: self._on_timer,
            Command: self._commands.on_command,
            KillLatched: self._session_control.on_kill,
            LinkUp: self._on_link_up,
            LinkDown: self._on_link_down,
            InstrumentsLoaded: self._on_instruments,
            RateLimited: self._on_rate_limited,
            BudgetSampled: self._on_budget,
            ClockSampled: self._on_clock,
            JournalFault: self._on_journal_fault,
            JournalMended: self._on_journal_mended,
            LoopLagged: self._on_loop_lagged,
            **self._bots.handlers,
        }

    # ------------------------------------------------------------------ the step
    def step(self, turn: Turn) -> tuple[Effect, ...]:
        """Take one turn.

        Raises:
            InvariantViolation: a promise of the house is broken; the process must stop.
        """
        ctx, risk = self._ctx, self._risk
        ctx.now_ns = turn.ts_ns
        ctx.effects = []
        risk.ids.head = turn.head
        if not self._armed:
            self._begin()
        elif turn.ts_ns >= self._housekeeping.overdue_ns and self._housekeeping.overslept():
            self._session_control.settle_turn()
        kind = type(turn.input)
        self._handlers[kind](turn.input)
        if kind is not MarketData or ctx.effects or ctx.ledger.notices or ctx.troubles:
            self._session_control.settle_turn()
            if self._bots.specs or ctx.books.touched:
                self._bots.settle(turn.input)
        if risk.ledger.due and (equity := risk.valuation.take_record()) is not None:
            ctx.record(EventType.EQUITY, equity.to_plain())
        return tuple(ctx.effects)

    def _begin(self) -> None:
        """First turn of a run: close what a crash left open, and start the clockwork."""
        self._armed = True
        ctx = self._ctx
        ctx.ledger.heard(
            ctx.interceptor.risk.on_journal_health(ok=True)
        )  # it took the boot's lines
        self._booted_ns = ctx.now_ns
        self._housekeeping.begin()
        follow_ban(ctx)
        self._symbols.follow_gate()
        if ctx.ledger.session.session_id:
            self._session_control.session_stop(
                "crash", "the daemon ended inside the session", "engine"
            )
        self._execution.after_restart()
        self._bots.begin()

    # ------------------------------------------------------------------ market
    def _on_market(self, item: MarketData) -> None:
        now = self._ctx.now_ns
        if not self._market.on_top(item.top, now):
            return
        self._ctx.ledger.heard(self._ctx.interceptor.risk.on_top(item.top, now))
        if self._session_control.active:
            self._runner.on_market(item.top)

    def _on_trade(self, item: PublicTrade) -> None:
        now = self._ctx.now_ns
        self._market.on_trade(item.trade, now)
        self._ctx.ledger.heard(self._ctx.interceptor.risk.on_trade(item.trade, now))
        if self._session_control.active:
            self._runner.on_trade(item.trade)

    # ------------------------------------------------------------------ orders
    def _on_report(self, item: VenueReport) -> None:
        for fill in item.report.fills:
            self._market.on_book_changed(fill.instrument_id, fill.ts_venue_ns)
        order = self._execution.on_report(item.report)
        if order is None:
            if self._execution.foreign:
                self._rounds.heard_of_others()
        elif self._session_control.active:
            self._runner.on_report(order, item.report)

    def _on_reject(self, item: VenueReject) -> None:
        order = self._execution.on_reject(item.reject)
        reason = f"{item.reject.code} {item.reject.reason}"
        self._wires.on_reject(item.reject, order)
        self._tell(order, VenueOrderStatus.REJECTED, reason)

    def _on_outcome_unknown(self, item: OutcomeUnknown) -> None:
        self._execution.on_outcome_unknown(item)
        self._execution.ask_due()

    def _on_not_sent(self, item: NotSent) -> None:
        order = self._execution.on_not_sent(item)
        self._tell(order, VenueOrderStatus.CANCELED, f"not sent: {item.reason}")

    def _on_absent(self, item: OrderAbsent) -> None:
        order = self._execution.on_absent(item.absent)
        if self._execution.vanished:
            self._execution.vanished.clear()
            self._rounds.want(VANISHED)
        self._tell(order, VenueOrderStatus.REJECTED, "proven absent")

    def _tell(self, order: Order | None, status: VenueOrderStatus, why: str) -> None:
        if order is not None and order.status.is_terminal and self._session_control.active:
            self._runner.on_report(order, told(order, status, why, self._ctx.now_ns))

    # ------------------------------------------------------------------ links and snapshots
    def _on_link_up(self, item: LinkUp) -> None:
        ctx, link = self._ctx, item.link
        gate = ctx.gate
        if gate.ever_up[link]:
            outage_ms = (ctx.now_ns - gate.down_since_ns[link]) // _NS_PER_MS
            fields = journal.ReconnectRecord(link=link.value, outage_ms=outage_ms)
            ctx.record(EventType.RECONNECT, fields)
            self._wires.hit(self._wires.reconnect, f"link {link} again and again")
        else:
            ctx.record(EventType.CONNECTED, journal.ConnectedRecord(link=link.value))
        gate.link_up(link)
        self._compare_when_up()

    def _on_link_down(self, item: LinkDown) -> None:
        ctx = self._ctx
        fields = journal.DisconnectedRecord(link=item.link.value, msg=item.reason)
        ctx.record(EventType.DISCONNECTED, fields)
        ctx.gate.link_down(item.link, ctx.now_ns, item.reason)
        if item.link is not Link.MARKET:
            self._rounds.abandon()

    def _on_instruments(self, item: InstrumentsLoaded) -> None:
        self._ctx.gate.set_instruments_loaded()
        self._symbols.on_loaded(item)
        self._compare_when_up()

    def _compare_when_up(self) -> None:
        gate = self._ctx.gate
        if gate.all_up and not gate.reconciled:
            self._rounds.want("reconnect" if self._rounds.rounds else "boot")

    def _on_snapshot(self, item: SnapshotTaken) -> None:
        self._rounds.on_taken(item.snapshot)
        self._symbols.follow_gate()
        self._session_control.on_reconciled()

    def _on_balances(self, item: BalancesChanged) -> None:
        ctx = self._ctx
        ctx.ledger.heard(ctx.interceptor.risk.on_balances(item.balances, ctx.now_ns))

    # ------------------------------------------------------------------ health
    def _on_rate_limited(self, item: RateLimited) -> None:
        on_rate_limited(self._ctx, item)
        self._wires.hit(self._wires.rate_limit, f"rate limits, {item.reason}")

    def _on_budget(self, item: BudgetSampled) -> None:
        ctx = self._ctx
        ctx.ledger.heard(ctx.interceptor.risk.on_venue_budget(item.used, item.limits, ctx.now_ns))

    def _on_clock(self, item: ClockSampled) -> None:
        ctx = self._ctx
        heard = ctx.interceptor.risk.on_clock(item.offset_ns, item.round_trip_ns, ctx.now_ns)
        ctx.ledger.heard(heard)
        fields = journal.ClockRecord(offset_ns=item.offset_ns, round_trip_ns=item.round_trip_ns)
        ctx.record(EventType.CLOCK, fields)
        self._wires.on_clock(item.offset_ns)

    def _on_journal_fault(self, item: JournalFault) -> None:
        self._session_control.journal_ok = False
        self._ctx.ledger.heard(self._ctx.interceptor.risk.on_journal_health(ok=False))
        self._ctx.record(EventType.JOURNAL_FAULT, journal.JournalFaultRecord(msg=item.reason))
        self._ctx.trouble(StopTrigger.JOURNAL_FAULT, item.reason)

    def _on_journal_mended(self, item: JournalMended) -> None:
        """The incident stays open: only a human's word lets a session start again."""
        del item
        self._session_control.journal_ok = True
        self._ctx.ledger.heard(self._ctx.interceptor.risk.on_journal_health(ok=True))

    def _on_loop_lagged(self, item: LoopLagged) -> None:
        age_ms = self._housekeeping.queue_age_ms = item.queue_age_ns // _NS_PER_MS
        lag_ms = item.lag_ns // _NS_PER_MS
        why = f"main loop {lag_ms} ms late, queue {age_ms} ms old"
        self._wires.hit(self._wires.loop_lag, why)

    # ------------------------------------------------------------------ time
    def _on_timer(self, item: TimerFired) -> None:
        if item.timer_id == HOUSEKEEPING:
            self._housekeep()
        elif item.timer_id == BEGIN:
            self._session_control.begin()
        elif item.timer_id.startswith(TIMER_PREFIX) and self._session_control.active:
            self._runner.on_timer(item.timer_id)

    def _housekeep(self) -> None:
        self._execution.tick()
        self._rounds.tick()
        self._wires.tick()
        if follow_ban(self._ctx):
            self._compare_when_up()
        self._housekeeping.beat(self._session_control.incidents.totals())
        self._housekeeping.wind_up()

    # ------------------------------------------------------------------ recovery and looking
    def apply_fact(self, record: Mapping[str, Any]) -> None:
        """Fold one journal fact line (envelope and fields) into the durable state.

        Raises:
            FoldError: the line is needed and cannot be read.
        """
        self._ctx.interceptor.risk.alerts.is_on = False
        fold.apply_fact(self._ctx.ledger, record)

    def finish_recovery(self, now_ns: int) -> None:
        """All facts are folded: HALTED, gate DOWN; the first turn closes what a crash left open."""
        self._ctx.interceptor.risk.alerts.is_on = True
        self._ctx.now_ns = now_ns
        self._ctx.trading_state = TradingState.HALTED
        self._ctx.interceptor.risk.set_trading_state(TradingState.HALTED)
        self._symbols.follow_gate()
        self._ctx.interceptor.risk.usage(now_ns)
        self._ctx.interceptor.risk.valuation.take_record()
        self._ctx.ledger.notices.clear()

    @property
    def venue_pause(self) -> VenuePause:
        """Until when the venue will hear nothing, as far as the journal knows."""
        return self._ctx.ledger.pause

    def state(self) -> dict[str, Any]:
        """Durable state as plain JSON values; `restore` is its inverse."""
        return self._ctx.ledger.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become what `state` describes."""
        self._ctx.ledger.restore(state)

    def bot_views(self) -> tuple[BotView, ...]:
        """All that each bot may see now; read-only."""
        return self._bots.views()

    def state_hash(self) -> str:
        """SHA-256 over the canonical durable state, the interceptor's included."""
        return hash_of(self.state())

    def status(self, now_ns: int) -> dict[str, Any]:
        """Plain JSON for the operator; read-only."""
        parts = (self._ctx, self._market, self._rounds, self._session_control, self._wires)
        return status_of(*parts, bots=self._bots, now_ns=now_ns, booted_ns=self._booted_ns)

    @property
    def gate(self) -> Interceptor:
        """The gate; the venue link keeps its caps on rates once more where the bytes leave."""
        return self._ctx.interceptor

    @property
    def session_id(self) -> SessionId:
        """The session that is on, or empty."""
        return self._ctx.ledger.session.session_id

    @property
    def gate_state(self) -> GateState:
        """How much we know of the venue."""
        return self._ctx.gate.state

    @property
    def trading_state(self) -> TradingState:
        """What the gate admits."""
        return self._ctx.trading_state
