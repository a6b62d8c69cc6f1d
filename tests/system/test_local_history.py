"""Boxes without GitHub: the timers' own commands keep a run history, and the gates read it."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "systemd"
STATE = "/var/lib/seatrial-smoke"
PROGRAM = "/opt/seatrial/bin/seatrial"


def commands(unit: str, key: str) -> list[str]:
    text = (UNITS / unit).read_text()
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


class Box:
    """Runs the commands of the units as systemd would, with their places moved."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        (self.state / "demo").mkdir(parents=True)
        self.tool = folder / "seatrial"
        self.tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m control.main "$@"\n')
        self.tool.chmod(0o755)

    def run(self, command: str, result: str = "success") -> int:
        """One `Exec…=` line; a leading `-` is systemd's own."""
        plain = command.removeprefix("-").replace("%%", "\0").replace("%i", "demo")
        plain = plain.replace("\0", "%").replace("$$", "$")
        plain = plain.replace(STATE, str(self.state)).replace(PROGRAM, str(self.tool))
        done = subprocess.run(
            shlex.split(plain), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
            env={"SERVICE_RESULT": result, "PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode

    def smoke_ends(self, result: str) -> None:
        (command,) = commands("seatrial-smoke@.service", "ExecStopPost")
        assert self.run(command, result) == 0

    def gates(self) -> int:
        """The gates' unit; returns the exit code that fails it or not."""
        for command in commands("seatrial-gates@.service", "ExecStart"):
            assert self.run(command) == 0
        *before, last = commands("seatrial-gates@.service", "ExecStopPost")
        for command in before:
            code = self.run(command)
            assert code == 0 or command.startswith("-")
        assert not last.startswith("-"), "the last command carries the verdict"
        return self.run(last)

    def value(self, name: str) -> Any:
        return json.loads((self.state / "demo" / name).read_text())


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_good_smoke_runs_open_the_gates(box: Box) -> None:
    box.smoke_ends("success")
    box.smoke_ends("success")
    runs = box.value("prj-runs.json")
    assert [run["databaseId"] for run in runs] == [2, 1], "newest first"
    assert {(run["event"], run["conclusion"]) for run in runs} == {("schedule", "success")}
    assert box.gates() == 0
    gate = box.value("status/stability_gate.json")
    assert gate["overall_ok"] is True
    assert [one["run_id"] for one in gate["results"]] == [1, 2], "PR-K first, then PR-J"
    assert box.value("status/live_readiness_scorecard.json")["decision"] == "GO"


@pytest.mark.parametrize(
    ("result", "conclusion"),
    [("exit-code", "failure"), ("signal", "failure"), ("timeout", "timed_out"),
     ("oom-kill", "failure"), ("watchdog", "timed_out")],
)  # fmt: skip
def test_a_run_that_failed_is_recorded_as_it_ended(box: Box, result: str, conclusion: str) -> None:
    box.smoke_ends(result)
    (run,) = box.value("prj-runs.json")
    assert run["conclusion"] == conclusion


def test_only_failed_smoke_runs_shut_the_gates_and_fail_the_unit(box: Box) -> None:
    box.smoke_ends("success")
    assert box.gates() == 0
    (box.state / "demo/prj-runs.json").unlink()
    box.smoke_ends("exit-code")
    assert box.gates() == 2
    assert box.value("status/stability_gate.json")["overall_ok"] is False
    card = box.value("status/live_readiness_scorecard.json")
    assert (card["decision"], card["hard_blocks"]) == ("NO_GO", ["STABILITY_GATE_FAIL"])


def test_each_smoke_run_has_a_directory_of_its_own(box: Box) -> None:
    """A demo refuses a directory that holds an earlier one: the second run would always fail."""
    (command,) = commands("seatrial-smoke@.service", "ExecStart")
    box.tool.write_text('#!/bin/sh\nfor last; do :; done\nmkdir "$last"\n')
    assert box.run(command) == 0
    (made,) = (box.state / "demo").iterdir()
    assert made.name.startswith("run-2")
    assert made.name.endswith("Z")


@pytest.mark.skipif(shutil.which("find") is None, reason="find is not installed")
def test_old_runs_are_cleared_and_the_history_is_kept(box: Box) -> None:
    (command,) = commands("seatrial-smoke@.service", "ExecStartPre")
    box.smoke_ends("success")
    for name, days in (("run-old", 40), ("run-new", 3)):
        folder = box.state / "demo" / name
        (folder / "state").mkdir(parents=True)
        then = folder.stat().st_mtime - days * 86_400
        os.utime(folder, (then, then))
    assert box.run(command) == 0
    assert {path.name for path in (box.state / "demo").iterdir() if path.is_dir()} == {"run-new"}
    assert len(box.value("prj-runs.json")) == 1


def test_the_gates_come_after_the_smoke() -> None:
    starts = {}
    for unit in ("seatrial-smoke@.timer", "seatrial-gates@.timer"):
        text = (UNITS / unit).read_text()
        (calendar,) = [line for line in text.splitlines() if line.startswith("OnCalendar=")]
        hour, minute = calendar.split()[1].split(":")[:2]
        (delay,) = [line for line in text.splitlines() if line.startswith("RandomizedDelaySec=")]
        first = int(hour.split("/")[0]) * 60 + int(minute)
        starts[unit] = (first, first + int(delay.partition("=")[2]) // 60)
    run_minutes = 5
    latest_end = starts["seatrial-smoke@.timer"][1] + run_minutes
    assert starts["seatrial-gates@.timer"][0] >= latest_end
