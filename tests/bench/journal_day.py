"""What a day of journal costs: `python -m tests.bench.journal_day [--seconds 120] [--json]`.

Real processes: the simulated venue and the daemon, for each case a new state directory. The bytes
of the measured span (the first seconds of a run are left out) are extrapolated to a day, plain and
as a closed segment is kept (zstandard).
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import zstandard

from control.control_errors import ControlError
from control.tool.client import ControlClient
from daemon.venues.sim.listed_symbols import SYMBOLS

ROOT = Path(__file__).resolve().parents[2]
SETTLE_S = 10
BUSY = ("BTCUSDT", "ETHUSDT")


@dataclass(frozen=True)
class Case:
    """One kind of day."""

    name: str
    symbols: tuple[str, ...]
    flow_rate: float
    strategy: str = ""
    """Class path; empty: no session is started."""
    params: str = ""


CASES = (
    Case("idle, HALTED", ("BTCUSDT",), 30),
    Case("quiet: heartbeat on one symbol", ("BTCUSDT",), 30, "heartbeat"),
    Case("busy: quoter on 2 symbols x 60 events/s", BUSY, 60, "quoter"),
    Case(
        "busy: 10 symbols x 60 events/s, as many orders as the venue takes in a day (200,000)",
        tuple(SYMBOLS),
        60,
        "quoter",
        "params = { pause_ms = 9000, order_age_ms = 9000 }",
    ),
    Case("every tick kept: ma_crossover on 2 symbols x 60 events/s", BUSY, 60, "ma_crossover"),
)


def measure(case: Case, seconds: float) -> dict[str, Any]:
    """Run one case; bytes by event type of the measured span, and what a day of it is."""
    with tempfile.TemporaryDirectory(prefix="journal-day-") as place:
        directory = Path(place)
        sim = _start_sim(case, directory)
        daemon = None
        try:
            config = _write_config(case, directory, sim[1])
            daemon = subprocess.Popen(
                [sys.executable, "-m", "daemon", "--config", str(config)],
                cwd=ROOT, stdout=subprocess.DEVNULL, stderr=(directory / "log").open("wb"),
            )  # fmt: skip
            _begin(case, directory / "state/control.sock")
            time.sleep(SETTLE_S)
            journal = next((directory / "state/journal").glob("journal-*.jsonl"))
            start = journal.stat().st_size
            began = time.monotonic()
            time.sleep(seconds)
            took, end = time.monotonic() - began, journal.stat().st_size
            with journal.open("rb") as read:
                read.seek(start)
                body = read.read(end - start)
        finally:
            for process in (daemon, sim[0]):
                if process is not None:
                    process.send_signal(signal.SIGTERM)
                    process.wait(timeout=30)
    return _figures(case, body, took)


def _figures(case: Case, body: bytes, took: float) -> dict[str, Any]:
    lines = body[body.find(b"\n") + 1 : body.rfind(b"\n") + 1].splitlines()
    by_type: Counter[str] = Counter()
    for line in lines:
        record = orjson.loads(line)
        kind = record["event_type"]
        if kind == "input":
            kind += f" {record['input']['type']}"
        by_type[kind] += len(line) + 1
    a_day = 86_400 / took
    packed = len(zstandard.ZstdCompressor(level=LEVEL).compress(body))
    return {
        "case": case.name,
        "seconds": round(took, 1),
        "lines_a_day": round(len(lines) * a_day),
        "bytes_a_day": round(len(body) * a_day),
        "packed_bytes_a_day": round(packed * a_day),
        "by_type": {kind: round(size * a_day) for kind, size in by_type.most_common(8)},
    }


def _start_sim(case: Case, directory: Path) -> tuple[subprocess.Popen[str], Mapping[str, Any]]:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "control.main", "sim", "--symbols", ",".join(case.symbols),
            "--flow-rate", str(case.flow_rate),
        ],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if process.stdout is None:
        raise RuntimeError("the simulated venue has no output")
    return process, json.loads(process.stdout.readline())


def _write_config(case: Case, directory: Path, said: Mapping[str, Any]) -> Path:
    keys = directory / "keys.toml"
    keys.write_text(f'api_key = "{said["api_key"]}"\napi_secret = "{said["api_secret"]}"\n')
    keys.chmod(0o600)
    caps = (ROOT / "daemon/demo/caps/demo.toml").read_text()
    head, _, tables = caps.partition("[caps.symbols.")
    body = tables.partition("]\n")[2].partition("\n[")[0]
    body = re.sub(r'(_base_max) = ".*"', r'\1 = "1000000"', body)  # the least order of any symbol
    head += "".join(f"[caps.symbols.{symbol}]\n{body}\n" for symbol in case.symbols)
    names = json.dumps(list(case.symbols))
    text = f"""
state_dir = "{directory}/state"
[venue]
environment = "sim"
symbols = {names}
rest = "{said["rest"]}"
ws_api = "{said["ws_api"]}"
streams = "{said["streams"]}"
[credentials]
file = "{keys}"
[metrics]
enabled = false
{head}
"""
    if case.strategy:
        text += f'[strategies.one]\nclass = "{case.strategy}"\nsymbols = {names}\n'
        text += f"{case.params}\n"
    config = directory / "seatrial.toml"
    config.write_text(text)
    return config


def _begin(case: Case, socket: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with ControlClient(socket) as client:
                if client.call("status").get("gate_state") == "READY":
                    if case.strategy:
                        client.call("start", reason="measured")
                    return
        except ControlError:
            pass
        time.sleep(0.2)  # another process is awaited
    raise TimeoutError("the daemon did not become READY")


LEVEL = 9


def main() -> None:
    """Measure each case and print a table, or JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    os.environ.setdefault("PYTHONPATH", str(ROOT))
    for case in CASES:
        if asked.only in case.name:
            print(json.dumps(measure(case, asked.seconds)), flush=True)


if __name__ == "__main__":
    main()
