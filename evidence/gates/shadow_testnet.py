"""PR-BE, the shadow/testnet scorecard: may a testnet session start?"""

from datetime import datetime

from evidence.gates.scorecard import (
    STABILITY_GATE_FAIL,
    ScorecardDecision,
    Sheet,
    gate_passed,
    is_understood,
    scorecard_value,
    simulation_marks,
)
from evidence.read.json_inputs import Artifact, JsonObject

STEM = "shadow_testnet_scorecard"
TITLE = "Shadow/Testnet Readiness Scorecard"
READY_THRESHOLD = 85
CONTINUE_THRESHOLD = 60


def judge_shadow_testnet(
    stability: Artifact,
    live_readiness: Artifact,
    evidence: Artifact,
    now: datetime,
    ready_threshold: int = READY_THRESHOLD,
) -> JsonObject:
    """Decide READY_FOR_TESTNET, CONTINUE_SHADOW or NO_GO.

    Raises:
        MalformedInputError: an input's field is of the wrong kind.
    """
    sheet = Sheet()
    if stability.is_missing:
        sheet.block("MISSING_STABILITY_GATE")
    if live_readiness.is_missing:
        sheet.block("MISSING_LIVE_READINESS")
    if not sheet.hard_blocks:
        if not gate_passed(stability):
            sheet.block(STABILITY_GATE_FAIL)
        if live_readiness.get("decision") != ScorecardDecision.GO:
            sheet.block("LIVE_READINESS_NOT_GO")
    if not sheet.hard_blocks:
        _take_points(sheet, evidence)
    return scorecard_value(
        sheet,
        _decide(sheet, ready_threshold),
        now,
        (stability, live_readiness, evidence),
        simulation_marks(evidence),
        ready_threshold=ready_threshold,
    )


def _take_points(sheet: Sheet, evidence: Artifact) -> None:
    if evidence.is_missing:
        sheet.warn("MISSING_EXECUTION_EVIDENCE", 10)
        return
    status = evidence.text("status", "UNKNOWN")
    if status != "OK":
        sheet.warn(f"EXECUTION_EVIDENCE_{status}", 10)
    elif not is_understood(evidence):
        sheet.warn("EXECUTION_EVIDENCE_NOT_UNDERSTOOD", 10)
    if evidence.count("error_count") > 0:
        sheet.warn("EXECUTION_ERRORS_PRESENT", 25)
    anomalies = evidence.count("anomaly_count")
    if anomalies > 0:
        sheet.warn("EXECUTION_ANOMALIES_PRESENT", min(20, anomalies))


def _decide(sheet: Sheet, ready_threshold: int) -> ScorecardDecision:
    if sheet.hard_blocks:
        return ScorecardDecision.NO_GO
    if sheet.score >= ready_threshold and not sheet.warnings:
        return ScorecardDecision.READY_FOR_TESTNET
    if sheet.score >= CONTINUE_THRESHOLD:
        return ScorecardDecision.CONTINUE_SHADOW
    return ScorecardDecision.NO_GO
