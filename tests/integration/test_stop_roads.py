"""The three roads to a stop, between real processes: the venue's own ledger is the judge.

60 orders rest on 10 symbols, one millisecond away. Each road must end with none of them open, the
latch on the disk, and a daemon that comes back HALTED. Times are measured by `make bench-stop`,
with 200 orders; the bounds here only catch a road that has stopped working.
"""

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.control_errors import RpcError
from tests.support.stop_stage import StopStage

SLOW_MACHINE_MS = 10_000


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[StopStage]:
    with StopStage(tmp_path, orders_per_symbol=6) as made:
        made.start_daemon()
        made.fill()
        assert len(made.venue_open()) == made.orders_open == 60
        yield made


def assert_stopped(stage: StopStage, result: dict[str, Any]) -> None:
    """The venue has nothing of ours; the latch is on the disk; the answer says so."""
    assert stage.venue_open() == []
    assert result["verified"] is True, result
    assert result["open_orders"] == 0
    assert result["gate_ms"] <= result["empty_ms"] <= result["settled_ms"] < SLOW_MACHINE_MS
    entries = list((stage.state_dir / "kill-latch").iterdir())
    assert entries, "the latch is not on the disk"
    assert json.loads(entries[0].read_text())["reason"] == "stop test"


def assert_comes_back_halted(stage: StopStage) -> None:
    """A new daemon finds the latch: HALTED, no start, whatever was killed how."""
    stage.kill_hard()
    stage.clear_signals()
    stage.start_daemon()
    status = stage.until(lambda: _latched(stage.status()), "the daemon says that it is latched")
    assert status["trading_state"] == "HALTED"
    stage.until(lambda: stage.status().get("ending") == "", "it has come to rest")
    with pytest.raises(RpcError, match="re-arm first"):
        stage.call("start", reason="too early")
    assert stage.venue_open() == []


def _latched(status: dict[str, Any]) -> dict[str, Any]:
    return status if status.get("latched") else {}


@pytest.mark.slow
def test_the_normal_road_and_the_way_back(stage: StopStage) -> None:
    assert_stopped(stage, stage.kill())
    steps = stage.until(lambda: _kill_steps(stage, "verified_empty"), "the kill is journalled")
    assert steps[:1] == ["gate_closed"]
    assert set(steps) == {"gate_closed", "latched", "verified_empty"}
    assert_comes_back_halted(stage)
    # The second restart finds it as well, and re-arming asks for a reason.
    stage.kill_hard()
    stage.start_daemon()
    assert stage.until(lambda: _latched(stage.status()), "still latched")
    with pytest.raises(RpcError, match="reason"):
        stage.call("re-arm", reason="")
    stage.re_arm()
    assert list((stage.state_dir / "kill-latch").iterdir()) == []
    stage.fill()
    assert len(stage.venue_open()) == 60


def _kill_steps(stage: StopStage, last: str) -> list[str]:
    steps = [line["step"] for line in stage.journal() if line["event_type"] == "kill"]
    return steps if last in steps else []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["spin", "block", "storm"])
def test_a_stuck_main_loop_does_not_keep_us_from_stopping(stage: StopStage, how: str) -> None:
    stage.signal(how)
    stage.until_stuck()
    assert_stopped(stage, stage.kill())
    stage.until(lambda: stage.status().get("halt_closed"), "the flag is closed")
    if how == "spin":
        assert_comes_back_halted(stage)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_a_second_process_stops_what_is_stopped_or_dead(
    stage: StopStage, how: signal.Signals
) -> None:
    stage.send_signal(how)
    assert_stopped(stage, stage.kill_direct())
    if how is signal.SIGSTOP:
        # Woken, the old daemon finds the latch by itself.
        stage.send_signal(signal.SIGCONT)
        status = stage.until(lambda: _latched(stage.status()), "the woken daemon follows")
        assert status["trading_state"] == "HALTED"
    else:
        assert_comes_back_halted(stage)


@pytest.mark.slow
def test_a_second_process_stops_a_daemon_whose_interpreter_is_held(stage: StopStage) -> None:
    """A C call that keeps the interpreter to itself: no thread of ours runs, a process does."""
    stage.signal("hold")
    stage.until(lambda: not stage.status(timeout_s=0.5), "nobody answers any more")
    assert_stopped(stage, stage.kill_direct())


@pytest.mark.slow
@pytest.mark.parametrize("road", ["normal", "stuck", "direct"])
def test_an_order_that_is_accepted_while_we_stop_is_caught(tmp_path: Path, road: str) -> None:
    """The venue holds a placement back, and accepts it after it has shown us an empty book."""
    held_ms = 900
    with StopStage(tmp_path, symbols=("BTCUSDT", "ETHUSDT"), orders_per_symbol=2) as stage:
        stage.start_daemon()
        stage.fill()
        stage.sim.load_faults(
            [
                {
                    "kind": "delay_request",
                    "rate": 1.0,
                    "purposes": ["place"],
                    "params": {"ms_min": held_ms, "ms_max": held_ms},
                }
            ]
        )
        since_ns = stage.ledger_since(2**62)["ts_ns"]
        stage.signal("place")
        stage.until(lambda: _held(stage), "the venue holds the order back")
        if road == "stuck":
            stage.signal("spin")
        if road == "direct":
            stage.send_signal(signal.SIGSTOP)
            result = stage.kill_direct()
        else:
            result = stage.kill()
        assert_stopped(stage, result)
        accepted = [
            row for row in stage.ledger_since(since_ns)["events"] if row["kind"] == "accepted"
        ]
        assert len(accepted) == 1, "the order did arrive"
        assert result["settled_ms"] > result["empty_ms"]


def _held(stage: StopStage) -> bool:
    return bool(stage.ledger_since(2**62)["faults"].get("delay_request"))


@pytest.mark.slow
def test_re_arming_waits_for_incidents_and_a_clean_comparison(tmp_path: Path) -> None:
    with StopStage(tmp_path, symbols=("BTCUSDT", "ETHUSDT"), orders_per_symbol=2) as stage:
        stage.start_daemon()
        stage.fill()
        assert_stopped(stage, stage.kill())
        stage.sim.admin_post("foreign-order")
        found = stage.until(lambda: _unresolved(stage), "somebody else's order is an incident")
        stage.until(lambda: not stage.status()["ending"], "the kill has come to rest")
        with pytest.raises(RpcError, match=r"resolve incident|comparing|clean"):
            stage.call("re-arm", reason="too early")
        for incident in found:
            stage.call(
                "incident-resolve",
                incident_id=incident["incident_id"],
                root_cause="a colleague's order",
                remediation="canceled by hand",
                follow_up="an account of our own",
            )
        with pytest.raises(RpcError, match=r"not clean|not READY|resolve incident"):
            stage.call("re-arm", reason="it is still there")
        for row in stage.sim.signed("GET", "openOrders"):
            stage.sim.signed("DELETE", "order", symbol=row["symbol"], orderId=row["orderId"])
        stage.until(lambda: _explained(stage), "the books are clean")
        stage.re_arm()
        assert not stage.status()["latched"]


def _explained(stage: StopStage) -> bool:
    """What was found meanwhile is explained, too; whether the books are clean by now."""
    for incident in _unresolved(stage):
        answers = dict.fromkeys(("root_cause", "remediation", "follow_up"), "gone")
        with contextlib.suppress(RpcError):  # resolved already: the status is a moment old
            stage.call("incident-resolve", incident_id=incident["incident_id"], **answers)
    status = stage.status()
    return not status.get("not_ready", ["?"]) and not _unresolved(stage)


def _unresolved(stage: StopStage) -> list[dict[str, Any]]:
    incidents = stage.status().get("incidents", [])
    return [one for one in incidents if not one.get("resolved_by")]
