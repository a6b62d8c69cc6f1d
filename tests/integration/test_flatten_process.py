"""A real daemon is told to flatten a position larger than one order may be; others judge it."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.sim_process import ROOT
from tests.support.stop_stage import StopStage

QUOTER = """[strategies.quoter]
class = "quoter"
symbols = ["BTCUSDT", "ETHUSDT"]
[strategies.quoter.params]
qty = "0.02"
half_spread_bps = 1
requote_bps = 1

"""


def positions(stage: StopStage) -> dict[str, Decimal]:
    return {name: Decimal(one["qty"]) for name, one in stage.status()["positions"].items()}


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_it_is_sliced_and_what_is_left_is_told_and_every_slice_is_decided_alike_again(
    tmp_path: Path,
) -> None:
    settings: dict[str, Any] = {"session": {"flatten_allowed": True}}
    symbols = ("BTCUSDT", "ETHUSDT")
    with StopStage(tmp_path, symbols=symbols, round_trip=False, settings=settings) as stage:
        text = stage.config.read_text()
        head, tail = text.index("[strategies."), text.index("[caps")
        stage.config.write_text(text[:head] + QUOTER + text[tail:])
        stage.start_daemon()
        stage.call("start", reason="build a position")
        stage.until(
            lambda: any(abs(qty) > Decimal("0.015") for qty in positions(stage).values()),
            "a position",
        )
        small = {f"symbols.{symbol}.order_qty_base_max": "0.003" for symbol in symbols}
        stage.call("caps-tighten", reason="smaller than the position", changes=small)
        told = run("control.main", "--socket", stage.socket, "flatten", "--yes", "--reason", "end")
        assert told.returncode == 0, told.stderr
        assert "flat" in told.stdout
        assert "NOT" not in told.stdout
        stage.until(lambda: stage.status()["trading_state"] == "HALTED", "halted at its end")
        assert stage.venue_open() == []
        assert all(abs(qty) < Decimal("0.0001") for qty in positions(stage).values())
        lines = stage.journal()
        slices = [
            Decimal(line["qty"])
            for line in lines
            if line["event_type"] == "order_approved" and line["reason"] == "flatten"
        ]
        assert len(slices) >= 5
        assert max(slices) <= Decimal("0.003")
        again = run("evidence.recheck", stage.state_dir / "journal")
        assert again.returncode == 0, again.stdout
