"""Three verdicts, each with its reasons, and the one that follows from them.

Rules of this file:
1. *intact*: the bytes are as they were written. *complete*: nothing is absent and every order is
   accounted for. *corroborated*: the venue's own books say the same, and no cap was broken there.
2. FAIL of any is NO_GO. UNKNOWN of any is INSUFFICIENT. An *intact* that nobody outside of the box
   confirms is UNANCHORED, unless all of it is a rehearsal. Only three times OK is OK.
3. A record may be honest and still tell of errors: those are reasons for the promotion decision,
   and are listed here as remarks.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from evidence.folds.cap_fold import CapsFold
from evidence.folds.incident_fold import IncidentsFold
from evidence.folds.journal_fold import ComparingFold, JournalFold
from evidence.folds.order_fold import OrdersFold
from evidence.folds.position_fold import PositionsFold
from evidence.folds.running_totals import TotalsFold
from evidence.folds.session_fold import SessionsFold
from evidence.judge.anchoring import SIMULATED_MODE, Anchoring
from evidence.judge.decision_recheck import DecisionsFold
from evidence.judge.ledger_comparison import LedgerComparison
from evidence.judge.uncovered import UNANCHORED, listed, uncovered_of
from evidence.judge.venue_anchors import VenueAnchors
from evidence.read.archive_manifest import Manifest
from evidence.read.build_digest import committed, contradiction, installed
from evidence.read.integrity import COMPLETE_FAULTS, INTACT_FAULTS, Faults
from evidence.read.journal_reader import is_headless

FIRST_SEQ = 1
OK, FAIL, UNKNOWN = "OK", "FAIL", "UNKNOWN"
HISTORY_WORDS = "venue history"
NO_GO, INSUFFICIENT = "NO_GO", "INSUFFICIENT"
_WORST_FIRST = (NO_GO, INSUFFICIENT, UNANCHORED)


def worst_of(verdicts: Sequence[str]) -> str:
    """NO_GO outranks INSUFFICIENT outranks UNANCHORED outranks OK."""
    return next((one for one in _WORST_FIRST if one in verdicts), OK)


class Finding(msgspec.Struct):
    """One verdict: OK, FAIL, UNKNOWN or UNANCHORED, and why."""

    name: str
    failed: list[str] = []
    unknown: list[str] = []
    unanchored: list[str] = []
    """Nothing speaks against it, and nobody but the box's owner says so."""
    remarks: list[str] = []

    @property
    def value(self) -> str:
        """FAIL outranks UNKNOWN outranks UNANCHORED outranks OK."""
        if self.failed or self.unknown:
            return FAIL if self.failed else UNKNOWN
        return UNANCHORED if self.unanchored else OK

    @property
    def against(self) -> list[str]:
        """Every reason against OK."""
        return [*self.failed, *self.unknown, *self.unanchored]

    def plain(self) -> dict[str, Any]:
        """Verdict and reasons."""
        return {
            "verdict": self.value,
            "reasons": self.against,
            "remarks": list(self.remarks),
        }


class Verdicts(msgspec.Struct):
    """The three, and the one."""

    intact: Finding
    complete: Finding
    corroborated: Finding

    @property
    def overall(self) -> str:
        """OK, NO_GO, INSUFFICIENT or UNANCHORED."""
        named = {FAIL: NO_GO, UNKNOWN: INSUFFICIENT}
        return worst_of([named.get(finding.value, finding.value) for finding in self.all])

    @property
    def all(self) -> tuple[Finding, Finding, Finding]:
        """In the order of a report."""
        return (self.intact, self.complete, self.corroborated)

    @property
    def reasons(self) -> list[str]:
        """Every reason against OK, with its verdict."""
        return [f"{finding.name}: {reason}" for finding in self.all for reason in finding.against]

    def plain(self) -> dict[str, Any]:
        """All of it."""
        return {finding.name: finding.plain() for finding in self.all}


def judge(
    account: JournalFold,
    anchoring: Anchoring,
    *,
    comparison: LedgerComparison | None,
    archived: Manifest | None = None,
    venue: VenueAnchors | None = None,
) -> Verdicts:
    """Judge one settled account.

    Args:
        account: a journal, read to its end.
        anchoring: heads that were kept elsewhere, held against its lines.
        comparison: the venue's side; None when its books were not given.
        archived: what of the journal was moved away, where anything was.
        venue: what the ids in the venue's list of our orders say; None where it was not given.
    """
    verdicts = Verdicts(
        _intact(account, anchoring),
        _complete(account, archived),
        _corroborated(account, comparison),
    )
    if venue is not None:
        _notarised(verdicts, account, venue)
    return verdicts


def _notarised(verdicts: Verdicts, account: JournalFold, venue: VenueAnchors) -> None:
    """Add what the venue's own list proves of the chain, and what it cannot."""
    intact, complete = verdicts.intact, verdicts.complete
    modes = sorted(account.tally.by_mode.keys() - {SIMULATED_MODE})
    if venue.is_simulated and modes:
        intact.failed.append(
            f"the venue's list is a simulator's, the journal says {', '.join(modes)}"
        )
    if venue.first_misfit is not None:
        intact.failed.append(
            f"{HISTORY_WORDS}: {venue.misfits} of {venue.ids} ids at the venue do not fit this "
            f"journal. First: {venue.first_misfit.words()}. Up to seq {venue.fits_up_to} it is "
            "proven; a line after that was changed, added or removed after that order was sent"
        )
    if venue.absent_count:
        complete.failed.append(
            f"{HISTORY_WORDS}: {venue.absent_count} orders acknowledged in the journal are "
            f"not in the venue's list, first: {venue.absent[0]}"
        )
    if venue.lost_count:
        complete.unknown.append(
            f"{HISTORY_WORDS}: {venue.lost_count} ids at the venue lie beyond what the journal has "
            f"(its end was lost, or cut off), first: {venue.lost[0]}"
        )
    intact.remarks += [f"{HISTORY_WORDS}: {text}" for text in notarised_words(venue)]


def notarised_words(venue: VenueAnchors) -> list[str]:
    """How far the venue's list goes, for people."""
    whose = ", ".join(source.value for source in venue.sources)
    reach = f"up to seq {venue.covered_seq} (the list: {whose})"
    told = [f"{venue.anchors} of {venue.ids} ids of ours are anchors, {reach}"]
    if venue.longest is not None:
        told.append(f"longest stretch without an anchor: {venue.longest.words()}")
    if venue.tail is not None:
        told.append(f"after the last anchor: {venue.tail.words()}")
    told += [f"{count} ids are not anchored: {why}" for why, count in venue.not_anchored.items()]
    told += [f"the venue cannot be asked about {what}" for what in venue.not_askable]
    return told


def _told(faults: Faults, kinds: Iterable[str] | None = None) -> list[str]:
    """Faults (of some kinds) for people."""
    counts = faults.of(faults.counts if kinds is None else kinds)
    return [f"{count} x {kind}, first at {faults.first(kind)}" for kind, count in counts.items()]


def _intact(account: JournalFold, anchoring: Anchoring) -> Finding:
    found = Finding("intact")
    chain = account.chain
    if chain.lines == 0:
        found.failed.append("no line of it can be read")
    found.failed += _told(chain.faults, INTACT_FAULTS)
    faults = anchoring.faults
    found.failed += _told(faults)
    _anchored(found, account, anchoring)
    _uncovered(found, account, anchoring)
    return found


def _anchored(found: Finding, account: JournalFold, anchoring: Anchoring) -> None:
    """Whether heads of the chain are anchored outside of the box; a rehearsal needs none.

    Of a testnet an outside anchor must reach its last session's end.
    """
    last = account.chain.last_seq
    beside = max((one.last_seq for one in anchoring.sources), default=0)
    if anchoring.sources and beside < last:
        found.remarks.append(f"anchored up to seq {beside} of {last}")
    modes = set(account.tally.by_mode)
    outside = anchoring.outside(modes)
    found.remarks += [
        f"leans on {one.name}: {one.count or len(one.heads)} heads up to seq {one.last_seq}"
        for one in outside
    ]
    sessions = account.fold(SessionsFold)
    if any(one.reaches(sessions) for one in outside):
        return
    lacks = "no outside anchor: nobody but this box says that it was never rewritten"
    if outside:
        reached = max(one.last_seq for one in outside)
        lacks = f"outside anchors end at seq {reached}, its last session at seq "
        lacks += str(sessions.last_stop_seq)
    (found.remarks if modes <= {SIMULATED_MODE} else found.unanchored).append(lacks)


def _uncovered(found: Finding, account: JournalFold, anchoring: Anchoring) -> None:
    """What stands after the last outside anchor: named, and never counted for the box."""
    tail = uncovered_of(account, anchoring)
    if tail is None:
        return
    found.remarks.append(tail.words)
    if tail.ends:
        found.remarks.append(f"not covered by an outside anchor, {UNANCHORED}: {listed(tail.ends)}")
    if tail.claims:
        found.unanchored.append(
            f"not covered by an outside anchor: {listed(tail.claims)}; a later session's first "
            "order or a sink covers them (docs/ANCHORS.md)"
        )


def _complete(account: JournalFold, archived: Manifest | None) -> Finding:
    """Whether nothing is absent; unknown if an archived beginning is not available."""
    found = Finding("complete")
    chain = account.chain
    is_cut = is_headless(chain) or chain.first_seq > FIRST_SEQ
    if (
        is_cut
        and archived
        and chain.lines
        and archived.may_begin(chain.first_seq, chain.first_prev)
    ):
        places = ", ".join(dict.fromkeys(one.place for one in archived.segments))
        found.failed += _told(chain.faults, COMPLETE_FAULTS)
        found.unknown.append(
            f"its lines before seq {chain.first_seq} are archived (key {archived.key[:16]}…) and "
            "not at hand, so orders and decisions cannot be followed; name the archive, too: "
            f"{places}"
        )
        return found
    if archived is not None:
        found.remarks.append(
            f"{len(archived.segments)} of its segments are archived, signed by key "
            f"{archived.key[:16]}…"
        )
    if is_cut:
        found.failed.append(
            f"its beginning is absent: the first line read is seq {chain.first_seq}, and no "
            "archive manifest accounts for what was before"
        )
    found.failed += _told(chain.faults, COMPLETE_FAULTS)
    told = _told(account.fold(DecisionsFold).disagreements)
    found.failed += [f"decisions do not hold: {one}" for one in told]
    orders, caps = account.fold(OrdersFold), account.fold(CapsFold)
    found.failed += _told(orders.audit())
    found.remarks += _told(orders.remarks)
    _sessions(found, account.fold(SessionsFold))
    found.failed += _told(account.fold(PositionsFold).problems)
    found.failed += _told(caps.breaches)
    found.failed += _told(caps.problems)
    _incidents(found, account.fold(IncidentsFold))
    if unstated := account.fold(TotalsFold).unstated:
        what = "decisions state no running totals: denials taken out would not show by them"
        found.remarks.append(f"{unstated} {what}")
    for fold in account.folds.values():
        if isinstance(fold, ComparingFold):
            found.failed += _told(fold.problems)
    return found


def _sessions(found: Finding, sessions: SessionsFold) -> None:
    found.failed += _told(sessions.problems)
    found.failed += sessions.absent_before()
    found.failed += sessions.open_ends()
    for first, copy, how in sessions.clones():
        found.failed.append(f"session {copy} is a copy of {first}: {how}")
    if not sessions.sessions:
        found.unknown.append("no session in it: nothing was tried")
    found.failed += mode_contradictions(sessions)
    simulated = all(session.mode == SIMULATED_MODE for session in sessions.sessions)
    (found.remarks if simulated else found.failed).extend(build_contradictions(sessions))
    found.remarks += _told(sessions.remarks)


def build_contradictions(sessions: SessionsFold) -> list[str]:
    """Runs whose version, commit and code digest do not go together.

    They are held against each other, against this distribution, and against the repository that it
    stands in, where there is one that knows the commit. (A checkout with changes that are not
    committed states its commit all the same, so of simulated runs these are remarks.)
    """
    reasons = list(sessions.rebuilt)
    for build, run_id in sessions.builds.items():
        if not build.code:
            continue  # an older daemon's states none: there is nothing to hold it against
        what = contradiction(build, installed())
        known = committed(build.commit) if not what else None
        if known is not None and known.code != build.code:
            what = f"it says commit {build.commit[:12]}, whose code has another digest in git here"
        if what:
            reasons.append(f"run {run_id}: {what}")
    return reasons


def mode_contradictions(sessions: SessionsFold) -> list[str]:
    """Sessions whose mode does not go with their venue: a simulated one that was renamed."""
    reasons = []
    for session in sessions.sessions:
        modes = session.modes | {session.mode}
        name, venues = session.session_id, {session.exchange, session.binding["environment"]}
        if len(modes) > 1:
            reasons.append(f"session {name} has lines of several modes: {', '.join(sorted(modes))}")
        is_simulated = any(venue == "sim" or venue.startswith("sim-") for venue in venues)
        if is_simulated and session.mode != "sim":
            reasons.append(f"session {name} says mode {session.mode}, its venue is the simulator")
        if "" in venues or len(venues) > 1:
            reasons.append(f"session {name} names its venue differently: {sorted(venues)}")
    return reasons


def _incidents(found: Finding, incidents: IncidentsFold) -> None:
    found.failed += _told(incidents.problems)
    if incidents.kills_unverified:
        what = f"{incidents.kills_unverified} kill(s) never reached 'verified empty'"
        found.failed.append(what)
    found.remarks += _told(incidents.remarks)
    for incident in incidents.unresolved:
        found.remarks.append(f"incident {incident.incident_id} ({incident.trigger}) is unresolved")
    found.remarks.append(f"{incidents.error_count} errors, {incidents.anomaly_count} anomalies")


def _corroborated(account: JournalFold, comparison: LedgerComparison | None) -> Finding:
    found = Finding("corroborated")
    if comparison is None:
        found.unknown.append("the venue's books were not given: nothing confirms the journal")
        return found
    modes = sorted(account.tally.by_mode.keys() - {"sim"})
    if comparison.is_simulated and modes:
        found.failed.append(f"the books are a simulator's, the journal says {', '.join(modes)}")
    for name, offenders in comparison.offences().items():
        words = name.replace("_", " ")
        found.failed.append(f"{offenders.count} x {words}, first: {offenders.listed[0]}")
    found.unknown += [f"not corroborated: {what}" for what in comparison.silent]
    found.remarks += comparison.remarks
    return found
