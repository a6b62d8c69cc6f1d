"""Judges of what a bot does with a no of the gate, and after its kill switch."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from daemon.trials.judging.ledger_checks import (
    Problem,
    doubled,
    hammering,
    order_words,
    recovery,
    request_words,
    since,
)
from daemon.trials.judging.observation import S_NS, Observation
from daemon.trials.judging.pace import OrderPace
from daemon.trials.judging.trial_verdict import Verdict, finding, not_shown, passed

Params: TypeAlias = Mapping[str, Any]


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
    return _decided(
        [hammered, doubled(observation, pace), silent],
        f"{told.total()} denials by {len(told)} caps; the same request at most {rate:.2f} times a "
        f"second, bound {bound:g}",
        measures,
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
    return _decided([through, hammered], because, measures, evidence)


def _decided(
    problems: list[Problem | None],
    because: str,
    measures: Mapping[str, str],
    shown: tuple[str, ...] = (),
) -> Verdict:
    found = [problem for problem in problems if problem is not None]
    if not found:
        return passed(because, shown, **measures)
    evidence = [line for problem in found for line in problem.evidence]
    return finding("; ".join(problem.words for problem in found), evidence, **measures)


GATE_JUDGES: Mapping[str, Callable[[Observation, OrderPace, Params], Verdict]] = {
    "denials": _denials,
    "after-kill": _after_kill,
}
"""Judges of trials through the gate."""
