"""Holds the lines that tell a state against those that make it: each is derived from others.

Rules of this file:
1. A state line says which state it leaves: that is the one of the line before it. A heartbeat says
   which state it finds: trading, gate, open and unknown orders. A boot finds HALTED and DOWN.
2. A stop has its cause in the lines, and a cause its stop: an incident that a state line names has
   a line, and after an incident line the session does not go on; a latch has a kill, and no session
   begins over a latch or an open incident. A start that was refused for one proves that there was.
3. A command that was accepted, and not refused after all, has brought about what it asks for by the
   orderly end of its run. (That a deed has a command is `evidence/folds/command_fold.py`.)
4. A session states its run's code, configuration and account, and the caps in force.
5. It holds of runs whose first line states the heartbeat's period, as in `command_fold`.
"""

import re
from collections import Counter
from collections.abc import Mapping

from evidence.folds.journal_fold import ComparingFold, Handler
from evidence.folds.order_fold import ABSENT_OUTCOMES, TERMINAL
from evidence.read.exact_amounts import NS_PER_MS
from evidence.read.journal_lines import (
    CancelRequestedLine,
    CapsChangedLine,
    ClockLine,
    CommandLine,
    ConnectedLine,
    DisconnectedLine,
    ExplanationLine,
    GateStateChangeLine,
    HeartbeatLine,
    IncidentOpenedLine,
    IncidentResolvedLine,
    JournalLine,
    KillLine,
    OrderApprovedLine,
    OrderDeniedLine,
    OrderResolvedLine,
    OrderStateLine,
    ReArmLine,
    ReconnectLine,
    RunStartLine,
    RunStopLine,
    SessionStartLine,
    SessionStopLine,
    TradingStateChangeLine,
)

HALTED, ACTIVE, DOWN, SUBMITTED = "HALTED", "ACTIVE", "DOWN", "SUBMITTED"
CRASH, READY = "crash", "READY"
OURS = frozenset({"operator", "engine", "drill"})
"""Whose orders are no strategy's: people's, the engine's own and a rehearsal's."""
KEEPS_READY_AWAY = ("order", "market")
"""Links without which the gate is not READY."""
UNKNOWN, PENDING_CANCEL = "UNKNOWN", "PENDING_CANCEL"
BINDING = ("version", "commit", "code", "config_hash", "account", "environment")
BRINGS_ABOUT: Mapping[str, type[JournalLine]] = {
    "start": SessionStartLine,
    "re-arm": ReArmLine,
    "incident-resolve": IncidentResolvedLine,
    "caps-tighten": CapsChangedLine,
    "explain": ExplanationLine,
    "incident-note": ExplanationLine,
    "re-enable": ExplanationLine,
}
"""Command -> the line that its acceptance makes, one for one."""
_INCIDENT = re.compile(r"^incident: (\S+) ")
SETTLES_NS = 2_000 * NS_PER_MS
"""A command that came so shortly before a run's end may find nobody to answer it."""


class StatesFold(ComparingFold):
    """Trading state, gate, latch, links and open incidents, line by line."""

    name = "states"

    def __init__(self) -> None:
        super().__init__()
        self._is_due = False
        self._session_run = ""
        self._traders: set[object] = set()
        """The strategies of the session, by its line."""
        self._trading, self._gate = HALTED, DOWN
        self._working: dict[str, str] = {}
        """Open orders, with the last state of each."""
        self._is_whole = False
        """Whether the journal's beginning is at hand: only then is the number of orders known."""
        self._opened: set[str] = set()
        self._unresolved: dict[str, bool] = {}
        """Open incidents, and whether each of them must stop a session."""
        self._resolved_seq = self._re_armed_seq = 0
        self._is_latched = False
        self._asked: dict[str, CommandLine] = {}
        self._effects: Counter[type[JournalLine]] = Counter()
        self._down_ns: dict[str, int] = {}
        """Links: when each was lost; 0: it is up."""
        self._were_up: set[str] = set()
        """Links that this run has had. A boot that cannot reach the venue loses one before."""
        self._run: RunStartLine | None = None
        self._run_id = self._mode = ""
        self._session_ns = 0
        self._halted_for = ""
        """Why the session that is on was halted, as the trading state's line says."""
        self._caps_hash = ""
        self._is_told = False
        """Whether the run's lines begin with all that the engine was told."""
        self._clock = [0, 0, -1]
        """The last sample of the run, as decisions state it."""

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """States, and what makes them."""
        handlers: dict[type[JournalLine], Handler] = {
            RunStartLine: self._run_start,
            RunStopLine: self._run_stop,
            SessionStartLine: self._session_start,
            SessionStopLine: self._session_stop,
            TradingStateChangeLine: self._trading_state,
            GateStateChangeLine: self._gate_state,
            HeartbeatLine: self._heartbeat,
            ConnectedLine: self._connected,
            DisconnectedLine: self._disconnected,
            ReconnectLine: self._reconnect,
            IncidentOpenedLine: self._incident,
            IncidentResolvedLine: self._resolved,
            KillLine: self._kill,
            ReArmLine: self._re_arm,
            CommandLine: self._command,
            CapsChangedLine: self._caps_changed,
            ExplanationLine: self._effect,
            ClockLine: self._sampled,
            OrderApprovedLine: self._approved,
            OrderDeniedLine: self._decided,
            CancelRequestedLine: self._cancel_requested,
            OrderStateLine: self._order_state,
            OrderResolvedLine: self._order_resolved,
        }
        return {kind: self._in_its_run(handler) for kind, handler in handlers.items()}

    def _in_its_run(self, handler: Handler) -> Handler:
        """A handler for lines that name the run that they stand in, and its mode."""

        def handle(record: JournalLine) -> None:
            is_away = record.run_id != self._run_id or record.mode != self._mode
            if is_away and not isinstance(record, RunStartLine):
                what = f"a line of run {record.run_id}, mode {record.mode}, in {self._run_id}"
                self._differs("run_differs", record, what)
            handler(record)

        return handle

    def _differs(self, kind: str, record: JournalLine, what: str) -> None:
        if self._is_due:
            self.note(kind, record, what)

    def _equal(self, record: JournalLine, name: str, theirs: object, mine: object) -> None:
        self.checked += self._is_due
        if theirs != mine:
            what = f"{name} {theirs} is stated, it is {mine} by the lines before"
            self._differs("state_differs", record, what)

    # ------------------------------------------------------------------ runs and sessions
    def _run_start(self, record: RunStartLine) -> None:
        self._is_due = record.heartbeat_period_ms > 0
        self._is_whole = self._is_whole or record.seq == 1
        self._trading, self._gate = HALTED, DOWN
        self._asked, self._effects = {}, Counter()
        self._down_ns, self._were_up, self._halted_for = {}, set(), ""
        self._is_told, self._clock = bool(record.ticks), [0, 0, -1]
        self._run_id, self._mode = record.run_id, record.mode
        if not f"{record.run_id}-".startswith(f"{record.instance}-{record.run_number}-"):
            what = f"run {record.run_number} of {record.instance} calls itself {record.run_id}"
            self._differs("run_differs", record, what)
        before, self._run = self._run, record
        if before is None or before.caps_hash != record.caps_hash:
            self._caps_hash = record.caps_hash  # another configuration begins anew

    def _run_stop(self, record: RunStopLine) -> None:
        """At an orderly end, report accepted commands that have brought nothing about."""
        asked: Counter[type[JournalLine]] = Counter()
        for command in self._asked.values():
            if command.method in BRINGS_ABOUT and record.ts_ns - command.ts_ns > SETTLES_NS:
                asked[BRINGS_ABOUT[command.method]] += 1
        for kind, count in asked.items():
            absent, name = count - self._effects[kind], kind.__struct_config__.tag
            if absent > 0:
                what = f"{count} accepted commands ask for a line {name}, {absent} are absent"
                self._differs("deed_absent", record, what)

    def _session_start(self, record: SessionStartLine) -> None:
        self._by_command("start", record, record.by)
        self._effects[SessionStartLine] += 1
        self._session_ns, self._halted_for = record.ts_ns, ""
        self._session_run = record.run_id
        self._traders = set(record.strategies) if isinstance(record.strategies, list) else set()
        run = self._run
        for name in BINDING if run is not None else ():
            self._equal(record, name, getattr(record, name), getattr(run, name))
        if self._caps_hash:
            self._equal(record, "caps_hash", record.caps_hash, self._caps_hash)
        self._caps_hash = record.caps_hash
        if self._is_latched:
            self._differs("over_latch", record, "a session begins over a latch: no re-arm before")
        if self._unresolved:
            what = f"a session begins over {', '.join(self._unresolved)}: not resolved before"
            self._differs("over_incident", record, what)

    def _session_stop(self, record: SessionStopLine) -> None:
        self._equal(record, "trading state", self._trading, HALTED)
        if self._session_ns:
            due_ms = (record.ts_ns - self._session_ns) // NS_PER_MS
            self._equal(record, "duration in ms", str(record.duration_ms), str(due_ms))
        if self._session_ns and self._session_run != record.run_id:
            kind = record.reason.partition(":")[0]
            self._equal(record, "end of a session of a run before", kind, CRASH)
        if self._halted_for and not record.reason.startswith("flatten"):
            self._equal(record, "reason", record.reason, self._halted_for)
        self._session_ns, self._halted_for = 0, ""

    def _by_command(self, method: str, record: JournalLine, by: str) -> None:
        """A deed is by somebody who asked for it in this run."""
        asked = [one.by or f"uid {one.uid}" for one in self._asked.values() if one.method == method]
        if asked and by not in asked:
            what = f"by {by}, who did not ask for it ({method} was asked for by {asked[-1]})"
            self._differs("by_another", record, what)

    # ------------------------------------------------------------------ states
    def _trading_state(self, record: TradingStateChangeLine) -> None:
        self._equal(record, "trading state", record.old, self._trading)
        self._trading = record.new
        if record.new == HALTED:
            self._halted_for = record.why
        named = _INCIDENT.match(record.why)
        if named and named[1] not in self._opened and self._is_whole:
            what = f"it stops for incident {named[1]}, whose line is absent"
            self._differs("incident_absent", record, what)
        is_kill = record.why.startswith("kill:")
        if record.latched and not (self._is_latched or is_kill) and self._is_whole:
            self._differs("latch_absent", record, "it is latched, and no kill is before it")
        self._is_latched = record.latched

    def _gate_state(self, record: GateStateChangeLine) -> None:
        self._equal(record, "gate", record.old, self._gate)
        self._gate = record.new

    def _heartbeat(self, record: HeartbeatLine) -> None:
        self._goes_on(record)
        self._equal(record, "trading state", record.trading_state, self._trading)
        self._equal(record, "gate", record.gate_state, self._gate)
        self._not_ready_without(record, *KEEPS_READY_AWAY)
        if self._is_whole:
            unknown = sum(state == UNKNOWN for state in self._working.values())
            self._equal(record, "open orders", record.open_orders, len(self._working))
            self._equal(record, "unknown orders", record.unknown_orders, unknown)

    def _goes_on(self, record: JournalLine) -> None:
        """Report an incident that had to stop the session, which is ACTIVE all the same."""
        if self._trading == ACTIVE:
            for name in [name for name, stops in self._unresolved.items() if stops]:
                self._unresolved[name] = False  # told once
                self._differs("stop_absent", record, f"the session goes on after incident {name}")

    # ------------------------------------------------------------------ links
    def _not_ready_without(self, record: JournalLine, *links: str) -> None:
        lost = [one for one in links if one in KEEPS_READY_AWAY and self._down_ns.get(one, 0)]
        if lost and self._gate == READY:
            self._differs("link_differs", record, f"{lost[0]} was lost, and the gate stayed READY")

    def _connected(self, record: ConnectedLine) -> None:
        if record.link in self._were_up:
            self._differs("link_differs", record, f"{record.link} is up for the first time, again")
        self._were_up.add(record.link)
        self._down_ns[record.link] = 0

    def _disconnected(self, record: DisconnectedLine) -> None:
        if self._down_ns.get(record.link, 0):
            what = f"{record.link} is lost, and was not up: its reconnection is absent"
            self._differs("link_differs", record, what)
        self._down_ns[record.link] = record.ts_ns

    def _reconnect(self, record: ReconnectLine) -> None:
        since_ns = self._down_ns.get(record.link, 0)
        self._not_ready_without(record, record.link)
        if not since_ns:
            what = f"{record.link} is up again, and was not lost: its loss is absent"
            self._differs("link_differs", record, what)
        else:
            due_ms = (record.ts_ns - since_ns) // NS_PER_MS
            self._equal(record, f"outage of {record.link}", str(record.outage_ms), str(due_ms))
        self._were_up.add(record.link)
        self._down_ns[record.link] = 0

    # ------------------------------------------------------------------ incidents, latch, commands
    def _incident(self, record: IncidentOpenedLine) -> None:
        self._opened.add(record.incident_id)
        self._unresolved[record.incident_id] = not record.symbol and self._trading == ACTIVE

    def _resolved(self, record: IncidentResolvedLine) -> None:
        self._by_command("incident-resolve", record, record.by)
        self._unresolved.pop(record.incident_id, None)
        self._resolved_seq = record.seq
        self._effects[IncidentResolvedLine] += 1

    def _kill(self, record: KillLine) -> None:
        self._is_latched = self._is_latched or record.step == "latched"
        if record.step == "verified_empty" and (record.open_orders or record.verified is False):
            what = f"a kill is verified with {record.open_orders} orders open"
            self._differs("kill_false", record, what)

    def _re_arm(self, record: ReArmLine) -> None:
        if not self._is_latched and self._is_whole:
            self._differs("latch_absent", record, "a re-arm, and nothing was latched before it")
        self._by_command("re-arm", record, record.by)
        self._is_latched, self._re_armed_seq = False, record.seq
        self._effects[ReArmLine] += 1

    def _command(self, record: CommandLine) -> None:
        if record.outcome == "accepted":
            self._asked[record.command_id] = record
            return
        asked = self._asked.pop(record.command_id, None)
        if asked is None or not self._is_whole:
            return
        reason = str(record.msg).partition(":")[0]
        if reason == "incident_open" and not self._unresolved and self._resolved_seq < asked.seq:
            what = f"{record.method} was refused for an open incident, and none was"
            self._differs("incident_absent", record, what)
        if reason == "latched" and not self._is_latched and self._re_armed_seq < asked.seq:
            what = f"{record.method} was refused for a latch, and none was"
            self._differs("latch_absent", record, what)

    def _sampled(self, record: ClockLine) -> None:
        self._clock = [record.offset_ns, record.round_trip_ns, record.ts_ns]

    def _effect(self, record: JournalLine) -> None:
        self._effects[type(record)] += 1

    def _caps_changed(self, record: CapsChangedLine) -> None:
        self._by_command("caps-tighten", record, record.by)
        self._effect(record)
        self._caps_hash = record.new_hash

    # ------------------------------------------------------------------ orders
    def _approved(self, record: OrderApprovedLine) -> None:
        self._goes_on(record)
        self._working[record.client_order_id] = SUBMITTED
        self._decided(record)

    def _decided(self, record: OrderApprovedLine | OrderDeniedLine) -> None:
        """A decision states the trading state that it was made in, and the clock's last sample."""
        standing = record.decision.get("standing", record.decision)
        stated = standing.get("trading_state") if isinstance(standing, dict) else None
        known = self._traders | OURS
        if record.session_id and record.owner is None and record.strategy_id not in known:
            what = f"an order of {record.strategy_id}, which its session does not name"
            self._differs("strategy_differs", record, what)
        if stated is not None:
            self._equal(record, "trading state", stated, self._trading)
            clock = standing.get("clock")
            if isinstance(clock, list) and self._is_told:
                self._equal(record, "sample of the clock", clock, self._clock)

    def _cancel_requested(self, record: CancelRequestedLine) -> None:
        if self._working.get(record.client_order_id, UNKNOWN) != UNKNOWN:
            self._working[record.client_order_id] = PENDING_CANCEL

    def _order_state(self, record: OrderStateLine) -> None:
        known = self._working.get(record.client_order_id)
        if known is not None and record.old:
            self._equal(record, f"state of {record.client_order_id}", record.old, known)
        if record.new in TERMINAL:
            self._working.pop(record.client_order_id, None)
        else:
            self._working[record.client_order_id] = record.new

    def _order_resolved(self, record: OrderResolvedLine) -> None:
        if record.outcome in ABSENT_OUTCOMES:
            self._working.pop(record.client_order_id, None)
        elif record.order:
            status = str(record.order.get("status", ""))
            if status not in TERMINAL:
                self._working[record.client_order_id] = status
