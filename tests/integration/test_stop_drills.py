"""Drills against a real daemon and a venue whose ledger tells whether an order left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from control.control_errors import RpcError
from daemon.shell.drills.drill_runner import DRILLS
from tests.support.stop_stage import ROOT, StopStage


@pytest.mark.slow
def test_every_drill_passes_and_no_order_leaves(tmp_path: Path) -> None:
    with StopStage(tmp_path, symbols=("BTCUSDT", "ETHUSDT"), orders_per_symbol=2) as stage:
        stage.start_daemon()
        assert dict.fromkeys(DRILLS) == stage.status()["drills"], "none was ever run"
        done = subprocess.run(
            [sys.executable, "-m", "daemon.cli.drill_command", "--all", "--json"],
            cwd=ROOT,
            env={**os.environ, "SEATRIAL_SOCKET": str(stage.socket)},
            capture_output=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        results = json.loads(done.stdout)
        assert [result["drill"] for result in results] == list(DRILLS)
        assert all(result["passed"] is True for result in results), results
        books = stage.ledger_since(0)
        assert (books["orders"], books["open_orders"], books["rejects"]) == ([], [], [])
        journalled = [line for line in stage.journal() if line["event_type"] == "drill"]
        assert [line["drill"] for line in journalled] == list(DRILLS)
        assert all(line["session_id"] == "" for line in journalled)
        assert [line["detail"] for line in journalled] == [one["detail"] for one in results]
        lost = [line for line in stage.journal() if line["event_type"] == "disconnected"]
        assert lost, "the disconnect drill cut nothing"
        assert not stage.status()["latched"], "a drill latches nothing"

        # A session can be started afterwards, and no drill inside it.
        stage.fill()
        with pytest.raises(RpcError, match="NO_TRADE"):
            stage.call("drill", drill="kill-switch")
        stage.kill_hard()
        stage.start_daemon()
        remembered = stage.status()["drills"]
        assert all(remembered[name]["passed"] for name in DRILLS)
        assert all(0 <= remembered[name]["age_s"] < 600 for name in DRILLS)


@pytest.mark.slow
def test_a_drill_says_what_did_not_work(tmp_path: Path) -> None:
    """The venue cannot be asked: the kill switch is not proven, and the drill says so."""
    with StopStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=0, round_trip=False) as stage:
        stage.start_daemon()
        with pytest.raises(RpcError, match="no drill"):
            stage.call("drill", drill="fire")
        stage.sim.admin_post("strike", kind="rest_outage", seconds=60)
        stage.sim.admin_post("strike", kind="ws_api_outage", seconds=60)
        answer = stage.call("drill", drill="kill-switch")
        assert answer["passed"] is False
        (result,) = answer["drills"]
        assert "venue_verified_empty" in result["detail"]["problem"]
        assert stage.status()["drills"]["reconcile"] is None
