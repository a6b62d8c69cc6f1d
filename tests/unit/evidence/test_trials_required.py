"""A course of trials beside the gates: what `promote` asks for when the policy says so."""

import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from daemon.trials.judging.trial_verdict import TrialOutcome, exit_code
from evidence.gates.gates_now import GateLight, read_gates
from evidence.promotion.policy import Policy, load_policy

BEFORE = "3554fe08e99d65b1d291da2b77e9ce35a894266c217af69b5c4542207a6bc74d"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
REPORT: dict[str, Any] = {
    "format": 1,
    "generated_at": "2026-11-30T10:00:00Z",
    "course": "standard",
    "verdict": "3 trials: 2 PASS",
    "counts": {"PASS": 2, "FINDING": 0, "NOT SHOWN": 1, "NOT APPLICABLE": 0},
    "exit_code": 0,
    "trials": [
        {"name": "lost-answer", "required": True, "outcome": "PASS"},
        {"name": "ban", "required": True, "outcome": "PASS"},
        {"name": "amend", "required": False, "outcome": "NOT SHOWN"},
    ],
}


def light(folder: Path, **changes: Any) -> GateLight:
    (folder / "trial_standard.json").write_text(json.dumps({**REPORT, **changes}))
    return read_gates(folder, NOW, 36, ["standard"])[-1].light


def test_a_passed_course_is_green_and_any_other_is_not(tmp_path: Path) -> None:
    assert read_gates(tmp_path, NOW, 36, ["standard"])[-1].light is GateLight.MISSING
    assert light(tmp_path) is GateLight.GREEN
    assert light(tmp_path, exit_code=2) is GateLight.RED
    assert light(tmp_path, exit_code=3) is GateLight.RED
    assert light(tmp_path, exit_code=False) is GateLight.RED
    assert light(tmp_path, generated_at="2026-11-28T10:00:00Z") is GateLight.STALE


def found_out(**changes: Any) -> dict[str, Any]:
    """The report with its second trial changed, and nothing else."""
    first, second, third = REPORT["trials"]
    return {"trials": [first, {**second, **changes}, third]}


LIES: dict[str, dict[str, Any]] = {
    "a finding is left in the list": found_out(outcome="FINDING"),
    "a finding is counted, and the exit code is another": {
        **found_out(outcome="FINDING"),
        "counts": {"PASS": 1, "FINDING": 1, "NOT SHOWN": 1, "NOT APPLICABLE": 0},
    },
    "a required trial was not shown": {
        **found_out(outcome="NOT SHOWN"),
        "counts": {"PASS": 1, "FINDING": 0, "NOT SHOWN": 2, "NOT APPLICABLE": 0},
    },
    "an outcome of another name": found_out(outcome="PASSED"),
    "a trial is left out": {"trials": REPORT["trials"][:1]},
    "a good trial is listed twice": {
        "trials": [*REPORT["trials"], REPORT["trials"][0]],
        "counts": {"PASS": 3, "FINDING": 0, "NOT SHOWN": 1, "NOT APPLICABLE": 0},
    },
    "the trials are taken out": {"trials": None},
    "no trial applied": {
        "trials": [{"name": "ban", "required": True, "outcome": "NOT APPLICABLE"}],
        "counts": {"PASS": 0, "FINDING": 0, "NOT SHOWN": 0, "NOT APPLICABLE": 1},
    },
    "the report of an easier course": {"course": "short"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_report_is_counted_again(tmp_path: Path, lie: str) -> None:
    assert light(tmp_path, **LIES[lie]) is GateLight.RED


def test_the_report_that_the_product_writes_is_decided_alike(tmp_path: Path) -> None:
    """Every outcome, required or not: the accountant's text of the rule against the daemon's."""
    for outcomes in product(TrialOutcome, repeat=3):
        rows = [
            {"name": str(n), "required": n > 0, "outcome": str(one)}
            for n, one in enumerate(outcomes)
        ]
        counts = {str(one): outcomes.count(one) for one in TrialOutcome}
        code = int(exit_code((n > 0, one) for n, one in enumerate(outcomes)))
        is_green = light(tmp_path, trials=rows, counts=counts, exit_code=code) is GateLight.GREEN
        is_passed = code == 0 and TrialOutcome.PASS in outcomes
        assert is_green is is_passed, outcomes


def test_nothing_is_asked_for_unless_the_policy_says_so(tmp_path: Path) -> None:
    stems = [gate.stem for gate in read_gates(tmp_path, NOW, 36)]
    assert not [stem for stem in stems if stem.startswith("trial")]


def test_the_digest_of_a_policy_without_trials_is_what_it_was(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('[promotion]\ntrials_required = ["standard"]\n')
    asking = load_policy(file)
    assert asking.trials_required == ["standard"]
    assert asking.digest() != Policy().digest()
    assert Policy().digest() == BEFORE
