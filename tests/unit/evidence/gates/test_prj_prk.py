"""PR-J status and PR-K health, sentence by sentence."""

import pytest

from tests.support.gates import MISSING, NOW

STATUS = "prj_status_latest"
HEALTH = "prj_health_summary"


def run_of(created_at, **changes):
    return {
        "id": 11,
        "run_number": 3,
        "event": "schedule",
        "status": "completed",
        "conclusion": "success",
        "created_at": created_at,
        "updated_at": "2026-01-31T11:05:00Z",
        "html_url": "https://ci.example/11",
        **changes,
    }


FRESH = run_of("2026-01-31T11:00:00Z")


def status_of(bench, runs, *options):
    return bench.run("prj-status", STATUS, *options, input=runs)


def test_the_compatible_keys(bench):
    outcome = status_of(bench, [{**FRESH, "secret": "not copied"}])
    value = outcome.value
    assert outcome.exit_code == 0
    assert value["output_version"] == 1
    assert value["generated_utc"] == NOW
    assert value["runs_count"] == 1
    assert value["runs"] == [FRESH]
    assert value["latest_any"] == FRESH
    assert value["latest_schedule_success"] == FRESH
    assert isinstance(value["workflow"], str)


def test_counts_go_by_conclusion_else_status_else_unknown(bench):
    runs = [
        FRESH,
        FRESH,
        {**FRESH, "conclusion": None, "status": "in_progress"},
        {**FRESH, "conclusion": "", "status": None},
        {},
        {**FRESH, "conclusion": "failure"},
    ]
    counts = status_of(bench, runs).value["counts"]
    assert counts == {"success": 2, "in_progress": 1, "unknown": 2, "failure": 1}


POLICIES = [
    ("no run", [], ["PRJ_STATUS_NO_SUCCESS"], None),
    ("only pushes", [{**FRESH, "event": "push"}], ["PRJ_STATUS_NO_SUCCESS"], None),
    ("only failures", [{**FRESH, "conclusion": "failure"}], ["PRJ_STATUS_NO_SUCCESS"], None),
    ("a success that cannot be dated", [run_of(None)], ["PRJ_STATUS_NO_SUCCESS"], None),
    ("fresh", [FRESH], [], 1.0),
    ("exactly 36 h is not older", [run_of("2026-01-30T00:00:00Z")], [], 36.0),
    ("older than 36 h", [run_of("2026-01-29T23:59:00Z")], ["PRJ_STATUS_STALE"], 36.02),
    ("the newest success counts", [FRESH, run_of("2026-01-01T00:00:00Z")], [], 1.0),
    ("a newer failure is passed over", [{**FRESH, "conclusion": "failure"}, FRESH], [], 1.0),
    ("two decimals", [run_of("2026-01-31T11:39:59Z")], [], 0.33),
]


@pytest.mark.parametrize("case", POLICIES, ids=[case[0] for case in POLICIES])
def test_the_policy_and_the_health_that_follows(bench, case):
    _, runs, reasons, age = case
    value = status_of(bench, runs).value
    assert value["policy"] == {"action": "NO_TRADE" if reasons else "", "reason_codes": reasons}
    assert value["last_successful_schedule_age_hours"] == age
    assert (value["last_successful_schedule_created_at"] is None) == (age is None)

    outcome = bench.run("prk-health", HEALTH, input=value)
    health = outcome.value
    word = {"PRJ_STATUS_NO_SUCCESS": "NO_SUCCESS", "PRJ_STATUS_STALE": "STALE"}
    assert outcome.exit_code == 0
    assert health["status"] == (word[reasons[0]] if reasons else "OK")
    assert health["policy_action"] == ("NO_TRADE" if reasons else "")
    assert health["reason_codes"] == reasons
    assert health["last_success_age_hours"] == age
    assert health["runs_sampled"] == len(runs)
    assert health["output_version"] == 1
    assert health["generated_at"] == NOW


def test_stale_hours_is_an_option(bench):
    value = status_of(bench, [FRESH], "--stale-hours", "0.5").value
    assert value["policy"]["reason_codes"] == ["PRJ_STATUS_STALE"]


def test_no_trade_for_another_reason_is_said_as_such(bench):
    status = {"policy": {"action": "NO_TRADE", "reason_codes": ["ELSE"]}, "runs_count": 4}
    health = bench.run("prk-health", HEALTH, input=status).value
    assert (health["status"], health["runs_sampled"]) == ("NO_TRADE", 4)


def test_a_foreign_status_without_policy_is_ok(bench):
    health = bench.run("prk-health", HEALTH, input={"runs_count": 2}).value
    assert (health["status"], health["policy_action"], health["reason_codes"]) == ("OK", "", [])


def test_missing_inputs_never_read_as_healthy(bench):
    status = status_of(bench, MISSING)
    assert (status.exit_code, status.value["policy"]["action"]) == (1, "NO_TRADE")
    (bench.root / "input.json").unlink(missing_ok=True)
    health = bench.run("prk-health", HEALTH, input=MISSING)
    assert (health.exit_code, health.value["status"]) == (1, "NO_TRADE")


def test_the_answer_of_the_github_api_is_looked_through(bench):
    value = status_of(bench, {"workflow_runs": [FRESH]}).value
    assert value["runs"] == [FRESH]


def test_the_limit_takes_the_newest(bench):
    runs = [{**FRESH, "id": number} for number in (9, 8, 7)]
    value = status_of(bench, runs, "--limit", "2").value
    assert [run["id"] for run in value["runs"]] == [9, 8]


@pytest.mark.parametrize("status", ['{"policy": 3}', '{"policy": {"action": 1}}', "[]", "{"])
def test_a_malformed_status_is_an_error(bench, status):
    outcome = bench.run("prk-health", HEALTH, input=status)
    assert (outcome.exit_code, outcome.value) == (1, None)
