"""Every order that is more than its type, and an amend, from a strategy to the venue's ledger.

A real venue process and a real daemon; the judge is the ledger, and the accountant after it.
"""

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from control.control_errors import ControlError
from control.tool.client import call
from daemon.demo.plan import toml_text
from tests.support.exerciser import QTY, TRAIL_BPS
from tests.support.journal_lines import journal_lines
from tests.support.sim_process import ROOT, SimProcess

DEADLINE_S = 60.0
FEATURES = ["TRAILING", "ICEBERG", "PEGGED"]


def config(directory: Path, sim: SimProcess, **venue: Any) -> Path:
    caps: dict[str, Any] = tomllib.loads((ROOT / "daemon/demo/caps/demo.toml").read_text())["caps"]
    row = dict(caps["symbols"]["BTCUSDT"])
    row |= {
        "order_features": FEATURES,
        "order_types": [*row["order_types"], "STOP_LOSS_LIMIT"],
        "collar_bps_max": 500,
    }
    caps["symbols"] = {"BTCUSDT": row}
    keys = directory / "keys.toml"
    keys.touch(mode=0o600)
    keys.write_text(toml_text({"api_key": sim.api_key, "api_secret": sim.api_secret}))
    plan = {
        "state_dir": str(directory / "state"),
        "venue": {
            "environment": "sim",
            "symbols": ["BTCUSDT"],
            "rest": sim.rest,
            "ws_api": sim.ws_api,
            "streams": sim.streams,
            **venue,
        },
        "credentials": {"file": str(keys)},
        "metrics": {"port": 0},
        "strategies": {
            "exerciser": {"class": "tests.support.exerciser:Exerciser", "symbols": ["BTCUSDT"]}
        },
        "caps": caps,
    }
    path = directory / "seatrial.toml"
    path.write_text(toml_text(plan))
    return path


def until(ready: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        found = ready()
        if found:
            return found
        time.sleep(0.05)  # sleep: a poll of another process
    pytest.fail(f"not within {DEADLINE_S} s: {what}")


@pytest.mark.parametrize("road", ["ws", "rest"])
def test_each_reaches_the_venue_as_it_was_wished(tmp_path: Path, road: str) -> None:
    with SimProcess(seed=3, symbols="BTCUSDT", flow_rate=20) as sim:
        path = config(tmp_path, sim, order_road=road)
        socket = tmp_path / "state" / "control.sock"

        def status() -> dict[str, Any]:
            try:
                return dict(call(socket, "status"))
            except ControlError:
                return {}

        daemon = subprocess.Popen(
            [sys.executable, "-m", "daemon", "--config", path],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until(lambda: status().get("gate_state") == "READY", "READY")
            call(socket, "start", reason="exercise")
            orders = until(lambda: complete(sim), "four orders, one of them amended")
            until(lambda: lines_of(tmp_path, "order_amended"), "the amend is known")
            call(socket, "shutdown", reason="done")
            assert daemon.wait(timeout=DEADLINE_S) == 0
        finally:
            daemon.kill()
            told = daemon.communicate()[1]
        ledger = sim.ledger()
    by_kind = {kind_of(row): row for row in orders}
    assert set(by_kind) == {"plain", "iceberg", "pegged", "trailing"}, told
    assert Decimal(by_kind["plain"]["qty"]) == QTY / 2, "amended"
    assert Decimal(by_kind["iceberg"]["iceberg_qty"]) == QTY / 2
    assert by_kind["trailing"]["trailing_bps"] == TRAIL_BPS
    assert by_kind["pegged"]["peg"] == "PRIMARY_PEG"
    asked = (
        "WS order.amend.keepPriority"
        if road == "ws"
        else ("REST PUT /api/v3/order/amend/keepPriority")
    )
    assert ledger["requests"][asked] == 1
    assert ledger["open_orders"] == []
    judge(tmp_path, ledger)


def test_orders_that_requests_have_renamed_are_known_after_a_crash_and_a_stop_by_hand(
    tmp_path: Path,
) -> None:
    """One was amended; the daemon dies, another process cancels, and the next boot reads it all."""
    with SimProcess(seed=3, symbols="BTCUSDT", flow_rate=20) as sim:
        path = config(tmp_path, sim)
        socket = tmp_path / "state" / "control.sock"

        def status() -> dict[str, Any]:
            try:
                return dict(call(socket, "status"))
            except ControlError:
                return {}

        daemon = subprocess.Popen([sys.executable, "-m", "daemon", "--config", path], cwd=ROOT)
        try:
            until(lambda: status().get("gate_state") == "READY", "READY")
            call(socket, "start", reason="exercise")
            until(lambda: complete(sim), "four orders, one of them amended")
            until(lambda: lines_of(tmp_path, "order_amended"), "the amend is known")
        finally:
            daemon.kill()
            daemon.wait(timeout=DEADLINE_S)
        stop = [sys.executable, "-m", "control.main", "kill", "--direct", "--config", path]
        stopped = subprocess.run([*stop, "--reason", "by hand"], cwd=ROOT, check=False, timeout=60)
        assert stopped.returncode == 0
        daemon = subprocess.Popen([sys.executable, "-m", "daemon", "--config", path], cwd=ROOT)
        try:
            until(lambda: status().get("gate_state") == "READY", "READY again")
            call(socket, "shutdown", reason="done")
            assert daemon.wait(timeout=DEADLINE_S) == 0
        finally:
            daemon.kill()
            daemon.wait(timeout=DEADLINE_S)
        ledger = sim.ledger()
    approved = {line["client_order_id"] for line in lines_of(tmp_path, "order_approved")}
    assert {line["client_order_id"] for line in lines_of(tmp_path, "order_state")} <= approved
    assert not [one for one in lines_of(tmp_path, "order_resolved") if one["outcome"] == "adopted"]
    shown = {row["cancel_id"] for row in ledger["cancels"]}
    assert shown
    assert {one[8] for one in shown} == {"k"}, "the process that stopped by hand named its cancels"
    assert {one[9:20] for one in shown} <= {one[9:20] for one in approved}
    books = tmp_path / "ledger.json"
    books.write_text(json.dumps(ledger))
    done = subprocess.run(
        [sys.executable, "-m", "control.main", "evidence", "verify", tmp_path / "state" / "journal",
         "--ledger", books, "--venue-history", books, "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    (told,) = json.loads(done.stdout)["journals"].values()
    anchors = told["venue_anchors"]
    assert (anchors["misfits"], anchors["lost_tail"]["count"]) == (0, 0), anchors
    assert anchors["anchors"] == anchors["ids"] >= 4 + len(shown)
    assert told["intact"]["verdict"] == "OK"
    assert told["corroborated"]["verdict"] == "OK", told["corroborated"]


def lines_of(directory: Path, event_type: str) -> list[dict[str, Any]]:
    return journal_lines(directory / "state", event_type)


def complete(sim: SimProcess) -> list[dict[str, Any]]:
    orders: list[dict[str, Any]] = sim.ledger()["orders"]
    is_amended = any(Decimal(row["qty"]) == QTY / 2 for row in orders)
    return orders if len(orders) == 4 and is_amended else []


def kind_of(row: dict[str, Any]) -> str:
    if row["trailing_bps"]:
        return "trailing"
    if row["peg"]:
        return "pegged"
    return "iceberg" if Decimal(row["iceberg_qty"]) else "plain"


def judge(directory: Path, ledger: dict[str, Any]) -> None:
    """The accountant: the journal alone, then against the ledger, then decision by decision."""
    books = directory / "ledger.json"
    books.write_text(json.dumps(ledger))
    journal = directory / "state" / "journal"
    done = subprocess.run(
        [sys.executable, "-m", "control.main", "evidence", "report", journal, "--ledger", books,
         "--out-dir", directory / "evidence", "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    report = json.loads(done.stdout)
    counted = report["journals"][0]["orders"]
    assert report["reasons"] == [], report["reasons"]
    assert counted["problems"]["count"] == 0 if "count" in counted["problems"] else True
    again = subprocess.run(
        [sys.executable, "-m", "evidence.recheck", journal],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
    lines = [json.loads(row) for part in sorted(journal.glob("journal-*.jsonl"))
             for row in part.read_text().splitlines()]  # fmt: skip
    kinds = [line["event_type"] for line in lines]
    assert kinds.index("amend_requested") < kinds.index("order_amended")
    extras = [line["extras"] for line in lines if line["event_type"] == "order_approved"
              and "extras" in line]  # fmt: skip
    assert len(extras) == 3
