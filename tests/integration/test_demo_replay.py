"""`seatrial demo --replay`: trades of any symbol that the simulated venue knows."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.demo.plan import DemoOptions, symbols_of

ROOT = Path(__file__).parents[2]


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "control.main", "demo", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def record(path: Path, price: float, qty: str) -> None:
    rng, now_ms, lines = random.Random(1), 1_600_000_000_000, []
    for number in range(3_000):
        now_ms += rng.randint(50, 400)
        price *= 1 + rng.uniform(-1, 1) * 2e-5
        side = rng.choice(("buy", "sell"))
        lines.append(f"{now_ms},{number + 1},{side},{price:.5f},{qty}")
    path.write_text("time_ms,trade_id,taker_side,price,qty\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize("name", ["BTCUSDT-2024.csv", "ETHUSDT-x.csv.gz", "DOGEUSDT-1.csv"])
def test_each_symbol_stands_once(name: str) -> None:
    symbols = symbols_of(DemoOptions(directory=Path(), replay=Path(name)))
    assert len(set(symbols)) == len(symbols)
    assert symbols[0] == name.partition("-")[0]


def test_a_symbol_that_the_preset_does_not_know_gets_caps(tmp_path: Path) -> None:
    record(tmp_path / "DOGEUSDT-1.csv", 0.1, "500")
    done = demo(
        "--seconds", "8", "--speed", "20", "--json",
        "--replay", str(tmp_path / "DOGEUSDT-1.csv"), "--dir", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"] == "OK"
    assert result["cap_breaches_at_venue"] == 0


def test_a_file_whose_name_is_no_symbol_is_refused_with_the_mend(tmp_path: Path) -> None:
    record(tmp_path / "trades.csv", 60_000, "0.01")
    done = demo("--replay", str(tmp_path / "trades.csv"), "--dir", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "name it SYMBOL-….csv" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "run").exists()
