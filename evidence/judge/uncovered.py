"""What stands after the last outside anchor: nobody but the box's owner has seen it.

Rules of this file:
1. It could have been made up, changed, or be what is left of a longer record. So nothing in it
   counts for the box; what speaks against the box counts as ever.
2. A drill, a whole session and a resolution could have been followed by an anchor and were not:
   they make the journal UNANCHORED. The end of a session and a kill have no order after them, so
   the venue cannot confirm them: they are named, and a promotion does not count them.
3. Of a rehearsal nobody need confirm anything; where somebody does, the rules are these.
"""

from typing import Any

import msgspec

from evidence.folds.drill_fold import PASSED
from evidence.folds.incident_fold import IncidentsFold
from evidence.folds.journal_fold import JournalFold
from evidence.folds.session_fold import SessionsFold
from evidence.judge.anchoring import Anchoring
from evidence.read.exact_amounts import NS_PER_S

UNANCHORED = "UNANCHORED"
LISTED_MAX = 20


class Uncovered(msgspec.Struct, frozen=True):
    """The lines from `first_seq` to `last_seq`; items are (line, what it says)."""

    first_seq: int
    last_seq: int
    duration_ns: int
    """From the last covered line to the last line."""
    claims: tuple[tuple[int, str], ...]
    """What an anchor could have followed."""
    ends: tuple[tuple[int, str], ...]
    """Ends of sessions and runs, and kills."""

    @property
    def words(self) -> str:
        """Which stretch it is, for people."""
        return (
            f"after seq {self.first_seq - 1} nobody outside has seen this record: seq "
            f"{self.first_seq} to {self.last_seq} ({self.duration_ns / NS_PER_S:.1f} s) could be "
            "made up, changed, or cut short"
        )

    def plain(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "lines": self.last_seq - self.first_seq + 1,
            "duration_ns": self.duration_ns,
            "items": [
                {"seq": seq, "what": what, "verdict": UNANCHORED}
                for seq, what in sorted((*self.claims, *self.ends))
            ],
        }


def listed(items: tuple[tuple[int, str], ...]) -> str:
    """Items for people: the first of them."""
    told = [f"{what} (seq {seq})" for seq, what in items[:LISTED_MAX]]
    more = len(items) - LISTED_MAX
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")


def uncovered_of(
    account: JournalFold, anchoring: Anchoring, kinds: frozenset[str] | None = None
) -> Uncovered | None:
    """What no outside anchor (of these kinds) covers.

    Returns:
        None where all of it is covered, or no outside anchor was given (which is told apart).
    """
    covered = anchoring.covered(set(account.tally.by_mode), kinds)
    chain = account.chain
    if covered is None or covered[0] >= chain.last_seq:
        return None
    seq, ts_ns = covered
    claims: list[tuple[int, str]] = []
    ends: list[tuple[int, str]] = []
    sessions, incidents = account.fold(SessionsFold), account.fold(IncidentsFold)
    for one in sessions.sessions:
        if one.started_seq > seq:
            claims.append((one.started_seq, f"session {one.session_id}, whole"))
        elif one.stopped_seq > seq:
            ends.append((one.stopped_seq, f"end of session {one.session_id}: {one.end}"))
    ends += [(run.stopped_seq, f"end of run {run.run_id}") for run in sessions.runs]
    claims += [
        (drill["seq"], f"drill {drill['drill']} passed")
        for drill in incidents.drills
        if drill["decided"] == PASSED
    ]
    claims += [
        (incident.resolved_seq, f"resolution of incident {incident.incident_id}")
        for incident in incidents.incidents.values()
    ]
    ends += [
        (kill["seq"], "kill, verified empty")
        for kill in incidents.kills
        if kill["step"] == "verified_empty"
    ]
    return Uncovered(
        seq + 1,
        chain.last_seq,
        max(0, chain.last_ns - (ts_ns or chain.first_ns)),
        tuple(sorted(claim for claim in claims if claim[0] > seq)),
        tuple(sorted(end for end in ends if end[0] > seq)),
    )
