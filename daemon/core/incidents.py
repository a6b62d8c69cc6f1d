"""Incidents: what stops us, written once, and who may say that it is over.

Rules of this file:
1. Whatever in a turn asks for an incident is collected and opened at the end of the turn; a trigger
   that is open already for the same symbol is not opened twice.
2. An unresolved incident blocks the next start. Resolving needs a human and a root cause.
3. The interceptor's notices end here: alerts are written, breaches with an action become incidents.
"""

from collections.abc import Mapping

from daemon.core.command_errors import CommandError, CommandErrorCode
from daemon.core.durable_state import Incident
from daemon.core.turn_context import TurnContext
from daemon.model import journal_records as journal
from daemon.model.plain_values import to_plain
from daemon.model.records import EventType
from daemon.model.stop_triggers import StopTrigger

MISMATCHES = (
    StopTrigger.POSITION_MISMATCH,
    StopTrigger.TESTNET_WIPE,
    StopTrigger.FOREIGN_ORDER,
)
"""Triggers whose resolution takes the venue's balances over as the new basis."""


class Incidents:
    """Opens and resolves; what follows from one is the conductor's."""

    def __init__(self, ctx: TurnContext) -> None:
        """Share the desk."""
        self._ctx = ctx
        self.count = 0
        """Opened in this run."""
        self.reduce_only = ""
        """Why only reducing orders may pass for the rest of the session; else empty."""

    def totals(self) -> list[int]:
        """Every heartbeat's: the session's decisions and fills; what went wrong in the run."""
        ctx = self._ctx
        session = ctx.ledger.session
        return [*session.decided, session.fills, self.count, ctx.anomalies, ctx.errors]

    def take_notices(self) -> None:
        """Write what the interceptor had to say, and ask for what follows from it."""
        ctx = self._ctx
        notices, ctx.ledger.notices = ctx.ledger.notices, []
        for notice in notices:
            plain = to_plain(notice)
            fields = journal.CapAlertRecord(
                kind=notice.kind, cap=notice.cap, symbol=notice.symbol, band=notice.band,
                used=notice.used, limit=notice.limit, rising=notice.rising, action=notice.action,
                msg=notice.text,
            )  # fmt: skip
            if notice.bot:
                fields["bot"] = notice.bot
            ctx.record(EventType.CAP_ALERT, fields)
            if notice.bot:
                if notice.kind == "breach":
                    ctx.misbehaved.append((notice.bot, notice.text))
            elif notice.action in ("halt", "halt_and_flatten"):
                is_drawdown = "drawdown" in notice.cap
                trigger = StopTrigger.DRAWDOWN if is_drawdown else StopTrigger.CAP_BREACH
                ctx.trouble(trigger, notice.text, notice.symbol, plain)
            elif notice.action == "reduce_only":
                self.reduce_only = notice.text

    def open_asked(self) -> list[Incident]:
        """Open what the turn asked for; those that are new."""
        ctx = self._ctx
        asked, ctx.troubles = ctx.troubles, []
        opened = []
        for trigger, msg, symbol, context in asked:
            known = ctx.ledger.unresolved
            if any((one.trigger, one.symbol) == (trigger, symbol) for one in known):
                continue
            self.count += 1
            incident = Incident(
                incident_id=f"{ctx.config.run}-i{self.count}",
                trigger=str(trigger),
                msg=msg,
                symbol=symbol,
                opened_ns=ctx.now_ns,
                context=dict(context),
            )
            ctx.incident(incident)
            opened.append(incident)
        return opened

    def note(self, incident_id: str, text: str, by: str) -> None:
        """Add a line to an incident.

        Raises:
            CommandError: no such incident.
        """
        ctx = self._ctx
        if incident_id not in ctx.ledger.incidents:
            raise CommandError(CommandErrorCode.NOT_FOUND, f"no incident {incident_id!r}")
        ctx.ledger.explain(incident_id, text)
        fields = journal.ExplanationRecord(about_seq=0, why=text, by=by, incident_id=incident_id)
        ctx.record(EventType.EXPLANATION, fields)

    def resolve(self, incident_id: str, by: str, notes: Mapping[str, str]) -> Incident:
        """A human has explained an incident.

        Raises:
            CommandError: no such open incident, or the root cause is missing.
        """
        ctx = self._ctx
        incident = ctx.ledger.incidents.get(incident_id)
        if incident is None or incident.resolved_by:
            raise CommandError(CommandErrorCode.NOT_FOUND, f"no open incident {incident_id!r}")
        if not notes.get("root_cause"):
            raise CommandError(CommandErrorCode.BAD_PARAMS, "resolving needs a root_cause")
        ctx.ledger.resolve_incident(incident_id, by, ctx.now_ns)
        fields = journal.IncidentResolvedRecord(
            incident_id=incident_id, by=by, root_cause=notes.get("root_cause", ""),
            remediation=notes.get("remediation", ""), follow_up=notes.get("follow_up", ""),
        )  # fmt: skip
        ctx.record(EventType.INCIDENT_RESOLVED, fields)
        return incident
