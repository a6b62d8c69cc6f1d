"""`seatrial doctor` against the simulated venue: the right sentence for each thing wrong."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.demo.plan import toml_text
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
    done = subprocess.run(
        [sys.executable, "-m", "control.main", "doctor", "--json", "--config", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
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
        ({"rest": "http://127.0.0.1:9"}, "reachable", "cannot reach"),
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
