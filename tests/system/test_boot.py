"""The units under a really running systemd, with the real daemon and a simulated venue.

One boot runs every scenario (tests/system/boot/scenarios.py) and brings facts back; the tests here
judge them. The venue's own ledger says what was open.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.code_blocks import script_of, shell_blocks
from tests.support.machines import CACHE, needs, newer, package

ROOT = Path(__file__).resolve().parents[2]
BOOT = Path(__file__).resolve().parent / "boot"
CGROUPS = ("memory", "pids", "systemd", "unified")
INSIDE = """[Unit]
Description=what is tried on the box
DefaultDependencies=no
After=systemd-journald.socket systemd-tmpfiles-setup.service dbus.socket
Wants=systemd-journald.socket systemd-tmpfiles-setup.service dbus.socket
SuccessAction=exit
FailureAction=exit

[Service]
Type=oneshot
TimeoutStartSec=900
WorkingDirectory=/opt/probe
Environment=PYTHONPATH=/opt/probe PYTHONDONTWRITEBYTECODE=1 COLUMNS=200
ExecStart=/opt/seatrial/bin/python3 /opt/probe/scenarios.py /out/facts.json {names}
StandardOutput=append:/out/log
StandardError=append:/out/log
"""

Facts = dict[str, Any]

pytestmark = [
    pytest.mark.system,
    pytest.mark.system_long,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("boot"),
    needs("systemd-analyze", "unshare", "setpriv", "strip", "dpkg-deb", root=True),
    pytest.mark.skipif(
        not all(Path("/sys/fs/cgroup", one).is_dir() for one in CGROUPS),
        reason=f"needs cgroup hierarchies {', '.join(CGROUPS)}",
    ),
]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Facts]:
    """Boot the box, run every scenario (or those in SEATRIAL_SCENARIOS), return the facts."""
    payload, results = tmp_path_factory.mktemp("payload"), tmp_path_factory.mktemp("results")
    newer(package(), payload, results / "seatrial.deb", "9.9.9")
    payload.chmod(0o755)  # it becomes the root directory
    shutil.rmtree(payload / "DEBIAN")
    (payload / "lib" / "systemd").rename(payload / "usr" / "lib" / "systemd")
    (payload / "lib").rmdir()  # a link on the machine that is overlaid
    (payload / "opt" / "packages").mkdir()
    (results / "seatrial.deb").rename(payload / "opt" / "packages" / "seatrial.deb")
    system = payload / "etc" / "systemd" / "system"
    system.mkdir(parents=True)
    names = os.environ.get("SEATRIAL_SCENARIOS", "")
    (system / "inside.service").write_text(INSIDE.format(names=names))
    probe, wedge = payload / "opt" / "probe", payload / "opt" / "wedge"
    probe.mkdir()
    wedge.mkdir()
    for name in ("box.py", "probe.py", "scenarios.py"):
        shutil.copy(BOOT / name, probe / name)
    blocks = shell_blocks((ROOT / "docs" / "RUNBOOK.md").read_text())
    (probe / "runbook.sh").write_text(script_of(blocks))
    guide = shell_blocks((ROOT / "docs" / "TESTNET.md").read_text())
    text = "".join(block.text for block in guide)
    (probe / "testnet.sh").write_text(text.replace("seatrial.NAME.", "seatrial.edkeys."))
    for name in ("wedge.py", "hog.py"):
        shutil.copy(BOOT / name, wedge / name)
    shutil.copy(ROOT / "daemon/demo/caps/demo.toml", payload / "opt/seatrial/caps.toml")
    done = subprocess.run(
        [str(BOOT / "boot-machine.sh"), str(payload), str(results)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1100,
    )
    log = (results / "log").read_text() if (results / "log").exists() else ""
    facts = results / "facts.json"
    assert facts.exists(), f"boot ended with {done.returncode}: {log}{done.stdout}{done.stderr}"
    CACHE.mkdir(parents=True, exist_ok=True)
    shutil.copy(facts, CACHE / "facts.json")  # to look at by hand
    told_facts: dict[str, Facts] = json.loads(facts.read_text())
    print(json.dumps({name: round(one["seconds"], 1) for name, one in told_facts.items()}))
    return told_facts


def told(box: dict[str, Facts], name: str) -> Facts:
    """The facts of one scenario; a scenario that broke fails its test with what it left."""
    if name not in box:
        pytest.skip("not among SEATRIAL_SCENARIOS")
    facts = box[name]
    assert "error" not in facts, f"{facts['error']}\n{facts['logs']}"
    return facts


def test_it_is_ready_by_notify_and_a_stop_cancels(box: dict[str, Facts]) -> None:
    facts = told(box, "starts_and_stops")
    assert facts["started_s"] < 30
    assert facts["status_text"] == "gate READY, trading HALTED"
    assert facts["open_before"] >= 3
    assert facts["open_after"] == 0
    assert facts["sessions_ended"] == 1
    assert (facts["Result"], facts["ExecMainStatus"], facts["NRestarts"]) == ("success", "0", "0")
    assert not facts["latched"], "a clean stop latches nothing"
    assert "anchor" in facts["log_by_field"], "the log of one instance, by its own field"


@pytest.mark.parametrize("name", ["killed", "stuck", "out_of_memory"])
def test_an_unclean_end_empties_the_venue_and_comes_back_halted_and_latched(
    box: dict[str, Facts], name: str
) -> None:
    facts = told(box, name)
    assert facts["open_before"] >= 3
    assert facts["open_after"] == 0
    assert facts["trading_state"] == "HALTED"
    assert facts["latched"] is True
    assert facts["latch_file"] is True
    assert facts["refused"] is True, "a start under the latch must be refused"
    assert "daemon ended" in facts["latch_reason"]


def test_kill_9_leaves_the_venue_empty_in_seconds(box: dict[str, Facts]) -> None:
    facts = told(box, "killed")
    print(f"kill -9 to venue empty: {facts['empty_s']:.2f} s")
    assert facts["empty_s"] < 5, "the cancel does it, not the restart (RestartSec=5)"


def test_a_stuck_loop_is_ended_by_the_watchdog(box: dict[str, Facts]) -> None:
    facts = told(box, "stuck")
    assert facts["said_watchdog"]


def test_a_daemon_beyond_its_memory_is_ended_by_the_kernel_and_cancelled(
    box: dict[str, Facts],
) -> None:
    facts = told(box, "out_of_memory")
    print(f"out of memory to venue empty: {facts['empty_s']:.2f} s; {facts['memory']}")
    assert facts["policy"] == {"OOMPolicy": "stop", "MemoryMax": str(512 * 1024 * 1024)}
    assert facts["memory"]["limit_in_bytes"] == 512 * 1024 * 1024
    assert facts["memory"]["failcnt"] > 0, "the limit was met"
    assert facts["memory"]["max_usage_in_bytes"] <= 512 * 1024 * 1024
    assert any("oom" in line or "Killed process" in line for line in facts["kernel"])
    assert "status=9/KILL" in facts["log"]
    assert facts["empty_s"] < 5, "the cancel does it, not the restart (RestartSec=5)"


def test_systemds_socket_outlives_the_daemon_and_roles_stay_right(box: dict[str, Facts]) -> None:
    facts = told(box, "socket_activation")
    assert facts["before"] == "inactive"
    assert facts["first"]["trading_state"] == "HALTED", facts["first"]
    assert facts["socket"] == "seatrial:seatrial-stop 660"
    assert facts["nobody"][0] == 3
    assert "permission denied" in facts["nobody"][1], facts["nobody"]
    assert facts["stopper_starts"] == 4
    assert facts["operator_starts"][0] == 0, facts["operator_starts"]
    assert facts["open_before"] >= 1
    assert facts["kill"][0] == 0, facts["kill"]
    assert '"verified":true' in facts["kill"][1].replace(" ", "")
    assert facts["another_process"]
    assert facts["trading_state"] == "HALTED"
    assert facts["latched"] is True
    assert facts["killed_by"] == ["stina stopper"]
    assert facts["open_after"] == 0
    assert facts["held_while_stopped"]
    assert facts["gone_with_its_unit"]
    assert facts["own_socket"] == "seatrial:seatrial-stop 660", "without the unit it is the same"
    assert facts["stopper_asks"] == 0
    assert facts["stopper_re_arms"] == 4


def test_after_the_start_limit_the_failure_unit_cancels_and_packs(box: dict[str, Facts]) -> None:
    facts = told(box, "gives_up")
    assert facts["open_after"] == 0
    assert facts["latched"]
    assert facts["failure"] == {"Result": "success", "ExecMainStatus": "0"}, facts["failure_log"]
    assert "incident_note.md" in facts["pack"]
    assert "evidence_report.json" in facts["pack"], facts["failure_log"]


def test_a_venue_that_is_down_is_no_failed_start_and_a_bad_config_is_tried_once(
    box: dict[str, Facts],
) -> None:
    facts = told(box, "venue_down_at_boot")
    assert facts["ActiveState"] == "active"
    assert facts["gate"] in ("DOWN", "CONNECTING")
    assert facts["started_s"] < 30
    assert facts["bad"]["ActiveState"] == "failed"
    assert facts["bad"]["NRestarts"] == "0", facts["log"]
    assert facts["bad_latched"] is False, "a typing error must not latch"


def test_keys_are_for_the_daemon_alone(box: dict[str, Facts]) -> None:
    facts = told(box, "keys")
    assert facts["encrypted"]
    assert facts["nobody"] != 0
    assert not facts["in_environment"]
    assert not facts["in_command_line"]
    assert not facts["in_log"]
    assert facts["in_state"] == ""
    assert facts["config_by_nobody"] != 0
    assert facts["socket_by_nobody"] != 0


def test_the_field_guides_ed25519_key_trades_and_cancels(box: dict[str, Facts]) -> None:
    facts = told(box, "ed25519_keys")
    assert facts["open_before"] >= 1
    assert facts["open_after"] == 0
    assert facts["left_on_the_desk"] == ["pub.pem"], "the plain keys are shredded"
    assert facts["trading_state"] == "HALTED"


def test_a_hijacked_daemon_can_do_next_to_nothing(box: dict[str, Facts]) -> None:
    facts = dict(told(box, "sandbox"))
    facts.pop("seconds")
    allowed = {name for name, outcome in facts.items() if outcome == "done"}
    assert allowed == {"write own state"}, facts
    assert facts["udp to a private network"] == "PermissionError 1", "the address filter itself"
    assert len(facts) >= 18


def test_two_instances_do_not_meet(box: dict[str, Facts]) -> None:
    facts = told(box, "side_by_side")
    assert facts["left_open"] == 0
    assert facts["right_open"] >= 1
    assert facts["right"] == "ACTIVE"
    assert facts["right_latched"] is False
    assert facts["run_ids_differ"]


def test_an_upgrade_keeps_latch_and_counters(box: dict[str, Facts]) -> None:
    facts = told(box, "upgrade")
    assert facts["latched"] is True
    assert "before the upgrade" in facts["latch_reason"]
    assert facts["trading_state"] == "HALTED"
    assert facts["instance_same"]
    assert facts["after"] == facts["before"]
    assert int(facts["before"]["orders_per_day_max"]) >= 3


def test_a_package_upgrade_stops_in_order_and_starts_only_what_ran(box: dict[str, Facts]) -> None:
    facts = told(box, "upgrade")
    assert facts["was_trading"] == {"trading_state": "HALTED", "latched": False, "session_id": ""}
    assert facts["was_trading_open"] == 0
    assert facts["sessions_ended"] == 1, "the session was ended in order, not cut"
    assert facts["idle"] == "inactive", "what did not run must not be started"
    assert facts["started_again"] == ["active", "active"], "timers and sockets that ran"
    assert "seatriald@" not in facts["enabled"], facts["enabled"]


def test_removing_the_package_stops_everything_of_ours(box: dict[str, Facts]) -> None:
    facts = told(box, "removal")
    assert facts["open_before"] >= 3
    assert facts["open_after"] == 0
    assert [line for line in facts["still_active"] if ".slice" not in line and line] == []
    assert facts["config_kept"]
    assert facts["links_left"] == []
    assert not facts["config_left"]
    assert not facts["program_left"]
    assert facts["journal_kept"], "journals are evidence: a person removes them"


def test_a_full_disk_stops_trading_and_room_brings_it_back_halted(box: dict[str, Facts]) -> None:
    facts = told(box, "disk_full")
    print(f"disk full to venue empty: {facts['empty_s']:.2f} s")
    assert facts["open_before"] >= 3
    assert facts["orders_after"] == 0, "no journal, no orders"
    assert facts["while_full"]["trading_state"] == "HALTED"
    assert "No space left on device" in facts["while_full"]["journal_fault"]
    assert facts["while_full"]["disk_free_bytes"] < 64_000
    assert "no order leaves: the journal cannot be written" in facts["status_text"]
    assert facts["refused"]["error"]["data"]["code"] == "journal_fault", facts["refused"]
    assert facts["same_process"], "a restart does not empty a disk"
    assert facts["after"] == "HALTED", "it goes on by itself, but not into trading"
    assert "journal_fault" in facts["incidents"]
    assert facts["before_resolving"]["error"]["data"]["code"] == "incident_open"
    assert facts["open_again"] >= 1
    assert facts["open_after"] == 0
    assert "intact OK  complete OK" in facts["verify"], facts["verify"]


def test_a_boot_on_a_full_disk_waits_for_room(box: dict[str, Facts]) -> None:
    facts = told(box, "disk_full_at_boot")
    assert facts["open_before"] >= 3
    assert facts["open_after"] == 0
    assert "No space left on device" in facts["waiting"]["StatusText"]
    assert facts["still"] == {"ActiveState": "activating", "NRestarts": "1"}, facts["log"]
    assert facts["trading_state"] == "HALTED"


def test_the_scheduled_units_do_their_work(box: dict[str, Facts]) -> None:
    facts = told(box, "evidence_and_smoke")
    assert any(name.endswith(".json") for name in facts["evidence"]), facts["evidence"]
    assert facts["smoke"] == {"Result": "success", "ExecMainStatus": "0"}, facts["smoke_log"]
    for name in ("prj-runs.json", "prk-runs.json", "stability_gate.json"):
        assert name in facts["smoke_left"], "the stability gate has nothing to read"


def test_every_command_of_the_runbook_runs_top_to_bottom(box: dict[str, Facts]) -> None:
    facts = told(box, "runbook")
    words = facts["output"][-6_000:] + facts["journal"]
    assert facts["code"] == 0, words
    assert "=== all blocks ran" in facts["output"], words
