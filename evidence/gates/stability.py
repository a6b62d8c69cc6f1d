"""PR-BC, the stability gate: did the scheduled workflows succeed lately?

For PR-K and for PR-J (in this order) the first run with event `schedule`, status `completed` and
conclusion `success` must be there, have a creation time, and be no older than the maximum age.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from evidence.gates.scorecard import listed, provenance_markdown
from evidence.read.artifact_times import age_hours, format_time, parse_time
from evidence.read.json_inputs import JsonObject, RunList

STEM = "stability_gate"
PRK_NAME = "PR-K"
PRJ_NAME = "PR-J"
PRK_WORKFLOW = "prk-status-report.yml"
PRJ_WORKFLOW = "prj-scheduled-smoke.yml"
AGE_HOURS_MAX = 36.0
OK = "OK"
NO_SCHEDULE_SUCCESS = "NO_SCHEDULE_SUCCESS"
MISSING_CREATED_AT = "MISSING_CREATED_AT"
STALE_SCHEDULE_SUCCESS = "STALE_SCHEDULE_SUCCESS"


class WorkflowResult(msgspec.Struct, frozen=True):
    """How one workflow stands. The fields are the compatible keys of `results[]`."""

    name: str
    workflow: str
    run_id: object
    created_at: object
    age_hours: float | None
    ok: bool
    reason: str


def judge_workflow(
    name: str, workflow: str, runs: Sequence[JsonObject], now: datetime, age_hours_max: float
) -> WorkflowResult:
    """Judge one workflow by its runs, newest first.

    A creation time that is not a time counts as none: what cannot be dated cannot be fresh.
    """
    run = first_schedule_success(runs)
    if run is None:
        return WorkflowResult(name, workflow, None, None, None, False, NO_SCHEDULE_SUCCESS)
    run_id = run_number_of(run.get("databaseId"))
    created_at = run.get("createdAt")
    created = parse_time(created_at)
    if created is None:
        return WorkflowResult(name, workflow, run_id, created_at, None, False, MISSING_CREATED_AT)
    age = age_hours(now, created)
    if age > age_hours_max:
        return WorkflowResult(
            name, workflow, run_id, created_at, age, False, STALE_SCHEDULE_SUCCESS
        )
    return WorkflowResult(name, workflow, run_id, created_at, age, True, OK)


def first_schedule_success(runs: Sequence[JsonObject]) -> JsonObject | None:
    """The newest run that was scheduled, ran to its end, and succeeded."""
    for run in runs:
        if (
            run.get("event") == "schedule"
            and run.get("status") == "completed"
            and run.get("conclusion") == "success"
        ):
            return run
    return None


def run_number_of(run_id: object) -> object:
    """A run id as a number where its text is one."""
    if isinstance(run_id, str) and run_id.isdecimal():
        return int(run_id)
    return run_id


def stability_value(
    prk: WorkflowResult,
    prj: WorkflowResult,
    branch: str,
    now: datetime,
    sources: Sequence[RunList],
) -> JsonObject:
    """The artifact's JSON value."""
    remarks = [
        f"{result.name}: created in the future of --now or of this clock"
        for result in (prk, prj)
        if result.age_hours is not None and result.age_hours < 0
    ]
    remarks += [f"{source.role}: no such file" for source in sources if source.is_missing]
    return {
        "generated_at": format_time(now),
        "branch": branch,
        "results": [msgspec.structs.asdict(prk), msgspec.structs.asdict(prj)],
        "overall_ok": prk.ok and prj.ok,
        "seatrial": {
            "inputs": [source.provenance() for source in sources],
            "remarks": remarks,
        },
    }


def stability_markdown(value: JsonObject) -> list[str]:
    """The artifact's Markdown twin."""
    rows = [
        f"| {row['name']} | {str(row['ok']).lower()} | {row['reason']} | "
        f"{'' if row['age_hours'] is None else format(row['age_hours'], '.2f')} | "
        f"{'' if row['run_id'] is None else row['run_id']} |"
        for row in listed(value, "results")
        if isinstance(row, dict)
    ]
    return [
        "# Stability Gate",
        "",
        f"- generated_at: {value['generated_at']}",
        f"- branch: {value['branch']}",
        f"- overall_ok: **{str(value['overall_ok']).lower()}**",
        "",
        "## Results",
        "",
        "| name | ok | reason | age (h) | run |",
        "|---|---|---|---:|---|",
        *rows,
        "",
        *provenance_markdown(value),
    ]
