"""Compares running totals in lines with the lines: a removed line breaks all later totals.

Rules of this file:
1. A decision states how many orders its session has had approved and denied so far, itself
   included; a heartbeat states fills as well, and the run's incidents, anomalies and errors; a
   checkpoint has the tallies.
2. Both directions: a line that is absent makes the stated total too large, one that was put in
   makes it too small.
3. A journal of an older daemon states none: what could not be checked is told.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from evidence.folds.journal_fold import ComparingFold, Handler
from evidence.read.journal_lines import (
    CheckpointLine,
    DisconnectedLine,
    ExchangeErrorLine,
    FillLine,
    HeartbeatLine,
    IncidentOpenedLine,
    JournalFaultLine,
    JournalLine,
    OrderApprovedLine,
    OrderDeniedLine,
    OrderRejectLine,
    RateLimitLine,
    ReconnectLine,
    RunStartLine,
    SessionStartLine,
    StrategyErrorLine,
    TimeoutLine,
)

SESSION_TOTALS = ("approved", "denied", "fills")
INCIDENTS, ANOMALIES, ERRORS = "incidents", "anomalies", "errors"
RUN_TOTALS = (INCIDENTS, ANOMALIES, ERRORS)

_ANOMALOUS: tuple[type[JournalLine], ...] = (
    OrderRejectLine,
    TimeoutLine,
    RateLimitLine,
    ReconnectLine,
    DisconnectedLine,
)
_ERRONEOUS: tuple[type[JournalLine], ...] = (StrategyErrorLine, ExchangeErrorLine, JournalFaultLine)
"""What the engine itself records of its kind; an opened incident is an error as well."""


class TotalsFold(ComparingFold):
    """Counts the lines and compares every stated total with the count."""

    name = "totals"

    def __init__(self) -> None:
        super().__init__()
        self.unstated = 0
        """Decisions that state no totals."""
        self._mine: dict[str, int] = {}
        """Empty while it is not known where counting began."""
        self._opened: set[str] = set()
        self._is_whole = False

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Lines that count, and lines that state."""
        return {
            RunStartLine: self._run_start,
            SessionStartLine: self._session_start,
            OrderApprovedLine: self._approved,
            OrderDeniedLine: self._denied,
            FillLine: self._fill,
            IncidentOpenedLine: self._incident,
            **dict.fromkeys(_ANOMALOUS, self._anomaly),
            **dict.fromkeys(_ERRONEOUS, self._error),
            HeartbeatLine: self._heartbeat,
            CheckpointLine: self._checkpoint,
        }

    def _run_start(self, record: RunStartLine) -> None:
        if not self._mine and record.run_number <= 1:
            self._mine = dict.fromkeys(SESSION_TOTALS, 0)
            self._is_whole = True
        self._mine |= dict.fromkeys(RUN_TOTALS, 0)

    def _session_start(self, _: SessionStartLine) -> None:
        self._mine |= dict.fromkeys(SESSION_TOTALS, 0)

    def _add(self, name: str) -> None:
        if name in self._mine:
            self._mine[name] += 1

    def _approved(self, record: OrderApprovedLine) -> None:
        self._add("approved")
        self._decision(record)

    def _denied(self, record: OrderDeniedLine) -> None:
        self._add("denied")
        self._decision(record)

    def _fill(self, _: FillLine) -> None:
        self._add("fills")

    def _incident(self, record: IncidentOpenedLine) -> None:
        self._add(INCIDENTS)
        self._error(record)
        self._opened.add(record.incident_id)

    def _anomaly(self, record: JournalLine) -> None:
        self._add(ANOMALIES)
        if not record.is_anomaly:
            self._unflagged(record, "anomaly")

    def _error(self, record: JournalLine) -> None:
        self._add(ERRORS)
        if not record.is_error:
            self._unflagged(record, "error")

    def _unflagged(self, record: JournalLine, what: str) -> None:
        text = f"a line {record.__struct_config__.tag} that does not say it is an {what}"
        self.note("flag_differs", record, text)

    def _decision(self, record: OrderApprovedLine | OrderDeniedLine) -> None:
        if record.counts is None:
            self.unstated += 1
        else:
            self._hold(record, ("approved", "denied"), record.counts)

    def _heartbeat(self, record: HeartbeatLine) -> None:
        if record.counts is not None:
            names = (*SESSION_TOTALS, *RUN_TOTALS)
            is_older = len(record.counts) == len(SESSION_TOTALS) + 1
            self._hold(record, names[:-2] if is_older else names, record.counts)

    def _checkpoint(self, record: CheckpointLine) -> None:
        state = record.state
        if state is None or state.session is None:
            return
        session = state.session
        totals = (session.orders, sum(session.denied.values()), session.fills)
        self._hold(record, SESSION_TOTALS, totals)
        for incident in state.incidents if self._is_whole else ():
            if incident.incident_id not in self._opened:
                self._opened.add(incident.incident_id)
                what = f"incident {incident.incident_id} stands in a checkpoint, its line is absent"
                self.note("incident_absent", record, what)

    def _hold(self, record: JournalLine, names: Sequence[str], stated: Sequence[int]) -> None:
        self.checked += 1
        if len(stated) != len(names):
            what = f"{len(stated)} totals are stated, {len(names)} are due"
            self.note("total_differs", record, what)
            return
        for name, theirs in zip(names, stated, strict=True):
            mine = self._mine.get(name)
            if mine is not None and mine != theirs:
                what = f"{theirs} {name} so far are stated, {mine} stand in the lines"
                self.note("total_differs", record, what)
            self._mine[name] = theirs  # told once, not at every line after it

    def result(self) -> dict[str, Any]:
        """How many totals were compared, and what is wrong."""
        return {
            "checked": self.checked,
            "decisions_without": self.unstated,
            "problems": self.problems.plain(),
        }
