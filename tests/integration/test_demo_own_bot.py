"""`seatrial demo -- COMMAND`: somebody's own program through the gateway, then its evidence."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.demo.own_bot import is_clean, judged, told

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def demo(home: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    arguments = ("demo", "--json", "--seconds", "6", "--out-dir", str(home), "--", *command)
    return run(sys.executable, "-m", "control.main", *arguments)


def readme_command(beginning: str) -> list[str]:
    """The first command of the README's shell blocks that begins so, for this interpreter."""
    line = re.search(rf"^{re.escape(beginning)}.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert line, beginning
    place = {".venv/bin/seatrial": [sys.executable, "-m", "control.main"]}
    place |= {
        name: [sys.executable, "-W", "ignore"] for name in (".venv/bin/python", "bot/bin/python")
    }
    words = shlex.split(line[0], comments=True)
    return [part for word in words for part in place.get(word, [word])]


def test_the_commands_of_the_readme_run_a_ccxt_script_and_its_evidence_agrees_with_the_ledger(
    tmp_path: Path,
) -> None:
    home = tmp_path / "run"
    words = readme_command(".venv/bin/seatrial demo --seconds 30")
    words = [str(home) if word == "my-run" else word for word in words]
    done = run(*words[: words.index("--")], "--json", *words[words.index("--") :])
    assert done.returncode == 0, done.stderr + (home / "bot.log").read_text()
    result = json.loads(done.stdout)
    ledger = json.loads((home / "ledger.json").read_text())
    assert result["verdict"] == "OK"
    assert result["orders"] == len(ledger["orders"]) == 15
    assert result["denied"] == {"order_qty": 1}
    assert "refused: InvalidOrder" in (home / "bot.log").read_text()
    assert result["open_at_venue"] == len(ledger["open_orders"]) == 0
    assert "mybot" in Path(result["evidence_html"]).read_text()
    again = readme_command(".venv/bin/python -m evidence.recheck my-run")
    checked = run(*(word.replace("my-run", str(home)) for word in again))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "16" in checked.stdout, "fifteen orders and a denial"


def test_a_bot_that_does_nothing_confirms_nothing_and_one_that_is_not_there_is_named(
    tmp_path: Path,
) -> None:
    idle = demo(tmp_path / "idle", "/bin/true")
    assert idle.returncode == 2
    result = json.loads(idle.stdout)
    assert (result["orders"], result["verdict"]) == (0, "UNKNOWN")
    absent = demo(tmp_path / "absent", "/no/such/bot")
    assert absent.returncode == 1
    assert "seatrial demo: /no/such/bot: No such file or directory" in absent.stderr
    held = demo(tmp_path / "ed", "/bin/true", "{ed25519_key}")
    assert held.returncode == 1
    assert "{ed25519_key}: the key of a bot at the gate is HMAC; use {key}" in held.stderr


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (("OK", 0, 3, 0), "OK"),
        (("OK", 3, 3, 0), "FAIL"),
        (("OK", 0, 3, 1), "FAIL"),
        (("OK", 0, 0, 0), "UNKNOWN"),
        (("OK", 1, 0, 0), "FAIL"),
        (("NO_GO", 0, 3, 0), "NO_GO"),
    ],
)
def test_ok_is_said_only_of_a_bot_that_traded_and_did_not_fail(
    tmp_path: Path, found: tuple[str, int, int, int], word: str
) -> None:
    log = tmp_path / "bot.log"
    log.write_text("".join(f"line {number}\n" for number in range(30)) + "ModuleNotFoundError: x\n")
    verdict, reasons = judged(*found)
    result = {
        "verdict": verdict, "reasons": reasons, "orders": found[2], "open_at_venue": found[3],
        "fills": 0, "requests": 0, "denied": {}, "bot_log": str(log), "journal": "j",
        "ledger": "l", "evidence_html": "h",
    }  # fmt: skip
    text = told(result)
    assert f"verdict: {word}" in text
    assert is_clean(result) == (word == "OK")
    is_quoted = word != "OK"
    assert ("  ModuleNotFoundError: x" in text) == is_quoted
    assert ("  line 21" in text, "  line 20" in text) == (is_quoted, False)
