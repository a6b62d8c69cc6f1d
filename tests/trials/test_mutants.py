"""Every trial can fail: one bot of ours passes the course, each of its mutants is found out.

The whole table takes a quarter of an hour (`make trials-proof`); with every test run, two short
courses, seeded: at the venue the sound bot and a mutant, through the gate the sound bot; one more
mutant of each in the campaign.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.trials.course_files import load_course
from daemon.trials.judging.rejudge import why_not_as_seen
from tests.trials.mutants import GATE_MUTANTS, MUTANTS

ROOT = Path(__file__).resolve().parents[2]
SHORT = ROOT / "tests" / "trials" / "short.toml"
SHORT_GATE = ROOT / "tests" / "trials" / "short_gate.toml"
BOT = (sys.executable, str(ROOT / "tests" / "support" / "trial_bot.py"))
DEADLINE_S = 900


def run(
    out: Path, broken: Sequence[str] = (), *, streams: bool = False, options: Sequence[str] = ()
) -> dict[str, Any]:
    """One run of the command; its report, with the real exit code beside the told one."""
    command = [
        sys.executable,
        "-m",
        "control.main",
        "trial",
        "--json",
        "--out-dir",
        str(out),
        *options,
    ]
    command += ["--", *BOT, *(["--streams"] if streams else [])]
    command += [word for name in broken for word in ("--break", name)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == report["exit_code"]
    return report


def through_gate(course: str) -> tuple[str, ...]:
    """Options of a run behind the gate."""
    return ("--through-gate", "--course", course)


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: f"{row['outcome']}: {row['because']}" for row in report["trials"]}


def test_the_table_has_every_trial_of_the_standard_course() -> None:
    proved = {name for names, _, _ in MUTANTS for name in names}
    course = load_course("standard")
    assert proved == {trial.name for trial in course.trials if not trial.through_gate}
    of_gate = {name for names, _ in GATE_MUTANTS for name in names}
    assert of_gate == {trial.name for trial in course.trials if trial.through_gate}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_sound_bot_passes_the_short_course(tmp_path: Path) -> None:
    report = run(tmp_path, options=("--course", str(SHORT)))
    told = outcomes(report)
    assert all(words.startswith("PASS") for words in told.values()), told
    assert report["exit_code"] == 0
    seen = json.loads((tmp_path / "observations.json").read_text())
    assert why_not_as_seen(report, seen, load_course(str(SHORT))) == ""
    for name in ("report.html", "report.md", "trial.json", "ledger.json", "bot.log"):
        assert (tmp_path / name).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("broken", "found"),
    [
        ("asks-first", {"answer-lost"}),
        pytest.param("cleans-up", {"ended-in-order"}, marks=pytest.mark.campaign),
    ],
)
def test_a_mutant_is_found_by_the_short_course(
    broken: str, found: set[str], tmp_path: Path
) -> None:
    report = run(tmp_path, [broken], options=("--course", str(SHORT)))
    told = outcomes(report)
    assert {name for name, words in told.items() if words.startswith("FINDING")} == found, told
    assert report["exit_code"] == 2


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_sound_bot_passes_the_trials_of_the_gate(tmp_path: Path) -> None:
    report = run(tmp_path, options=through_gate(str(SHORT_GATE)))
    told = outcomes(report)
    assert all(words.startswith("PASS") for words in told.values()), told
    assert report["exit_code"] == 0
    assert report["mode"].startswith("through the gate")
    seen = json.loads((tmp_path / "observations.json").read_text())
    assert why_not_as_seen(report, seen, load_course(str(SHORT_GATE))) == ""
    denials, kill = report["trials"][1:]
    assert {"order_qty", "side_not_allowed"} <= set(denials["measures"]["denied"].split())
    assert int(kill["measures"]["asked again"]) > 0
    # The wire before the gateway and the venue's own are two: no denied order passed from one on.
    ledger = json.loads((tmp_path / "ledger.json").read_text())
    denied = [row for row in ledger["wire"] if row["code"] == -2010]
    assert denied
    assert not [row for row in ledger["venue_wire"] if row["code"] == -2010]
    known = {row["client_order_id"] for row in ledger["orders"] if row["ours"]}
    assert known
    assert not known & {row["client_order_id"] for row in denied}
    assert all(name.startswith("tb") for name in known), "not the bot's own ids"


@pytest.mark.campaign
@pytest.mark.timeout(400)
def test_a_bot_that_hammers_is_found_by_the_trials_of_the_gate(tmp_path: Path) -> None:
    report = run(tmp_path, ["backs-off"], options=through_gate(str(SHORT_GATE)))
    told = outcomes(report)
    found = {name for name, words in told.items() if words.startswith("FINDING")}
    assert found == {"denials", "kill"}, told
    assert report["exit_code"] == 2


@pytest.mark.proof
@pytest.mark.timeout(DEADLINE_S)
@pytest.mark.parametrize(("names", "broken"), GATE_MUTANTS, ids=[one for _, one in GATE_MUTANTS])
def test_the_trials_of_the_gate_find_their_mutants(
    names: tuple[str, ...], broken: str, tmp_path: Path
) -> None:
    options = [*through_gate("standard"), "--only", "denials", "--only", "kill"]
    told = outcomes(run(tmp_path, [broken], options=options))
    found = {name for name, words in told.items() if words.startswith("FINDING")}
    assert found == set(names), told


@pytest.mark.proof
@pytest.mark.timeout(DEADLINE_S)
@pytest.mark.parametrize("streams", [False, True], ids=["polling", "streaming"])
def test_the_sound_bot_has_no_finding_on_the_standard_course(streams: bool, tmp_path: Path) -> None:
    report = run(tmp_path, streams=streams)
    told = outcomes(report)
    assert not [words for words in told.values() if words.startswith("FINDING")], told
    required = [row for row in report["trials"] if row["required"]]
    assert {row["outcome"] for row in required} <= {"PASS", "NOT APPLICABLE"}, told
    if streams:
        assert "NOT SHOWN" not in {row["outcome"] for row in report["trials"]}, told


@pytest.mark.proof
@pytest.mark.timeout(DEADLINE_S)
@pytest.mark.parametrize("streams", [False, True], ids=["polling", "streaming"])
def test_the_sound_bot_passes_the_standard_course_through_the_gate(
    streams: bool, tmp_path: Path
) -> None:
    options = through_gate("standard")
    report = run(tmp_path, streams=streams, options=options)
    told = outcomes(report)
    required = {row["outcome"] for row in report["trials"] if row["required"]}
    assert required == {"PASS", "MET BY THE GATE"}, told
    assert report["exit_code"] == 0, told


@pytest.mark.proof
@pytest.mark.timeout(DEADLINE_S)
@pytest.mark.parametrize(
    ("names", "broken", "streams"), MUTANTS, ids=["+".join(broken) for _, broken, _ in MUTANTS]
)
def test_each_trial_finds_its_mutant(
    names: tuple[str, ...], broken: tuple[str, ...], streams: bool, tmp_path: Path
) -> None:
    options = [word for name in names for word in ("--only", name)]
    report = run(tmp_path, broken, streams=streams, options=options)
    told = outcomes(report)
    missed = {name: told[name] for name in names if not told[name].startswith("FINDING")}
    assert not missed, missed
