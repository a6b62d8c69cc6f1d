"""`seatrial demo -- COMMAND`: somebody's own program through the gateway, then its evidence."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "examples" / "ccxt_script.py"


def demo(home: Path, *command: str, seconds: int = 60) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "control.main", "demo", "--json", "--seconds", str(seconds),
         "--dir", str(home), "--", *command],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_ccxt_script_of_the_readme_trades_and_its_evidence_agrees_with_the_ledger(
    tmp_path: Path,
) -> None:
    home = tmp_path / "run"
    done = demo(home, sys.executable, "-W", "ignore", str(SCRIPT))
    assert done.returncode == 0, done.stderr + (home / "bot.log").read_text()
    result = json.loads(done.stdout)
    ledger = json.loads((home / "ledger.json").read_text())
    assert result["verdict"] == "OK"
    assert result["orders"] == len(ledger["orders"]) == 15
    assert result["denied"] == {"order_qty": 1}
    assert "refused: InvalidOrder" in (home / "bot.log").read_text()
    assert result["open_at_venue"] == len(ledger["open_orders"]) == 0
    assert "mybot" in Path(result["evidence_html"]).read_text()


def test_a_bot_that_does_nothing_confirms_nothing_and_one_that_is_not_there_is_named(
    tmp_path: Path,
) -> None:
    idle = demo(tmp_path / "idle", "/bin/true", seconds=6)
    assert idle.returncode == 2
    assert json.loads(idle.stdout)["orders"] == 0
    absent = demo(tmp_path / "absent", "/no/such/bot")
    assert absent.returncode == 1
    assert "seatrial demo: /no/such/bot: No such file or directory" in absent.stderr
    held = demo(tmp_path / "ed", "/bin/true", "{ed25519_key}")
    assert held.returncode == 1
    assert "{ed25519_key} is not given here" in held.stderr
