"""What the venue refused against the journal's refusals, both ways.

Rules of this file:
1. A placement that the venue refused stands in the journal as refused.
2. A cancel or an amend that the venue refused as such (`REFUSED`) has a line, or a line that it was
   not answered; and such a line has its row where the books list cancels: books without that list
   tell of placements only. A venue whose books list no refusals says nothing.
3. The answer may have been under way when a run ended: a line is demanded where the run has
   compared its books since, and not of what a run asked for that crashed.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from evidence.folds.order_fold import ABSENT_OUTCOMES, REFUSED, Trail
from evidence.folds.session_fold import SessionsFold
from evidence.judge.ledger_comparison import LedgerComparison, Rows, rows_of
from evidence.judge.renamed_orders import Stem
from evidence.read.order_ids import STOP, read_id


def match_rejects(
    seen: LedgerComparison,
    trails: Mapping[str, Trail],
    at_venue: Mapping[str, Any],
    rows: Rows,
) -> None:
    """A placement that the venue refused must stand in the journal as refused."""
    for row in rows:
        seen.rejects += 1
        cid = str(row.get("client_order_id") or "")
        if not cid or cid in at_venue or not _is_placement(row):
            continue
        trail = trails.get(cid)
        refused = f"{cid} code {row.get('code')}: {row.get('msg')}"
        if trail is None:
            seen.rejects_missing_from_journal.add(f"{refused} (never approved)")
        elif trail.reject_code in {"", "report"} and not _is_proven_absent(trail):
            seen.rejects_missing_from_journal.add(f"{refused} ({trail.state} in the journal)")


def _is_proven_absent(trail: Trail) -> bool:
    """Whether its lines say that it is not there, for want of the answer that refused it."""
    is_cut_off = trail.is_cut_off and trail.state == "REJECTED"
    return is_cut_off or trail.outcome in ABSENT_OUTCOMES


def _is_placement(row: Mapping[str, Any]) -> bool:
    """Whether a refused request was a placement; another leaves no order."""
    asked = str(row.get("endpoint") or row.get("request") or "place").lower()
    if "replace" in asked:
        return True
    is_other = any(word in asked for word in ("cancel", "amend", "status"))
    return not (asked.startswith(("delete", "get")) or is_other)


# ---------------------------------------------------------------------- cancels and amends
def match_refusals(
    seen: LedgerComparison,
    trails: Mapping[str, Trail],
    by_stem: Mapping[Stem, str],
    sessions: SessionsFold,
    ledger: Mapping[str, Any],
) -> None:
    """Refused cancels and amends, order by order, counted on both sides."""
    if not isinstance(ledger.get("rejects"), list):
        return
    there: Counter[str] = Counter()
    due: dict[str, list[str]] = {}
    for row in rows_of(ledger, "rejects"):
        shown, code = str(row.get("client_order_id") or ""), str(row.get("code"))
        found = read_id(shown)
        if code not in REFUSED or _is_placement(row) or (found and found.kind == STOP):
            continue
        cid = by_stem.get(found.stem, shown) if found else shown
        there[cid] += 1
        if cid in trails and _was_heard(sessions, row.get("ts_ns")):
            due.setdefault(cid, []).append(f"{shown} code {code}: {row.get('msg')}")
    for cid, rows in due.items():
        trail = trails[cid]
        crashed = {run.run_id for run in sessions.runs if not run.stopped}
        lost = sum(run_id in crashed for run_id in trail.asked_in)
        absent = len(rows) - trail.refusals - trail.unanswered - lost
        for what in rows[: max(absent, 0)]:
            have = f"{trail.refusals} in the journal, {len(rows)} at the venue"
            seen.refusals_missing_from_journal.add(f"{what} (of {cid}: {have})")
    if not isinstance(ledger.get("cancels"), list):
        return
    for cid, trail in trails.items():
        if trail.refusals > there[cid] and not trail.is_replaced:
            have = f"{trail.refusals} in the journal, {there[cid]} at the venue"
            seen.refusals_missing_from_ledger.add(f"{cid}: {have}")


def _was_heard(sessions: SessionsFold, ts_ns: object) -> bool:
    """Whether the run of that moment has compared its books since."""
    runs = [run for run in sessions.runs if isinstance(ts_ns, int) and run.started_ns <= ts_ns]
    return bool(runs) and isinstance(ts_ns, int) and runs[-1].compared_ns > ts_ns
