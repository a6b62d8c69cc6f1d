"""Incidents, held against the lines that tell what triggered them.

Rules of this file:
1. An incident whose trigger is told by a line of its own (`TOLD_BY`) stands in the turn of such a
   line, and so has its time. One of a comparison stands behind a difference of its kind.
2. The other direction: an open order of others that `SEEN_MIN` comparisons in a row have named has
   opened an incident by then.
"""

from collections.abc import Mapping

from evidence.folds.journal_fold import ComparingFold, Handler
from evidence.read.journal_lines import (
    CapAlertLine,
    ClockLine,
    ExchangeErrorLine,
    IncidentOpenedLine,
    JournalFaultLine,
    JournalLine,
    OrderRejectLine,
    OrderResolvedLine,
    RateLimitLine,
    ReconciledLine,
    ReconnectLine,
    RunStartLine,
)

FOREIGN_ORDER = "foreign_order"
TOLD_BY: Mapping[str, tuple[type[JournalLine], ...]] = {
    FOREIGN_ORDER: (ReconciledLine,),
    "position_mismatch": (ReconciledLine,),
    "testnet_wipe": (ReconciledLine,),
    "journal_fault": (JournalFaultLine,),
    "rate_limit_storm": (RateLimitLine,),
    "reconnect_storm": (ReconnectLine,),
    "clock_skew": (ClockLine,),
    "cap_breach": (CapAlertLine,),
    "drawdown": (CapAlertLine,),
    "reject_storm": (OrderRejectLine, ExchangeErrorLine),
    "unknown_own_order": (OrderResolvedLine,),
    "history_lost": (OrderResolvedLine,),
}
"""Trigger -> the line of its turn that tells of it."""
KINDS: Mapping[str, Mapping[str, frozenset[str]]] = {
    FOREIGN_ORDER: {"kind": frozenset({FOREIGN_ORDER})},
    "position_mismatch": {"class": frozenset({"real"})},
    "testnet_wipe": {"class": frozenset({"wipe"})},
}
"""Trigger -> what a difference of its comparison is."""
SEEN_MIN = 3


class TriggersFold(ComparingFold):
    """The lines of this moment that may have triggered an incident."""

    name = "triggers"

    def __init__(self) -> None:
        super().__init__()
        self._is_due = False
        self._at_ns = 0
        self._lines: dict[type[JournalLine], JournalLine] = {}
        self._seen: dict[str, int] = {}
        """Others' open orders of the last comparison, and how many in a row have named each."""
        self._has_foreign = False

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Incidents, and what they come of."""
        kinds = {kind for kinds in TOLD_BY.values() for kind in kinds}
        return {
            **dict.fromkeys(kinds, self._line),
            RunStartLine: self._run_start,
            ReconciledLine: self._reconciled,
            IncidentOpenedLine: self._opened,
        }

    def _run_start(self, record: RunStartLine) -> None:
        self._is_due = record.heartbeat_period_ms > 0
        self._lines.clear()
        self._seen.clear()

    def _line(self, record: JournalLine) -> None:
        if record.ts_ns != self._at_ns:
            self._at_ns = record.ts_ns
            self._lines.clear()
        self._lines[type(record)] = record

    def _reconciled(self, record: ReconciledLine) -> None:
        self._line(record)
        if record.failed:
            return
        named = {
            str(one.get("client_order_id"))
            for one in record.differences
            if one.get("kind") == FOREIGN_ORDER
        }
        self._seen = {cid: self._seen.get(cid, 0) + 1 for cid in named}
        for cid, times in self._seen.items():
            if times == SEEN_MIN + 1 and self._is_due and not self._has_foreign:
                what = f"{SEEN_MIN} comparisons in a row have named order {cid} of others, and no "
                self.note("incident_absent", record, f"{what}incident stands before")

    def _opened(self, record: IncidentOpenedLine) -> None:
        self._has_foreign |= record.trigger == FOREIGN_ORDER
        context = record.context if isinstance(record.context, Mapping) else {}
        kinds = TOLD_BY.get(record.trigger)
        if not self._is_due or kinds is None or context.get("bot"):
            return
        self.checked += 1
        lines = [line for kind in kinds if (line := self._lines.get(kind)) is not None]
        if record.ts_ns == self._at_ns and any(_tells(line, record.trigger) for line in lines):
            return
        names = " or ".join(str(kind.__struct_config__.tag) for kind in kinds)
        what = f"incident {record.incident_id} is of {record.trigger}, and no line {names} of its "
        self.note("trigger_absent", record, f"{what}moment tells of one")


def _tells(line: JournalLine, trigger: str) -> bool:
    wanted = KINDS.get(trigger)
    if wanted is None or not isinstance(line, ReconciledLine):
        return True
    return any(
        str(one.get(key)) in values for one in line.differences for key, values in wanted.items()
    )
