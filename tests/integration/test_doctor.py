"""`seatrial doctor` against the simulated venue: the right sentence for each thing wrong."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.demo.plan import toml_text
from tests.support import loopback_only
from tests.support.forked import run
from tests.support.sim_process import SimProcess

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(symbols="BTCUSDT,ETHUSDT") as process:
        yield process


def config(directory: Path, ready: dict[str, Any], **changes: str) -> Path:
    caps = (ROOT / "daemon/demo/caps/demo.toml").read_text().split("[caps.symbols.ETHUSDT]")[0]
    keys = directory / "keys.toml"
    keys.touch(mode=0o600)
    keys.write_text(
        toml_text(
            {
                "api_key": changes.get("api_key", ready["api_key"]),
                "api_secret": changes.get("api_secret", ready["api_secret"]),
            }
        )
    )
    venue = {
        "environment": "sim",
        "symbols": [changes.get("symbol", "BTCUSDT")],
        "rest": changes.get("rest", ready["rest"]),
        "ws_api": ready["ws_api"],
        "streams": ready["streams"],
    }
    path = directory / "seatrial.toml"
    plan = {
        "state_dir": str(directory / "state"),
        "venue": venue,
        "credentials": {"file": str(keys)},
    }
    path.write_text(toml_text(plan) + "\n" + caps)
    return path


def doctor(path: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    done = run("tool", ["doctor", "--json", "--config", path])
    assert "Traceback" not in done.stderr, done.stderr
    steps = json.loads(done.stdout)["steps"]
    return done.returncode, {step["name"]: step for step in steps}


def test_a_good_configuration_passes_every_step(tmp_path: Path, sim: SimProcess) -> None:
    code, steps = doctor(config(tmp_path, sim.ready))
    assert code == 0, steps
    assert len(steps) >= 7
    assert not sim.ledger()["orders"], "the doctor must place nothing"


@pytest.mark.parametrize(
    ("changes", "failing", "words"),
    [
        ({"api_secret": "wrong"}, "key", "signature"),
        ({"api_key": "wrong"}, "key", "key"),
        ({"rest": "http://127.0.0.1:9"}, "reachable", "port 9: nothing listens there"),
        ({"symbol": "DOGEUSDT"}, "symbols", "does not list dogeusdt"),
        ({"rest": "https://testnet.binance.vision.evil.example"}, "hosts", "loopback"),
    ],
)
def test_what_is_wrong_is_said_in_words(
    tmp_path: Path, sim: SimProcess, changes: dict[str, str], failing: str, words: str
) -> None:
    code, steps = doctor(config(tmp_path, sim.ready, **changes))
    assert code == 1
    failed = {name: step for name, step in steps.items() if not step["ok"]}
    assert failing in failed, steps
    assert words in failed[failing]["sentence"].lower(), failed
    assert failed[failing]["mend"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"class": "no.such:Thing", "params": {}}, "cannot import no.such"),
        ({"class": "quoter", "params": {"qty": "0.001", "spread": 3}}, "params.spread: unknown"),
        ({"class": "quoter", "params": {"qty": "x"}}, "strategies.mine.params.qty"),
    ],
)
def test_a_strategy_that_cannot_be_made_is_a_step_that_fails(
    tmp_path: Path, sim: SimProcess, table: dict[str, Any], words: str
) -> None:
    path = config(tmp_path, sim.ready)
    plan = {"strategies": {"mine": {**table, "symbols": ["BTCUSDT"]}}}
    path.write_text(path.read_text() + "\n" + toml_text(plan))
    code, steps = doctor(path)
    assert code == 1
    assert words in steps["strategy"]["sentence"]
    assert steps["strategy"]["mend"]


@pytest.mark.parametrize(
    ("strike", "said"),
    [
        ({"step_ms": 7_000}, ("clock", "ms behind the venue's", "timesyncd")),
        ({"step_ms": -3_000}, ("clock", "ms ahead of the venue's", "timesyncd")),
        # The time that is told is right, the one that timestamps are judged by is not: -1021.
        ({"step_ms": 7_000, "hidden": 1}, ("key", "-1021", "run this again")),
        ({"step_ms": -3_000, "hidden": 1}, ("key", "-1021", "run this again")),
    ],
)
def test_a_wrong_clock(
    tmp_path: Path, sim: SimProcess, strike: dict[str, int], said: tuple[str, str, str]
) -> None:
    failing, words, mend = said
    path = config(tmp_path, sim.ready)
    sim.admin_post("clock", seconds=600, **strike)
    try:
        code, steps = doctor(path)
    finally:
        sim.admin_post("clock", step_ms=0)
        sim.admin_post("clock", step_ms=0, hidden=1)
    assert code == 1
    failed = {name: step for name, step in steps.items() if not step["ok"]}
    assert set(failed) == {failing}, "one thing is wrong, and one thing is said"
    assert words in failed[failing]["sentence"], failed
    assert mend in failed[failing]["mend"]


def test_no_network_at_all(tmp_path: Path, sim: SimProcess) -> None:
    path = config(tmp_path, sim.ready)
    text = path.read_text().replace('environment = "sim"', 'environment = "binance-spot-testnet"')
    urls = ("rest = ", "ws_api = ", "streams = ")
    path.write_text("\n".join(row for row in text.splitlines() if not row.startswith(urls)))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.loopback_only", "doctor", "--config", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode == loopback_only.EXIT_REFUSED:
        pytest.skip("the kernel lets this user make no network namespace")
    assert done.returncode == 1, done.stderr
    assert "cannot reach testnet.binance.vision, port 443" in done.stdout
    assert "its name cannot be resolved" in done.stdout
    assert "check network, DNS, firewall" in done.stdout
    assert "not ready: mend 'reachable' first" in done.stdout
