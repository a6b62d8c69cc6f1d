"""Whether a report of a course of trials is what was written, and what its rows give.

`seatrial trial` writes the report; this is the accountant's own reading of it. The verdicts are
judged again from the observations beside it by the trials' own judges, whom `seatrial promote`
brings along: the accountant has none (P10).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evidence.read.json_inputs import Artifact, MalformedInputError, load_artifact

JudgeAgain = Callable[[Mapping[str, Any], Mapping[str, Any]], str]
"""Report, and what it was made of -> why it is not what was observed; empty: it is."""
PASSED, FOUND, UNSEEN = "PASS", "FINDING", "NOT SHOWN"
SPOILS_NOTHING = frozenset({PASSED, "MET BY THE GATE", "NOT APPLICABLE"})


def why_not_believed(report: Artifact, bound: Mapping[str, Any]) -> str:
    """Empty when a report is unchanged, passed, and of what the policy binds it to.

    Args:
        report: `trial_COURSE.json`.
        bound: keys of the report, each with the value that it must have.
    """
    value = report.value or {}
    stated = {key: told for key, told in value.items() if key != "report_hash"}
    text = json.dumps(stated, sort_keys=True, separators=(",", ":"))
    if value.get("report_hash") != hashlib.sha256(text.encode()).hexdigest():
        return "it was changed after it was written: its own hash does not fit"
    code = _exit_code(value.get("trials"))
    told = value.get("exit_code")
    if told != code or isinstance(told, bool):
        return f"it tells exit code {told}; its trials give {code}"
    counts = value.get("counts")
    if counts is not None and counts != _counts(value.get("trials"), counts):
        return "its counts are not those of its trials: one was left out, or another outcome told"
    if code:
        return f"not passed: {value.get('verdict')}"
    for key, wanted in bound.items():
        if value.get(key) != wanted:
            return f"{key} is {value.get(key)!r}; the policy asks for {wanted!r}"
    return ""


def why_not_shown(
    report: Artifact, bound: Mapping[str, Any], kept: Path, judge_again: JudgeAgain
) -> str:
    """As `why_not_believed`; and what was observed must give what the report says.

    `kept`: the file with the course and the observations.
    """
    if why := why_not_believed(report, bound):
        return why
    try:
        observed = load_artifact("observations", str(kept))
    except MalformedInputError as error:
        return str(error)
    if observed.value is None:
        return f"no {kept.name}: what it was made of is not beside it; run the course again"
    return judge_again(report.value or {}, observed.value)


def _counts(trials: Any, stated: object) -> dict[str, int]:
    """How often each outcome is told, with a zero for those that are stated and not told."""
    found = Counter(str(row.get("outcome")) for row in trials)
    return {**dict.fromkeys(stated if isinstance(stated, dict) else (), 0), **found}


def _exit_code(trials: object) -> int | None:
    """0 passed, 2 a finding, 3 not shown; None where these are no trials."""
    if not isinstance(trials, list) or not all(isinstance(row, dict) for row in trials):
        return None
    outcomes = [(row.get("required") is not False, row.get("outcome")) for row in trials]
    if not all(word in SPOILS_NOTHING | {FOUND, UNSEEN} for _, word in outcomes):
        return None
    if any(word == FOUND for _, word in outcomes):
        return 2
    if all(word != PASSED for _, word in outcomes):
        return 3
    return 3 if (True, UNSEEN) in outcomes else 0
