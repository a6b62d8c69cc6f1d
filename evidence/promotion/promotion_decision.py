"""The promotion decision: a pure function of campaign, gates, policy and time.

Rules of this file:
1. Every reason is listed; the worst one decides. NO_GO: something is wrong. INSUFFICIENT: it cannot
   be known. CONTINUE_TESTNET: nothing is wrong, not enough was shown.
2. Simulated sessions never count. A rehearsal judges them as if they did, and every word that it
   says begins with REHEARSAL, so that no reader can take it for a decision.
3. The count begins anew when code, configuration, caps, account or venue change: only the last
   sessions in a row with one binding are the campaign.
4. Nothing is dropped: a short, crashed or simulated session is listed with the reason why it does
   not count, and its errors still do.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import IntEnum
from itertools import pairwise

import msgspec

from daemon.model.records import below_floor
from evidence.folds.drill_fold import FALSE, OPEN
from evidence.gates.gates_now import GateLight, LaunchGateState
from evidence.promotion.campaign import CampaignJournal, CampaignSession, DrillRun
from evidence.promotion.policy import Policy
from evidence.promotion.statistics import statement

NS_PER_HOUR = 3_600_000_000_000
NS_PER_SECOND = 1_000_000_000
REHEARSAL = "REHEARSAL"
TESTNET = "testnet"
UNIDENTIFIED = frozenset({"", "unknown", "none", "None"})


class ReasonLevel(IntEnum):
    """The decision that a reason leads to; the highest level wins."""

    READY_FOR_LIVE_PILOT = 0
    CONTINUE_TESTNET = 1
    INSUFFICIENT = 2
    NO_GO = 3


class Reason(msgspec.Struct, frozen=True):
    """Why the decision is not READY."""

    level: ReasonLevel
    code: str
    text: str


class Judgement(msgspec.Struct):
    """The decision with everything that it rests on."""

    is_rehearsal: bool
    reasons: list[Reason]
    campaign: list[CampaignSession]
    qualifying: list[CampaignSession]
    not_counted: list[tuple[str, str]]
    explained: list[str]
    statistics: dict[str, object]
    gates: Sequence[LaunchGateState]
    drills: dict[str, DrillRun] = {}
    anchored_by: dict[str, list[str]] = {}
    """Journal -> who outside of the box confirms it."""

    @property
    def level(self) -> ReasonLevel:
        """The worst of all reasons."""
        return max(
            (reason.level for reason in self.reasons), default=ReasonLevel.READY_FOR_LIVE_PILOT
        )

    @property
    def decision(self) -> str:
        """The decision's name; a rehearsal's has a prefix of its own."""
        return f"{REHEARSAL}_{self.level.name}" if self.is_rehearsal else self.level.name

    @property
    def binding(self) -> dict[str, str]:
        """What the campaign is bound to; empty without one."""
        return dict(self.campaign[-1].binding) if self.campaign else {}


def decide(
    journals: Sequence[CampaignJournal],
    gates: Sequence[LaunchGateState],
    policy: Policy,
    now: datetime,
    *,
    is_rehearsal: bool = False,
) -> Judgement:
    """Judge a campaign.

    Args:
        journals: Re-derived journals (see `campaign_of`).
        gates: The launch gates as they stand now.
        policy: The agreed terms.
        now: What the ages of drills are counted to.
        is_rehearsal: Judge simulated sessions as if they counted.
    """
    eligible, not_counted = _eligible(journals, is_rehearsal=is_rehearsal)
    campaign, earlier = _campaign(eligible)
    not_counted += earlier
    qualifying, short = _qualifying(campaign, policy)
    not_counted += short
    not_counted += [
        (journal.name, f"UNANCHORED: no outside anchor covers {what}")
        for journal in journals
        for what in journal.uncovered
    ]
    names = {session.journal for session in campaign}
    mine = [journal for journal in journals if journal.name in names]
    drills = _latest_drills(mine)
    reasons = [
        *_journal_reasons(journals, is_rehearsal=is_rehearsal),
        *_same_session_twice(journals),
        *_binding_reasons(campaign),
        *_happening_reasons(campaign, mine, policy),
        *_amount_reasons(campaign, qualifying, policy),
        *_region_reasons(mine, policy),
        *_drill_reasons(drills, policy, now),
        *_anchor_reasons(mine, policy, is_rehearsal=is_rehearsal),
        *_gate_reasons(gates, is_rehearsal=is_rehearsal),
        *_bot_reasons(campaign, policy),
    ]
    faults = sum(bool(s.errors) or s.end != "stopped" for s in campaign) + len(
        [reason for reason in reasons if reason.code in {"JOURNAL_NO_GO", "INCIDENT_UNRESOLVED"}]
    )
    return Judgement(
        is_rehearsal=is_rehearsal,
        reasons=sorted(reasons, key=lambda reason: -reason.level),
        campaign=campaign,
        qualifying=qualifying,
        not_counted=not_counted,
        explained=_explained(campaign),
        statistics={
            **statement(len(qualifying), sum(s.orders for s in qualifying), faults),
            **_bots(mine),
        },
        gates=gates,
        drills=drills,
        anchored_by={journal.name: journal.anchored_by for journal in mine},
    )


def hold_to_floor(judgement: Judgement, policy: Policy) -> None:
    """Add a reason where a policy asks for less than the floor in the code.

    A rehearsal, which promotes nothing, may be held to any terms.
    """
    below = below_floor(msgspec.to_builtins(policy))
    if below and not judgement.is_rehearsal:
        text = f"{'; '.join(below)}: raise them, or leave them out to have the defaults"
        add_reason(judgement, ReasonLevel.INSUFFICIENT, "POLICY_BELOW_FLOOR", text)


def add_reason(judgement: Judgement, level: ReasonLevel, code: str, text: str) -> None:
    """Add what speaks against a decision after it was judged; the worst stays first."""
    judgement.reasons.append(Reason(level, code, text))
    judgement.reasons.sort(key=lambda reason: -reason.level)


# ------------------------------------------------------------------ which sessions
def _eligible(
    journals: Sequence[CampaignJournal], *, is_rehearsal: bool
) -> tuple[list[CampaignSession], list[tuple[str, str]]]:
    eligible, refused = [], []
    for journal in journals:
        for session in journal.sessions:
            if is_rehearsal or (session.mode == TESTNET and journal.modes == [TESTNET]):
                eligible.append(session)
            elif session.mode == TESTNET:
                others = ", ".join(mode for mode in journal.modes if mode != TESTNET)
                refused.append((session.session_id, f"its journal also holds lines of: {others}"))
            else:
                refused.append((session.session_id, f"mode {session.mode}: never counts"))
    eligible.sort(key=lambda session: (session.started_ns, session.session_id))
    return eligible, refused


def _campaign(
    eligible: Sequence[CampaignSession],
) -> tuple[list[CampaignSession], list[tuple[str, str]]]:
    """The latest sessions with one binding, and why the earlier ones do not count."""
    start = 0
    changed: list[str] = []
    for index, (before, after) in enumerate(pairwise(eligible), start=1):
        if before.binding != after.binding:
            start = index
            keys = sorted(before.binding.keys() | after.binding.keys())
            changed = [k for k in keys if before.binding.get(k) != after.binding.get(k)]
    why = f"before a change of {', '.join(changed)}: the count began anew"
    return list(eligible[start:]), [(session.session_id, why) for session in eligible[:start]]


def _qualifying(
    campaign: Sequence[CampaignSession], policy: Policy
) -> tuple[list[CampaignSession], list[tuple[str, str]]]:
    good, short = [], []
    for session in campaign:
        lacks = [
            f"{have} of {least} {what}"
            for what, have, least in (
                ("minutes", session.minutes, policy.session_minutes_min),
                ("orders", session.orders, policy.session_orders_min),
                ("fills", session.fills, policy.session_fills_min),
            )
            if have < least
        ]
        if session.end != "stopped":
            lacks.append(f"it ended as: {session.end}")
        if not session.is_end_covered:
            lacks.append("UNANCHORED: no outside anchor covers its end")
        if lacks:
            short.append((session.session_id, "; ".join(lacks)))
        else:
            good.append(session)
    return good, short


# ------------------------------------------------------------------ reasons
def _journal_reasons(
    journals: Sequence[CampaignJournal], *, is_rehearsal: bool
) -> Iterator[Reason]:
    if not journals:
        yield Reason(ReasonLevel.INSUFFICIENT, "NO_JOURNAL", "no journal was given")
    for journal in journals:
        if journal.verdict == "NO_GO":
            for text in journal.reasons:
                yield Reason(ReasonLevel.NO_GO, "JOURNAL_NO_GO", f"{journal.name}: {text}")
        elif journal.verdict != "OK":
            for text in journal.reasons:
                yield Reason(
                    ReasonLevel.INSUFFICIENT, "JOURNAL_UNPROVEN", f"{journal.name}: {text}"
                )
        for incident in journal.unresolved:
            text = f"{journal.name}: incident {incident} is unresolved"
            yield Reason(ReasonLevel.NO_GO, "INCIDENT_UNRESOLVED", text)
        if journal.has_simulator_books and TESTNET in journal.modes:
            text = f"{journal.name} says testnet, the venue's books are the simulator's"
            yield Reason(ReasonLevel.NO_GO, "SIMULATOR_AS_TESTNET", text)
        if not is_rehearsal and journal.modes != [TESTNET]:
            text = f"{journal.name} has mode {', '.join(journal.modes) or 'none'}: it cannot count"
            yield Reason(ReasonLevel.INSUFFICIENT, "NOT_TESTNET", text)


def _same_session_twice(journals: Sequence[CampaignJournal]) -> Iterator[Reason]:
    seen: dict[str, CampaignSession] = {}
    for session in (session for journal in journals for session in journal.sessions):
        first = seen.setdefault(session.fingerprint, session)
        if first is not session:
            text = f"{session.session_id} in {session.journal} is {first.session_id} once more"
            yield Reason(ReasonLevel.NO_GO, "SESSION_TWICE", text)


def _binding_reasons(campaign: Sequence[CampaignSession]) -> Iterator[Reason]:
    if not campaign:
        yield Reason(
            ReasonLevel.INSUFFICIENT, "NO_TESTNET_SESSION", "no session counts: none of a testnet"
        )
        return
    for name, value in sorted(campaign[-1].binding.items()):
        if value in UNIDENTIFIED:
            text = f"the sessions do not say their {name}: it cannot be held equal"
            yield Reason(ReasonLevel.INSUFFICIENT, "UNBOUND", text)
        elif "dirty" in value:
            text = f"{name} is {value}: code that is not committed cannot be named"
            yield Reason(ReasonLevel.INSUFFICIENT, "UNBOUND", text)


def _happening_reasons(
    campaign: Sequence[CampaignSession], journals: Sequence[CampaignJournal], policy: Policy
) -> Iterator[Reason]:
    for session in campaign:
        for error in session.errors:
            text = f"{session.session_id}: seq {error.seq} {error.kind}"
            if error.why:
                told = f"{text} (explained: {error.why}); a campaign needs zero errors"
                yield Reason(ReasonLevel.CONTINUE_TESTNET, "ERROR_EXPLAINED", told)
            else:
                yield Reason(ReasonLevel.NO_GO, "ERROR_UNEXPLAINED", text)
        counts: dict[str, int] = {}
        for anomaly in session.anomalies:
            counts[anomaly.kind] = counts.get(anomaly.kind, 0) + (not anomaly.why)
        for kind, count in sorted(counts.items()):
            most = policy.anomalies_per_session_max.get(kind, 0)
            if count > most:
                text = f"{session.session_id}: {count} unexplained {kind}, tolerated {most}"
                yield Reason(ReasonLevel.CONTINUE_TESTNET, "ANOMALIES_ABOVE_TOLERANCE", text)
    for journal in journals:
        for error in journal.outside:
            if not error.why:
                text = f"{journal.name}: before its first session, seq {error.seq} {error.kind}"
                yield Reason(ReasonLevel.NO_GO, "ERROR_UNEXPLAINED", text)
        if journal.beyond:
            text = f"{journal.name}: {journal.beyond} more errors and anomalies than can be listed"
            yield Reason(ReasonLevel.NO_GO, "TOO_MANY_HAPPENINGS", text)
    crashed = [session.session_id for session in campaign if session.end != "stopped"]
    if len(crashed) > policy.crashes_max:
        text = f"{len(crashed)} sessions without an orderly end: {', '.join(crashed)}"
        yield Reason(ReasonLevel.CONTINUE_TESTNET, "SESSIONS_CRASHED", text)


def _amount_reasons(
    campaign: Sequence[CampaignSession], qualifying: Sequence[CampaignSession], policy: Policy
) -> Iterator[Reason]:
    if not campaign:
        return
    for code, what, have, least in (
        ("TOO_FEW_SESSIONS", "qualifying sessions", len(qualifying), policy.sessions_min),
        ("TOO_FEW_ORDERS", "orders", sum(s.orders for s in qualifying), policy.campaign_orders_min),
        ("TOO_SHORT", "minutes", sum(s.minutes for s in qualifying), policy.campaign_minutes_min),
    ):
        if have < least:
            yield Reason(ReasonLevel.CONTINUE_TESTNET, code, f"{have} of {least} {what}")


def _region_reasons(journals: Sequence[CampaignJournal], policy: Policy) -> Iterator[Reason]:
    if not journals:
        return
    for cap, least in sorted(policy.cap_regions_percent_min.items()):
        most = max(journal.cap_percent_max.get(cap, 0) for journal in journals)
        if most < least:
            text = f"{cap} was used up to {most} %, never to {least} %: not shown near its limit"
            yield Reason(ReasonLevel.CONTINUE_TESTNET, "CAP_REGION_NOT_VISITED", text)


def _anchor_reasons(
    journals: Sequence[CampaignJournal], policy: Policy, *, is_rehearsal: bool
) -> Iterator[Reason]:
    """Who outside of the box confirms the journals; of a rehearsal nobody need."""
    for journal in () if is_rehearsal else journals:
        found, least = len(journal.anchored_by), policy.outside_anchors_min
        if found < least:
            text = (
                f"{journal.name}: {found} of {least} outside anchors reach its last session's end; "
                "give --witness-key and the witness's export beside the journal (witness.jsonl)"
            )
            yield Reason(ReasonLevel.INSUFFICIENT, "TOO_FEW_ANCHORS", text)
        elif journal.unanchored_minutes > policy.unanchored_minutes_max:
            text = (
                f"{journal.name}: lines stood for {journal.unanchored_minutes} minutes before "
                f"anybody outside knew of them, at most {policy.unanchored_minutes_max}"
            )
            yield Reason(ReasonLevel.INSUFFICIENT, "ANCHORED_TOO_LATE", text)
        if journal.uncovered_minutes > policy.uncovered_minutes_max:
            text = (
                f"{journal.name}: its last {journal.uncovered_minutes} minutes are covered by no "
                f"outside anchor, at most {policy.uncovered_minutes_max}"
            )
            yield Reason(ReasonLevel.INSUFFICIENT, "END_UNANCHORED", text)


def _latest_drills(journals: Sequence[CampaignJournal]) -> dict[str, DrillRun]:
    latest: dict[str, DrillRun] = {}
    runs = (run for journal in journals for run in journal.drills)
    for run in sorted(runs, key=lambda run: run.ts_ns):
        latest[run.name] = run
    return latest


def _drill_reasons(drills: dict[str, DrillRun], policy: Policy, now: datetime) -> Iterator[Reason]:
    now_ns = int(now.timestamp()) * NS_PER_SECOND
    for name in sorted({*policy.drills_required, *drills}):
        run = drills.get(name)
        if run is None:
            text = f"drill {name} was never run"
            yield Reason(ReasonLevel.INSUFFICIENT, "DRILL_MISSING", text)
            continue
        hours = (now_ns - run.ts_ns) // NS_PER_HOUR
        if run.decided == OPEN:
            if name in policy.drills_required:
                text = f"drill {name}: its last line's details do not show that it passed"
                yield Reason(ReasonLevel.INSUFFICIENT, "DRILL_UNDECIDED", text)
        elif run.decided == FALSE:
            text = f"drill {name} says passed, its details say otherwise"
            yield Reason(ReasonLevel.NO_GO, "DRILL_FALSE", text)
        elif not run.passed:
            text = f"drill {name} failed when it was run last"
            yield Reason(ReasonLevel.NO_GO, "DRILL_FAILED", text)
        elif name in policy.drills_required and hours >= policy.drill_age_hours_max:
            text = f"drill {name} passed {hours} h ago, more than {policy.drill_age_hours_max} h"
            yield Reason(ReasonLevel.CONTINUE_TESTNET, "DRILL_STALE", text)


def _gate_reasons(gates: Sequence[LaunchGateState], *, is_rehearsal: bool) -> Iterator[Reason]:
    for gate in gates:
        text = f"{gate.stem}: {gate.detail}"
        if gate.light is GateLight.RED:
            yield Reason(ReasonLevel.NO_GO, "GATE_RED", text)
        elif gate.light is GateLight.REHEARSED:
            if not is_rehearsal:
                yield Reason(ReasonLevel.INSUFFICIENT, "GATE_REHEARSED", text)
        elif gate.light is not GateLight.GREEN:
            yield Reason(ReasonLevel.INSUFFICIENT, f"GATE_{gate.light}", text)


def _bot_reasons(campaign: Sequence[CampaignSession], policy: Policy) -> Iterator[Reason]:
    """Whether the bot of the trials is the one that the sessions' box names."""
    for course in policy.trials_required:
        wanted = str(policy.trials_bound.get(course, {}).get("bot_version", ""))
        others = [session for session in campaign if session.bot_version != wanted]
        if others:
            told = sorted({session.bot_version[:12] or "none" for session in others})
            text = (
                f"course {course} was run by bot version {wanted[:12]}; {len(others)} of "
                f"{len(campaign)} sessions name {', '.join(told)} ([trials] command and files)"
            )
            yield Reason(ReasonLevel.INSUFFICIENT, "TRIALS_OF_ANOTHER_BOT", text)


def _bots(journals: Sequence[CampaignJournal]) -> dict[str, object]:
    """What each bot did in the campaign's journals; nothing where there were none."""
    total: dict[str, Counter[str]] = {}
    for journal in journals:
        for name, counts in journal.bots.items():
            total.setdefault(name, Counter()).update(counts)
    return {"bots": {name: dict(total[name]) for name in sorted(total)}} if total else {}


def _explained(campaign: Sequence[CampaignSession]) -> list[str]:
    return [
        f"{session.session_id}: seq {one.seq} {one.kind}: {one.why}"
        for session in campaign
        for one in (*session.errors, *session.anomalies)
        if one.why
    ]
