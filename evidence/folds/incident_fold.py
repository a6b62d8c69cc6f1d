"""Incidents, storms, commands, kills and drills: what went wrong, what was done, what was tried."""

from collections.abc import Mapping
from typing import Any

import msgspec

from evidence.folds.drill_fold import FALSE, OPEN, decided, longest
from evidence.folds.journal_fold import Handler
from evidence.read.id_numbers import Numbers
from evidence.read.integrity import Faults
from evidence.read.journal_lines import (
    CapAlertLine,
    CapsChangedLine,
    CommandLine,
    DisconnectedLine,
    DrillLine,
    ExchangeErrorLine,
    ExplanationLine,
    IncidentOpenedLine,
    IncidentResolvedLine,
    JournalFaultLine,
    JournalLine,
    KillLine,
    OrderRejectLine,
    RateLimitLine,
    ReArmLine,
    ReconciledLine,
    ReconnectLine,
    SessionStopLine,
    StrategyErrorLine,
    TimeoutLine,
)

KEPT = 500
"""So many commands, kills and alerts are shown; the counts go on."""


class IncidentSummary(msgspec.Struct):
    """One stop trigger."""

    incident_id: str
    trigger: str
    msg: str
    symbol: str
    opened_seq: int
    opened_ns: int
    session_id: str
    resolved_by: str = ""
    resolved_seq: int = 0
    has_note: bool = False
    bot: str = ""
    """The bot whose order or key it is about; empty: no single bot's."""

    def plain(self) -> dict[str, Any]:
        """The incident as a report shows it."""
        shown = msgspec.structs.asdict(self)
        del shown["resolved_seq"]
        if not self.bot:
            del shown["bot"]
        return shown


def _bot_in(context: object) -> str:
    bot = context.get("bot") if isinstance(context, Mapping) else None
    return bot if isinstance(bot, str) else ""


def trigger_text(incident: Mapping[str, Any]) -> str:
    """The trigger of an incident's row of the report, and its bot's name."""
    trigger = str(incident["trigger"])
    return f"{trigger} (bot {incident['bot']})" if incident.get("bot") else trigger


class IncidentsFold:
    """Collects incidents, storms, commands, kills, drills and errors."""

    name = "incidents"

    def __init__(self) -> None:
        self.incidents: dict[str, IncidentSummary] = {}
        self.problems = Faults()
        self.remarks = Faults()
        self._numbers = Numbers()
        self.errors: dict[int, str] = {}
        self.anomalies: dict[int, str] = {}
        self.error_count = 0
        self.anomaly_count = 0
        self.explained: dict[int, str] = {}
        self.explained_at: dict[int, int] = {}
        """Error or anomaly -> the line that explains it."""
        self.commands: list[dict[str, Any]] = []
        self.refused = 0
        self.kills: list[dict[str, Any]] = []
        self.kills_unverified = 0
        """Kills that no `verified_empty` has followed."""
        self.drills: list[dict[str, Any]] = []
        self.counts: dict[str, int] = {}
        self.outage_ms = 0
        self.differences: list[dict[str, Any]] = []
        self.alerts: list[dict[str, Any]] = []
        self.events: list[tuple[int, str]] = []
        """(time, kind) of rejects, reconnects and their like, for a timeline."""

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Everything that is not the ordinary way of an order."""
        bad: dict[type[JournalLine], Handler] = {
            OrderRejectLine: self._anomaly,
            TimeoutLine: self._anomaly,
            DisconnectedLine: self._anomaly,
            StrategyErrorLine: self._error,
            ExchangeErrorLine: self._error,
            JournalFaultLine: self._error,
        }
        return {
            **bad,
            RateLimitLine: self._anomaly,
            ReconnectLine: self._reconnect,
            IncidentOpenedLine: self._opened,
            IncidentResolvedLine: self._resolved,
            ExplanationLine: self._explanation,
            SessionStopLine: self._session_stop,
            CommandLine: self._command,
            KillLine: self._kill,
            ReArmLine: self._re_arm,
            DrillLine: self._drill,
            ReconciledLine: self._reconciled,
            CapAlertLine: self._alert,
            CapsChangedLine: self._caps_changed,
        }

    def _count(self, what: str, ts_ns: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        if len(self.events) < KEPT * 4:
            self.events.append((ts_ns, what))

    def _anomaly(self, record: Any) -> None:
        kind = record.__struct_config__.tag
        self._count(kind, record.ts_ns)
        self.anomaly_count += 1
        if len(self.anomalies) < KEPT * 4:
            self.anomalies[record.seq] = kind

    def _error(self, record: Any) -> None:
        kind = record.__struct_config__.tag
        self._count(kind, record.ts_ns)
        self.error_count += 1
        if len(self.errors) < KEPT * 4:
            self.errors[record.seq] = f"{kind}: {record.msg}"

    def _reconnect(self, record: ReconnectLine) -> None:
        self._anomaly(record)
        try:
            self.outage_ms += int(record.outage_ms)
        except ValueError:
            self.problems.note("bad_amount", f"seq {record.seq}", f"{record.outage_ms!r}")

    def _opened(self, record: IncidentOpenedLine) -> None:
        if gap := self._numbers.gap_before(record.incident_id, "-i"):
            self.problems.note("incident_gap", f"seq {record.seq}", f"incident {gap}")
        self._count("incident_opened", record.ts_ns)
        self.error_count += 1
        self.errors[record.seq] = f"incident {record.incident_id}: {record.trigger}"
        self.incidents[record.incident_id] = IncidentSummary(
            record.incident_id, record.trigger, record.msg, record.symbol or "", record.seq,
            record.ts_ns, record.session_id, bot=_bot_in(record.context),
        )  # fmt: skip

    def _resolved(self, record: IncidentResolvedLine) -> None:
        incident = self.incidents.get(record.incident_id)
        if incident is None:
            what = f"incident {record.incident_id} is resolved, but was never opened"
            self.problems.note("resolved_without_open", f"seq {record.seq}", what)
            return
        incident.resolved_by, incident.resolved_seq = record.by or "?", record.seq
        incident.has_note = bool(record.root_cause and record.remediation)
        self._explain(incident.opened_seq, record.root_cause, record.seq)

    def _session_stop(self, record: SessionStopLine) -> None:
        """Check that a session end by an incident names one (`incident: <id> <trigger>`)."""
        kind, _, rest = record.reason.partition(": ")
        if kind == "incident" and rest:
            self._must_be_known(record, rest.split(" ")[0])

    def _must_be_known(self, record: JournalLine, incident_id: str) -> None:
        if incident_id and incident_id not in self.incidents:
            what = f"incident {incident_id} is spoken of, its line is absent"
            self.problems.note("incident_absent", f"seq {record.seq}", what)

    def _explanation(self, record: ExplanationLine) -> None:
        self._must_be_known(record, record.incident_id)
        self._explain(record.about_seq, record.why, record.seq)

    def _explain(self, about_seq: int, why: str, seq: int) -> None:
        self.explained[about_seq], self.explained_at[about_seq] = why, seq

    def _command(self, record: CommandLine) -> None:
        self.counts["commands"] = self.counts.get("commands", 0) + 1
        self.refused += record.outcome == "refused"
        if len(self.commands) < KEPT:
            self.commands.append({
                "seq": record.seq, "ts_ns": record.ts_ns, "method": record.method,
                "uid": record.uid, "role": record.role, "reason": record.reason,
                "outcome": record.outcome,
            })  # fmt: skip

    def _kill(self, record: KillLine) -> None:
        self._count(f"kill_{record.step}", record.ts_ns)
        if record.step == "latched":
            self.kills_unverified += 1
        elif record.step == "verified_empty" and record.verified is not False:
            self.kills_unverified = 0
        if len(self.kills) < KEPT:
            self.kills.append({
                "seq": record.seq, "ts_ns": record.ts_ns, "step": record.step, "by": record.by,
                "reason": record.reason, "gate_ms": record.gate_ms, "empty_ms": record.empty_ms,
            })  # fmt: skip

    def _re_arm(self, record: ReArmLine) -> None:
        self._count("re_arm", record.ts_ns)

    def _drill(self, record: DrillLine) -> None:
        self._count("drill", record.ts_ns)
        found, why = decided(record.drill, passed=record.passed, detail=record.detail)
        if found == FALSE:
            what = f"drill {record.drill} says passed, its details do not: {why}"
            self.problems.note("drill_false", f"seq {record.seq}", what)
        elif found == OPEN:
            what = f"drill {record.drill} cannot be decided again: {why}"
            self.remarks.note("drill_open", f"seq {record.seq}", what)
        longest_ms = longest(record.detail)
        if longest_ms > int(record.duration_ms or 0):
            what = f"drill {record.drill} took {record.duration_ms} ms as stated, a part of it "
            self.problems.note("drill_differs", f"seq {record.seq}", f"{what}{longest_ms} ms")
        self.drills.append({
            "seq": record.seq, "ts_ns": record.ts_ns, "drill": record.drill,
            "passed": record.passed, "decided": found, "duration_ms": record.duration_ms,
            "session_id": record.session_id,
        })  # fmt: skip

    def _reconciled(self, record: ReconciledLine) -> None:
        self.counts["reconciled"] = self.counts.get("reconciled", 0) + 1
        if record.clean and not record.differences:
            return
        self._count("reconcile_difference", record.ts_ns)
        for difference in record.differences:
            if len(self.differences) < KEPT:
                self.differences.append({"seq": record.seq, **difference})

    def _alert(self, record: CapAlertLine) -> None:
        self._count("cap_alert", record.ts_ns)
        if len(self.alerts) < KEPT:
            self.alerts.append({
                "ts_ns": record.ts_ns, "cap": record.cap, "symbol": record.symbol or "",
                "band": str(record.band), "used": str(record.used), "limit": str(record.limit),
                "rising": record.rising,
            })  # fmt: skip

    def _caps_changed(self, record: CapsChangedLine) -> None:
        self._count("caps_changed", record.ts_ns)

    @property
    def unresolved(self) -> list[IncidentSummary]:
        """Incidents that no human has resolved."""
        return [incident for incident in self.incidents.values() if not incident.resolved_by]

    @property
    def unexplained_errors(self) -> list[str]:
        """Errors without an explanation or a resolution that names a cause."""
        return [f"seq {seq}: {what}" for seq, what in self.errors.items() if not self._why(seq)]

    def _why(self, seq: int) -> str:
        return self.explained.get(seq, "").strip()

    def result(self) -> dict[str, Any]:
        """Incidents, counts and lists."""
        explained = [seq for seq in (*self.errors, *self.anomalies) if self._why(seq)]
        return {
            "incidents": [incident.plain() for incident in self.incidents.values()],
            "unresolved": [incident.incident_id for incident in self.unresolved],
            "error_count": self.error_count,
            "anomaly_count": self.anomaly_count,
            "explained": len(explained),
            "unexplained_errors": self.unexplained_errors[:KEPT],
            "counts": dict(sorted(self.counts.items())),
            "outage_ms": self.outage_ms,
            "reconcile_differences": self.differences,
            "commands": self.commands,
            "commands_refused": self.refused,
            "kills": self.kills,
            "kills_unverified": self.kills_unverified,
            "drills": self.drills,
            "cap_alerts": self.alerts,
            "timeline": [list(event) for event in self.events[:KEPT]],
            "problems": self.problems.plain(),
            "remarks": self.remarks.plain(),
        }
