"""The whole second half, end to end: demo sessions, evidence, every gate, and the decision.

Simulated sessions never count: with `--rehearsal` every line says REHEARSAL, and without it
nothing is promoted.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from control.tool.command_frame import Wiring
from control.tool.mounted_commands import Tool
from evidence.promotion.policy import Policy
from tests.support.box import Box

pytestmark = pytest.mark.xdist_group("rehearsal")  # the three demos are run once
ROOT = Path(__file__).resolve().parents[2]
SESSIONS = ("one", "two", "three")
POLICY = """
[promotion]
sessions_min = 1
session_minutes_min = 0
session_orders_min = 1
session_fills_min = 0
campaign_orders_min = 1
campaign_minutes_min = 0
drills_required = ["kill-switch"]
cap_regions_percent_min = { order_notional_quote_max = 1 }
"""
"""Terms that a demo of eight seconds can meet, so that the way to a green decision is walked."""


def seatrial(*arguments: object) -> Result:
    return CliRunner().invoke(Tool(), [str(one) for one in arguments], obj=Wiring())


def value_of(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three demos at once, each with a venue and a daemon of its own."""
    folder = tmp_path_factory.mktemp("rehearsal")
    demos = {
        name: subprocess.Popen(
            [sys.executable, "-m", "control.main", "demo", "--json", "--seconds", "8",
             "--seed", str(number), "--dir", str(folder / name)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number, name in enumerate(SESSIONS, start=7)
    }  # fmt: skip
    for name, demo in demos.items():
        out, err = demo.communicate(timeout=90)
        assert demo.returncode == 0, f"{name}: {err.decode()}"
        assert json.loads(out.splitlines()[-1])["verdict"] == "OK"
    return folder


@pytest.fixture(scope="module")
def status(sessions: Path) -> Path:
    """Every gate, decided from the local run history and the evidence of the demos."""
    out = sessions / "status"
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    for workflow in ("prk", "prj"):
        done = seatrial("gate", "record-run", "--history", sessions / f"{workflow}.json",
                        "--workflow", workflow, "--service-result", "success",
                        "--started", hour_ago.isoformat())  # fmt: skip
        assert done.exit_code == 0, done.output
    journal = sessions / SESSIONS[0] / "state/journal"
    produced = subprocess.run(
        [sys.executable, "-m", "evidence.producer", "--out-dir", out, "--input", journal,
         "--input-format", "jsonl"],
        cwd=ROOT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert produced.returncode == 0, produced.stderr
    stability = ("--stability", out / "stability_gate.json")
    readiness = out / "live_readiness_scorecard.json"
    evidence = ("--execution-evidence", out / "execution_evidence.json")
    chain: list[tuple[object, ...]] = [
        ("stability", "--prk-runs-json", sessions / "prk.json",
         "--prj-runs-json", sessions / "prj.json"),
        ("prj-status", "--input", sessions / "prj.json"),
        ("prk-health", "--input", out / "prj_status_latest.json"),
        ("live-readiness", *stability, "--status", out / "prj_status_latest.json",
         "--health", out / "prj_health_summary.json"),
        ("shadow-testnet", *stability, "--live-readiness", readiness, *evidence),
        ("dry-run", *stability, "--readiness", readiness),
        ("live-pilot", *stability, "--live-readiness", readiness,
         "--shadow-testnet", out / "shadow_testnet_scorecard.json", *evidence),
    ]  # fmt: skip
    for gate, *arguments in chain:
        done = seatrial("gate", gate, "--out-dir", out, *arguments)
        assert done.exit_code == 0, f"{gate}: {done.output}"
    return out


def promote(sessions: Path, out: Path, *more: object) -> tuple[Result, dict[str, Any]]:
    folders = [sessions / name for name in SESSIONS]
    done = seatrial("promote", *folders, "--out-dir", out, *more)
    return done, value_of(out / "promotion_decision.json")


def test_a_rehearsal_gives_every_reason_and_says_what_it_is(
    sessions: Path, status: Path, tmp_path: Path
) -> None:
    done, value = promote(sessions, tmp_path, "--rehearsal", "--status-dir", status)
    assert done.exit_code == 2, "a rehearsal is never a go"
    assert value["label"] == "REHEARSAL"
    assert value["decision"].startswith("REHEARSAL_")
    codes = {reason["code"] for reason in value["reasons"]}
    assert codes >= {
        "TOO_FEW_SESSIONS", "TOO_FEW_ORDERS", "TOO_SHORT", "CAP_REGION_NOT_VISITED",
        "DRILL_MISSING",
    }  # fmt: skip
    assert not codes & {"JOURNAL_NO_GO", "JOURNAL_UNPROVEN", "ERROR_UNEXPLAINED", "GATE_RED"}
    missing = {one["text"] for one in value["reasons"] if one["code"] == "DRILL_MISSING"}
    assert "drill kill-switch was never run" not in missing, "every demo ends with a kill"
    shown = done.stdout.splitlines()
    assert all(line.lstrip().startswith("REHEARSAL") for line in shown), shown
    assert all(any(reason["text"] in line for line in shown) for reason in value["reasons"])
    twin = (tmp_path / "promotion_decision.md").read_text().splitlines()
    assert all("REHEARSAL" in line for line in twin if line.startswith("#"))
    assert not (tmp_path / "promotion_record.dsse.json").exists()


def test_the_way_to_green_can_be_rehearsed(sessions: Path, status: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    made = seatrial("evidence", "keygen", "--key", tmp_path / "key.pem")
    assert made.exit_code == 0, made.output
    done, value = promote(
        sessions, tmp_path, "--rehearsal", "--status-dir", status,
        "--policy", tmp_path / "policy.toml", "--key", tmp_path / "key.pem",
    )  # fmt: skip
    assert value["reasons"] == []
    assert (done.exit_code, value["decision"]) == (2, "REHEARSAL_READY_FOR_LIVE_PILOT")
    assert not (tmp_path / "promotion_record.dsse.json").exists(), "a rehearsal is never signed"


def test_without_the_label_nothing_is_promoted(
    sessions: Path, status: Path, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    done, value = promote(
        sessions, tmp_path, "--status-dir", status, "--policy", tmp_path / "policy.toml"
    )
    assert (done.exit_code, value["decision"]) == (2, "INSUFFICIENT")
    told = [one["text"] for one in value["reasons"] if one["code"] == "NOT_TESTNET"]
    assert len(told) == len(SESSIONS)
    rehearsed = {gate["gate"] for gate in value["gates"] if gate["light"] == "REHEARSED"}
    assert rehearsed == {"shadow_testnet_scorecard", "live_pilot_scorecard"}
    assert value["statistics"]["sessions"] == 0
    assert "REHEARSAL" not in done.stdout.replace("REHEARSAL_SIMULATED_EVIDENCE", "")


def test_missing_gates_are_reasons_of_their_own(sessions: Path, tmp_path: Path) -> None:
    _done, value = promote(sessions, tmp_path, "--rehearsal", "--status-dir", tmp_path)
    assert value["decision"] == "REHEARSAL_INSUFFICIENT"
    missing = [one for one in value["reasons"] if one["code"] == "GATE_MISSING"]
    assert len(missing) == 5


def test_the_preflight_of_a_demo_misses_only_its_daemon(sessions: Path, status: Path) -> None:
    config = sessions / SESSIONS[0] / "seatrial.toml"
    done = seatrial("preflight", "--config", config, "--status-dir", status, "--json")
    value = json.loads(done.stdout)
    assert (done.exit_code, value["decision"]) == (2, "REHEARSAL_NO_TRADE")
    assert [one["check"] for one in value["checks"] if not one["ok"]] == ["kill_switch_reachable"]


def test_a_session_packs_verifies_and_a_changed_byte_is_named(
    sessions: Path, tmp_path: Path
) -> None:
    pack, key = tmp_path / "demo.seatrial.tar", tmp_path / "key.pem"
    assert seatrial("evidence", "keygen", "--key", key).exit_code == 0
    packed = seatrial("evidence", "pack", sessions / SESSIONS[0], "--out", pack, "--key", key)
    assert packed.exit_code == 0, packed.output
    check = ("evidence", "verify", pack, "--public-key", f"{key}.pub")
    good = seatrial(*check)
    assert good.exit_code == 0, good.output
    raw = bytearray(pack.read_bytes())
    raw[raw.index(b'"event_type":"fill"' if b'"event_type":"fill"' in raw else b"run_start")] ^= 1
    pack.write_bytes(raw)
    changed = seatrial(*check)
    assert changed.exit_code == 2
    assert "journal/journal-000001.jsonl: changed" in changed.output


def test_a_box_that_has_drilled_passes_its_preflight_and_may_start(
    status: Path, tmp_path: Path
) -> None:
    """Drills on a running daemon, checklist from its journal, preflight, session: in this order."""
    with Box(tmp_path, caps="testnet-strict") as box:
        drilled = seatrial("--socket", box.socket, "drill", "--all", "--json")
        assert drilled.exit_code == 0, drilled.output
        assert {one["drill"] for one in json.loads(drilled.stdout)} == set(Policy().drills_required)
        journal = tmp_path / "state/journal"
        checklist = seatrial(
            "gate", "dry-run", "--stability", status / "stability_gate.json", "--readiness",
            status / "live_readiness_scorecard.json", "--drills", journal, "--out-dir", status,
        )  # fmt: skip
        assert checklist.exit_code == 0, checklist.output
        asked = ("preflight", "--config", box.config, "--status-dir", status)
        done = seatrial(*asked)
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[-1].startswith("REHEARSAL_MAY_START, until ")
        box.must("start", "--yes", "--reason", "after the preflight")
        box.must("kill", "--reason", "enough")
        box.until(lambda told: told["latched"] is True)
        latched = json.loads(seatrial(*asked, "--json").stdout)
        assert [one["check"] for one in latched["checks"] if not one["ok"]] == ["daemon_ready"]
    lines = map(json.loads, (journal / "journal-000001.jsonl").read_bytes().splitlines())
    noted = [one["msg"] for one in lines if one.get("method") == "preflight"]
    assert noted == ["exempt: a simulated venue needs no preflight"]
