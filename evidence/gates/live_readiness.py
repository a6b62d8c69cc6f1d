"""PR-BD, the live readiness scorecard: are the scheduled checks present, green and fresh?"""

from datetime import datetime

from evidence.gates.scorecard import (
    STABILITY_GATE_FAIL,
    ScorecardDecision,
    Sheet,
    gate_passed,
    scorecard_value,
)
from evidence.gates.stability import PRJ_NAME, PRK_NAME
from evidence.read.json_inputs import Artifact, JsonObject, number

STEM = "live_readiness_scorecard"
TITLE = "Live Readiness Scorecard"
GO_THRESHOLD = 85
STALE_AGE_HOURS = 36


def judge_live_readiness(
    stability: Artifact,
    status: Artifact,
    health: Artifact,
    now: datetime,
    go_threshold: int = GO_THRESHOLD,
) -> JsonObject:
    """Decide GO or NO_GO.

    Raises:
        MalformedInputError: an input's field is of the wrong kind.
    """
    sheet = Sheet()
    health_status = health.text("status", "UNKNOWN")
    _find_blocks(sheet, stability, status, health, health_status)
    if not sheet.hard_blocks:
        _take_points(sheet, stability, health_status)
    decision = (
        ScorecardDecision.GO
        if not sheet.hard_blocks and sheet.score >= go_threshold
        else ScorecardDecision.NO_GO
    )
    return scorecard_value(
        sheet, decision, now, (stability, status, health), go_threshold=go_threshold
    )


def _find_blocks(
    sheet: Sheet, stability: Artifact, status: Artifact, health: Artifact, health_status: str
) -> None:
    """Look for three kinds of blocks; the first kind that is found ends the search."""
    if stability.is_missing:
        sheet.block("MISSING_STABILITY_GATE")
    if status.is_missing:
        sheet.block("MISSING_STATUS_JSON")
    if health.is_missing:
        sheet.block("MISSING_HEALTH_JSON")
    if sheet.hard_blocks:
        return
    if not gate_passed(stability):
        sheet.block(STABILITY_GATE_FAIL)
    elif health_status == "NO_SUCCESS":
        sheet.block("PRK_NO_SUCCESS")


def _take_points(sheet: Sheet, stability: Artifact, health_status: str) -> None:
    _take_age_points(sheet, "PRK", _age_of(stability, PRK_NAME), 24)
    _take_age_points(sheet, "PRJ", _age_of(stability, PRJ_NAME), 12)
    if health_status == "STALE":
        sheet.warn("HEALTH_STALE", 15)
    elif health_status != "OK":
        sheet.warn(f"HEALTH_{health_status}", 5)


def _take_age_points(sheet: Sheet, name: str, age: float | None, fresh_hours: int) -> None:
    if age is None:
        sheet.warn(f"MISSING_{name}_AGE", 10)
        return
    if age > fresh_hours:
        sheet.warn(f"{name}_AGE_GT_{fresh_hours}H", 10)
    if age > STALE_AGE_HOURS:
        sheet.warn(f"{name}_AGE_GT_{STALE_AGE_HOURS}H", 20)


def _age_of(stability: Artifact, name: str) -> float | None:
    """The age that the gate states for one workflow; None when it states no number."""
    results = stability.get("results")
    if results is None:
        return None
    if not isinstance(results, list):
        raise stability.wrong("results", "a list")
    age = None
    for result in results:
        if isinstance(result, dict) and result.get("name") == name:
            age = number(result.get("age_hours"))
    return age
