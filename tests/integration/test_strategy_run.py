"""`seatrial strategy`: the template's own tests and a run, as a user would do them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.box import ROOT

DEADLINE_S = 300


def tool(*words: str, place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "control.main", *words],
        cwd=place, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_new_strategy_passes_its_tests_and_its_check_and_runs(tmp_path: Path) -> None:
    made = tool("strategy", "new", "first-one", "--dir", "mine", place=tmp_path)
    assert made.returncode == 0, made.stderr
    clone = (
        '[tool.pytest.ini_options]\naddopts = "--strict-config --import-mode=importlib"\nx = 1\n'
    )
    (tmp_path / "pyproject.toml").write_text(clone)
    (own,) = (line.split()[1:] for line in made.stdout.splitlines() if "-m pytest" in line)
    for words in ("mine/test_first_one.py", "strategy check mine/first_one.py:FirstOne",
                  "strategy run mine/first_one.py:FirstOne --minutes 2"):  # fmt: skip
        assert words in made.stdout
    again = tool("strategy", "new", "first-one", "--dir", "mine", place=tmp_path)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    tests = subprocess.run(
        [sys.executable, *own, "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout
    assert "5 passed" in tests.stdout
    checked = tool("strategy", "check", "mine/first_one.py:FirstOne", "--json", place=tmp_path)
    assert checked.returncode == 0, checked.stdout
    assert json.loads(checked.stdout)["findings"] == []
    ran = tool(
        "strategy", "run", "mine/first_one.py:FirstOne", "--minutes", "0.1", "--dir", "run",
        "--param", "period_ms=200", "--json", place=tmp_path,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["verdict"] == "OK"
    assert told["orders"] > 0
    ledger = json.loads(Path(told["ledger"]).read_text())
    assert told["orders"] == len([one for one in ledger["orders"] if one.get("ours", True)])
    assert told["slowest_turn_ms"] > 0


def test_a_strategy_that_raises_shows_its_traceback(tmp_path: Path) -> None:
    (tmp_path / "raising.py").write_text(
        "from daemon.strategies.silent import Silent\n\n\n"
        "class Raising(Silent):\n"
        "    def on_market(self, view, top):\n"
        "        return self.decided(top)\n\n"
        "    def decided(self, top):\n"
        '        raise ValueError(f"no idea at {top.bid_px > 0}")\n'
    )
    ran = tool("strategy", "run", "raising.py:Raising", "--minutes", "5", place=tmp_path)
    assert ran.returncode == 2, ran.stderr
    for words in (
        "your strategy raised in on_market",
        "raising.py:6 in on_market: return self.decided(top)",
        "raising.py:9 in decided: raise ValueError(",
        "ValueError: no idea at True",
    ):
        assert words in ran.stdout


def test_what_cannot_be_run_says_why_and_starts_nothing(tmp_path: Path) -> None:
    lost = tool("strategy", "run", "nowhere.py:X", place=tmp_path)
    assert lost.returncode == 1
    assert "nowhere.py: there is no such file" in lost.stderr
    (tmp_path / "fine.py").write_text("class X: ...\n")
    preset = tool("strategy", "run", "fine.py:X", "--caps", "loose", place=tmp_path)
    assert preset.returncode == 1
    assert "no caps preset 'loose'" in preset.stderr
    symbol = tool("strategy", "run", "fine.py:X", "--symbol", "NOPE", place=tmp_path)
    assert symbol.returncode == 2
    assert not (tmp_path / "strategy-run").exists()
