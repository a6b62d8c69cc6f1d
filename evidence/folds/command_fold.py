"""Compares events that only a command can cause with the journal's command lines.

Rules of this file:
1. A session, a re-arm, a resolution and a drill have an accepted command before them in their run,
   each its own. A drill's claim has what it does to the daemon before it: the order connection
   lost and made again, a comparison asked for.
2. The other direction: a drill that was asked for has a line, and so has a kill. A session has a
   comparison before it and says that it is ACTIVE before its first order.
3. A boot says where the journal ended that it found, and which checkpoint it began at: lines taken
   out before it make both wrong.
4. It holds of runs whose first line states the heartbeat's period; a daemon of before wrote less,
   and of it nothing is demanded here.
"""

from collections.abc import Mapping
from typing import Any

from evidence.folds.journal_fold import ComparingFold, Handler
from evidence.read.journal_lines import (
    CapsChangedLine,
    CheckpointLine,
    CommandLine,
    DisconnectedLine,
    DrillLine,
    IncidentResolvedLine,
    JournalFaultLine,
    JournalLine,
    KillLine,
    OrderApprovedLine,
    ReArmLine,
    ReconciledLine,
    ReconnectLine,
    RecoveryLine,
    RunStartLine,
    RunStopLine,
    SessionStartLine,
    TradingStateChangeLine,
)

ACCEPTED = "accepted"
EXIT_CRASH = 70
ITS_LAST_LINES = 5
"""A checkpoint at the end of a run is among so many lines."""
_KILL, _DRILL, _ACTIVE = "kill", "drill", "ACTIVE"
_LINK = "order"
_LOST, _MADE, _COMPARED = "loss of the order connection", "reconnection", "comparison"
NEEDS: Mapping[str, tuple[str, ...]] = {"disconnect": (_LOST, _MADE), "reconcile": (_COMPARED,)}
"""Drill -> what stands in the journal between the line before it and its own, when it passed."""


class DeedsFold(ComparingFold):
    """Counts accepted commands, and uses one up for each event that needs one."""

    name = "deeds"

    def __init__(self) -> None:
        super().__init__()
        self._is_due = False
        self._accepted: dict[str, int] = {}
        self._drill_asked = 0
        """The command whose drills have no line yet; 0: none."""
        self._drill_id = ""
        self._seen: set[str] = set()
        self._kills_asked = self._kill_lines = 0
        self._run_seq = 0
        self._checkpoint: int | None = None
        """The last one's line; None: not known, the journal's beginning is not at hand."""
        self._has_recovered = self._has_compared = self._is_active = self._has_fault = False
        self._is_told = False
        """Whether the run's first line says which inputs are lines: older daemons' does not."""

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Commands, and what they bring about."""
        return {
            RunStartLine: self._run_start,
            RunStopLine: self._run_stop,
            CommandLine: self._command,
            RecoveryLine: self._recovery,
            CheckpointLine: self._on_checkpoint,
            SessionStartLine: self._session_start,
            TradingStateChangeLine: self._trading_state,
            OrderApprovedLine: self._approved,
            ReArmLine: lambda record: self._takes("re-arm", record, "a re-arm"),
            IncidentResolvedLine: self._resolved,
            CapsChangedLine: lambda record: self._takes("caps-tighten", record, "caps changed"),
            DrillLine: self._drill,
            KillLine: self._kill,
            DisconnectedLine: lambda record: self._link(record.link, _LOST),
            ReconnectLine: lambda record: self._link(record.link, _MADE),
            ReconciledLine: self._reconciled,
            JournalFaultLine: self._faulty,
        }

    def _run_start(self, record: RunStartLine) -> None:
        self._is_due = record.heartbeat_period_ms > 0
        self._accepted = {}
        self._run_seq = record.seq
        if record.seq == 1:
            self._checkpoint = 0
        self._has_recovered = self._has_compared = self._is_active = False
        self._drill_asked = self._kills_asked = self._kill_lines = 0
        self._has_fault, self._is_told = False, bool(record.ticks)

    def _run_stop(self, record: RunStopLine) -> None:
        """At an orderly end, report an accepted kill that has no line."""
        if self._is_due and self._kills_asked and not self._kill_lines:
            what = f"the kill asked for at seq {self._kills_asked} has no line"
            self.note("kill_absent", record, what)
        if self._is_told and self._checkpoint:
            self._end(record, is_orderly=record.seq - self._checkpoint <= ITS_LAST_LINES)

    def _end(self, record: RunStopLine, *, is_orderly: bool) -> None:
        """A run that ends in order writes a checkpoint first; one that an error ends does not."""
        self.checked += 1
        failed = record.exit_code == EXIT_CRASH and record.reason != "cancelled"
        if (failed and is_orderly) or not (record.exit_code or is_orderly or self._has_fault):
            stands = "a" if is_orderly else "no"
            what = f"exit code {record.exit_code} ({record.reason}) is stated, and {stands} "
            self.note("end_differs", record, f"{what}checkpoint stands before the end")

    def _command(self, record: CommandLine) -> None:
        if record.outcome != ACCEPTED:
            if record.method == _DRILL and record.command_id == self._drill_id:
                self._drill_asked = 0  # taken, and refused then: no such drill, a session is on
            return
        known = self._accepted.get(record.method, 0)
        self._accepted[record.method] = known + 1
        if record.method == _KILL:
            self._kills_asked = record.seq
        elif record.method == _DRILL:
            if self._is_due and self._drill_asked:
                what = f"the drill asked for at seq {self._drill_asked} has no line"
                self.note("drill_absent", record, what)
            self._drill_asked, self._drill_id = record.seq, record.command_id
            self._seen.clear()

    def _takes(self, method: str, record: JournalLine, what: str) -> None:
        if not self._is_due:
            return
        self.checked += 1
        left = self._accepted.get(method, 0)
        self._accepted[method] = max(0, left - 1)
        if not left:
            self.note("uncommanded", record, f"{what} without an accepted command {method!r}")

    def _recovery(self, record: RecoveryLine) -> None:
        self._has_recovered = True
        if not self._is_due:
            return
        self.checked += 1
        ended = self._run_seq - 1
        if record.from_seq != ended:
            what = f"the boot found a journal of {record.from_seq} lines, {ended} stand before it"
            self.note("recovery_differs", record, what)
        elif self._checkpoint is not None and record.checkpoint_seq != self._checkpoint:
            what = f"the boot began at checkpoint {record.checkpoint_seq}, the last one before it "
            self.note("recovery_differs", record, what + f"is {self._checkpoint}")

    def _on_checkpoint(self, record: CheckpointLine) -> None:
        self._checkpoint = record.seq

    def _session_start(self, record: SessionStartLine) -> None:
        self._takes("start", record, "a session")
        self._is_active = False
        if self._is_due and not (self._has_recovered and self._has_compared):
            absent = "comparison with the venue" if self._has_recovered else "line of its recovery"
            self.note("uncompared", record, f"a session in a run without a {absent}")

    def _trading_state(self, record: TradingStateChangeLine) -> None:
        self._is_active = self._is_active or record.new == _ACTIVE

    def _approved(self, record: OrderApprovedLine) -> None:
        if self._is_due and not self._is_active:
            self._is_active = True  # told once
            self.note("never_active", record, "an order of a session that was never ACTIVE")

    def _reconciled(self, _: ReconciledLine) -> None:
        self._has_compared = True
        self._seen.add(_COMPARED)

    def _resolved(self, record: IncidentResolvedLine) -> None:
        self._takes("incident-resolve", record, f"incident {record.incident_id} is resolved")

    def _link(self, link: str, what: str) -> None:
        if link == _LINK:
            self._seen.add(what)

    def _drill(self, record: DrillLine) -> None:
        seen, self._seen = self._seen, set()
        self._drill_asked = 0
        if not self._is_due:
            return
        self.checked += 1
        if not self._accepted.get(_DRILL):
            what = f"a drill {record.drill} without an accepted command 'drill'"
            self.note("uncommanded", record, what)
        absent = [one for one in NEEDS.get(record.drill, ()) if one not in seen]
        if record.passed and absent:
            what = f"drill {record.drill} says passed, but no {' nor '.join(absent)} before it"
            self.note("drill_false", record, what)

    def _faulty(self, _: JournalFaultLine) -> None:
        self._has_fault = True

    def _kill(self, _: KillLine) -> None:
        self._kill_lines += 1

    def result(self) -> dict[str, Any]:
        """How many deeds were held against their commands, and what is wrong."""
        return {"checked": self.checked, "problems": self.problems.plain()}
