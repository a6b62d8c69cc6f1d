"""A really stopped process, with orders open, wakes: what it does before it trades again."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.stop_stage import StopStage

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def asleep(stage: StopStage, seconds: float) -> None:
    stage.send_signal(signal.SIGSTOP)
    time.sleep(seconds)  # sleep: how long nothing of the daemon runs is the fault itself
    stage.send_signal(signal.SIGCONT)


def lines(stage: StopStage, kind: str) -> list[dict[str, Any]]:
    return [line for line in stage.journal() if line["event_type"] == kind]


@pytest.mark.slow
def test_a_short_sleep_brings_a_comparison_and_a_long_one_an_incident(tmp_path: Path) -> None:
    with StopStage(tmp_path, symbols=SYMBOLS, orders_per_symbol=2, round_trip=False) as stage:
        stage.start_daemon()
        stage.fill()
        assert len(stage.venue_open()) == 4

        asleep(stage, 4)
        stage.until(
            lambda: any(line["reason"].startswith("slept ") for line in lines(stage, "reconciled")),
            "books are compared after a gap of four seconds",
        )
        stage.until(lambda: stage.status()["trading_state"] == "ACTIVE", "and it trades on")
        assert lines(stage, "incident_opened") == []
        states = [(line["new"], line["why"]) for line in lines(stage, "trading_state")]
        assert ("REDUCING", "the gate is RECONCILING") in states

        asleep(stage, 13)
        stage.until(lambda: stage.venue_open() == [], "the venue's book holds none of ours")
        stage.until(lambda: stage.status()["trading_state"] == "HALTED", "and nothing trades on")
        (opened,) = lines(stage, "incident_opened")
        assert opened["trigger"] == "process_stopped"
        assert len(opened["context"]["orders"]) == 4
