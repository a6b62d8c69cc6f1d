"""ops_status: reads everything, writes nothing, and says no when the pilot decision says no."""

import json

import pytest
from click.testing import CliRunner

from evidence.gates.gate_commands import gate_group
from tests.support.gates import NOW

READY = {"decision": "READY_FOR_LIVE_PILOT", "hard_blocks": []}


@pytest.fixture
def status(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(files, *options):
        folder = tmp_path / "status"
        folder.mkdir(exist_ok=True)
        for stem, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / f"{stem}.json").write_text(text)
        before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        done = CliRunner().invoke(
            gate_group,
            ["ops-status", "--status-dir", str(folder), "--json", "--now", NOW, *options],
        )
        assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
        return done.exit_code, json.loads(done.output)

    return run


CASES = [
    ("no decision at hand is no objection", {}, 0),
    ("ready", {"live_pilot_scorecard": READY}, 0),
    ("not ready", {"live_pilot_scorecard": {**READY, "decision": "CONTINUE_TESTNET"}}, 2),
    ("a decision without a word", {"live_pilot_scorecard": {}}, 2),
    ("ready, but with a hard block", {"live_pilot_scorecard": {**READY, "hard_blocks": ["X"]}}, 2),
    ("a hard block elsewhere", {"live_readiness_scorecard": {"hard_blocks": ["X"]}}, 2),
    ("a failed checklist", {"live_dryrun_checklist": {"hard_failures": ["X"]}}, 2),
    ("an artifact that cannot be read", {"stability_gate": "{"}, 2),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_the_exit_code(status, case):
    _, files, expected = case
    exit_code, value = status(files)
    assert exit_code == expected
    assert value["ok"] is (expected == 0)


def test_every_artifact_with_its_age_and_verdict(status):
    _, value = status(
        {
            "stability_gate": {"overall_ok": True, "generated_at": "2026-01-31T09:30:00Z"},
            "prj_status_latest": {"policy": {"action": "NO_TRADE"}},
            "live_readiness_scorecard": {
                "decision": "GO",
                "seatrial": {"generated_at": "2026-01-31T11:00:00Z"},
            },
        }
    )
    rows = {row["stem"]: row for row in value["artifacts"]}
    assert len(rows) == 8
    assert (rows["stability_gate"]["verdict"], rows["stability_gate"]["age_hours"]) == ("ok", 2.5)
    assert rows["live_readiness_scorecard"]["age_hours"] == 1.0
    assert rows["prj_status_latest"]["verdict"] == "NO_TRADE"
    assert rows["live_pilot_scorecard"]["present"] is False


def test_outside_a_git_tree_the_version_control_state_is_null(status):
    _, value = status({})
    assert value["version_control"]["commit"] is None


def test_the_lines_for_a_terminal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "live_pilot_scorecard.json").write_text(
        json.dumps({"decision": "NO_GO", "hard_blocks": ["STABILITY_GATE_FAIL"]})
    )
    done = CliRunner().invoke(gate_group, ["ops-status", "--status-dir", ".", "--now", NOW])
    assert done.exit_code == 2
    assert "blocks: STABILITY_GATE_FAIL" in done.output
    assert done.output.splitlines()[-1] == "live pilot decision: NO_GO"
