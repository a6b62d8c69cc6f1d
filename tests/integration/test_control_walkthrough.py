"""With the real daemon and the simulated venue: an incident from storm to re-arm, and every road
of the operator's tool on the way, the venue's own books as the judge."""

import json
import re
import signal
import time
from pathlib import Path

import pytest

from control.tool.command_frame import Wiring
from control.tool.mounted_commands import _direct_kill
from tests.support.box import DEADLINE_S, Box

pytestmark = pytest.mark.slow


def journal_types(box: Box) -> list[str]:
    return [
        json.loads(line)["event_type"]
        for segment in sorted((box.directory / "state" / "journal").glob("journal-*.jsonl"))
        for line in segment.read_text().splitlines()
    ]


def test_an_incident_from_storm_to_resolved_note_to_re_arm(tmp_path: Path) -> None:
    with Box(tmp_path) as box:
        assert box.status()["trading_state"] == "HALTED", "a human starts a session"
        box.must("start", "--yes", "--reason", "walk-through")
        box.until(lambda status: len(status["open_orders"]) > 0)

        deadline = time.monotonic() + DEADLINE_S
        while not box.status()["incidents_open"]:
            assert time.monotonic() < deadline, f"no storm was noticed: {box.status()}"
            box.sim.admin_post("strike", kind="abrupt_close", target="market")
            time.sleep(0.2)
        box.until(lambda status: status["trading_state"] == "HALTED" and not status["ending"])
        assert box.open_at_venue() == []

        (incident,) = json.loads(box.must("incident", "list", "--json"))["incidents"]
        incident_id = incident["incident_id"]
        note = box.must("incident", "show", incident_id, "--markdown")
        assert f"# Incident {incident_id}" in note
        assert incident["trigger"] in note
        assert "incident_opened" in note
        assert "disconnected" in note
        assert note.count("to fill in") == 3

        refused = box.tool("start", "--yes")
        assert refused.exit_code == 1
        assert "incident_open" in refused.stderr

        assert json.loads(box.must("kill", "--json", "--reason", "to be sure"))["verified"] is True
        box.until(lambda status: status["latched"] and not status["ending"])
        too_early = box.tool("re-arm", "--yes", "--reason", "impatient")
        assert too_early.exit_code == 1
        assert "incident_open" in too_early.stderr

        box.must("incident", "note", incident_id, "the venue cut us off again and again")
        box.must(
            *("incident", "resolve", incident_id, "--root-cause", "venue maintenance"),
            *("--remediation", "waited it out", "--follow-up", "subscribe to notices"),
        )
        assert box.tool("start", "--yes").exit_code == 1, "the latch still holds"
        box.until(lambda status: status["gate_state"] == "READY" and not status["incidents_open"])
        box.must("re-arm", "--reason", "venue is back", "--yes")
        note = box.must("incident", "show", incident_id, "--markdown")
        for answer in ("venue maintenance", "waited it out", "subscribe to notices"):
            assert answer in note
        assert re.search(r"State:\*\* resolved \S+ by \w", note)
        box.must("start", "--yes", "--reason", "all clear")
        box.until(lambda status: len(status["open_orders"]) > 0)

        box.must("shutdown", "--reason", "end of walk-through")
        assert box.wait_daemon() == 0
        assert box.open_at_venue() == []
        types = journal_types(box)
        story = ["session_start", "incident_opened", "kill", "incident_resolved", "re_arm"]
        places = [types.index(kind) for kind in story]
        assert places == sorted(places)
        assert types.count("session_start") == 2


def test_kill_holds_across_every_kind_of_restart(tmp_path: Path) -> None:
    with Box(tmp_path) as box:
        box.must("start", "--yes")
        box.until(lambda status: len(status["open_orders"]) > 0)
        told = json.loads(box.must("kill", "--json", "--reason", "enough"))
        assert told["verified"] is True
        assert box.open_at_venue() == []
        for number in (signal.SIGTERM, signal.SIGKILL):
            box.signal_daemon(number)
            box.wait_daemon()
            box.start_daemon()
            status = box.until(lambda status: status["latched"])
            assert status["trading_state"] == "HALTED"
            assert "enough" in box.must("status")
            assert "latched" in box.tool("start", "--yes").stderr
        box.must("re-arm", "--reason", "enough of enough", "--yes")
        box.must("start", "--yes")
        box.until(lambda status: len(status["open_orders"]) > 0)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_the_direct_road_needs_no_daemon_and_the_daemon_finds_the_latch(
    tmp_path: Path, number: signal.Signals
) -> None:
    wiring = Wiring(direct_kill=_direct_kill)
    with Box(tmp_path) as box:
        box.must("start", "--yes")
        box.until(lambda status: len(status["open_orders"]) > 0)
        box.signal_daemon(signal.SIGSTOP)
        while not box.open_at_venue():  # it was between a cancel and the next order
            box.signal_daemon(signal.SIGCONT)
            box.until(lambda status: len(status["open_orders"]) > 0)
            box.signal_daemon(signal.SIGSTOP)
        box.signal_daemon(number)
        direct = ("kill", "--direct", "--config", str(box.config), "--reason", "it hangs", "--json")
        result = box.tool(*direct, wiring=wiring)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["verified"] is True
        assert box.open_at_venue() == []
        if number == signal.SIGSTOP:
            box.signal_daemon(signal.SIGCONT)
        else:
            box.wait_daemon()
            box.start_daemon()
        status = box.until(lambda status: status["latched"] and not status["open_orders"])
        assert status["trading_state"] == "HALTED"
        assert box.open_at_venue() == []
