"""PR-BD, PR-BE and PR-BI, sentence by sentence, then against a second reckoning of the score."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.gates import MISSING, PASSED_GATE, GateBench

READINESS = "live_readiness_scorecard"
SHADOW = "shadow_testnet_scorecard"
PILOT = "live_pilot_scorecard"
GO = {"decision": "GO"}
READY = {"decision": "READY_FOR_TESTNET"}
HEALTHY = {"status": "OK"}
CLEAN = {"status": "OK", "sample_size": 100, "anomaly_count": 0, "error_count": 0}
UNHURRIED = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def core(outcome):
    value = outcome.value
    return value["score"], value["decision"], value["hard_blocks"], value["warnings"]


def gate_with_ages(prk, prj):
    ages = {"PR-K": prk, "PR-J": prj}
    return {
        "overall_ok": True,
        "results": [{"name": name, "age_hours": age} for name, age in ages.items()],
    }


# ------------------------------------------------------------------ PR-BD
READINESS_BLOCKS = [
    ("every missing input is listed", MISSING, MISSING, MISSING,
     ["MISSING_STABILITY_GATE", "MISSING_STATUS_JSON", "MISSING_HEALTH_JSON"]),
    ("a missing gate alone", MISSING, {}, HEALTHY, ["MISSING_STABILITY_GATE"]),
    ("a missing status alone", PASSED_GATE, MISSING, HEALTHY, ["MISSING_STATUS_JSON"]),
    ("a missing health alone", PASSED_GATE, {}, MISSING, ["MISSING_HEALTH_JSON"]),
    ("null is missing", PASSED_GATE, {}, "null", ["MISSING_HEALTH_JSON"]),
    ("missing ends the check before the gate", {"overall_ok": False}, MISSING, HEALTHY,
     ["MISSING_STATUS_JSON"]),
    ("a failed gate", {"overall_ok": False}, {}, HEALTHY, ["STABILITY_GATE_FAIL"]),
    ("a gate without verdict failed", {}, {}, HEALTHY, ["STABILITY_GATE_FAIL"]),
    ("text is not true", {"overall_ok": "true"}, {}, HEALTHY, ["STABILITY_GATE_FAIL"]),
    ("a failed gate is listed alone", {"overall_ok": False}, {}, {"status": "NO_SUCCESS"},
     ["STABILITY_GATE_FAIL"]),
    ("health without success", PASSED_GATE, {}, {"status": "NO_SUCCESS"}, ["PRK_NO_SUCCESS"]),
]  # fmt: skip


@pytest.mark.parametrize("case", READINESS_BLOCKS, ids=[row[0] for row in READINESS_BLOCKS])
def test_live_readiness_blocks(bench, case):
    _, stability, status, health, blocks = case
    outcome = bench.run(
        "live-readiness", READINESS, stability=stability, status=status, health=health
    )
    assert core(outcome) == (0, "NO_GO", blocks, [])
    assert outcome.exit_code == 2
    assert list(outcome.value)[:4] == ["score", "decision", "hard_blocks", "warnings"]


READINESS_POINTS = [
    ("all fresh", (1, 1), "OK", 100, []),
    ("24 h is not more than 24 h", (24, 12), "OK", 100, []),
    ("PR-K past 24 h", (24.01, 1), "OK", 90, ["PRK_AGE_GT_24H"]),
    ("PR-K past 36 h, a further 20", (36.5, 1), "OK", 70, ["PRK_AGE_GT_24H", "PRK_AGE_GT_36H"]),
    ("36 h is not more than 36 h", (36, 1), "OK", 90, ["PRK_AGE_GT_24H"]),
    ("PR-J past 12 h", (1, 12.01), "OK", 90, ["PRJ_AGE_GT_12H"]),
    ("PR-J past 36 h, a further 20", (1, 37), "OK", 70, ["PRJ_AGE_GT_12H", "PRJ_AGE_GT_36H"]),
    ("PR-K age missing", (None, 1), "OK", 90, ["MISSING_PRK_AGE"]),
    ("PR-J age missing", (1, None), "OK", 90, ["MISSING_PRJ_AGE"]),
    ("an age that is text is missing", ("1", 1), "OK", 90, ["MISSING_PRK_AGE"]),
    ("health stale", (1, 1), "STALE", 85, ["HEALTH_STALE"]),
    ("any other health", (1, 1), "NO_TRADE", 95, ["HEALTH_NO_TRADE"]),
    ("health without status", (1, 1), None, 95, ["HEALTH_UNKNOWN"]),
    ("everything at once", (40, 40), "STALE", 25,
     ["PRK_AGE_GT_24H", "PRK_AGE_GT_36H", "PRJ_AGE_GT_12H", "PRJ_AGE_GT_36H", "HEALTH_STALE"]),
]  # fmt: skip


@pytest.mark.parametrize("case", READINESS_POINTS, ids=[row[0] for row in READINESS_POINTS])
def test_live_readiness_points(bench, case):
    _, ages, health, score, warnings = case
    outcome = bench.run(
        "live-readiness",
        READINESS,
        stability=gate_with_ages(*ages),
        status={},
        health={"status": health},
    )
    decision = "GO" if score >= 85 else "NO_GO"
    assert core(outcome) == (score, decision, [], warnings)
    assert outcome.exit_code == (0 if decision == "GO" else 2)
    assert f"- decision: **{decision}**" in outcome.twin
    assert f"- score: **{score}**" in outcome.twin


def test_no_results_at_all_is_two_missing_ages(bench):
    outcome = bench.run(
        "live-readiness", READINESS, stability={"overall_ok": True}, status={}, health=HEALTHY
    )
    assert core(outcome) == (80, "NO_GO", [], ["MISSING_PRK_AGE", "MISSING_PRJ_AGE"])


@pytest.mark.parametrize(("threshold", "decision"), [(85, "GO"), (86, "NO_GO")])
def test_the_go_threshold_is_an_option(bench, threshold, decision):
    outcome = bench.run(
        "live-readiness", READINESS, *("--go-threshold", threshold),
        stability=PASSED_GATE, status={}, health={"status": "STALE"},
    )  # fmt: skip
    assert outcome.value["decision"] == decision


# ------------------------------------------------------------------ PR-BE
SHADOW_BLOCKS = [
    ("both missing", MISSING, MISSING, ["MISSING_STABILITY_GATE", "MISSING_LIVE_READINESS"]),
    ("gate missing, alone even when the other is not GO", MISSING, {"decision": "NO_GO"},
     ["MISSING_STABILITY_GATE"]),
    ("readiness missing, alone even when the gate failed", {"overall_ok": False}, MISSING,
     ["MISSING_LIVE_READINESS"]),
    ("gate failed", {"overall_ok": False}, GO, ["STABILITY_GATE_FAIL"]),
    ("not GO", PASSED_GATE, {"decision": "NO_GO"}, ["LIVE_READINESS_NOT_GO"]),
    ("no decision is not GO", PASSED_GATE, {}, ["LIVE_READINESS_NOT_GO"]),
    ("both if both", {"overall_ok": False}, {"decision": "NO_GO"},
     ["STABILITY_GATE_FAIL", "LIVE_READINESS_NOT_GO"]),
]  # fmt: skip


@pytest.mark.parametrize("case", SHADOW_BLOCKS, ids=[row[0] for row in SHADOW_BLOCKS])
def test_shadow_testnet_blocks(bench, case):
    _, stability, readiness, blocks = case
    outcome = bench.run(
        "shadow-testnet",
        SHADOW,
        stability=stability,
        live_readiness=readiness,
        execution_evidence={**CLEAN, "error_count": 5},
    )
    assert core(outcome) == (0, "NO_GO", blocks, [])
    assert outcome.exit_code == 2


SHADOW_POINTS = [
    ("clean", CLEAN, 100, "READY_FOR_TESTNET", []),
    ("no evidence", MISSING, 90, "CONTINUE_SHADOW", ["MISSING_EXECUTION_EVIDENCE"]),
    ("evidence not OK", {**CLEAN, "status": "MISSING_INPUT"}, 90, "CONTINUE_SHADOW",
     ["EXECUTION_EVIDENCE_MISSING_INPUT"]),
    ("evidence without status", {}, 90, "CONTINUE_SHADOW", ["EXECUTION_EVIDENCE_UNKNOWN"]),
    ("errors", {**CLEAN, "error_count": 1}, 75, "CONTINUE_SHADOW", ["EXECUTION_ERRORS_PRESENT"]),
    ("many errors cost the same", {**CLEAN, "error_count": 900}, 75, "CONTINUE_SHADOW",
     ["EXECUTION_ERRORS_PRESENT"]),
    ("one anomaly", {**CLEAN, "anomaly_count": 1}, 99, "CONTINUE_SHADOW",
     ["EXECUTION_ANOMALIES_PRESENT"]),
    ("anomalies cost at most 20", {**CLEAN, "anomaly_count": 21}, 80, "CONTINUE_SHADOW",
     ["EXECUTION_ANOMALIES_PRESENT"]),
    ("all of it", {"status": "BAD", "error_count": 3, "anomaly_count": 30}, 45, "NO_GO",
     ["EXECUTION_EVIDENCE_BAD", "EXECUTION_ERRORS_PRESENT", "EXECUTION_ANOMALIES_PRESENT"]),
    ("60 is enough to continue", {"status": "BAD", "error_count": 3, "anomaly_count": 5}, 60,
     "CONTINUE_SHADOW",
     ["EXECUTION_EVIDENCE_BAD", "EXECUTION_ERRORS_PRESENT", "EXECUTION_ANOMALIES_PRESENT"]),
    ("59 is not", {"status": "BAD", "error_count": 3, "anomaly_count": 6}, 59, "NO_GO",
     ["EXECUTION_EVIDENCE_BAD", "EXECUTION_ERRORS_PRESENT", "EXECUTION_ANOMALIES_PRESENT"]),
]  # fmt: skip


@pytest.mark.parametrize("case", SHADOW_POINTS, ids=[row[0] for row in SHADOW_POINTS])
def test_shadow_testnet_points(bench, case):
    _, evidence, score, decision, warnings = case
    outcome = bench.run(
        "shadow-testnet",
        SHADOW,
        stability=PASSED_GATE,
        live_readiness=GO,
        execution_evidence=evidence,
    )
    assert core(outcome) == (score, decision, [], warnings)
    assert outcome.exit_code == (0 if decision == "READY_FOR_TESTNET" else 2)


def test_evidence_is_optional_and_its_absence_is_a_warning(bench):
    outcome = bench.run("shadow-testnet", SHADOW, stability=PASSED_GATE, live_readiness=GO)
    assert core(outcome)[3] == ["MISSING_EXECUTION_EVIDENCE"]


# ------------------------------------------------------------------ PR-BI
PILOT_GOOD = {
    "stability": PASSED_GATE,
    "live_readiness": GO,
    "shadow_testnet": READY,
    "execution_evidence": CLEAN,
}
PILOT_BLOCKS = {
    "stability": ({"overall_ok": False}, "STABILITY_GATE_FAIL"),
    "live_readiness": ({"decision": "NO_GO"}, "LIVE_READINESS_NOT_GO"),
    "shadow_testnet": ({"decision": "CONTINUE_SHADOW"}, "SHADOW_TESTNET_NOT_READY"),
}


@pytest.mark.parametrize("failed", [
    names for size in range(4) for names in itertools.combinations(PILOT_BLOCKS, size)
], ids="+".join)  # fmt: skip
@pytest.mark.parametrize("status", ["OK", "MISSING_INPUT"])
@pytest.mark.parametrize("errors", [0, 2])
def test_live_pilot_lists_every_block_that_applies_in_order(bench, failed, status, errors):
    inputs = {name: PILOT_BLOCKS[name][0] if name in failed else PILOT_GOOD[name]
              for name in PILOT_BLOCKS}  # fmt: skip
    evidence = {"status": status, "sample_size": 5, "anomaly_count": 3, "error_count": errors}
    outcome = bench.run("live-pilot", PILOT, **inputs, execution_evidence=evidence)
    blocks = [PILOT_BLOCKS[name][1] for name in PILOT_BLOCKS if name in failed]
    blocks += ["EXEC_EVIDENCE_MISSING_INPUT"] * (status != "OK")
    blocks += ["EXECUTION_ERRORS_PRESENT"] * bool(errors)
    warnings = ["INSUFFICIENT_SAMPLE_SIZE", "ANOMALIES_ABOVE_THRESHOLD"]
    if blocks:
        assert core(outcome) == (0, "NO_GO", blocks, warnings)
    else:
        assert core(outcome) == (82, "CONTINUE_TESTNET", [], warnings)
    assert outcome.exit_code == 2


PILOT_POINTS = [
    ("clean", {}, (), 100, "READY_FOR_LIVE_PILOT", []),
    ("sample one short", {"sample_size": 99}, (), 85, "CONTINUE_TESTNET",
     ["INSUFFICIENT_SAMPLE_SIZE"]),
    ("the minimum is an option", {"sample_size": 99}, ("--min-sample-size", 99), 100,
     "READY_FOR_LIVE_PILOT", []),
    ("one anomaly", {"anomaly_count": 1}, (), 99, "CONTINUE_TESTNET",
     ["ANOMALIES_ABOVE_THRESHOLD"]),
    ("the agreed maximum itself passes", {"anomaly_count": 4}, ("--max-anomalies", 4), 100,
     "READY_FOR_LIVE_PILOT", []),
    ("above it every anomaly costs", {"anomaly_count": 5}, ("--max-anomalies", 4), 95,
     "CONTINUE_TESTNET", ["ANOMALIES_ABOVE_THRESHOLD"]),
    ("but at most 25", {"anomaly_count": 26}, (), 75, "CONTINUE_TESTNET",
     ["ANOMALIES_ABOVE_THRESHOLD"]),
]  # fmt: skip


@pytest.mark.parametrize("case", PILOT_POINTS, ids=[row[0] for row in PILOT_POINTS])
def test_live_pilot_points(bench, case):
    _, changes, options, score, decision, warnings = case
    inputs = {**PILOT_GOOD, "execution_evidence": {**CLEAN, **changes}}
    outcome = bench.run("live-pilot", PILOT, *options, **inputs)
    assert core(outcome) == (score, decision, [], warnings)
    assert outcome.exit_code == (0 if decision == "READY_FOR_LIVE_PILOT" else 2)


def test_live_pilot_with_nothing_at_hand(bench):
    outcome = bench.run("live-pilot", PILOT, **dict.fromkeys(PILOT_GOOD, MISSING))
    assert core(outcome) == (
        0,
        "NO_GO",
        [
            *("STABILITY_GATE_FAIL", "LIVE_READINESS_NOT_GO", "SHADOW_TESTNET_NOT_READY"),
            "EXEC_EVIDENCE_UNKNOWN",
        ],
        ["INSUFFICIENT_SAMPLE_SIZE"],
    )
    assert outcome.exit_code == 2


# ------------------------------------------------------------------ what seatrial adds
@pytest.mark.parametrize(
    ("extras", "remark"),
    [
        ({"environment": "simulated"}, "REHEARSAL_SIMULATED_EVIDENCE"),
        ({"environment": "mixed"}, "REHEARSAL_SIMULATED_EVIDENCE"),
        ({"environment": "unknown"}, "EVIDENCE_ENVIRONMENT_UNPROVEN"),
        (None, "EVIDENCE_WITHOUT_PROVENANCE"),
    ],
)
def test_evidence_that_is_not_testnet_evidence_is_marked_but_keeps_the_compatible_verdict(
    bench, extras, remark
):
    evidence = CLEAN if extras is None else {**CLEAN, "seatrial": extras}
    outcome = bench.run("live-pilot", PILOT, **{**PILOT_GOOD, "execution_evidence": evidence})
    assert core(outcome) == (100, "READY_FOR_LIVE_PILOT", [], [])
    assert outcome.value["seatrial"]["remarks"] == [remark]
    assert remark in outcome.twin


@pytest.mark.parametrize(
    "extras",
    [
        {"environment": "testnet", "malformed_count": 2},
        {"environment": "testnet", "understood": False},
        {"environment": "testnet", "understood": "yes"},
    ],
)
def test_evidence_that_was_not_understood_passes_no_gate(bench, extras):
    """The producer says so itself: what it counted is not all that the file holds."""
    evidence = {**CLEAN, "seatrial": extras}
    pilot = bench.run("live-pilot", PILOT, **{**PILOT_GOOD, "execution_evidence": evidence})
    assert core(pilot) == (0, "NO_GO", ["EXEC_EVIDENCE_NOT_UNDERSTOOD"], [])
    assert "EVIDENCE_NOT_UNDERSTOOD" in pilot.value["seatrial"]["remarks"]
    inputs = {"stability": PASSED_GATE, "live_readiness": GO, "execution_evidence": evidence}
    shadow = bench.run("shadow-testnet", SHADOW, **inputs)
    assert shadow.value["decision"] == "CONTINUE_SHADOW"
    assert shadow.value["warnings"] == ["EXECUTION_EVIDENCE_NOT_UNDERSTOOD"]


def test_every_input_is_bound_by_its_hash(bench):
    outcome = bench.run("live-pilot", PILOT, **PILOT_GOOD)
    inputs = outcome.value["seatrial"]["inputs"]
    assert [entry["present"] for entry in inputs] == [True] * 4
    assert len({entry["sha256"] for entry in inputs}) == 4


@pytest.mark.parametrize(
    "evidence",
    [
        {**CLEAN, "error_count": None},
        {**CLEAN, "error_count": "none"},
        {**CLEAN, "anomaly_count": 0.5},
        {**CLEAN, "sample_size": True},
        {**CLEAN, "status": 1},
        "[]",
        "{",
        "",
    ],
    ids=str,
)
def test_evidence_of_the_wrong_kind_never_counts_as_good(bench, evidence):
    outcome = bench.run("live-pilot", PILOT, **{**PILOT_GOOD, "execution_evidence": evidence})
    assert outcome.exit_code == 1
    assert outcome.value is None
    assert "execution_evidence.json" in outcome.output


# ------------------------------------------------------------------ a second reckoning
AGE = st.none() | st.integers(0, 60) | st.sampled_from([11.99, 12.01, 24.5, 36.01])


@UNHURRIED
@given(prk=AGE, prj=AGE, health=st.sampled_from(["OK", "STALE", "NO_TRADE", "ODD"]))
def test_live_readiness_is_a_sum_of_its_rules(tmp_path_factory, prk, prj, health):
    rules = [
        (prk is None, 10, "MISSING_PRK_AGE"),
        (prk is not None and prk > 24, 10, "PRK_AGE_GT_24H"),
        (prk is not None and prk > 36, 20, "PRK_AGE_GT_36H"),
        (prj is None, 10, "MISSING_PRJ_AGE"),
        (prj is not None and prj > 12, 10, "PRJ_AGE_GT_12H"),
        (prj is not None and prj > 36, 20, "PRJ_AGE_GT_36H"),
        (health == "STALE", 15, "HEALTH_STALE"),
        (health not in {"OK", "STALE"}, 5, f"HEALTH_{health}"),
    ]
    hit = [(points, code) for applies, points, code in rules if applies]
    outcome = GateBench(tmp_path_factory.mktemp("bd")).run(
        "live-readiness",
        READINESS,
        stability=gate_with_ages(prk, prj),
        status={},
        health={"status": health},
    )
    score = max(0, 100 - sum(points for points, _ in hit))
    assert core(outcome) == (
        score,
        "GO" if score >= 85 else "NO_GO",
        [],
        [code for _, code in hit],
    )


@UNHURRIED
@given(
    errors=st.integers(0, 4),
    anomalies=st.integers(0, 40),
    status=st.sampled_from(["OK", "MISSING_INPUT"]),
    threshold=st.integers(0, 110),
)
def test_shadow_testnet_is_a_sum_of_its_rules(
    tmp_path_factory, errors, anomalies, status, threshold
):
    rules = [
        (status != "OK", 10, f"EXECUTION_EVIDENCE_{status}"),
        (errors > 0, 25, "EXECUTION_ERRORS_PRESENT"),
        (anomalies > 0, min(20, anomalies), "EXECUTION_ANOMALIES_PRESENT"),
    ]
    hit = [(points, code) for applies, points, code in rules if applies]
    outcome = GateBench(tmp_path_factory.mktemp("be")).run(
        "shadow-testnet", SHADOW, *("--ready-threshold", threshold),
        stability=PASSED_GATE, live_readiness=GO,
        execution_evidence={"status": status, "error_count": errors, "anomaly_count": anomalies},
    )  # fmt: skip
    score = 100 - sum(points for points, _ in hit)
    if score >= threshold and not hit:
        decision = "READY_FOR_TESTNET"
    else:
        decision = "CONTINUE_SHADOW" if score >= 60 else "NO_GO"
    assert core(outcome) == (score, decision, [], [code for _, code in hit])


@pytest.mark.parametrize(
    "text",
    [
        '{"status": "OK", "sample_size": 100, "anomaly_count": 0, "Error_Count": 7}',
        '{"status": "OK", "sample_size": 100, "errorCount": 7}',
        '{"status": "OK", "sample_size": 100, "error_count": 7, "error_count": 0}',
        '{"status": "OK", "sample_size": 100, "error_count": -7}',
        '{"status": "OK", "sample_size": 100, "error_count": "-7"}',
        '{"status": "OK", "sample_size": 100, "error_count": "+-7"}',
        '{"status": "OK", "sample_size": 100, "error_count": NaN}',
        '{"status": "OK", "sample_size": 100, "error_count": [7]}',
    ],
)
def test_an_artifact_whose_errors_are_not_understood_is_malformed(bench, text):
    """A count under another key, twice, or below zero is no count of none."""
    outcome = bench.run("live-pilot", PILOT, **{**PILOT_GOOD, "execution_evidence": text})
    assert outcome.exit_code == 1
    assert outcome.value is None
