"""Symbols in any script, and configurations written with any editor, on a box of real processes."""

import json
import subprocess
import urllib.request
from decimal import Decimal
from pathlib import Path

import pytest

from evidence.judge.decision_recheck import recheck
from tests.support.box import Box
from tests.support.forked import run

NAME = "币安人生USDT"


class NamedBox(Box):
    """A box that trades one symbol of another script, on a venue that lists it."""

    def __init__(self, directory: Path, order_road: str) -> None:
        super().__init__(directory, strategy="heartbeat")
        self.order_road = order_road
        self.sim._arguments += ["--symbols", f"BTCUSDT,{NAME}"]

    def start_daemon(self, gate: str = "READY") -> None:
        text = self.config.read_text(encoding="utf-8").replace("BTCUSDT", NAME)
        text = text.replace("[venue]\n", f'[venue]\norder_road = "{self.order_road}"\n', 1)
        table, _, rest = text.partition(f"[caps.symbols.{NAME}]\n")
        loose, after = rest.split("\n[", 1)
        loose = "\n".join(
            f'{line.split(" = ")[0]} = "100000"' if "_base_max" in line else line
            for line in loose.splitlines()
        )
        text = f'{table}[caps.symbols."{NAME}"]\n{loose}\n[{after}'
        self.config.write_text(text, encoding="utf-8")
        super().start_daemon(gate)


@pytest.mark.slow
@pytest.mark.parametrize("order_road", ["ws", "rest"])
def test_a_symbol_of_another_script_trades_end_to_end(tmp_path: Path, order_road: str) -> None:
    with NamedBox(tmp_path, order_road) as box:
        assert box.status()["market"][NAME]["bid"]
        box.must("start", "--yes", "--reason", "names")
        box.until(lambda status: status["session_fills"] > 0 or status["session_orders"] > 2)
        box.must("cancel-all", "--symbol", NAME, "--reason", "names")
        port = box.until(lambda status: bool(status.get("metrics_port")))["metrics_port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as metrics:
            told = metrics.read().decode("utf-8")
        assert f'symbol="{NAME}"' in told
        for kind in ("run_start", "recovery"):  # written before anything else is told of lines
            assert f'seatrial_events_total{{event_type="{kind}"}} 1.0' in told
        box.must("stop", "--reason", "names")
        orders = [one for one in box.sim.ledger()["orders"] if one["symbol"] == NAME]
        assert orders, "the venue has seen orders of that symbol"
        assert all(one["client_order_id"].isascii() for one in orders)
        assert NAME in box.must("status", "--json")
    checked = recheck([tmp_path / "state" / "journal"])
    assert checked["checked"] > 0
    assert checked["is_agreed"], checked


@pytest.mark.slow
def test_every_documented_command_with_a_configuration_works_beside_its_daemon(
    tmp_path: Path,
) -> None:
    with Box(tmp_path) as box:
        box.must("start", "--yes", "--reason", "commands")
        box.until(lambda status: status["session_orders"] > 0)
        done = tool("caps", "explain", "--config", str(box.config), "--json")
        assert done.returncode == 0, done.stderr
        rows = {(row["cap"], row["symbol"]): row["used"] for row in json.loads(done.stdout)["caps"]}
        assert Decimal(rows["orders_per_day_max", ""]) >= 1
        done = tool("caps", "explain", "--config", str(box.config))
        assert done.returncode == 0, done.stderr
        done = tool("doctor", "--config", str(box.config))
        assert "Traceback" not in done.stderr + done.stdout
        done = tool("preflight", "--config", str(box.config))
        assert "Traceback" not in done.stderr + done.stdout


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("tool", arguments)
