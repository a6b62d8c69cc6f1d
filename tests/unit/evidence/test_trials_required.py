"""A course of trials beside the gates: what `promote` asks for when the policy says so."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evidence.gates.gates_now import GateLight, read_gates
from evidence.promotion.policy import Policy, load_policy

BEFORE = "3554fe08e99d65b1d291da2b77e9ce35a894266c217af69b5c4542207a6bc74d"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
REPORT: dict[str, Any] = {
    "format": 1,
    "generated_at": "2026-11-30T10:00:00Z",
    "course": "standard",
    "verdict": "40 trials: 38 PASS",
    "counts": {"PASS": 38, "FINDING": 0},
    "exit_code": 0,
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
