"""Judges of what a bot does with a no of the gate, and after its kill switch."""

from collections import Counter
from collections.abc import Mapping

from daemon.model.copies import replace
from daemon.trials.judging.ledger_checks import (
    Judge,
    Params,
    Problem,
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

MAY_BE_MET = frozenset({"resent", "no-doubles", "keeps-order", "backs-off", "obeys", "clock"})
"""Judges of faults that strike between gate and venue, so that the bot may never hear of them."""
_SHOWN_EACH = 4


def met_by_gate(
    verdict: Verdict, observation: Observation, pace: OrderPace, params: Params
) -> Verdict:
    """The verdict of a trial through the gate, where the gate met the fault in the bot's place.

    1. The fault struck the gate, and the bot heard nothing of it. A bot that doubled its orders, or
       did not trade again (`recover_s`), has a finding all the same; one that asked for no order
       has shown nothing.
    2. The gate stopped trading by itself: the bot was denied, and whether it recovers is not seen.
    """
    met, asked = observation.met_by_gate(), observation.places()
    if verdict.outcome is not TrialOutcome.FINDING and observation.gate_stops:
        return _gate_stopped(verdict, observation, pace)
    if verdict.outcome is not TrialOutcome.NOT_SHOWN or not met or not asked:
        return verdict
    within_s = float(params.get("recover_s", 0))
    lifted = observation.last_marks.get(str(params.get("lifted", "calm")), observation.start_ns)
    silent = recovery(observation, pace, lifted, within_s)[1] if within_s else None
    shown = (
        *(f"gate to venue {line}" for line in request_words(observation, met[:_SHOWN_EACH])),
        *(f"bot to gate   {line}" for line in request_words(observation, asked[:_SHOWN_EACH])),
    )
    judged = decided(
        [doubled(observation, pace), silent],
        f"the fault struck {len(met)} requests of the gate, which answered the bot from what the "
        f"venue proved; of {len(asked)} orders that the bot asked for none met it",
        shown,
        **{"met by the gate": len(met)},
    )
    if judged.outcome is TrialOutcome.PASS:
        return replace(judged, outcome=TrialOutcome.MET_BY_GATE)
    return judged


def _gate_stopped(verdict: Verdict, observation: Observation, pace: OrderPace) -> Verdict:
    first = observation.gate_stops[0]
    lived = [row for row in observation.between(first.ts_ns) if row.is_request]
    if observation.accepted(first.ts_ns) or not lived:
        return verdict
    two = doubled(observation, pace)
    if two is not None:
        return finding(two.words, two.evidence)
    asked = observation.places(first.ts_ns)
    return replace(
        verdict,
        outcome=TrialOutcome.MET_BY_GATE,
        because=f"the gate stopped trading ({first.why.partition(':')[0]}) until an operator came, "
        f"and denied the bot, which asked {len(asked)} times for an order; {verdict.because}",
        evidence=(
            *(
                f"{since(observation, one.ts_ns)}  gate: {one.why}"
                for one in observation.gate_stops
            ),
            *request_words(observation, asked[:_SHOWN_EACH]),
        ),
    )


def _denials(observation: Observation, pace: OrderPace, params: Params) -> Verdict:
    """`max_per_s` of one refused request; `recover_s` after the caps are loose again."""
    ends = observation.last_marks.get("calm", observation.end_ns)
    told = Counter(one.reason for one in observation.denials if one.ts_ns < ends)
    if not told:
        return not_shown("the gate denied nothing: the bot asked for no order meanwhile")
    bound = float(params.get("max_per_s", 1.0))
    _, rate, hammered = hammering(observation, observation.start_ns, ends, bound)
    again_s, silent = recovery(observation, pace, ends, float(params.get("recover_s", 8.0)))
    measures = {
        "denied": ", ".join(f"{reason} {count}" for reason, count in sorted(told.items())),
        "retries a second": f"{rate:.2f}",
    }
    if again_s is not None:
        measures["recovery"] = f"{again_s:.1f} s"
    return decided(
        [hammered, doubled(observation, pace), silent],
        f"{told.total()} denials by {len(told)} caps; the same request at most {rate:.2f} times a "
        f"second, bound {bound:g}",
        **measures,
    )


def _after_kill(observation: Observation, _pace: OrderPace, params: Params) -> Verdict:
    """`max_per_s`: how often it may ask for one kind of order that the gate denies."""
    begun = observation.mark("kill-switch")
    done = observation.last_marks.get("kill-switch", begun)
    asked = observation.places(done)
    gone = [one for one in observation.cancels if one.ts_ns >= begun]
    lived = [row for row in observation.between(done) if row.is_request]
    if not gone and not asked:
        return not_shown("no order was cancelled under the bot, and it asked for none")
    if not lived:
        return not_shown("the bot sent nothing at all after the kill")
    bound = float(params.get("max_per_s", 1.0))
    _, rate, hammered = hammering(observation, begun, observation.end_ns, bound)
    measures = {"cancelled": str(len(gone)), "asked again": str(len(asked))}
    if asked:
        measures["asked first after"] = f"{(asked[0].ts_ns - done) / S_NS:.1f} s"
        measures["retries a second"] = f"{rate:.2f}"
    passed_gate = observation.accepted(done)
    through = None
    if passed_gate:
        through = Problem(
            f"{len(passed_gate)} orders reached the venue after the kill",
            tuple(order_words(observation, one) for one in passed_gate),
        )
    because = f"{len(gone)} orders cancelled under it; it asked for no order afterwards"
    if asked:
        because = (
            f"{len(gone)} orders cancelled under it; it asked {len(asked)} times for a new one, "
            f"for the same at most {rate:.2f} times a second, bound {bound:g}; none was placed"
        )
    evidence = (
        f"{since(observation, done)}  the kill switch had cancelled everything",
        *request_words(observation, asked),
    )
    return decided([through, hammered], because, evidence, **measures)


GATE_JUDGES: Mapping[str, Judge] = {
    "denials": _denials,
    "after-kill": _after_kill,
}
"""Judges of trials through the gate."""
