"""The conductor: how a session begins, and the several ways in which it ends.

Rules of this file:
1. One road to the end for all: halt, cancel everything of ours, see the books empty, ask the venue,
   write `session_stop`. Operator's stop, kill, incident, strategy error and shutdown differ in name
   and in what may follow.
2. An incident halts whether or not a session is on, and blocks the next start until it is resolved.
3. HALTED is left only by a start; a latch only by a re-arm, with a reason.
"""

from collections.abc import Mapping

from daemon.core.blocked_symbols import BlockedSymbols
from daemon.core.cancels import Cancels
from daemon.core.command_errors import CommandError, CommandErrorCode
from daemon.core.durable_state import Incident
from daemon.core.flatten import Flatten, told
from daemon.core.incidents import MISMATCHES, Incidents
from daemon.core.lifecycle import Trigger
from daemon.core.reconciliation_rounds import ReconciliationRounds
from daemon.core.session_end import SessionEnd, tell_the_end, what_is_left
from daemon.core.strategy_runner import StrategyRunner
from daemon.core.turn_context import TurnContext
from daemon.core.venue_bans import refuse_unready
from daemon.model import journal_records as journal
from daemon.model.effects import ArmTimer, CloseHalt, OpenHalt
from daemon.model.enums import GateState, TradingState
from daemon.model.ids import SessionId
from daemon.model.inputs import KillLatched
from daemon.model.plain_values import to_plain
from daemon.model.readiness import NotReady
from daemon.model.records import EventType
from daemon.model.stop_triggers import StopTrigger

BEGIN = "begin"
_HALTED, _ACTIVE, _READY = TradingState.HALTED, TradingState.ACTIVE, GateState.READY
"""A look at a member of an enum costs as much as a call on Python 3.11."""
_LOSSES = (StopTrigger.CAP_BREACH, StopTrigger.DRAWDOWN)
_NS_PER_MS = 1_000_000


class SessionControl:
    """Trading state, sessions, kills and incidents."""

    def __init__(
        self,
        ctx: TurnContext,
        cancels: Cancels,
        rounds: ReconciliationRounds,
        runner: StrategyRunner,
        *,
        incidents: Incidents,
        symbols: BlockedSymbols,
    ) -> None:
        """Share the desk; boot state is HALTED."""
        self._ctx = ctx
        self._cancels = cancels
        self._rounds = rounds
        self.incidents = incidents
        self._runner = runner
        self.symbols = symbols
        self.ending: SessionEnd | None = None
        self.journal_ok = True
        self._sessions = 0
        self._last_gate = GateState.DOWN
        self._swept = False

    @property
    def active_state(self) -> bool:
        """Whether orders could pass at all: REDUCING never follows from HALTED."""
        return self._ctx.trading_state is not TradingState.HALTED

    @property
    def active(self) -> bool:
        """Whether a session is on and not ending."""
        return bool(self._ctx.ledger.session.session_id) and self.ending is None

    # ------------------------------------------------------------------ begin
    def start(self, by: str, reason: str) -> SessionId:
        """Begin a session.

        Raises:
            CommandError: something forbids it; the sentence says what to do.
        """
        ctx = self._ctx
        self._refuse_start()
        self._sessions += 1
        session_id = SessionId(f"{ctx.config.run}-s{self._sessions}")
        ctx.ledger.start_session(session_id, ctx.now_ns)
        ctx.record(
            EventType.SESSION_START,
            {
                "session_id": session_id,
                "account": ctx.config.account,
                "environment": ctx.config.environment,
                "strategies": [spec.strategy_id for spec in ctx.config.strategies],
                **({"bots": to_plain(ctx.config.bots)} if ctx.config.bots else {}),
                "caps": ctx.interceptor.risk.capset.to_plain(),
                "by": by,
                "reason": reason,
                **ctx.config.session_binding,
                "caps_hash": ctx.interceptor.risk.contexts.caps_hash,
            },
        )
        ctx.contexts.clear()  # a session's decisions can be decided again from its own lines
        ctx.effects.append(OpenHalt(f"session {session_id}"))
        self.incidents.reduce_only = ""
        ctx.set_trading(TradingState.ACTIVE, reason or "start", by)
        # Strategies begin in the next turn: only then has the pump opened the halt flag.
        ctx.effects.append(ArmTimer(BEGIN, ctx.now_ns))
        return session_id

    def begin(self) -> None:
        """The halt flag is open: let the strategies of a new session begin."""
        if not self.active or self._runner.started:
            return
        stands = self._ctx.gate.books
        if stands is not None and stands.reason is NotReady.NOT_CLEAN:
            self.end("stop", f"not begun, {stands.text}", "engine")
        else:
            self._runner.start()

    def _refuse_start(self) -> None:
        ctx = self._ctx
        ledger = ctx.ledger
        if self.ending is not None:
            raise CommandError(CommandErrorCode.STOPPING, ctx.gate.why_ending(self.ending.kind))
        if ledger.session.session_id:
            raise CommandError(
                CommandErrorCode.ALREADY_ACTIVE,
                f"session {ledger.session.session_id} is on; stop it first",
            )
        if ledger.latched:
            raise CommandError(
                CommandErrorCode.LATCHED,
                f"killed: {ledger.latch_reason}; re-arm first, with a reason{ctx.gate.also_down}",
            )
        if not self.journal_ok:
            raise CommandError(
                CommandErrorCode.JOURNAL_FAULT,
                "the journal cannot be relied on; the incident journal_fault says why and the mend",
            )
        open_ones = ledger.unresolved
        if open_ones:
            first = open_ones[0]
            raise CommandError(
                CommandErrorCode.INCIDENT_OPEN,
                f"{len(open_ones)} incident(s) unresolved, first {first.incident_id} "
                f"({first.trigger}); resolve it with `incident resolve`",
            )
        refuse_unready(ctx)

    # ------------------------------------------------------------------ end
    def end(
        self,
        kind: str,
        reason: str,
        by: str,
        *,
        command_id: str = "",
        exit_after: bool = False,
        flatten: Flatten | None = None,
    ) -> None:
        """Halt, cancel everything of ours, and rest when the venue is empty of it.

        With `flatten` the positions are reduced first, through the caps; any later call without it
        (a kill, another incident) halts at once.
        """
        ctx = self._ctx
        if self.ending is None:
            self.ending = SessionEnd(
                kind=kind,
                reason=reason,
                by=by,
                began_ns=ctx.now_ns,
                deadline_ns=ctx.now_ns + ctx.config.stop_deadline_ns,
            )
        elif kind == "kill":
            self.ending.kind, self.ending.reason, self.ending.by = kind, reason, by
        self.ending.exit_after = self.ending.exit_after or exit_after
        if command_id:
            self.ending.command_ids.append(command_id)
        why = f"{kind}: {reason}" if reason else kind
        if flatten is not None and self.active_state:
            self.ending.flatten = flatten
            self.ending.deadline_ns = ctx.now_ns + ctx.config.flatten_deadline_ns
            ctx.set_trading(TradingState.REDUCING, why, by)
        else:
            self.ending.interrupt(why, ctx)
            ctx.set_trading(TradingState.HALTED, why, by)
        self._runner.stop()
        self._cancels.want_all(kind)

    def progress(self) -> None:
        """See how far the ending is; called at the end of every turn."""
        ending, ctx = self.ending, self._ctx
        if ending is None:
            return
        late = ctx.now_ns >= ending.deadline_ns
        reducing = ending.flatten if ending.flattens and self.active_state else None
        if reducing is not None and late:
            ending.interrupt("its deadline", ctx)
            ctx.set_trading(TradingState.HALTED, f"{ending.kind}: not done within its deadline")
            self._cancels.want_all(ending.kind)
        elif reducing is not None and reducing.step():
            ending.verify_anew()
        elif late:
            self._finish(ending)
        elif ctx.books.has_working:
            ending.verify_anew()
        elif not ending.verify_ns:
            if reducing is None or not reducing.left():
                why = f"{ending.kind}: nothing is left" if reducing else ending.kind
                ctx.set_trading(TradingState.HALTED, why)
            ending.verify_ns = ctx.now_ns
            self._rounds.want(ending.kind)
        elif ending.verified and reducing is not None and reducing.reopen():
            ending.verify_anew()
        elif ending.verified or ending.waits_in_vain(ctx):
            self._finish(ending)

    def on_reconciled(self) -> None:
        """A snapshot was digested: an ending that waits for it may be over."""
        ending = self.ending
        if ending is not None and ending.verify_ns:
            seen = self._rounds
            ending.verified = (
                seen.last_asked_ns >= ending.verify_ns
                and not seen.last_open_ours
                and not self._ctx.gate.mute
                and not (ending.flattens and seen.last_waiting)
            )
        if self._ctx.gate.state is GateState.READY and not self._swept:
            self._swept = True
            if self._ctx.config.cancel_on_boot:
                self._cancels.want_all("left from an earlier run")

    def _finish(self, ending: SessionEnd) -> None:
        ctx = self._ctx
        self.ending = None
        orders = [order.client_order_id for order in ctx.books.working()]
        left = what_is_left(ctx, ending)
        reason = ending.reason
        if ending.flatten is not None:
            reason = f"{reason}; {told(left, verified=ending.verified)}".removeprefix("; ")
        ctx.set_trading(TradingState.HALTED, reason if ending.flatten else ending.kind)
        self.incidents.open_asked()  # halted and cancelled already: it is only to be known
        session_id = ctx.ledger.session.session_id
        if session_id:
            self.session_stop(ending.kind, reason, ending.by)
        tell_the_end(ctx, ending, session_id, orders, left)

    def session_stop(self, kind: str, reason: str, by: str) -> None:
        """Write the end of the session that is on."""
        ctx = self._ctx
        session = ctx.ledger.session
        fields = journal.SessionStopRecord(
            session_id=session.session_id, reason=f"{kind}: {reason}" if reason else kind, by=by,
            duration_ms=(ctx.now_ns - session.started_ns) // _NS_PER_MS, orders=session.orders,
            fills=session.fills, denied=dict(sorted(session.denied.items())),
        )  # fmt: skip
        ctx.ledger.stop_session()
        ctx.record(EventType.SESSION_STOP, fields)

    def flatten(self, reason: str, by: str, command_id: str, symbol: str = "") -> None:
        """End the session with its positions (of one symbol, when given) closed, through the caps.

        Raises:
            CommandError: the config does not allow it, or no session is on.
        """
        if not self._ctx.config.flatten_allowed:
            raise CommandError(
                CommandErrorCode.NOT_ALLOWED, "flatten is off: set session.flatten_allowed"
            )
        if not self.active:
            raise CommandError(CommandErrorCode.NO_SESSION, "flatten needs a session that is on")
        flatten = Flatten(self._ctx, self._runner, symbol)
        self.end("flatten", reason, by, command_id=command_id, flatten=flatten)

    # ------------------------------------------------------------------ kill, re-arm
    def on_kill(self, kill: KillLatched) -> None:
        """A stop path has latched: follow it, whatever we were doing."""
        by = kill.actor.name or f"uid {kill.actor.uid}"
        self._ctx.latch(f"kill: {kill.reason}", by)
        self._ctx.effects.append(CloseHalt(f"kill: {kill.reason}"))
        self.end("kill", kill.reason, by)

    def re_arm(self, by: str, uid: int, reason: str) -> None:
        """Open the latch.

        Raises:
            CommandError: nothing is latched, no reason is given, or the books are not clean.
        """
        ctx = self._ctx
        if not ctx.ledger.latched:
            raise CommandError(
                CommandErrorCode.NOT_LATCHED, "nothing is latched; `start` when READY"
            )
        if not reason:
            raise CommandError(CommandErrorCode.BAD_PARAMS, "re-arm needs a reason: --reason 'why'")
        if self.ending is not None:
            raise CommandError(CommandErrorCode.STOPPING, ctx.gate.why_ending(self.ending.kind))
        if ctx.ledger.unresolved:
            first = ctx.ledger.unresolved[0].incident_id
            raise CommandError(CommandErrorCode.INCIDENT_OPEN, f"resolve incident {first} first")
        refuse_unready(ctx)
        ctx.ledger.re_arm()
        ctx.record(EventType.RE_ARM, journal.ReArmRecord(by=by, uid=uid, reason=reason))
        ctx.effects.append(OpenHalt(f"re-arm: {reason}"))
        # HALTED stays: the flag is opened for the latch's sake; only a start admits orders again.

    # ------------------------------------------------------------------ end of a turn
    def settle_turn(self) -> None:
        """Notices, failed strategies, incidents asked for, the gate's effect, a stop's progress."""
        ctx = self._ctx
        if ctx.ledger.notices:
            self.incidents.take_notices()
        if self._runner.failed:
            failed, self._runner.failed = self._runner.failed, []
            ctx.trouble(StopTrigger.STRATEGY_ERROR, "; ".join(failed))
        if ctx.troubles:
            for incident in self.incidents.open_asked():
                self._stop_for(incident)
        as_ever = ctx.gate.state is self._last_gate is _READY and ctx.trading_state is _ACTIVE
        if not as_ever or self.incidents.reduce_only:
            self._follow_gate()
        if self.ending is not None:
            self.progress()

    def _stop_for(self, incident: Incident) -> None:
        ctx = self._ctx
        flatten = None
        ending = self.ending
        if self.symbols.confines(incident.trigger, incident.symbol):
            self._cancels.want_all("incident", incident.symbol)
            return
        if ending is not None and ending.flattens and incident.trigger in _LOSSES:
            return  # a flattening's own slippage must not leave half of the position
        if self.active and incident.context.get("action") == "halt_and_flatten":
            flatten = Flatten(ctx, self._runner)
        else:
            why = f"incident {incident.incident_id}: {incident.trigger}"
            ctx.effects.append(CloseHalt(why))
        if ctx.ledger.session.session_id or self.ending is not None:
            why = f"{incident.incident_id} {incident.trigger}"
            self.end("incident", why, "engine", flatten=flatten)
        else:
            ctx.set_trading(TradingState.HALTED, incident.trigger)
            self._cancels.want_all("incident")
        self._rounds.want("incident")

    def resolve(self, incident_id: str, by: str, notes: Mapping[str, str]) -> None:
        """A human has explained an incident.

        Raises:
            CommandError: no such open incident, or the root cause is missing.
        """
        incident = self.incidents.resolve(incident_id, by, notes)
        if incident.trigger == StopTrigger.TESTNET_WIPE:
            ctx = self._ctx
            for order in list(ctx.books.working()):
                ctx.fire(order, Trigger.WIPE, f"incident {incident_id}")
                ctx.pending_queries.forget(order.client_order_id)
        if incident.trigger in MISMATCHES:
            self._rounds.rebase()

    def _follow_gate(self) -> None:
        ctx = self._ctx
        state = ctx.gate.state
        if state is not self._last_gate:
            fields = journal.GateStateRecord(
                old=self._last_gate.value, new=state.value, why=self._gate_why()
            )
            ctx.record(EventType.GATE_STATE, fields)
            self._last_gate = state
            self.symbols.follow_gate()
        reduce_only = self.incidents.reduce_only
        if not self.active or ctx.trading_state is _HALTED:
            return
        if state is not _READY:
            ctx.set_trading(TradingState.REDUCING, f"the gate is {state}")
        elif reduce_only:
            ctx.set_trading(TradingState.REDUCING, reduce_only)
        else:
            ctx.set_trading(_ACTIVE, "the gate is READY again")

    def _gate_why(self) -> str:
        gate = self._ctx.gate
        if gate.state is GateState.READY:
            return self._rounds.last_reason
        return "; ".join(one.text for one in gate.obstacles())
