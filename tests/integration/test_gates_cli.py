"""The launch chain as an outsider runs it: real processes, real files, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOW = "2026-01-31T12:00:00Z"


@pytest.fixture
def run(tmp_path):
    def call(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": str(tmp_path / "no-programs")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


def value_of(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_whole_chain_in_the_default_directory(run, tmp_path):
    status = tmp_path / "reports/status"
    now = ("--now", NOW)
    for workflow in ("prk", "prj"):
        done = run(
            "evidence.gates",
            *("record-run", "--history", f"{workflow}.json", "--workflow", workflow),
            *("--conclusion", "success", "--now", "2026-01-31T11:00:00Z"),
        )
        assert done.returncode == 0
    events = tmp_path / "events.jsonl"
    events.write_text('{"event_type":"fill","mode":"testnet"}\n' * 100)
    gate = ("--stability", str(status / "stability_gate.json"))
    readiness = str(status / "live_readiness_scorecard.json")
    evidence = ("--execution-evidence", str(status / "execution_evidence.json"))
    chain = [
        ("evidence.producer", "--input", "events.jsonl"),
        (
            *("evidence.gates", "stability", *now),
            *("--prk-runs-json", "prk.json", "--prj-runs-json", "prj.json"),
        ),
        ("evidence.gates", "prj-status", *now, "--input", "prj.json"),
        ("evidence.gates", "prk-health", *now),
        (
            *("evidence.gates", "live-readiness", *now, *gate),
            *("--status", str(status / "prj_status_latest.json")),
            *("--health", str(status / "prj_health_summary.json")),
        ),
        ("evidence.gates", "shadow-testnet", *now, *gate, "--live-readiness", readiness, *evidence),
        ("evidence.gates", "dry-run", *now, *gate, "--readiness", readiness),
        (
            *("evidence.gates", "live-pilot", *now, *gate, "--live-readiness", readiness),
            *("--shadow-testnet", str(status / "shadow_testnet_scorecard.json"), *evidence),
        ),
        ("evidence.gates", "ops-status", *now),
    ]
    for command in chain:
        done = run(*command)
        assert (command[1], done.returncode, done.stderr) == (command[1], 0, "")
    assert value_of(status / "live_pilot_scorecard.json")["decision"] == "READY_FOR_LIVE_PILOT"
    stems = {path.stem for path in status.iterdir()}
    assert stems == {
        *("execution_evidence", "stability_gate", "live_readiness_scorecard"),
        *("shadow_testnet_scorecard", "live_dryrun_checklist", "live_pilot_scorecard"),
        *("prj_status_latest", "prj_health_summary"),
    }
    for stem in stems:
        text = (status / f"{stem}.json").read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
        assert (status / f"{stem}.md").read_text(encoding="utf-8").startswith("# ")


NOT_READY = [
    (("stability", "--prk-runs-json", "no", "--prj-runs-json", "no"), 2, "stability_gate"),
    (("live-readiness", "--stability", "no", "--status", "no", "--health", "no"), 2,
     "live_readiness_scorecard"),
    (("shadow-testnet", "--stability", "no", "--live-readiness", "no"), 2,
     "shadow_testnet_scorecard"),
    (("dry-run", "--stability", "no", "--readiness", "no"), 2, "live_dryrun_checklist"),
    (("live-pilot", "--stability", "no", "--live-readiness", "no", "--shadow-testnet", "no",
      "--execution-evidence", "no"), 2, "live_pilot_scorecard"),
    (("prj-status", "--input", "no"), 1, "prj_status_latest"),
    (("prk-health", "--input", "no"), 1, "prj_health_summary"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "code", "stem"), NOT_READY, ids=lambda value: str(value)[:20])
def test_missing_files_give_an_artifact_that_says_no(run, tmp_path, command, code, stem):
    done = run("evidence.gates", *command, "--out-dir", "out", "--now", NOW)
    assert done.returncode == code
    assert (tmp_path / f"out/{stem}.json").exists()
    assert (tmp_path / f"out/{stem}.md").exists()
    assert "Traceback" not in done.stderr


def test_without_files_and_without_gh_the_gate_says_what_to_do(run, tmp_path):
    done = run("evidence.gates", "stability", "--out-dir", "out")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: gh (GitHub's command line client) is not on PATH")
    assert not (tmp_path / "out/stability_gate.json").exists()


def test_a_malformed_input_is_one_line_with_file_and_mend(run, tmp_path):
    (tmp_path / "gate.json").write_text('{"overall_ok": tru')
    done = run("evidence.gates", "dry-run", "--stability", "gate.json", "--readiness", "no")
    assert done.returncode == 1
    assert done.stderr == (
        "Error: gate.json: is not JSON (line 1, column 16: Expecting value); make it again with "
        "the command that writes it, or point at the right file\n"
    )
