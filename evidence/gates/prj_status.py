"""PR-J status: how the scheduled smoke of the paper/shadow path stands."""

from collections import Counter
from datetime import datetime

from evidence.gates.scorecard import listed, provenance_markdown
from evidence.read.artifact_times import age_hours, format_time, parse_time
from evidence.read.json_inputs import JsonObject, RunList

STEM = "prj_status_latest"
TITLE = "PR-J Status Report"
OUTPUT_VERSION = 1
WORKFLOW = "PR-J / scheduled smoke of the paper and shadow path"
STALE_HOURS = 36.0
NO_TRADE = "NO_TRADE"
NO_SUCCESS_CODE = "PRJ_STATUS_NO_SUCCESS"
STALE_CODE = "PRJ_STATUS_STALE"
RUN_KEYS = (
    "id",
    "run_number",
    "event",
    "status",
    "conclusion",
    "created_at",
    "updated_at",
    "html_url",
)
_LISTED_MAX = 10


def status_value(
    source: RunList,
    now: datetime,
    stale_hours: float = STALE_HOURS,
    limit: int | None = None,
) -> JsonObject:
    """Make the status report from runs, newest first.

    The policy's action is empty when nothing forbids trading. A success whose creation time cannot
    be read cannot be dated, so it is no success for the policy.
    """
    rows = [{key: run.get(key) for key in RUN_KEYS} for run in source.runs][:limit]
    counts = Counter(str(row["conclusion"] or row["status"] or "unknown") for row in rows)
    success = next(
        (row for row in rows if row["event"] == "schedule" and row["conclusion"] == "success"),
        None,
    )
    created_at = success["created_at"] if success else None
    created = parse_time(created_at)
    age = age_hours(now, created) if created else None
    if age is None:
        reasons = [NO_SUCCESS_CODE]
    elif age > stale_hours:
        reasons = [STALE_CODE]
    else:
        reasons = []
    return {
        "output_version": OUTPUT_VERSION,
        "generated_utc": format_time(now),
        "workflow": WORKFLOW,
        "runs_count": len(rows),
        "counts": dict(counts),
        "latest_any": rows[0] if rows else None,
        "latest_schedule_success": success,
        "runs": rows,
        "policy": {"action": NO_TRADE if reasons else "", "reason_codes": reasons},
        "last_successful_schedule_created_at": created_at if created else None,
        "last_successful_schedule_age_hours": None if age is None else round(age, 2),
        "seatrial": {
            "inputs": [source.provenance()],
            "remarks": [f"{source.role}: no such file"] if source.is_missing else [],
            "stale_hours": stale_hours,
        },
    }


def status_markdown(value: JsonObject) -> list[str]:
    """The report's Markdown twin."""
    policy, counts = value["policy"], value["counts"]
    if not isinstance(policy, dict) or not isinstance(counts, dict):
        raise TypeError("not a value of status_value")
    reasons = ", ".join(policy["reason_codes"]) or "(none)"
    return [
        f"# {TITLE}",
        "",
        f"- generated_utc: {value['generated_utc']}",
        f"- policy: **{policy['action'] or '(none)'}** ({reasons})",
        f"- runs_count: {value['runs_count']}",
        f"- last successful schedule: {value['last_successful_schedule_created_at'] or '(none)'}",
        f"- its age in hours: {_or_none(value['last_successful_schedule_age_hours'])}",
        "",
        "## Counts",
        "",
        *([f"- {name}: {count}" for name, count in sorted(counts.items())] or ["- (none)"]),
        "",
        f"## Last {_LISTED_MAX} Runs",
        "",
        "| created | event | status | conclusion | run |",
        "|---|---|---|---|---|",
        *(
            f"| {row['created_at']} | {row['event']} | {row['status']} | {row['conclusion']} | "
            f"{row['html_url'] or row['id']} |"
            for row in listed(value, "runs")[:_LISTED_MAX]
            if isinstance(row, dict)
        ),
        "",
        *provenance_markdown(value),
    ]


def _or_none(value: object) -> object:
    return "(none)" if value is None else value
