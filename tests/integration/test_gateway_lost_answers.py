"""The table of the ten buys: every answer to a placement lost, with and without the gateway."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli.demo_command import demo_command
from daemon.demo import lost_answers
from daemon.demo.lost_answers import LOOPS, is_safe, told

ROOT = Path(__file__).resolve().parents[2]


def test_a_naive_bot_buys_ten_times_at_the_venue_and_once_through_the_gateway(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "control.main", "demo", "--bot", "ccxt", "--json",
         "--dir", str(tmp_path / "scene")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["direct"] == {
        "orders_at_venue": LOOPS,
        "trades_in_bot": 0,
        "attempts": LOOPS,
    }
    assert result["gate"] == {"orders_at_venue": 1, "trades_in_bot": 1, "attempts": 1}
    assert is_safe(result)
    assert told(result)[-1].split() == ["through", "the", "gateway", "1", "1"]


def test_a_bot_that_is_not_installed_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lost_answers.shutil, "which", lambda _name: None)
    done = CliRunner().invoke(demo_command, ["--bot", "freqtrade", "--dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "pip install freqtrade" in done.stderr
    assert not list(tmp_path.iterdir())
