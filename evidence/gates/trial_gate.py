"""Decides a course of trials again from its report: `promote` believes no verdict, it counts.

A second text of `daemon/trials/judging/trial_verdict.py`, on purpose: a finding makes exit code 2,
a required trial that was not shown 3, and a course passed when neither is there.
"""

from collections import Counter
from collections.abc import Mapping

from evidence.read.json_inputs import Artifact

PASS, FINDING, NOT_SHOWN, NOT_APPLICABLE = "PASS", "FINDING", "NOT SHOWN", "NOT APPLICABLE"
OUTCOMES = frozenset({PASS, FINDING, NOT_SHOWN, NOT_APPLICABLE})


def why_not_passed(report: Artifact, course: str) -> str:
    """Why a report does not show that its course was passed; empty when it does."""
    rows = report.get("trials")
    if report.get("course") != course:
        return f"it is a report of course {report.get('course')!r:.40}"
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        return "it has no list of its trials, so nothing can be counted again"
    outcomes = Counter(str(row.get("outcome")) for row in rows)
    names = Counter(str(row.get("name")) for row in rows)
    if strange := outcomes.keys() - OUTCOMES:
        return f"an outcome that is not known: {min(strange)[:40]}"
    if twice := [name for name, count in names.items() if count > 1]:
        return f"trial {twice[0][:40]} stands twice in it"
    stated = report.get("counts")
    if not isinstance(stated, Mapping) or any(
        stated.get(outcome, 0) != outcomes[outcome] for outcome in OUTCOMES | stated.keys()
    ):
        return f"its counts are not those of its trials: {dict(sorted(outcomes.items()))}"
    if outcomes[FINDING]:
        return f"{outcomes[FINDING]} trials with a finding"
    not_shown = [
        row for row in rows if row.get("outcome") == NOT_SHOWN and row.get("required") is not False
    ]
    if not_shown:
        return f"required trial {str(not_shown[0].get('name'))[:40]} was not shown"
    if not outcomes[PASS]:
        return "no trial in it was passed"
    code = report.get("exit_code")
    if code != 0 or isinstance(code, bool):
        return f"its exit code is {code!r:.20}"
    return ""
