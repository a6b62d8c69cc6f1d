"""The campaign that is judged: its sessions with what happened in each.

Rules of this file:
1. Everything is taken from a report that was re-derived from journals in this process; a report
   file is a claim and is not read.
2. An error or anomaly belongs to the session that was on, or that was on last: what happens after
   a session's stop line does not vanish between sessions.
3. What cannot be attributed is kept as `beyond`: it counts against the whole journal.
4. What no proven outside anchor covers counts against the box and never for it: a session that ends
   there does not qualify, a drill or kill there was not passed, an explanation there was not given.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

import msgspec

from evidence.folds.bot_fold import Bot, BotsFold
from evidence.folds.cap_fold import CapsFold
from evidence.folds.drill_fold import FAILED, PASSED
from evidence.folds.incident_fold import IncidentsFold
from evidence.folds.session_fold import SessionsFold, SessionSummary
from evidence.judge.anchoring import PROVEN
from evidence.judge.uncovered import uncovered_of
from evidence.report.report import JournalReport, Report

NS_PER_MINUTE = 60_000_000_000

MINUTE_MS = 60_000
KILL_SWITCH = "kill-switch"
"""The drill's name, as `seatrial drill` records it."""


class Happening(msgspec.Struct, frozen=True):
    """One error or anomaly."""

    seq: int
    kind: str
    why: str
    """Its explanation; empty when nobody has explained it."""


class CampaignSession(msgspec.Struct):
    """One session and what happened in it."""

    session_id: str
    journal: str
    mode: str
    started_ns: int
    duration_ms: int
    orders: int
    fills: int
    end: str
    binding: dict[str, str]
    fingerprint: str
    bot_version: str = ""
    """Of the bot whose trials its box names; empty: it names none."""
    is_end_covered: bool = True
    """Whether an outside anchor confirms the end of it."""
    errors: list[Happening] = []
    anomalies: list[Happening] = []

    @property
    def minutes(self) -> int:
        """Whole minutes."""
        return self.duration_ms // MINUTE_MS


class DrillRun(msgspec.Struct, frozen=True):
    """One drill as it is journalled."""

    name: str
    ts_ns: int
    passed: bool
    decided: str = PASSED
    """What its details say (`evidence.folds.drill_fold`)."""


class CampaignJournal(msgspec.Struct):
    """One journal, judged, with its sessions."""

    name: str
    verdict: str
    reasons: list[str]
    modes: list[str]
    sessions: list[CampaignSession]
    unresolved: list[str] = []
    drills: list[DrillRun] = []
    cap_percent_max: dict[str, int] = {}
    outside: list[Happening] = []
    """Errors before the first session."""
    beyond: int = 0
    """Errors and anomalies that the accountant counted but no longer keeps one by one."""
    has_simulator_books: bool = False
    anchored_by: list[str] = []
    """Who confirms its chain up to its last session's end, by signature or the verifier's fetch."""
    unanchored_minutes: int = 0
    """The longest that a line of it stood before one of them knew of it."""
    uncovered: list[str] = []
    """What would count for the box, and no such anchor covers."""
    uncovered_minutes: int = 0
    """From the last covered line to the journal's end."""
    bots: dict[str, Counter[str]] = {}
    """Requests, signed ones, orders, orders with a fill, fills and denials of each bot."""


def campaign_of(report: Report, name: str) -> list[CampaignJournal]:
    """Every journal of a report, with its sessions and what happened in each.

    Args:
        report: made by `build_report` in this process.
        name: how the decision calls this place; several journals of it are numbered.
    """
    return [
        _journal(one, f"{name}#{number}" if number > 1 else name)
        for number, one in enumerate(report.journals, start=1)
    ]


def _journal(one: JournalReport, name: str) -> CampaignJournal:
    sessions, incidents = one.account.fold(SessionsFold), one.account.fold(IncidentsFold)
    anchored = one.anchoring.covered(set(one.account.tally.by_mode), PROVEN)
    tail = uncovered_of(one.account, one.anchoring, PROVEN)
    covered_seq = one.account.chain.last_seq if anchored is None else anchored[0]
    bots = {run.run_id: run.bot_version for run in sessions.runs}
    journal = CampaignJournal(
        name=name,
        verdict=one.verdicts.overall,
        reasons=one.verdicts.reasons,
        modes=sorted(one.account.tally.by_mode),
        sessions=[
            _session(name, session, covered_seq, bots.get(session.run_id, ""))
            for session in sessions.sessions
        ],
        unresolved=[
            f"{i.incident_id} ({i.trigger})"
            for i in incidents.incidents.values()
            if not i.resolved_by or i.resolved_seq > covered_seq
        ],
        drills=_drills(incidents, covered_seq),
        has_simulator_books=one.comparison is not None and one.comparison.is_simulated,
        anchored_by=[
            source.name
            for source in one.anchoring.outside(set(one.account.tally.by_mode))
            if source.kind in PROVEN and source.reaches(sessions)
        ],
        unanchored_minutes=one.anchoring.longest_ns // NS_PER_MINUTE,
        uncovered=[f"{what} (seq {seq})" for seq, what in (*tail.claims, *tail.ends)]
        if tail
        else [],
        uncovered_minutes=tail.duration_ns // NS_PER_MINUTE if tail else 0,
    )
    bots_fold = one.account.fold(BotsFold)
    journal.bots = {bot: _bot(told) for bot, told in bots_fold.bots.items()}
    for (cap, _symbol), use in one.account.fold(CapsFold).use.items():
        known = journal.cap_percent_max.get(cap, 0)
        journal.cap_percent_max[cap] = max(known, use.percent_max)
    starts = [session.started_seq for session in sessions.sessions]
    explained = {
        seq: why
        for seq, why in incidents.explained.items()
        if incidents.explained_at[seq] <= covered_seq
    }
    errors = _happenings(incidents.errors, explained)
    anomalies = _happenings(incidents.anomalies, explained)
    _attribute(journal, starts, errors, anomalies)
    counted = one.account.tally.errors + one.account.tally.anomalies
    both = len(errors) + len(anomalies)
    journal.beyond = max(0, counted - both)
    return journal


def _bot(bot: Bot) -> Counter[str]:
    return Counter(
        requests=bot.requests,
        signed=bot.proven,
        orders=bot.orders,
        orders_filled=len(bot.filled),
        fills=bot.fills,
        denied=sum(bot.denied.values()),
    )


def _drills(incidents: IncidentsFold, covered_seq: int) -> list[DrillRun]:
    """Every drill, and every kill, which counts as a test of the kill switch.

    Those after the covered lines only where they speak against the box.
    """
    tried = [
        DrillRun(
            str(run["drill"]), int(run["ts_ns"]), run["decided"] == PASSED, str(run["decided"])
        )
        for run in incidents.drills
        if run["seq"] <= covered_seq or run["decided"] != PASSED
    ]
    ends = {"verified_empty": True, "not_verified": False}
    return tried + [
        DrillRun(
            KILL_SWITCH,
            int(kill["ts_ns"]),
            ends[kill["step"]],
            PASSED if ends[kill["step"]] else FAILED,
        )
        for kill in incidents.kills
        if kill["step"] in ends and (kill["seq"] <= covered_seq or not ends[kill["step"]])
    ]


def _session(
    journal: str, session: SessionSummary, covered_seq: int, bot_version: str
) -> CampaignSession:
    plain = session.plain()
    return CampaignSession(
        session_id=session.session_id,
        journal=journal,
        mode=session.mode,
        started_ns=session.started_ns,
        duration_ms=int(plain["duration_ms"]),
        orders=session.orders,
        fills=session.fills,
        end=str(plain["end"]),
        binding=dict(session.binding),
        fingerprint=str(plain["fingerprint"]),
        bot_version=bot_version,
        is_end_covered=session.started_seq <= covered_seq and session.stopped_seq <= covered_seq,
    )


def _happenings(kept: dict[int, str], explained: dict[int, str]) -> list[Happening]:
    return [Happening(seq, kind, explained.get(seq, "").strip()) for seq, kind in kept.items()]


def _attribute(
    journal: CampaignJournal,
    starts: Sequence[int],
    errors: Sequence[Happening],
    anomalies: Sequence[Happening],
) -> None:
    for error in errors:
        index = bisect_right(starts, error.seq) - 1
        place = journal.sessions[index].errors if index >= 0 else journal.outside
        place.append(error)
    for anomaly in anomalies:
        index = bisect_right(starts, anomaly.seq) - 1
        if index >= 0:
            journal.sessions[index].anomalies.append(anomaly)
