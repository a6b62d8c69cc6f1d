"""The judges: each decides one trial from what the venue saw.

A judge takes (observation, pace, params) and gives a Verdict. `params` come from the course file;
each judge's docstring names those that it reads.
"""

from collections.abc import Mapping

from daemon.model.copies import replace
from daemon.trials.judging.judges_of_feeds import FEED_JUDGES
from daemon.trials.judging.judges_of_gate import GATE_JUDGES, MAY_BE_MET, met_by_gate
from daemon.trials.judging.ledger_checks import (
    Judge,
    Params,
    Problem,
    blind_resends,
    decided,
    doubled,
    hammering,
    order_words,
    recovery,
    request_words,
    since,
)
from daemon.trials.judging.observation import S_NS, Observation
from daemon.trials.judging.pace import OrderPace
from daemon.trials.judging.trial_verdict import TrialOutcome, Verdict, finding, not_shown


def judge(name: str, observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """The verdict of a trial, with what is measured in every trial."""
    left = observation.open_at(observation.end_ns)
    if observation.ended_ns is not None and name not in _JUDGES_OF_ENDS:
        verdict = finding(
            f"the bot ended by itself (exit code {observation.exit_code}) and left {len(left)} "
            "orders open",
            [
                f"{since(observation, observation.ended_ns)}  the bot's process ended",
                *(order_words(observation, one) for one in left),
            ],
        )
    else:
        verdict = JUDGES[name](observation, pace, params)
        if name in MAY_BE_MET:
            verdict = met_by_gate(verdict, observation, pace, params)
    believed = observation.believed
    if believed is not None and believed not in observation.positions:
        right = " or ".join(str(one) for one in observation.positions)
        words = f"its log tells a position of {believed}; at the venue it is {right}"
        if verdict.outcome is TrialOutcome.FINDING:
            words = f"{verdict.because}; {words}"
        verdict = replace(verdict, outcome=TrialOutcome.FINDING, because=words)
    return replace(verdict, measures={**_common(observation), **verdict.measures})


def _common(observation: Observation) -> dict[str, str]:
    requests = [row for row in observation.requests if row.is_request]
    messages = [row for row in requests if row.is_place or row.is_cancel]
    fills = [one for one in observation.fills if one.ours]
    accepted = observation.accepted(observation.start_ns)
    measures = {
        "requests": str(len(requests)),
        "orders": str(len(accepted)),
        "fills": str(len(fills)),
        "refused": str(sum(1 for row in messages if row.refused)),
        "open at the end": str(len(observation.open_at(observation.end_ns))),
        "worst exposure": f"{observation.worst_exposure():.2f}",
    }
    if observation.believed is not None:
        measures["position by its log"] = str(observation.believed)
    if fills:
        measures["messages per fill"] = f"{len(messages) / len(fills):.1f}"
    return measures


def _calm(observation: Observation, _pace: OrderPace, params: Params) -> Verdict:
    """`min_orders`; `max_refused_share`."""
    places = observation.places()
    accepted = observation.accepted(observation.start_ns)
    least = int(params.get("min_orders", 2))
    if len(accepted) < least:
        return not_shown(
            f"the bot placed {len(accepted)} orders; {least} are needed to know its pace",
            request_words(observation, places),
        )
    refused = [row for row in places if row.refused]
    share = len(refused) / max(len(places), 1)
    most = float(params.get("max_refused_share", 0.2))
    problem = None
    if share > most:
        problem = Problem(
            f"in calm water {share:.0%} of its orders were refused, bound {most:.0%}",
            request_words(observation, refused),
        )
    return decided([problem], f"{len(accepted)} orders accepted, {len(refused)} refused")


def _no_doubles(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`recover_s`: 0 does not ask for a recovery."""
    accepted = observation.accepted(observation.start_ns)
    measures, recovered = _recovered(observation, pace, params)
    if not accepted and not any(recovered):
        return not_shown("the bot placed no order while the fault was on or after it")
    return decided(
        [doubled(observation, pace), *recovered],
        f"{len(accepted)} orders; never more open at once than in calm water",
        **measures,
    )


def _recovered(
    observation: Observation, pace: OrderPace, params: Params
) -> tuple[dict[str, str], list[Problem | None]]:
    within_s = float(params.get("recover_s", 0))
    if not within_s:
        return {}, []
    lifted = observation.last_marks.get(str(params.get("lifted", "calm")), observation.start_ns)
    seconds, problem = recovery(observation, pace, lifted, within_s)
    return ({} if seconds is None else {"recovery": f"{seconds:.1f} s"}), [problem]


def _resent(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`recover_s`."""
    unclear, blind = blind_resends(observation)
    measures, recovered = _recovered(observation, pace, params)
    executed = [row for row in unclear if observation.order_of(row) is not None]
    if not unclear:
        return not_shown("no order of the bot met the fault")
    two = doubled(observation, pace)
    return decided(
        [blind, two, *recovered],
        f"{len(unclear)} orders without a clear answer, {len(executed)} of them executed; the bot "
        "found out before it placed the next, and none was doubled",
        unclear=len(unclear),
        executed=len(executed),
        **measures,
    )


def _backs_off(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`max_per_s`; `lifted`: the deed that ends the fault; `recover_s`; `or_silent`.

    With `or_silent` a bot passes that asks for nothing meanwhile, though its orders are gone.
    """
    ends = observation.last_marks.get(str(params.get("lifted", "calm")), observation.end_ns)
    bound = float(params.get("max_per_s", 1.0))
    total, rate, problem = hammering(observation, observation.start_ns, ends, bound)
    measures, recovered = _recovered(observation, pace, params)
    lived = [row for row in observation.between(observation.start_ns, ends) if row.is_request]
    had_reason = observation.cancels or _happened(observation, "fill")
    if not total and params.get("or_silent") and lived and had_reason:
        return decided(
            recovered, "its orders were gone, and it asked for none meanwhile", **measures
        )
    if not total:
        return not_shown(
            "the venue refused nothing: the bot asked for no order that it could refuse"
        )
    return decided(
        [problem, doubled(observation, pace), *recovered],
        f"{total} refusals; the same request at most {rate:.2f} times a second, bound {bound:g}",
        refusals=total,
        **{"retries a second": f"{rate:.2f}", **measures},
    )


def _keeps_order(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`recover_s`, `max_per_s`: goes on without doubling, hammering or falling silent."""
    bound = float(params.get("max_per_s", 1.0))
    total, rate, problem = hammering(observation, observation.start_ns, observation.end_ns, bound)
    measures, recovered = _recovered(observation, pace, params)
    acted = [row for row in observation.between(observation.start_ns) if row.is_request]
    event = str(params.get("event", ""))
    if event and not _happened(observation, event):
        return not_shown(f"nothing of the bot was concerned: no {event}")
    if not acted:
        return not_shown("the bot sent nothing at all")
    return decided(
        [problem, doubled(observation, pace), *recovered],
        f"it went on: {len(observation.accepted(observation.start_ns))} orders, {total} refusals, "
        "nothing doubled",
        **{"refusals a second": f"{rate:.2f}", **measures},
    )


def _happened(observation: Observation, event: str) -> bool:
    fills = [one for one in observation.fills if one.ours and one.ts_ns >= observation.start_ns]
    if event == "partial fill":
        return any(
            0 < one.executed < one.qty or sum(f.order_id == one.order_id for f in fills) > 1
            for one in observation.orders
            if one.ours
        )
    if event == "fee in a third asset":
        return any(
            not one.symbol.startswith(one.fee_asset) and one.fee_asset not in one.symbol
            for one in fills
        )
    return bool(fills)


def _obeys(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`seconds`: how long the limit holds; `grace_s`: for what is under way when it is told."""
    begin = observation.mark("strike")
    ends = begin + int(float(params["seconds"]) * S_NS)
    limited = [row for row in observation.between(begin, ends) if row.status in {418, 429}]
    if not limited:
        return not_shown("the bot sent nothing while the limit was on")
    grace_ns = int(float(params.get("grace_s", 1.0)) * S_NS)
    told = limited[0].ts_ns
    during = [row for row in observation.between(told + grace_ns, ends) if row.is_request]
    problem = None
    if during:
        problem = Problem(
            f"{len(during)} requests after it had been told to wait (Retry-After)",
            request_words(observation, [limited[0], *during]),
        )
    measures, recovered = _recovered(observation, pace, params)
    return decided(
        [problem, doubled(observation, pace), *recovered],
        "no request between the answer that told it to wait and the end of the limit",
        **{"requests during the limit": str(len(during)), **measures},
    )


def _clock(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`within_s`: until a signed request is taken again while the clocks still differ."""
    refused = [row for row in observation.requests if row.code == -1021]
    if not refused:
        return not_shown("no request of the bot was refused for its timestamp")
    ends = observation.last_marks.get("calm", observation.end_ns)
    first = refused[0].ts_ns
    taken = [one.ts_ns for one in observation.accepted(first, ends)]
    within_s = float(params.get("within_s", 8.0))
    problem = None
    if not observation.gate_stops and (not taken or (taken[0] - first) / S_NS > within_s):
        problem = Problem(
            f"{len(refused)} requests refused with -1021, and no order accepted within "
            f"{within_s:g} s while the clocks differed",
            request_words(observation, refused),
        )
    measures, recovered = _recovered(observation, pace, params)
    return decided(
        [problem, *recovered],
        f"{len(refused)} requests refused with -1021; then it took the venue's time",
        **{"refused -1021": str(len(refused)), **measures},
    )


def _foreign(observation: Observation, pace: OrderPace, _params: Params) -> Verdict:
    foreign = {
        one.order_id: one
        for one in observation.orders
        if not one.ours and one.ts_ns >= observation.start_ns - S_NS
    }
    acted = [row for row in observation.requests if row.is_place or row.is_cancel]
    if not foreign or not acted:
        return not_shown("the bot neither placed nor cancelled while the order was there")
    gone = [one for one in observation.cancels if one.order_id in foreign]
    problem = None
    if gone:
        problem = Problem(
            f"the bot cancelled {len(gone)} order that it had not placed",
            tuple(
                f"{since(observation, one.ts_ns)}  order {one.order_id} {one.symbol} cancelled; "
                "somebody else had placed it"
                for one in gone
            )
            + request_words(observation, [row for row in acted if row.is_cancel][-3:]),
        )
    return decided([problem, doubled(observation, pace)], "it left the foreign order alone")


def _ends_clean(observation: Observation, _pace: OrderPace, params: Params) -> Verdict:
    """`within_s`: for the process to end."""
    asked = observation.mark("end-bot")
    within_s = float(params.get("within_s", 10.0))
    before = observation.open_at(asked)
    left = observation.open_at(observation.end_ns)
    problems: list[Problem | None] = []
    took = None if observation.ended_ns is None else (observation.ended_ns - asked) / S_NS
    if took is None or took > within_s:
        problems.append(Problem(f"it had not ended {within_s:g} s after SIGTERM"))
    if left:
        problems.append(
            Problem(
                f"it left {len(left)} orders open at the venue",
                tuple(order_words(observation, one) for one in left),
            )
        )
    return decided(
        problems,
        f"{len(before)} orders were open at SIGTERM, none afterwards",
        **({} if took is None else {"time to end": f"{took:.1f} s"}),
    )


def _finds_orders(observation: Observation, pace: OrderPace, _params: Params) -> Verdict:
    killed, started = observation.mark("kill-bot"), observation.mark("start-bot")
    orphans = observation.open_at(killed)
    if not orphans:
        return not_shown("no order was open when the bot was killed")
    left = [one for one in orphans if one.is_open_at(observation.end_ns)]
    asked = [
        row
        for row in observation.between(started)
        if row.status == 200 and (row.asks_for_orders or row.is_cancel)
    ]
    problems = [doubled(observation, pace, started)]
    if left and not asked:
        problems.append(
            Problem(
                f"{len(left)} orders from before the kill still stand, and it never asked for them",
                tuple(order_words(observation, one) for one in left),
            )
        )
    return decided(
        problems,
        f"{len(orphans)} orders from before the kill: {len(orphans) - len(left)} ended, "
        f"{len(left)} taken over",
    )


def _survives_disk(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`recover_s`."""
    left = observation.open_at(observation.end_ns)
    if observation.ended_ns is not None:
        problem = None
        if left:
            problem = Problem(
                f"it ended (exit code {observation.exit_code}) and left {len(left)} orders open",
                tuple(order_words(observation, one) for one in left),
            )
        return decided([problem], "it ended in order and left nothing open")
    measures, recovered = _recovered(observation, pace, params)
    return decided([doubled(observation, pace), *recovered], "it went on", **measures)


def _keeps_rate(observation: Observation, pace: OrderPace, _params: Params) -> Verdict:
    accepted = observation.accepted(observation.start_ns)
    fills = [one for one in observation.fills if one.ours and one.ts_ns >= observation.start_ns]
    if not accepted or not fills:
        return not_shown("no order of the bot was filled, so that nothing drove it faster")
    limited = [row for row in observation.requests if row.status in {418, 429}]
    seconds = (observation.end_ns - observation.start_ns) / S_NS
    problem = None
    if limited:
        problem = Problem(
            f"driven at twice its pace it ran into the venue's limits {len(limited)} times",
            request_words(observation, limited),
        )
    total, _, hammered = hammering(observation, observation.start_ns, observation.end_ns, 1.0)
    return decided(
        [problem, hammered, doubled(observation, pace)],
        f"{len(fills)} fills and {len(accepted)} orders in {seconds:.0f} s (calm: "
        f"{pace.per_s:.2f} orders a second), {total} refusals, no limit reached",
        **{"orders a second": f"{len(accepted) / seconds:.2f}"},
    )


_JUDGES_OF_ENDS = frozenset({"ends-clean", "finds-orders", "survives-disk"})
JUDGES: Mapping[str, Judge] = {
    "calm": _calm,
    "no-doubles": _no_doubles,
    "resent": _resent,
    "backs-off": _backs_off,
    "keeps-order": _keeps_order,
    "obeys": _obeys,
    "clock": _clock,
    "foreign": _foreign,
    "ends-clean": _ends_clean,
    "finds-orders": _finds_orders,
    "survives-disk": _survives_disk,
    "keeps-rate": _keeps_rate,
    **FEED_JUDGES,
    **GATE_JUDGES,
}
"""Every judge that a course may name."""
SHOWN = frozenset({TrialOutcome.PASS, TrialOutcome.FINDING})
"""Outcomes that say something about the bot."""
