"""PR-BC, sentence by sentence."""

import pytest

from tests.support.gates import MISSING, NOW

STEM = "stability_gate"


def run_at(created_at, **changes):
    return {
        "databaseId": 7,
        "status": "completed",
        "conclusion": "success",
        "createdAt": created_at,
        "event": "schedule",
        **changes,
    }


FRESH = run_at("2026-01-31T11:00:00Z")

NONE = ("NO_SCHEDULE_SUCCESS", False, None, None)
UNDATED = ("MISSING_CREATED_AT", False, 7, None)
OK_1H = ("OK", True, 7, 1.0)
FAILED = {**FRESH, "conclusion": "failure", "databaseId": 8}

CASES = [
    # (the rule in short words, runs, (reason, ok, run id, age))
    ("no run at all", [], NONE),
    ("a fresh success", [FRESH], OK_1H),
    ("a push does not count", [{**FRESH, "event": "push"}], NONE),
    ("in progress does not count", [{**FRESH, "status": "in_progress"}], NONE),
    ("a failure does not count", [FAILED], NONE),
    ("a failure before a success is passed over", [FAILED, FRESH], OK_1H),
    (
        "the first success counts, not the freshest",
        [run_at("2026-01-29T11:00:00Z"), FRESH],
        ("STALE_SCHEDULE_SUCCESS", False, 7, 49.0),
    ),
    (
        "exactly the maximum age is not older",
        [run_at("2026-01-30T00:00:00Z")],
        ("OK", True, 7, 36.0),
    ),
    (
        "a second more is older",
        [run_at("2026-01-29T23:59:59Z")],
        ("STALE_SCHEDULE_SUCCESS", False, 7, 36 + 1 / 3600),
    ),
    ("no creation time", [run_at(None)], UNDATED),
    ("an empty creation time", [run_at("")], UNDATED),
    ("a creation time that is none", [run_at("soon")], UNDATED),
    ("the first without time is not passed over", [run_at(None), FRESH], UNDATED),
    ("an offset is honoured", [run_at("2026-01-31T13:00:00+02:00")], OK_1H),
    ("fields that are absent", [{}], NONE),
]


@pytest.mark.parametrize("which", ["PR-K", "PR-J"])
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_each_workflow_by_the_rule(bench, which, case):
    _, runs, (reason, ok, run_id, age) = case
    prk, prj = (runs, [FRESH]) if which == "PR-K" else ([FRESH], runs)
    outcome = bench.run("stability", STEM, prk_runs_json=prk, prj_runs_json=prj)
    results = outcome.value["results"]
    assert [result["name"] for result in results] == ["PR-K", "PR-J"]
    mine, other = results if which == "PR-K" else reversed(results)
    assert (mine["reason"], mine["ok"], mine["run_id"]) == (reason, ok, run_id)
    assert mine["age_hours"] == pytest.approx(age)
    assert other["reason"] == "OK"
    assert outcome.value["overall_ok"] is ok
    assert outcome.exit_code == (0 if ok else 2)
    assert f"overall_ok: **{str(ok).lower()}**" in outcome.twin


def test_the_compatible_keys(bench):
    value = bench.run("stability", STEM, prk_runs_json=[FRESH], prj_runs_json=[FRESH]).value
    assert list(value)[:4] == ["generated_at", "branch", "results", "overall_ok"]
    assert value["generated_at"] == NOW
    assert value["branch"] == "main"
    keys = ["name", "workflow", "run_id", "created_at", "age_hours", "ok", "reason"]
    assert [list(result) for result in value["results"]] == [keys, keys]


def test_the_maximum_ages_are_options_of_their_own(bench):
    runs = {"prk_runs_json": [FRESH], "prj_runs_json": [FRESH]}
    prk = bench.run("stability", STEM, "--max-age-hours-prk", "0.5", **runs)
    assert [result["ok"] for result in prk.value["results"]] == [False, True]
    prj = bench.run("stability", STEM, "--max-age-hours-prj", "0.5", **runs)
    assert [result["ok"] for result in prj.value["results"]] == [True, False]
    assert (prk.exit_code, prj.exit_code) == (2, 2)


def test_a_missing_file_is_no_run(bench):
    outcome = bench.run("stability", STEM, prk_runs_json=MISSING, prj_runs_json=[FRESH])
    assert outcome.exit_code == 2
    assert outcome.value["results"][0]["reason"] == "NO_SCHEDULE_SUCCESS"
    assert "no such file" in outcome.output


@pytest.mark.parametrize("content", ["", "{", "[1]", '"text"', '{"runs": []}', b"\xff\xfe"])
def test_a_malformed_file_is_an_error_and_sets_the_old_verdict_aside(bench, content):
    good = bench.run("stability", STEM, prk_runs_json=[FRESH], prj_runs_json=[FRESH])
    assert good.value["overall_ok"] is True
    outcome = bench.run("stability", STEM, prk_runs_json=content, prj_runs_json=[FRESH])
    assert outcome.exit_code == 1
    assert outcome.value is None
    assert outcome.output.count("\n") == 1
    assert "prk_runs_json.json" in outcome.output


def test_a_run_from_the_future_passes_by_the_rule_but_is_remarked(bench):
    later = run_at("2026-02-01T11:00:00Z")
    outcome = bench.run("stability", STEM, prk_runs_json=[later], prj_runs_json=[FRESH])
    assert outcome.exit_code == 0
    assert outcome.value["seatrial"]["remarks"] == [
        "PR-K: created in the future of --now or of this clock"
    ]


def test_the_same_inputs_give_the_same_bytes(bench):
    def artifact():
        bench.run("stability", STEM, prk_runs_json=[FRESH], prj_runs_json=[FRESH])
        return (bench.out / "stability_gate.json").read_bytes()

    assert artifact() == artifact()
