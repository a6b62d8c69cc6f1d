"""PR-K health: the PR-J status report reduced to one word."""

from datetime import datetime

from evidence.gates.prj_status import NO_SUCCESS_CODE, NO_TRADE, STALE_CODE
from evidence.gates.scorecard import provenance_markdown
from evidence.read.artifact_times import format_time
from evidence.read.json_inputs import Artifact, JsonObject

STEM = "prj_health_summary"
TITLE = "PR-J Health Summary"
OUTPUT_VERSION = 1
MISSING_STATUS_CODE = "MISSING_STATUS_JSON"


def health_value(status: Artifact, now: datetime) -> JsonObject:
    """Make the summary. A missing status report is NO_TRADE.

    Raises:
        MalformedInputError: the status report's policy is of the wrong kind.
    """
    if status.is_missing:
        action, reasons = NO_TRADE, [MISSING_STATUS_CODE]
    else:
        action, reasons = _policy_of(status)
    return {
        "generated_at": format_time(now),
        "status": _status_of(action, reasons),
        "policy_action": action,
        "reason_codes": reasons,
        "last_success_age_hours": status.get("last_successful_schedule_age_hours"),
        "runs_sampled": status.get("runs_count"),
        "output_version": OUTPUT_VERSION,
        "seatrial": {
            "inputs": [status.provenance()],
            "remarks": [f"{status.role}: no such file"] if status.is_missing else [],
        },
    }


def _policy_of(status: Artifact) -> tuple[str, list[str]]:
    policy = status.get("policy")
    if policy is None:
        return "", []
    if not isinstance(policy, dict):
        raise status.wrong("policy", "an object")
    action = policy.get("action") or ""
    reasons = policy.get("reason_codes") or []
    if not isinstance(action, str):
        raise status.wrong("policy.action", "text")
    if not isinstance(reasons, list) or not all(isinstance(code, str) for code in reasons):
        raise status.wrong("policy.reason_codes", "a list of text")
    return action, reasons


def _status_of(action: str, reasons: list[str]) -> str:
    if action != NO_TRADE:
        return "OK"
    if NO_SUCCESS_CODE in reasons:
        return "NO_SUCCESS"
    if STALE_CODE in reasons:
        return "STALE"
    return NO_TRADE


def health_markdown(value: JsonObject) -> list[str]:
    """The summary's Markdown twin."""
    reasons = value["reason_codes"]
    if not isinstance(reasons, list):
        raise TypeError("not a value of health_value")
    age = value["last_success_age_hours"]
    return [
        f"# {TITLE}",
        "",
        f"- generated_at: {value['generated_at']}",
        f"- status: **{value['status']}**",
        f"- policy_action: {value['policy_action'] or '(none)'}",
        f"- reason_codes: {', '.join(reasons) or '(none)'}",
        f"- last_success_age_hours: {'(none)' if age is None else age}",
        f"- runs_sampled: {value['runs_sampled']}",
        "",
        *provenance_markdown(value),
    ]
