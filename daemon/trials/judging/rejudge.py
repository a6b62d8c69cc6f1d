"""Whether a report says what its observations show: every verdict is judged again.

Rules of this file:
1. Nothing of a report is believed that can be made again: outcomes and sentences from the
   observations, the exit code from the outcomes, which trials are required from the course.
2. A report states the hash of itself and of its observations; who changes one must change all, and
   must invent a wire and a ledger that the judges agree with.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from daemon.trials.judging.course import Course
from daemon.trials.judging.judges import judge
from daemon.trials.judging.observation import Observation
from daemon.trials.judging.pace import OrderPace, pace_of
from daemon.trials.judging.trial_verdict import TrialOutcome, exit_code

_UNSEEN = frozenset({TrialOutcome.NOT_SHOWN, TrialOutcome.NOT_APPLICABLE})


def canonical_hash(value: Any) -> str:
    """SHA-256 (hex) of a plain value, keys in order; amounts as text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def course_hash(course: Course) -> str:
    """What a course does, asks and requires, in one word."""
    return canonical_hash(msgspec.to_builtins(course))


def report_hash(report: Mapping[str, Any]) -> str:
    """Of everything that a report says but this."""
    return canonical_hash({key: value for key, value in report.items() if key != "report_hash"})


def observation_value(observation: Observation) -> dict[str, Any]:
    """An observation as plain JSON values; amounts as text."""
    value: dict[str, Any] = json.loads(msgspec.json.encode(observation))
    return value


def observation_of(value: Mapping[str, Any]) -> Observation:
    """The observation that `observation_value` has written.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return msgspec.convert(value, Observation)


def why_not_as_seen(
    report: Mapping[str, Any], observations: Mapping[str, Any], course: Course
) -> str:
    """Empty when a report's own observations give what it says; else the first thing that differs.

    `observations`: trial -> what `observation_value` has written, of each trial that was played.
    """
    if report.get("report_hash") != report_hash(report):
        return "it was changed after it was written: its own hash does not fit"
    if report.get("course_hash") != course_hash(course):
        return f"the course {course.name} has changed since"
    if report.get("observations_hash") != canonical_hash(observations):
        return "its observations are not those that it was made of"
    rows = {row.get("name"): row for row in report.get("trials", ())}
    if list(rows) != [trial.name for trial in course.trials]:
        return "its trials are not those of the course"
    pace = OrderPace()
    for trial in course.trials:
        row, value = rows[trial.name], observations.get(trial.name)
        if value is None:
            if row.get("outcome") not in _UNSEEN:
                return f"{trial.name}: {row.get('outcome')} without an observation"
            continue
        try:
            observation = observation_of(value)
        except msgspec.ValidationError as error:
            return f"{trial.name}: its observation cannot be read: {error}"
        if trial.judge == "calm":
            pace = pace_of(observation)
        verdict = judge(trial.judge, observation, pace, trial.params)
        told = (row.get("outcome"), row.get("because"), row.get("evidence"))
        if told != (str(verdict.outcome), verdict.because, list(verdict.evidence)):
            return f"{trial.name}: the ledger shows {verdict.outcome}, not {row.get('outcome')}"
    outcomes = [TrialOutcome(rows[trial.name]["outcome"]) for trial in course.trials]
    required = [trial.required for trial in course.trials]
    code = int(exit_code(zip(required, outcomes, strict=True)))
    return "" if report.get("exit_code") == code else f"these trials end with exit code {code}"


def observations_of(results: Sequence[tuple[str, Observation | None]]) -> dict[str, Any]:
    """Trial -> its observation, of those that were played."""
    return {name: observation_value(one) for name, one in results if one is not None}
