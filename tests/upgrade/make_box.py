"""Make a box as an old build left it, for the upgrade test: `boxes/COMMIT.tar.xz`.

    python -m tests.upgrade.make_box 98ed20b

The processes are those of that commit, from a git worktree of its own. The box holds a simulated
venue with its books, a configuration with a strategy of the user's, and a state directory whose
daemon died under a kill that could not reach the venue: a checkpoint of an earlier run, a latch,
orders open, one of them UNKNOWN. `expected.json` says what the old build itself thought of it. What
a later issue needs is added to `play`, and a new archive is made beside the old ones.
"""

import io
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BOXES = Path(__file__).with_name("boxes")
SYMBOLS = ("BTCUSDT", "ETHUSDT")
RESTING = 2
"""Orders that each symbol has resting at the venue; one more becomes UNKNOWN."""
DEADLINE_S = 60.0
LEFT_OUT = {"control.sock", "sim.json", "daemon.log", "venue.log"}

STRATEGY = '''"""The owner's strategy: it buys once, and rests orders far from the market."""

from decimal import Decimal

from daemon.model.amounts import floor_to
from daemon.model.enums import OrderType, Side, TimeInForce
from daemon.model.intents import PlaceIntent
from daemon.strategies.silent import Silent


class Resting(Silent):
    needs_every_tick = False

    def __init__(self, strategy_id, instruments, *, orders: int, late_after_ms: int, qty: Decimal):
        super().__init__(strategy_id, instruments)
        self._left = {instrument: orders for instrument in instruments}
        self._late_ns = late_after_ms * 1_000_000
        self._is_late_due = False
        self._qty = qty
        self._bought = False

    def on_start(self, view):
        self._late_ns += view.now_ns
        self._is_late_due = True
        return ()

    def on_market(self, view, top):
        if not self._bought:
            self._bought = True
            return (
                self._place(top, OrderType.MARKET, None),
                self._place(top, OrderType.LIMIT, 210, times=100),  # the caps refuse it
            )
        if self._left[top.instrument_id]:
            self._left[top.instrument_id] -= 1
            return (self._place(top, OrderType.LIMIT, 200 + self._left[top.instrument_id]),)
        if self._is_late_due and view.now_ns > self._late_ns:
            self._is_late_due = False
            return (self._place(top, OrderType.LIMIT, 250),)
        return ()

    def _place(self, top, order_type, away_bps, times=1):
        instrument = self.instruments[top.instrument_id]
        price = None
        if away_bps is not None:
            price = floor_to(top.bid_px * (10_000 - away_bps) / 10_000, instrument.tick)
        qty = floor_to(self._qty * times * 100_000 / top.bid_px, instrument.lot)
        return PlaceIntent(
            strategy_id=self.strategy_id, instrument_id=top.instrument_id, side=Side.BUY,
            order_type=order_type, qty=qty, price=price,
            time_in_force=None if price is None else TimeInForce.GTC, reason="owner's",
        )
'''
CONFIG = """state_dir = "state"

[venue]
environment = "sim"
symbols = ["BTCUSDT", "ETHUSDT"]
rest = "{rest}"
ws_api = "{ws_api}"
streams = "{streams}"
reply_deadline_ms = 1500
ping_doubt_ms = 500

[credentials]
file = "keys.toml"

[control]
socket = "state/control.sock"

[metrics]
enabled = false

[session]
heartbeat_period_ms = 1000

[strategies.resting]
class = "old_box_strategy:Resting"
symbols = ["BTCUSDT", "ETHUSDT"]
params = {{ orders = {orders}, late_after_ms = 15000, qty = "0.001" }}

"""
UNANSWERED = [
    {"kind": "mute", "at_ms": 0, "params": {"target": "user", "seconds": 600}},
    {"kind": "drop_answer", "rate": 1.0, "purposes": ["place", "query"]},
]
UNREACHABLE = [
    {"kind": "rest_outage", "at_ms": 0, "params": {"seconds": 600}},
    {"kind": "ws_api_outage", "at_ms": 0, "params": {"seconds": 600}},
]


class OldBuild:
    """Commands and processes of an old tree, on one box."""

    def __init__(self, tree: Path, box: Path) -> None:
        self.tree, self.box = tree, box
        self.env = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{box}"}
        self.ready: dict[str, Any] = {}
        self.daemons: list[subprocess.Popen[bytes]] = []

    def run(
        self, *arguments: str, module: str = "control.main"
    ) -> subprocess.CompletedProcess[str]:
        """One command, from the box's folder."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments], cwd=self.box, env=self.env,
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip

    def tool(self, *arguments: str) -> str:
        """The operator's tool; it has to succeed."""
        done = self.run("--socket", "state/control.sock", *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout} {done.stderr}"
        return done.stdout

    def status(self) -> dict[str, Any]:
        """The daemon's status; empty while it does not answer."""
        done = self.run("--socket", "state/control.sock", "status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the status fulfils a condition."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            status = self.status()
            if status and holds(status):
                return status
        log = (self.box / "daemon.log").read_text()[-2_000:]
        raise AssertionError(f"it did not come to that: {self.status()} {log}")

    def faults(self, rules: list[dict[str, Any]]) -> None:
        """Load a fault script into the venue."""
        body = json.dumps({"rules": rules}).encode()
        request = urllib.request.Request(f"{self.ready['admin']}/faults", data=body)
        urllib.request.urlopen(request, timeout=10).read()

    def ledger(self) -> dict[str, Any]:
        """The venue's own books."""
        with urllib.request.urlopen(f"{self.ready['admin']}/ledger", timeout=10) as answer:
            books: dict[str, Any] = json.load(answer)
        return books

    @contextmanager
    def venue(self) -> Iterator[None]:
        """The simulated venue, ended in order so that its books are saved."""
        command = [sys.executable, "-m", "control.main", "sim", "--state", "venue", "--seed", "11",
                   "--symbols", ",".join(SYMBOLS), "--flow-rate", "5"]  # fmt: skip
        with (self.box / "venue.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.box, env=self.env, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert process.stdout is not None
        self.ready = json.loads(process.stdout.readline())
        try:
            yield
        finally:
            for daemon in self.daemons:
                daemon.kill()
                daemon.wait(DEADLINE_S)
            process.terminate()
            process.wait(DEADLINE_S)

    def daemon(self) -> "subprocess.Popen[bytes]":
        """The daemon, READY."""
        with (self.box / "daemon.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "daemon", "--config", "seatrial.toml"],
                cwd=self.box, env=self.env, stdout=log, stderr=log,
            )  # fmt: skip
        self.daemons.append(process)
        self.until(lambda status: status["gate_state"] == "READY")
        return process


def play(old: OldBuild) -> None:
    """Two runs: one that ends in order, and one that is killed in every sense of the word."""
    ended = old.daemon()
    old.tool("start", "--yes", "--reason", "the first run")
    wanted = len(SYMBOLS) * RESTING
    old.until(lambda s: s["orders"].get("ACCEPTED", 0) == wanted and s["session_fills"] >= 1)
    old.tool("stop", "--reason", "a day's work")
    old.until(lambda s: not s["session_id"] and not s["ending"])
    ended.send_signal(signal.SIGTERM)
    assert ended.wait(DEADLINE_S) == 0

    killed = old.daemon()
    old.tool("start", "--yes", "--reason", "the second run")
    old.until(lambda s: s["orders"].get("ACCEPTED", 0) == wanted)
    old.faults(UNANSWERED)
    old.until(lambda s: s["orders"].get("UNKNOWN", 0) == 1)
    old.faults(UNREACHABLE)
    old.run("--socket", "state/control.sock", "kill", "--reason", "the venue is out of reach")
    assert old.status()["latched"]
    killed.kill()
    killed.wait(DEADLINE_S)


def expected(old: OldBuild) -> dict[str, Any]:
    """What the old build makes of its own journal, and what stands open at the venue."""
    lines = [
        json.loads(line)
        for path in sorted((old.box / "state" / "journal").glob("journal-*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]
    verify = old.run("evidence", "verify", "--json", "state/journal")
    recheck = old.run("evidence", "recheck", "--json", "state/journal")
    states = {
        line["client_order_id"]: line["new"]
        for line in lines
        if line["event_type"] == "order_state"
    }
    return {
        "ts_ns": lines[-1]["ts_ns"],
        "commit": next(line["commit"] for line in lines if line["event_type"] == "run_start"),
        "instance": next(line["instance"] for line in lines if line["event_type"] == "run_start"),
        "open_at_venue": sorted(row["client_order_id"] for row in old.ledger()["open_orders"]),
        "unknown": sorted(name for name, state in states.items() if state == "UNKNOWN"),
        "verify": {"code": verify.returncode, "says": json.loads(verify.stdout)},
        "recheck": {"code": recheck.returncode, "says": json.loads(recheck.stdout)},
    }  # fmt: skip


def pack(box: Path, target: Path) -> None:
    """One archive, the same bytes for the same files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(box.rglob("*")):
            if path.is_file() and path.name not in LEFT_OUT and "__pycache__" not in path.parts:
                info = tarfile.TarInfo(path.relative_to(box).as_posix())
                info.size, info.mode = path.stat().st_size, path.stat().st_mode & 0o777
                tar.addfile(info, io.BytesIO(path.read_bytes()))
    target.write_bytes(lzma.compress(plain.getvalue(), preset=9))


def make(commit: str) -> Path:
    """Make `boxes/COMMIT.tar.xz`."""
    home = Path(tempfile.mkdtemp(prefix="old-box-"))
    tree, box = home / "tree", home / "box"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
    try:
        (box / "units").mkdir(parents=True)
        for unit in sorted((tree / "systemd").glob("*.service")):
            shutil.copy(unit, box / "units")
        (box / "old_box_strategy.py").write_text(STRATEGY)
        old = OldBuild(tree, box)
        with old.venue():
            caps = (tree / "daemon" / "demo" / "caps" / "demo.toml").read_text()
            told = {name: old.ready[name] for name in ("rest", "ws_api", "streams")}
            config = CONFIG.format(orders=RESTING, **told)
            (box / "seatrial.toml").write_text(config + caps)
            keys = f'api_key = "{old.ready["api_key"]}"\napi_secret = "{old.ready["api_secret"]}"\n'
            (box / "keys.toml").touch(mode=0o600)
            (box / "keys.toml").write_text(keys)
            play(old)
            told_of = expected(old)
        (box / "expected.json").write_text(json.dumps(told_of, indent=1, sort_keys=True) + "\n")
        target = BOXES / f"{commit}.tar.xz"
        pack(box, target)
        return target
    finally:
        subprocess.run([*git, "remove", "--force", str(tree)], check=False)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__)
        sys.exit(2)
    made = make(sys.argv[1])
    print(made.name, made.stat().st_size, "bytes")
