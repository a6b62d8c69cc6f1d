"""The live dry-run checklist, with and without drills."""

import itertools

import pytest

from tests.support.gates import MISSING, NOW, PASSED_GATE
from tests.support.journal_maker import DRILLED

STEM = "live_dryrun_checklist"
GO = {"decision": "GO"}
PASSED_DRILL = {"drill": "kill-switch", "passed": True, "ts": NOW}

CASES = [
    (PASSED_GATE, GO, []),
    (MISSING, GO, ["MISSING_STABILITY_GATE"]),
    (PASSED_GATE, MISSING, ["MISSING_LIVE_READINESS"]),
    (MISSING, MISSING, ["MISSING_STABILITY_GATE", "MISSING_LIVE_READINESS"]),
    ({"overall_ok": False}, GO, ["STABILITY_GATE_FAIL"]),
    (PASSED_GATE, {"decision": "NO_GO"}, ["READINESS_NOT_GO"]),
    ({}, {}, ["STABILITY_GATE_FAIL", "READINESS_NOT_GO"]),
]


@pytest.mark.parametrize(("stability", "readiness", "failures"), CASES)
def test_ok_when_there_is_no_hard_failure(bench, stability, readiness, failures):
    outcome = bench.run("dry-run", STEM, stability=stability, readiness=readiness)
    assert outcome.value["hard_failures"] == failures
    assert outcome.value["ok"] is (not failures)
    assert outcome.exit_code == (2 if failures else 0)
    assert f"- ok: **{str(not failures).lower()}**" in outcome.twin


def with_drills(bench, drills):
    return bench.run("dry-run", STEM, stability=PASSED_GATE, readiness=GO, drills=drills)


def test_each_drill_is_a_line(bench):
    outcome = with_drills(bench, [PASSED_DRILL, {"drill": "reconcile", "passed": True}])
    assert outcome.value["ok"] is True
    assert [drill["drill"] for drill in outcome.value["seatrial"]["drills"]] == [
        "kill-switch",
        "reconcile",
    ]
    assert f"- [x] kill-switch ({NOW})" in outcome.twin


@pytest.mark.parametrize("passed", [False, None, "true", 1])
def test_a_drill_that_did_not_pass_fails_the_checklist(bench, passed):
    outcome = with_drills(bench, [{**PASSED_DRILL, "passed": passed}])
    assert outcome.value["hard_failures"] == ["DRILL_FAILED_KILL_SWITCH"]
    assert outcome.exit_code == 2


@pytest.mark.parametrize("order", list(itertools.permutations([True, False])))
def test_the_last_recorded_result_of_a_drill_counts(bench, order):
    outcome = with_drills(bench, [{**PASSED_DRILL, "passed": passed} for passed in order])
    assert outcome.value["ok"] is order[-1]


def test_drills_that_were_asked_for_and_are_not_recorded_fail_the_checklist(bench):
    assert with_drills(bench, []).value["hard_failures"] == ["NO_DRILL_RECORDED"]


@pytest.mark.parametrize("drills", [MISSING, "[{", "7"])
def test_drill_results_that_cannot_be_read_are_an_error(bench, drills):
    outcome = with_drills(bench, drills)
    assert (outcome.exit_code, outcome.value) == (1, None)


def test_a_drill_whose_details_say_otherwise_has_failed(bench):
    """Its word is a claim; an older one without details is passed over with a remark."""
    honest = {"drill": "kill-switch", "passed": True, "ts": NOW,
              "detail": {**DRILLED["kill-switch"], "orders_approved": 0}}  # fmt: skip
    for detail, failures, remarks in (
        (honest["detail"], [], []),
        ({**honest["detail"], "venue_open_orders": 7}, ["DRILL_FAILED_KILL_SWITCH"], []),
        ({**honest["detail"], "orders_approved": 1}, ["DRILL_FAILED_KILL_SWITCH"], []),
        ({}, [], ["DRILL_NOT_DECIDED_KILL_SWITCH"]),
    ):
        drills = bench.file("drills", [{**honest, "detail": detail}])
        inputs = {"stability": PASSED_GATE, "readiness": {"decision": "GO"}}
        outcome = bench.run("dry-run", "live_dryrun_checklist", "--drills", drills, **inputs)
        assert outcome.value["hard_failures"] == failures
        assert outcome.value["seatrial"]["remarks"] == remarks
