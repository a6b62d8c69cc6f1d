"""Sessions and runs: their bindings, their ends, and gaps in their heartbeats.

Rules of this file:
1. A session is what stands between its start and its stop; a start without a stop is a crash when
   a later run follows in the same chain, and a cut record when nothing follows.
2. Silence is not success: heartbeats seen are held against heartbeats due, both ways (too many are
   padding).
3. Two sessions that are the same to the nanosecond, or order for order, are one session and a copy.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from evidence.folds.journal_fold import Handler
from evidence.read.build_digest import Build, contradiction
from evidence.read.exact_amounts import NS_PER_MS
from evidence.read.id_numbers import Numbers
from evidence.read.integrity import Faults
from evidence.read.journal_lines import (
    DrillLine,
    FillLine,
    HeartbeatLine,
    IncidentOpenedLine,
    JournalLine,
    OrderApprovedLine,
    OrderDeniedLine,
    ReconciledLine,
    RecoveryLine,
    RunStartLine,
    RunStopLine,
    SessionStartLine,
    SessionStopLine,
    TradingStateChangeLine,
)

PERIODS_SILENT_MAX = 5
"""A silence longer than so many heartbeat periods is a hole in the record."""
STATES_SHOWN = 400
CLONE_LINES_MIN = 10
"""Fewer lines can be alike by chance."""


class SessionSummary(msgspec.Struct):
    """One session, re-counted."""

    session_id: str
    run_id: str
    mode: str
    exchange: str
    started_ns: int
    started_seq: int
    binding: dict[str, str]
    by: str = ""
    stopped_ns: int = 0
    stopped_seq: int = 0
    last_ns: int = 0
    end: str = ""
    stop_reason: str = ""
    orders: int = 0
    fills: int = 0
    denied: int = 0
    lines: int = 0
    heartbeats: int = 0
    period_ns: int = 0
    silence_max_ns: int = 0
    incidents: int = 0
    modes: set[str] = set()
    timing: Any = msgspec.field(default_factory=hashlib.sha256)
    shape: Any = msgspec.field(default_factory=hashlib.sha256)
    shaped: int = 0

    @property
    def duration_ns(self) -> int:
        """From the start line to the stop line, or to the last line that it left."""
        return (self.stopped_ns or self.last_ns) - self.started_ns

    @property
    def heartbeats_due(self) -> int:
        """How many heartbeats its duration asks for."""
        return self.duration_ns // self.period_ns if self.period_ns else 0

    def plain(self) -> dict[str, Any]:
        """The session as a report shows it."""
        return {
            "session_id": self.session_id,
            "run_id": self.run_id,
            "mode": self.mode,
            "exchange": self.exchange,
            "by": self.by,
            "started_ns": self.started_ns,
            "duration_ms": self.duration_ns // NS_PER_MS,
            "end": self.end or "open",
            "stop_reason": self.stop_reason,
            "orders": self.orders,
            "fills": self.fills,
            "denied": self.denied,
            "incidents": self.incidents,
            "heartbeats": self.heartbeats,
            "heartbeats_due": self.heartbeats_due,
            "silence_max_ms": self.silence_max_ns // NS_PER_MS,
            "binding": dict(sorted(self.binding.items())),
            "fingerprint": self.timing.hexdigest(),
        }


class Run(msgspec.Struct):
    """One boot of the daemon."""

    run_id: str
    run_number: int
    instance: str
    environment: str
    mode: str
    started_ns: int
    bot_version: str = ""
    """Of the bot whose trials its box names; empty: it names none."""
    stopped: bool = False
    stopped_seq: int = 0
    exit_code: int | None = None
    recovered: bool = False
    compared_ns: int = 0
    """When its books were last compared with the venue's."""


class SessionsFold:
    """Runs, sessions, coverage, clones."""

    name = "sessions"

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.sessions: list[SessionSummary] = []
        self.current: SessionSummary | None = None
        self.problems = Faults()
        self.remarks = Faults()
        self.states: list[tuple[int, str, str]] = []
        self.last_stop_seq = 0
        self.builds: dict[Build, str] = {}
        """What ran, with the last run of each."""
        self.rebuilt: list[str] = []
        """Runs whose version, commit and code contradict those of an earlier run."""
        self._numbers = Numbers()
        self._period_ns = 0
        """Between the run's heartbeats, as its first line states it; 0: an older daemon's."""
        self._beat_ns = 0

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Starts, stops, heartbeats and what a session counts."""
        return {
            RunStartLine: self._run_start,
            RunStopLine: self._run_stop,
            RecoveryLine: self._recovery,
            ReconciledLine: self._compared,
            SessionStartLine: self._session_start,
            SessionStopLine: self._session_stop,
            HeartbeatLine: self._heartbeat,
            OrderApprovedLine: self._approved,
            OrderDeniedLine: self._denied,
            FillLine: self._fill,
            IncidentOpenedLine: self._incident,
            TradingStateChangeLine: self._trading_state,
            DrillLine: self._touch,
        }

    # ------------------------------------------------------------------ runs
    def _run_start(self, record: RunStartLine) -> None:
        if self.runs and not self.runs[-1].stopped:
            what = f"run {self.runs[-1].run_id} ended without its stop line (crash or kill)"
            self.remarks.note("crash", f"seq {record.seq}", what)
        if self.current is not None and not self.current.stopped_ns:
            # Its stop line may still come: recovery writes it for the session that it found on.
            self.current.stopped_ns = self.current.last_ns
            self.current.end = "crashed"
        self._period_ns = record.heartbeat_period_ms * NS_PER_MS
        numbers = [run.run_number for run in self.runs if run.instance == record.instance]
        if numbers and record.run_number != numbers[-1] + 1:
            what = f"run {record.run_number} of {record.instance} follows run {numbers[-1]}"
            self.problems.note("run_gap", f"seq {record.seq}", what)
        if self.runs and record.instance != self.runs[-1].instance:
            what = f"instance {record.instance} in the journal of {self.runs[-1].instance}"
            self.problems.note("other_instance", f"seq {record.seq}", what)
        self.runs.append(
            Run(record.run_id, record.run_number, record.instance, record.environment,
                record.mode, record.ts_ns, record.bot_version)
        )  # fmt: skip
        build = Build(record.version, record.commit, record.code)
        for known, run_id in self.builds.items():
            if what := contradiction(build, known):
                self.rebuilt.append(f"run {record.run_id}: {what} in run {run_id}")
        self.builds[build] = record.run_id

    def _run_stop(self, record: RunStopLine) -> None:
        if self.current is not None and self.current.end != "crashed":
            what = f"run {record.run_id} ended in session {self.current.session_id}: not stopped"
            self.remarks.note("crash", f"seq {record.seq}", what)
        if self.runs:
            self.runs[-1].stopped = True
            self.runs[-1].stopped_seq = record.seq
            self.runs[-1].exit_code = record.exit_code
        if record.exit_code:
            what = f"run {record.run_id} ended with exit code {record.exit_code}: {record.reason}"
            self.remarks.note("exit_code", f"seq {record.seq}", what)

    def _recovery(self, record: RecoveryLine) -> None:
        if self.runs:
            self.runs[-1].recovered = True
        if record.torn_bytes:
            what = f"recovery cut {record.torn_bytes} torn bytes"
            self.remarks.note("torn_recovered", f"seq {record.seq}", what)

    def _compared(self, record: ReconciledLine) -> None:
        if self.runs and not record.failed:
            self.runs[-1].compared_ns = record.ts_ns

    # ------------------------------------------------------------------ sessions
    def _session_start(self, record: SessionStartLine) -> None:
        if self.current is not None:
            self._close(self.current, self.current.end or "restarted")
        binding = {
            name: str(getattr(record, name))
            for name in ("version", "commit", "config_hash", "caps_hash", "account", "environment")
        }
        if record.code:
            binding["code"] = record.code
        if any(one.session_id == record.session_id for one in self.sessions):
            what = f"session {record.session_id} starts a second time"
            self.problems.note("session_twice", f"seq {record.seq}", what)
        elif gap := self._numbers.gap_before(record.session_id, "-s"):
            self.problems.note("session_gap", f"seq {record.seq}", f"session {gap}")
        self.current = SessionSummary(
            session_id=record.session_id, run_id=record.run_id, mode=record.mode,
            exchange=record.exchange, started_ns=record.ts_ns, started_seq=record.seq,
            binding=binding, by=record.by, last_ns=record.ts_ns, period_ns=self._period_ns,
        )  # fmt: skip
        self.sessions.append(self.current)
        self._touch(record)

    def _session_stop(self, record: SessionStopLine) -> None:
        session = self.current
        if session is None or record.session_id not in ("", session.session_id):
            what = f"stop of session {record.session_id}, which was not on"
            self.problems.note("stop_without_start", f"seq {record.seq}", what)
            return
        self._touch(record)
        self.last_stop_seq = session.stopped_seq = record.seq
        session.stop_reason = record.reason
        if session.end != "crashed":
            self._silence(session, record.ts_ns)
            session.stopped_ns = record.ts_ns
        denied = record.denied
        for what, mine, theirs in (
            ("orders", session.orders, record.orders),
            ("fills", session.fills, record.fills),
            (
                "denied",
                session.denied,
                sum(denied.values()) if isinstance(denied, dict) else denied,
            ),
        ):
            if theirs is not None and theirs != mine:
                text = f"{session.session_id}: its stop line counts {theirs} {what}, I count {mine}"
                self.problems.note("count_differs", f"seq {record.seq}", text)
        self._close(session, session.end or "stopped")

    def _close(self, session: SessionSummary, end: str) -> None:
        session.end = end
        self.current = None
        self._beat_ns = 0
        place, due = f"seq {session.started_seq}", session.heartbeats_due
        if due and session.heartbeats < due * 9 // 10 - 1:
            what = f"{session.session_id}: {session.heartbeats} heartbeats of {due} due"
            self.problems.note("coverage", place, what)
        if session.period_ns and session.heartbeats > due + due // 5 + 2:
            what = f"{session.session_id}: {session.heartbeats} heartbeats where {due} fit in"
            self.problems.note("padding", place, what)

    def _heartbeat(self, record: HeartbeatLine) -> None:
        session = self.current
        if session is None or session.end == "crashed":
            return
        self._touch(record)
        try:
            session.period_ns = int(record.period_ms) * NS_PER_MS
        except ValueError:
            self.problems.note("bad_amount", f"seq {record.seq}", f"period {record.period_ms!r}")
        session.heartbeats += 1
        self._silence(session, record.ts_ns)
        self._beat_ns = record.ts_ns

    def _silence(self, session: SessionSummary, ts_ns: int) -> None:
        silence = ts_ns - (self._beat_ns or session.started_ns)
        session.silence_max_ns = max(session.silence_max_ns, silence)
        if session.period_ns and silence > session.period_ns * PERIODS_SILENT_MAX:
            what = f"{session.session_id}: no heartbeat for {silence // NS_PER_MS} ms"
            self.problems.note("silence", f"ts {ts_ns}", what)

    # ------------------------------------------------------------------ contents
    def _touch(self, record: JournalLine) -> None:
        session = self.current
        if session is None:
            return
        session.lines += 1
        session.last_ns = record.ts_ns
        session.modes.add(record.mode)
        # Reports of earlier versions state this digest: the names of then, without "Line".
        kind = type(record).__name__.removesuffix("Line")
        text = f"{kind},{record.ts_ns - session.started_ns};"
        session.timing.update(text.encode())

    def _approved(self, record: OrderApprovedLine) -> None:
        self._touch(record)
        self._shape(f"o,{record.symbol},{record.side},{record.qty},{record.price};")
        if self.current is not None:
            self.current.orders += 1

    def _denied(self, record: OrderDeniedLine) -> None:
        self._touch(record)
        if self.current is not None:
            self.current.denied += 1

    def _fill(self, record: FillLine) -> None:
        self._touch(record)
        self._shape(f"f,{record.symbol},{record.side},{record.qty},{record.price};")
        if self.current is not None:
            self.current.fills += 1

    def _shape(self, text: str) -> None:
        if self.current is not None:
            self.current.shape.update(text.encode())
            self.current.shaped += 1

    def _incident(self, record: IncidentOpenedLine) -> None:
        self._touch(record)
        if self.current is not None:
            self.current.incidents += 1

    def _trading_state(self, record: TradingStateChangeLine) -> None:
        self._touch(record)
        if len(self.states) < 10_000:
            self.states.append((record.ts_ns, record.new, record.why))

    # ------------------------------------------------------------------ the end
    def clones(self) -> list[tuple[str, str, str]]:
        """Pairs of sessions that are one and the same: (first, copy, how it shows)."""
        found = []
        by_timing: dict[str, str] = {}
        by_shape: dict[str, str] = {}
        for one in self.sessions:
            timing, shape = one.timing.hexdigest(), one.shape.hexdigest()
            if one.lines >= CLONE_LINES_MIN and timing in by_timing:
                found.append((by_timing[timing], one.session_id, "equal to the nanosecond"))
            elif one.shaped >= CLONE_LINES_MIN and shape in by_shape:
                found.append((by_shape[shape], one.session_id, "equal order for order"))
            by_timing.setdefault(timing, one.session_id)
            by_shape.setdefault(shape, one.session_id)
        return found

    def absent_before(self) -> list[str]:
        """Words for the runs that must precede the first line, by their numbers."""
        first = self.runs[0] if self.runs else None
        if first is None or first.run_number <= 1:
            return []
        told = f"it begins with run {first.run_number} of {first.instance}"
        return [f"{told}: the runs before it are absent"]

    def open_ends(self) -> list[str]:
        """Runs and sessions that have no stop line at the end of the record."""
        reasons = []
        if self.current is not None and self.current.end != "crashed":
            reasons.append(f"session {self.current.session_id} has no stop line: cut or running")
        if self.runs and not self.runs[-1].stopped:
            reasons.append(f"run {self.runs[-1].run_id} has no stop line: cut or running")
        return reasons

    def result(self) -> dict[str, Any]:
        """Runs, sessions, problems."""
        return {
            "runs": len(self.runs),
            "crashes": self.remarks.counts.get("crash", 0),
            "instances": sorted({run.instance for run in self.runs}),
            "environments": sorted({run.environment for run in self.runs if run.environment}),
            "sessions": [session.plain() for session in self.sessions],
            "states": [list(state) for state in self.states[:STATES_SHOWN]],
            "clones": [list(pair) for pair in self.clones()],
            "open_ends": self.open_ends(),
            "problems": self.problems.plain(),
            "remarks": self.remarks.plain(),
        }
