"""PR-BI, the live pilot scorecard: the launch procedure's promotion criterion.

An input that is missing says nothing good: its own hard block applies (a missing evidence file has
the status UNKNOWN), so that every rule's block is listed in the stated order.
"""

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

STEM = "live_pilot_scorecard"
TITLE = "Live Pilot Scorecard"
SAMPLE_SIZE_MIN = 100
ANOMALIES_MAX = 0
READY_THRESHOLD = 85


def judge_live_pilot(
    stability: Artifact,
    live_readiness: Artifact,
    shadow_testnet: Artifact,
    evidence: Artifact,
    now: datetime,
    *,
    sample_size_min: int = SAMPLE_SIZE_MIN,
    anomalies_max: int = ANOMALIES_MAX,
) -> JsonObject:
    """Decide READY_FOR_LIVE_PILOT, CONTINUE_TESTNET or NO_GO.

    Raises:
        MalformedInputError: an input's field is of the wrong kind.
    """
    inputs = (stability, live_readiness, shadow_testnet, evidence)
    sheet = Sheet()
    if not gate_passed(stability):
        sheet.block(STABILITY_GATE_FAIL)
    if live_readiness.get("decision") != ScorecardDecision.GO:
        sheet.block("LIVE_READINESS_NOT_GO")
    if shadow_testnet.get("decision") != ScorecardDecision.READY_FOR_TESTNET:
        sheet.block("SHADOW_TESTNET_NOT_READY")
    status = evidence.text("status", "UNKNOWN")
    if status != "OK":
        sheet.block(f"EXEC_EVIDENCE_{status}")
    elif not is_understood(evidence):
        sheet.block("EXEC_EVIDENCE_NOT_UNDERSTOOD")
    if evidence.count("error_count") > 0:
        sheet.block("EXECUTION_ERRORS_PRESENT")
    if evidence.count("sample_size") < sample_size_min:
        sheet.warn("INSUFFICIENT_SAMPLE_SIZE", 15)
    anomalies = evidence.count("anomaly_count")
    if anomalies > anomalies_max:
        sheet.warn("ANOMALIES_ABOVE_THRESHOLD", min(25, anomalies))
    remarks = [f"MISSING_INPUT: {artifact.role}" for artifact in inputs if artifact.is_missing]
    return scorecard_value(
        sheet,
        _decide(sheet),
        now,
        inputs,
        remarks + simulation_marks(evidence),
        min_sample_size=sample_size_min,
        max_anomalies=anomalies_max,
    )


def _decide(sheet: Sheet) -> ScorecardDecision:
    if sheet.hard_blocks:
        return ScorecardDecision.NO_GO
    if sheet.score >= READY_THRESHOLD and not sheet.warnings:
        return ScorecardDecision.READY_FOR_LIVE_PILOT
    return ScorecardDecision.CONTINUE_TESTNET
