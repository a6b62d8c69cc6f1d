"""A venue process, a daemon process, and 200 resting orders between them: the stage of the stops.

with StopStage(tmp_path) as stage:
    stage.fill()                    # start a session; returns when the ledger shows every order
    stage.signal("spin")            # the main loop hangs
    stage.kill()                    # over the control socket
    stage.venue_open()              # the judge: orders open in the venue's own books
"""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from control.control_errors import CallTimeoutError, DaemonUnreachableError
from control.tool.client import ControlClient
from daemon.demo.plan import toml_text
from daemon.shell.process.child_processes import end_with_parent
from tests.support.forked import ForkedProcess, start
from tests.support.journal_lines import journal_lines
from tests.support.priority import before_others
from tests.support.sim_process import ROOT, SimProcess
from tests.support.wedge import HUNG

SYMBOLS = (
    "BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT",
    "LTCUSDT", "ADAUSDT", "DOGEUSDT", "ETHBTC", "XRPETH",
)  # fmt: skip
ORDERS_PER_SYMBOL = 20
DEADLINE_S = 60.0
LOOK_S = 0.01
STUCK_S = 0.45
"""Twice the period in which a main loop that turns publishes, and a little."""
ROUND_TRIP = [
    {
        "kind": "delay_answer",
        "rate": 1.0,
        "purposes": ["place", "cancel", "query", "data", "session"],
        "params": {"ms_min": 1, "ms_max": 1},
    }
]
"""Every answer of the venue comes one millisecond late."""
CAPS_EXAMPLE = ROOT / "daemon" / "demo" / "caps" / "demo.toml"
TELLING = ("gate_state", "trading_state", "latched", "ending", "venue", "orders", "reconcile")
"""What of a status tells why the stage waits in vain."""


class StageError(AssertionError):
    """The stage itself did not come up."""


def wide_caps(symbols: tuple[str, ...]) -> dict[str, Any]:
    """Every cap is set, and none is in the way of a few hundred small orders."""
    caps: dict[str, Any] = tomllib.loads(CAPS_EXAMPLE.read_text())["caps"]
    row = dict(caps["symbols"]["BTCUSDT"])
    row |= {
        "order_qty_base_max": "1000000",
        "order_notional_quote_max": "100000",
        "position_long_base_max": "100000000",
        "position_short_base_max": "100000000",
        "exposure_quote_max": "10000000",
        "orders_open_max": 150,
        "orders_per_minute_max": 100_000,
        "traded_qty_per_day_base_max": "1000000000",
        "collar_bps_max": 2_000,
    }
    bases = {"BTC", "ETH", "BNB", "XRP", "SOL", "LTC", "ADA", "DOGE"}
    return caps | {
        "exposure_gross_numeraire_max": "10000000",
        "exposure_net_numeraire_max": "10000000",
        "orders_open_max": 1_500,
        "orders_per_second_max": 5_000,
        "orders_per_minute_max": 100_000,
        "orders_per_hour_max": 1_000_000,
        "orders_per_day_max": 10_000_000,
        "cancels_per_second_max": 5_000,
        "messages_per_second_max": 10_000,
        "messages_per_second_cancel_reserve": 1_000,
        "messages_per_minute_max": 400_000,
        "messages_per_minute_cancel_reserve": 10_000,
        "order_to_trade_ratio_max": "1000000000",
        "order_to_trade_grace_orders": 1_000_000,
        "executions_without_human_max": 1_000_000,
        "venue_reject_streak_max": 1_000_000,
        "conversions": {base: [f"{base}USDT"] for base in bases if f"{base}USDT" in symbols},
        "symbols": {symbol: dict(row) for symbol in symbols},
    }


class StopStage:
    """One venue and one state directory; daemons come and go."""

    def __init__(
        self,
        directory: Path,
        *,
        symbols: tuple[str, ...] = SYMBOLS,
        orders_per_symbol: int = ORDERS_PER_SYMBOL,
        round_trip: bool = True,
        settings: Mapping[str, Any] | None = None,
        sim_options: Mapping[str, object] | None = None,
        env: Mapping[str, str] | None = None,
        before_main: str = "",
    ) -> None:
        self.directory = directory
        self.symbols = symbols
        self.orders_open = len(symbols) * orders_per_symbol
        self.config = directory / "seatrial.toml"
        self.state_dir = directory / "state"
        self.socket = self.state_dir / "control.sock"
        self.signals = directory / "signals"
        self.log = directory / "seatriald.log"
        self.keys = directory / "keys.toml"
        self.daemon: ForkedProcess | subprocess.Popen[bytes] | None = None
        self._client: ControlClient | None = None
        self._generation = 0
        self._orders_per_symbol = orders_per_symbol
        self._round_trip = round_trip
        self._settings = dict(settings or {})
        self._env = dict(env or {})
        self._program = ""
        if before_main:
            self._program = f"{before_main}\nfrom daemon.__main__ import main\nmain()"
        self.sim = SimProcess(
            **{
                "seed": 5,
                "symbols": ",".join(symbols),
                "flow_rate": 20,
                "orders_per_10s": 100_000,
                "orders_per_day": 10_000_000,
                "weight_per_minute": 1_000_000,
                **(sim_options or {}),
            }
        )

    def __enter__(self) -> Self:
        self.sim.start()
        try:
            self.signals.mkdir()
            self.write_config()
            if self._round_trip:
                self.sim.load_faults(ROUND_TRIP)
        except BaseException:
            self.sim.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_hard()
        self.sim.stop()

    # ------------------------------------------------------------------ processes
    def write_config(self) -> None:
        self.keys.touch(mode=0o600)
        self.keys.write_text(
            toml_text({"api_key": self.sim.api_key, "api_secret": self.sim.api_secret})
        )
        venue = {
            "environment": "sim",
            "symbols": list(self.symbols),
            "rest": self.sim.rest,
            "ws_api": self.sim.ws_api,
            "streams": self.sim.streams,
        }
        wedge = {
            "class": "tests.support.wedge:Wedge",
            "symbols": list(self.symbols),
            "params": {"signals": str(self.signals), "orders": self._orders_per_symbol},
        }
        table: dict[str, Any] = {
            "state_dir": str(self.state_dir),
            "venue": venue,
            "credentials": {"file": str(self.keys)},
            "control": {"socket": str(self.socket)},
            "metrics": {"enabled": False},
            "strategies": {"wedge": wedge} if self._orders_per_symbol else {},
            "caps": wide_caps(self.symbols),
        }
        for name, value in self._settings.items():
            table[name] = {**table.get(name, {}), **value}
        self.config.write_text(toml_text(table))

    def start_daemon(self, output: int | None = None) -> None:
        """Start one and wait until it is READY; what it prints goes to `output`, or to the log."""
        with self.log.open("ab") as log:
            out = log if output is None else output
            env = {**os.environ, "PYTHONPATH": str(ROOT), **self._env}
            arguments = ["--config", str(self.config)]
            if self._program:
                self.daemon = subprocess.Popen(
                    [sys.executable, "-c", self._program, *arguments],
                    cwd=ROOT, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env,
                    preexec_fn=end_with_parent(),  # noqa: PLW1509
                )  # fmt: skip
            else:
                self.daemon = start("daemon", arguments, stdout=out, stderr=out, env=env)
        before_others(self.daemon)
        self.until(lambda: self.status().get("gate_state") == "READY", "the gate is READY")

    def kill_hard(self) -> None:
        """SIGKILL; works on a stopped process too."""
        process, self.daemon = self.daemon, None
        self._hang_up()
        if process is not None:
            process.kill()
            process.wait(timeout=DEADLINE_S)

    def send_signal(self, number: signal.Signals) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(number)

    # ------------------------------------------------------------------ asking
    def status(self, timeout_s: float = DEADLINE_S) -> dict[str, Any]:
        """The daemon's status; empty while none answers."""
        if self.daemon is not None and self.daemon.poll() is not None:
            raise StageError(f"seatriald ended: {self.log.read_text()[-2000:]}")
        try:
            return self.call("status", timeout_s=timeout_s)
        except (DaemonUnreachableError, CallTimeoutError):
            self._hang_up()
            return {}

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask over one connection that stays: newcomers are rationed."""
        if self._client is None:
            self._client = ControlClient(self.socket)
        return self._client.call(method, **params)

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def until(self, ready: Callable[[], Any], what: str, within_s: float = DEADLINE_S) -> Any:
        """Look until `ready` answers something true."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            found = ready()
            if found:
                return found
            time.sleep(LOOK_S)
        status = self.status()
        seen = {key: status.get(key) for key in TELLING}
        tail = self.log.read_text()[-1500:] if self.log.exists() else ""
        raise StageError(f"not within {within_s:g} s: {what}\n{seen}\n{tail}")

    def venue_open(self) -> list[dict[str, Any]]:
        """Orders open in the venue's own books."""
        found = self.ledger_since(2**62)["open_orders"]
        return list(found)

    def ledger_since(self, since_ns: int) -> dict[str, Any]:
        """The venue's own books; rows before `since_ns` are left out."""
        return SimProcess._call(f"{self.sim.admin}/ledger?since_ns={since_ns}", None)

    def journal(self) -> list[dict[str, Any]]:
        """Every whole line of the journal."""
        return journal_lines(self.state_dir)

    # ------------------------------------------------------------------ acts
    def fill(self) -> None:
        """Start a session and wait until the venue's books hold every order, acknowledged."""
        self.call("start", reason="stop test")
        self.until(lambda: self._accepted() == self.orders_open, f"{self.orders_open} open orders")

    def _accepted(self) -> int:
        orders = self.status().get("orders", {})
        return int(orders.get("ACCEPTED", 0)) + int(orders.get("PARTIALLY_FILLED", 0))

    def signal(self, name: str) -> None:
        """Tell the strategy what to do at its next tick."""
        (self.signals / name).touch()

    def clear_signals(self) -> None:
        for path in self.signals.iterdir():
            path.unlink()

    def until_hung(self) -> None:
        """The strategy has said that it hangs now."""
        self.until((self.signals / HUNG).exists, "the strategy hangs")

    def renew(self) -> None:
        """Before a new daemon: a state directory of its own, on the same venue."""
        self.kill_hard()
        self._generation += 1
        self.state_dir = self.directory / f"state-{self._generation}"
        self.socket = self.state_dir / "control.sock"
        self.clear_signals()
        self.write_config()

    def until_stuck(self) -> None:
        """The main loop does not turn: its published clock stands still."""

        seen: list[tuple[object, float]] = [(None, 0.0)]

        def stands_still() -> bool:
            stamp = self.status().get("ts_ns")
            if stamp != seen[-1][0]:
                seen.append((stamp, time.monotonic()))
            return stamp is not None and time.monotonic() - seen[-1][1] > STUCK_S

        self.until(stands_still, "the main loop stands still")

    def kill(self, reason: str = "stop test") -> dict[str, Any]:
        """Kill over the control socket."""
        return self.call("kill", reason=reason)

    def kill_direct(self, reason: str = "stop test") -> dict[str, Any]:
        """`seatrial kill --direct` in a process of its own."""
        asked = ["kill", "--direct", "--config", str(self.config), "--reason", reason, "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "control.main", *asked],
            cwd=ROOT,
            capture_output=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert done.stdout.strip(), done.stderr.decode()
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
        return result

    def re_arm(self) -> None:
        """Wait until the kill has come to rest, then open the latch."""
        self.until(self._rested, "the kill has come to rest")
        self.call("re-arm", reason="next run")
        self.until(lambda: not self.status().get("latched"), "the latch is open")

    def _rested(self) -> bool:
        status = self.status()
        return bool(
            status.get("latched")
            and not status.get("ending")
            and not status.get("session_id")
            and status.get("gate_state") == "READY"
        )
