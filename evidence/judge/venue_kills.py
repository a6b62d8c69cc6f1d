"""Kills against the venue's books: how many orders a stop canceled there, and when.

Rules of this file:
1. The cancels of an emergency stop have ids of their own (`order_ids.STOP`), so the venue's list of
   cancels tells them from others. A kill states at most as many orders as stand there in its time,
   and at least as many as there are ids where nothing of it failed and each has one: an id stands
   at every order of a list that the cancel of one of them has ended. What lies in another kill's
   time is not this one's, and what was refused may have been done by `kill --direct`.
2. The last of them took place before the kill says that it was answered. The venue's clock is ours
   plus the last measured offset, give or take the round trip, `SLACK_NS`, and what two clocks may
   drift apart since.
"""

from collections.abc import Mapping
from typing import Any

from evidence.folds.kill_fold import Kill, KillsFold
from evidence.judge.ledger_comparison import LedgerComparison, Rows, rows_of
from evidence.read.exact_amounts import NS_PER_MS, AmountTextError, amount_or_zero
from evidence.read.order_ids import STOP, read_id

AROUND_NS = 1_000 * NS_PER_MS
"""How far before its first line and after its last one a kill's cancels are looked for."""
SLACK_NS = NS_PER_MS // 2
DRIFT_PER_MILLION = 200


def match_kills(seen: LedgerComparison, kills: KillsFold, ledger: Mapping[str, Any]) -> None:
    """Compare every kill that states how many orders it canceled."""
    rows = [row for row in rows_of(ledger, "cancels") if isinstance(row.get("ts_ns"), int)]
    if not isinstance(ledger.get("cancels"), list):
        return
    late = [row for row in rows_of(ledger, "rejects") if _is_stop(row.get("client_order_id"))]
    for kill in kills.kills:
        last = kill.last
        if last is None or kill.canceled < 0:
            continue
        # A main loop that hangs writes the first line when all is done.
        since = min(kill.first.ts_ns, kill.began_ns or kill.first.ts_ns) - AROUND_NS
        until = last.ts_ns + AROUND_NS
        there = [row for row in rows if since <= int(row["ts_ns"]) - kill.offset_ns <= until]
        stops = [row for row in there if _is_stop(row.get("cancel_id"))]
        unnamed = sum(read_id(str(row.get("cancel_id") or "")) is None for row in there)
        own = _own(kill, kills, stops)
        is_exact = not (kill.has_failed or kill.has_company or unnamed)
        named = {str(row.get("cancel_id")) for row in own} if is_exact else set()
        least = len(named) - len(_own(kill, kills, late))
        mine = min(max(kill.canceled, least), len(stops) + unnamed)
        if kill.canceled != mine:
            what = f"the kill at seq {last.seq} states that it canceled {kill.canceled}, the venue "
            seen.kills_differ.add(f"{what}has {len(stops)} cancels of it and {unnamed} of no id")
        if own and not kill.has_company:
            _match_time(seen, kill, max(int(row["ts_ns"]) for row in own))


def _is_stop(shown: object) -> bool:
    found = read_id(str(shown or ""))
    return found is not None and found.kind == STOP


def _own(kill: Kill, kills: KillsFold, rows: Rows) -> Rows:
    """Rows from when it was asked for until its last line that are no other kill's."""
    last, slack_ns = kill.last, _slack_ns(kill)
    if last is None:
        return []
    others = [
        (one.asked_ns - slack_ns, one.over_ns + slack_ns)
        for one in kills.kills
        if one is not kill and one.over_ns + slack_ns > kill.asked_ns - slack_ns
        and one.asked_ns - slack_ns < last.ts_ns + slack_ns
    ]  # fmt: skip
    found = []
    for row in rows:
        at_ns = int(row.get("ts_ns") or 0) - kill.offset_ns
        if kill.asked_ns - slack_ns <= at_ns <= last.ts_ns + slack_ns and not any(
            begin <= at_ns <= end for begin, end in others
        ):
            found.append(row)
    return found


def _slack_ns(kill: Kill) -> int:
    """How far the venue's clock may be from what the last sample says."""
    drift_ns = max(0, kill.first.ts_ns - kill.sampled_ns) * DRIFT_PER_MILLION // 1_000_000
    return kill.round_trip_ns + (drift_ns if kill.sampled_ns else AROUND_NS) + SLACK_NS


def _match_time(seen: LedgerComparison, kill: Kill, at_venue_ns: int) -> None:
    last = kill.last
    if last is None or not kill.began_ns or not kill.sampled_ns or last.cancel_ms is None:
        return
    try:
        stated_ns = int(amount_or_zero(last.cancel_ms) * NS_PER_MS)
    except AmountTextError:
        return
    least_ns = at_venue_ns - kill.offset_ns - kill.asked_ns - _slack_ns(kill)
    if stated_ns < least_ns:
        what = f"the kill at seq {last.seq} states its last cancel after {last.cancel_ms} ms, the "
        seen.kills_differ.add(f"{what}venue has it after {least_ns / NS_PER_MS:.3f} ms or more")
