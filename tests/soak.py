"""A long run under faults and hostile clients: does it stay small, and do the books stay equal?

    python -m tests.soak --minutes 30 [--faults storm] [--seed 7]     or: make soak ARGS="…"

A simulated venue misbehaves, a daemon trades on it with its log going into a pipe that is never
read, and hostile clients hammer the control socket and the metrics port. Every incident of a fault
is resolved and the session started again. Printed: one line a sample, then a summary, then the
verdict. Exit code 0 only when memory, descriptors and threads are flat after the first third, the
kill leaves nothing open, and the accountant finds no order and no fill missing.
"""

import argparse
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control.control_errors import ControlError, RpcError
from control.tool.client import ControlClient
from daemon.demo.box_config import caps_file
from daemon.demo.plan import DemoOptions, strategies_of, symbols_of, toml_text
from tests.support.sim_process import ROOT, SimProcess

SAMPLE_S = 10.0
GROWTH_MB_MAX = 16.0
GROWTH_FDS_MAX = 64
GROWTH_THREADS_MAX = 16
HOSTILE_CONNECTIONS = 20


class Soak:
    """One venue, one daemon, hostile clients around them."""

    def __init__(self, directory: Path, faults: str, seed: int) -> None:
        self.directory = directory
        self.config = directory / "seatrial.toml"
        self.state = directory / "state"
        self.socket = self.state / "control.sock"
        self.sim = SimProcess(
            seed=seed, symbols="BTCUSDT,ETHUSDT,BNBUSDT", faults=faults, fault_seed=seed
        )
        self.samples: list[dict[str, float]] = []
        self.sessions = 0
        self.incidents: dict[str, int] = {}
        self.scrapes = 0
        self.daemon: subprocess.Popen[bytes] | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._client: ControlClient | None = None

    # ------------------------------------------------------------------ processes
    def write_config(self) -> None:
        keys = self.directory / "keys.toml"
        keys.touch(mode=0o600)
        keys.write_text(toml_text({"api_key": self.sim.api_key, "api_secret": self.sim.api_secret}))
        options = DemoOptions(directory=self.directory)
        caps: dict[str, Any] = tomllib.loads(caps_file("demo").read_text())["caps"]
        wanted = symbols_of(options)
        caps["symbols"] = {name: row for name, row in caps["symbols"].items() if name in wanted}
        caps |= {"orders_per_hour_max": 100_000, "orders_per_day_max": 1_000_000}
        plan = {
            "state_dir": str(self.state),
            "venue": {
                "environment": "sim", "symbols": list(wanted), "rest": self.sim.rest,
                "ws_api": self.sim.ws_api, "streams": self.sim.streams,
            },
            "credentials": {"file": str(keys)},
            "control": {"socket": str(self.socket)},
            "metrics": {"port": 0},
            "session": {"audit_period_ms": 8_000, "unknown_settle_ms": 4_000,
                        "unknown_incident_ms": 15_000, "stop_deadline_ms": 30_000},
            "strategies": strategies_of(options),
            "caps": caps,
        }  # fmt: skip
        self.config.write_text(toml_text(plan))

    def start(self) -> None:
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)
        self._log_reader = reader  # kept open, never read
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "daemon", "--config", str(self.config)],
            cwd=ROOT, stdout=writer, stderr=writer, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(writer)
        deadline = time.monotonic() + 60
        while self.status().get("gate_state") != "READY":
            if time.monotonic() > deadline or self.daemon.poll() is not None:
                raise SystemExit("the daemon did not become READY")
            time.sleep(0.2)

    def call(self, method: str, **params: Any) -> Mapping[str, Any]:
        """Over one connection that stays: newcomers of a user that storms are turned away."""
        with self._lock:
            if self._client is None:
                self._client = ControlClient(self.socket)
            try:
                return self._client.call(method, **params)
            except RpcError:
                raise
            except ControlError:
                self._client.close()
                self._client = None
                raise

    def status(self) -> Mapping[str, Any]:
        try:
            return self.call("status")
        except ControlError:
            return {}

    # ------------------------------------------------------------------ what goes on
    def keep_trading(self, status: Mapping[str, Any]) -> None:
        """Resolve what a fault has opened, re-enable, start again."""
        if not status or status.get("session_id"):
            return
        for incident in status.get("incidents", ()):
            if not incident["resolved_by"]:
                trigger = str(incident["trigger"])
                self.incidents[trigger] = self.incidents.get(trigger, 0) + 1
                self._try(
                    "incident-resolve", incident_id=incident["incident_id"],
                    root_cause="injected by the soak", remediation="none", follow_up="none",
                    reason="soak",
                )  # fmt: skip
        self._try("re-enable", reason="soak")
        if self._try("start", reason="soak"):
            self.sessions += 1

    def _try(self, method: str, **params: Any) -> bool:
        try:
            self.call(method, **params)
        except (RpcError, ControlError):
            return False
        return True

    def hammer_metrics(self) -> None:
        """Scrapes, silent connections' worth of bad requests: until told to stop."""
        while not self._stop.wait(0.2):
            port = self.status().get("metrics_port")
            if not port:
                continue
            for path in ("metrics", "healthz", "readyz", "nothing", "metrics?x=1"):
                try:
                    with urllib.request.urlopen(
                        f"http://127.0.0.1:{port}/{path}", timeout=5
                    ) as got:
                        got.read()
                    self.scrapes += 1
                except (urllib.error.URLError, OSError):
                    continue

    def sample(self, started: float) -> dict[str, float]:
        assert self.daemon is not None
        proc = Path(f"/proc/{self.daemon.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        fields = (proc / "stat").read_text().rpartition(")")[2].split()
        status = self.status()
        journal = self.state / "journal"
        made = {
            "minutes": (time.monotonic() - started) / 60,
            "rss_mb": pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
            "fds": float(sum(1 for _ in (proc / "fd").iterdir())),
            "threads": float(fields[17]),
            "journal_mb": sum(p.stat().st_size for p in journal.iterdir()) / 1e6,
            "orders": float(status.get("session_orders", 0)),
            "lag_max_ms": 1_000 * float(status.get("loop_lag_max_s", 0)),
            "log_dropped": float(status.get("log_lines_dropped", 0)),
        }
        self.samples.append(made)
        print("  ".join(f"{name} {value:.1f}" for name, value in made.items()), flush=True)
        return made

    def run(self, minutes: float) -> None:
        # At the lowest priority: they take what is left of the machine, not what the daemon needs.
        hostile = subprocess.Popen(
            ["nice", "-n", "19", sys.executable, str(ROOT / "tests/support/hostile_clients.py"),
             str(self.socket), str(HOSTILE_CONNECTIONS), "1"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        scraper = threading.Thread(target=self.hammer_metrics, daemon=True)
        scraper.start()
        started = time.monotonic()
        next_sample = started
        try:
            while (now := time.monotonic()) < started + 60 * minutes:
                self.keep_trading(self.status())
                if now >= next_sample:
                    self.sample(started)
                    next_sample += SAMPLE_S
                time.sleep(0.5)
        finally:
            self._stop.set()
            hostile.kill()
            hostile.wait()
            scraper.join(30)

    # ------------------------------------------------------------------ the end
    def finish(self) -> dict[str, Any]:
        """Kill, count what is open, end in order, reduce."""
        assert self.daemon is not None
        kill = self.call("kill", reason="end of the soak", timeout_s=60)
        left = len(self.sim.ledger()["open_orders"])
        self._try("shutdown", reason="soak over")
        code = self.daemon.wait(90)
        ledger = self.directory / "ledger.json"
        ledger.write_text(json.dumps(self.sim.ledger()))
        done = subprocess.run(
            [sys.executable, "-m", "control.main", "evidence", "report",
             str(self.state / "journal"), "--ledger", str(ledger), "--out-dir",
             str(self.directory / "evidence"), "--json"],
            cwd=ROOT, capture_output=True, check=False,
        )  # fmt: skip
        report = json.loads(done.stdout or b"{}")
        books = report["journals"][0]["ledger"]
        compared = {
            key: value["count"] if isinstance(value, Mapping) else value
            for key, value in books.items()
        }
        return {
            "kill_verified": kill.get("verified"),
            "open_after_kill": left,
            "exit_code": code,
            "verdict": report.get("verdict"),
            "reasons": report.get("reasons"),
            **compared,
        }


def flat(samples: list[dict[str, float]]) -> list[str]:
    """What grew after the first third."""
    third = samples[len(samples) // 3 :]
    problems = []
    for name, limit in (
        ("rss_mb", GROWTH_MB_MAX),
        ("fds", GROWTH_FDS_MAX),
        ("threads", GROWTH_THREADS_MAX),
    ):
        half = len(third) // 2
        early = sorted(one[name] for one in third[:half])
        late = sorted(one[name] for one in third[half:])
        grown = late[len(late) // 2] - early[len(early) // 2]
        if grown > limit:
            problems.append(f"{name} grew by {grown:.1f} (at most {limit})")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--faults", default="storm")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seatrial-soak-") as name:
        soak = Soak(Path(name), asked.faults, asked.seed)
        with soak.sim:
            soak.write_config()
            try:
                soak.start()
                soak.run(asked.minutes)
                result = soak.finish()
            finally:
                if soak.daemon is not None and soak.daemon.poll() is None:
                    soak.daemon.kill()
    first, last = soak.samples[0], soak.samples[-1]
    print(json.dumps({"first": first, "last": last}, indent=1))
    print(f"sessions {soak.sessions}, incidents {soak.incidents}, scrapes {soak.scrapes}")
    print(json.dumps(result, indent=1))
    problems = flat(soak.samples)
    problems += [
        f"{key}: {result[key]}"
        for key in ("open_after_kill", "orders_missing_from_journal", "fills_missing_from_journal",
                    "cap_breaches_at_venue")
        if result[key]
    ]  # fmt: skip
    if result["kill_verified"] is not True:
        problems.append("the kill was not verified")
    print("soak:", "; ".join(problems) or "flat, empty, equal")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
