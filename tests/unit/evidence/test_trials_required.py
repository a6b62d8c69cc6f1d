"""A course of trials beside the gates: what `promote` asks for when the policy says so."""

import functools
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daemon.cli.promote_trials import promote_command
from daemon.trials.course_files import load_course
from daemon.trials.judging.rejudge import report_hash
from daemon.trials.passed import OBSERVATIONS, why_not_as_kept
from evidence.gates.gates_now import GateLight, LaunchGateState, read_gates
from evidence.gates.trial_reports import JudgeAgain
from evidence.promotion.policy import Policy, PolicyError, load_policy
from tests.support.trial_reports import COURSE_TEXT, hammering, sound, written

BEFORE = "2c7e0d0066fe86d68a0155a7729924835f362730aaa82c8e920398ce21ab30df"
"""Of the defaults since they bound what no anchor covers; a trial not asked for changes nothing."""
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
VERSION = "ab" * 32
POLICY = f"""
[promotion]
trials_required = ["mine"]
[promotion.trials_bound.mine]
bot_version = "{VERSION}"
seed = 7
"""


@pytest.fixture
def status_dir(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(COURSE_TEXT)
    return tmp_path


def gate(
    folder: Path,
    edit: Callable[[dict[str, Any]], None] | None = None,
    *,
    fails: bool = False,
    rehashed: bool = True,
    **facts: Any,
) -> LaunchGateState:
    course = load_course("mine.toml", folder)
    seen = hammering() if fails else sound()
    row = written(folder / "run", course, seen, **{"bot_version": VERSION, **facts})
    if edit is not None:
        edit(row)
        if rehashed:
            row["report_hash"] = report_hash(row)
    (folder / "trial_mine.json").write_text(json.dumps(row))
    observed = json.loads((folder / "run" / OBSERVATIONS).read_text())
    kept = {"course": msgspec.to_builtins(course), "observations": observed}
    (folder / "trial_mine.observations.json").write_text(json.dumps(kept))
    return now(folder)


def now(folder: Path, judge_again: JudgeAgain | None = why_not_as_kept) -> LaunchGateState:
    bound = {"mine": {"bot_version": VERSION, "seed": 7}}
    return read_gates(folder, NOW, 36, ["mine"], bound, judge_again=judge_again)[-1]


def test_a_passed_course_is_green_and_any_other_is_not(status_dir: Path) -> None:
    assert now(status_dir).light is GateLight.MISSING
    assert gate(status_dir).light is GateLight.GREEN, gate(status_dir)
    assert gate(status_dir, fails=True).light is GateLight.RED
    assert gate(status_dir, started="2026-11-28T10:00:00Z").light is GateLight.STALE


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"bot_version": "cd" * 32}, "bot_version is"), ({"seed": 8}, "seed is 8; the policy")],
)
def test_a_report_of_something_else_is_red(
    status_dir: Path, facts: dict[str, Any], reason: str
) -> None:
    state = gate(status_dir, **facts)
    assert (state.light, reason in state.detail) == (GateLight.RED, True), state


def test_the_report_of_an_easier_course_under_this_ones_name_is_red(status_dir: Path) -> None:
    state = gate(status_dir, lambda row: row.update(course="easy"))
    assert (state.light, "course is 'easy'" in state.detail) == (GateLight.RED, True), state


def _code(row: dict[str, Any]) -> None:
    row["exit_code"] = 0


def _outcome(row: dict[str, Any]) -> None:
    row["trials"][1]["outcome"] = "PASS"


def _untold(row: dict[str, Any]) -> None:
    row["trials"], row["exit_code"] = [], 0


def _false(row: dict[str, Any]) -> None:
    row["exit_code"] = False
    row["trials"][1]["outcome"] = "PASS"


def _left_out(row: dict[str, Any]) -> None:
    row["trials"] = [one for one in row["trials"] if one["outcome"] != "FINDING"]
    row["exit_code"] = 0


def _met(row: dict[str, Any]) -> None:
    row["trials"][1]["outcome"], row["exit_code"] = "MET BY THE GATE", 0


@pytest.mark.parametrize("edit", [_code, _outcome, _untold, _false, _left_out, _met])
@pytest.mark.parametrize("rehashed", [False, True])
def test_a_report_that_was_edited_by_hand_is_red(
    status_dir: Path, edit: Callable[[dict[str, Any]], None], *, rehashed: bool
) -> None:
    state = gate(status_dir, edit, fails=True, rehashed=rehashed)
    assert state.light is GateLight.RED
    assert ("changed after it was written" in state.detail) is not rehashed


def _met_and_counted(row: dict[str, Any]) -> None:
    _met(row)
    row["counts"] = dict(Counter(one["outcome"] for one in row["trials"]))


def test_one_that_agrees_with_itself_is_judged_again_from_what_was_observed(
    status_dir: Path,
) -> None:
    state = gate(status_dir, _met_and_counted, fails=True)
    assert (state.light, "shows FINDING" in state.detail) == (GateLight.RED, True), state
    assert now(status_dir, None).light is GateLight.GREEN, "it does agree with itself"


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"course": {}, "observations": 1}'])
def test_without_its_observations_a_report_is_not_believed(status_dir: Path, text: str) -> None:
    assert gate(status_dir).light is GateLight.GREEN
    kept = status_dir / "trial_mine.observations.json"
    kept.write_text(text) if text else kept.unlink()
    assert now(status_dir).light is GateLight.RED


def test_the_tools_promote_brings_the_judges() -> None:
    callback = promote_command.callback
    assert isinstance(callback, functools.partial)
    assert callback.keywords == {"judge_again": why_not_as_kept}


def test_nothing_is_asked_for_unless_the_policy_says_so(tmp_path: Path) -> None:
    stems = [gate.stem for gate in read_gates(tmp_path, NOW, 36)]
    assert not [stem for stem in stems if stem.startswith("trial")]


def test_a_policy_that_asks_for_trials_names_the_bot(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    asking = load_policy(file)
    assert asking.trials_bound["mine"] == {"bot_version": VERSION, "seed": 7}
    assert asking.digest() != Policy().digest()
    file.write_text('[promotion]\ntrials_required = ["mine"]\n')
    with pytest.raises(PolicyError, match=r"trials_bound\.mine.*bot_version"):
        load_policy(file)


def test_the_digest_of_a_policy_without_trials_is_what_it_was() -> None:
    assert Policy().digest() == BEFORE


@pytest.mark.parametrize("part", ["course", "observations"])
def test_what_a_report_was_made_of_is_told_where_it_is_not_whole(
    status_dir: Path, part: str
) -> None:
    assert gate(status_dir).light is GateLight.GREEN
    path = status_dir / "trial_mine.observations.json"
    kept = json.loads(path.read_text())
    del kept[part]
    path.write_text(json.dumps(kept))
    state = now(status_dir)
    assert state.light is GateLight.RED
    assert f"has no {part}; run the course again" in state.detail
