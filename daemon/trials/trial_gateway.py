"""The gate of a run: a daemon with `[gateway]` and one bot, and its operator's calls.

Rules of this file:
1. The daemon is the product's own, started and asked as an operator would; nothing is switched off.
2. What the bot did is told by the venue's ledger and by the wire before the gateway; the daemon's
   journal says which order of the ledger is which of the bot's, and what was denied.
"""

import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from control.control_errors import ControlError
from control.tool.client import call
from daemon.demo.box_config import caps_file, write_box
from daemon.demo.processes import DemoError, Process
from daemon.shell.gateway.bot_keys import new_key, write_key
from daemon.shell.process.clock import Clock
from daemon.trials.gateway_wire import API_PATH, GatewayWire
from daemon.trials.judging.observation import GateDenial, GateStop
from daemon.trials.trial_venue import TrialVenue

BOT = "trial"
TRIAL_CAPS = "trial"
"""The preset `bots`, but a bot may sell what the account had before: many quote both sides."""
FEE_SYMBOL = "BNBUSDT"
"""Listed and watched beside the bot's symbol, so that fees in BNB have a price."""
_S_NS = 1_000_000_000
_READY_S = 30
_LOOK_S = 0.1
_LOOSENED = "orders_per_day_max"
"""Tightened caps are forgotten when another config is loaded: this one falls by 1 each time."""
_LINES = ("order_approved", "order_denied", "incident_opened", "trading_state")


class TrialGateway:
    """`TrialVenue` seen through the gate; the venue's own faults strike behind it."""

    def __init__(
        self,
        directory: Path,
        venue: TrialVenue,
        *,
        symbol: str,
        caps: str,
        clock: Clock,
        pause: Callable[[float], None],
    ) -> None:
        """`caps`: `trial`, a preset by name, or a TOML file. Nothing is started yet.

        `pause` waits so many seconds, and raises where the course is to end.

        Raises:
            DemoError: there is no such preset, or it has no table for `symbol`.
            OSError: the caps cannot be read.
        """
        self._home, self._venue, self._symbol, self._clock = directory, venue, symbol, clock
        self._home.mkdir(parents=True, exist_ok=True)
        text = caps_file("bots" if caps == TRIAL_CAPS else caps).read_text()
        self._caps: dict[str, Any] = tomllib.loads(text)["caps"]
        symbols = self._caps.get("symbols", {})
        if caps == TRIAL_CAPS:
            for table in symbols.values():
                table["position_short_base_max"] = table["position_long_base_max"]
        if symbol not in symbols:
            raise DemoError(f"--caps {caps}: write a table [caps.symbols.{symbol}]")
        self._symbols = [one for one in dict.fromkeys((symbol, FEE_SYMBOL)) if one in symbols]
        self._caps["symbols"] = {one: symbols[one] for one in self._symbols}
        # A socket's path is short, and the report's directory may be deep.
        self._run = Path(tempfile.mkdtemp(prefix="seatrial-"))
        self._wire = GatewayWire(clock)
        self._daemon: Process | None = None
        self._key = new_key(BOT, clock.now_ns())
        self._is_tight = False
        self._is_sure = False
        """Whether books and venue were compared since somebody began to put things right."""
        self._pause = pause
        self._journal_at: dict[Path, int] = {}
        self._bot_ids: dict[str, str] = {}
        self._denials: list[GateDenial] = []
        self._incidents: dict[str, str] = {}
        self._stops: list[dict[str, Any]] = []

    @property
    def state(self) -> Path:
        """The daemon's state directory: journal, checkpoints, the bot's key."""
        return self._home / "state"

    def start(self) -> None:
        """Start the daemon and its session, and the wire before it.

        Raises:
            DemoError: the daemon did not become READY.
        """
        write_key(self.state, self._key)
        self._wire.start()
        self._start_daemon()
        self.put_right()

    def stop(self) -> None:
        """End the daemon in order, and the wire."""
        self._wire.stop()
        self._stop_daemon()
        shutil.rmtree(self._run, ignore_errors=True)

    def values(self) -> dict[str, str]:
        """What the bot needs to know; an Ed25519 key is not among it."""
        address = self._wire.address
        told = {
            name: value
            for name, value in self._venue.values(self._symbol).items()
            if not name.startswith("ed25519")
        }
        return told | {
            "rest": f"http://{address}",
            "ws_api": f"ws://{address}{API_PATH}",
            "streams": f"ws://{address}",
            "key": self._key.api_key,
            "secret": self._key.secret,
        }

    # ------------------------------------------------------------------ what was seen
    def ledger(self, since_ns: int = 0) -> dict[str, Any]:
        """The venue's books; `wire` is that before the gateway, `venue_wire` the venue's own.

        Orders of the bot have its own client ids.
        """
        books = self._venue.ledger(since_ns)
        self._read_journal()
        for name in ("orders", "open_orders", "fills", "cancels"):
            for row in books[name]:
                own = str(row["client_order_id"])
                row["client_order_id"] = self._bot_ids.get(own, own)
        return {**books, "venue_wire": books["wire"], "wire": self._wire.rows(since_ns)}

    def denials(self, since_ns: int) -> list[GateDenial]:
        """What the gate has denied since then."""
        self._read_journal()
        return [one for one in self._denials if one.ts_ns >= since_ns]

    def stops(self, since_ns: int) -> list[GateStop]:
        """When the engine halted trading since then, with the sentence of the incident."""
        self._read_journal()
        return [
            GateStop(line["ts_ns"], self._incidents.get(line["why"].split(" ")[1], line["why"]))
            for line in self._stops
            if line["ts_ns"] >= since_ns
        ]

    def _read_journal(self) -> None:
        for path in sorted((self.state / "journal").glob("journal-*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._journal_at.get(path, 0))
                whole, end, _ = file.read().rpartition(b"\n")
            self._journal_at[path] = self._journal_at.get(path, 0) + len(whole) + len(end)
            for text in whole.split(b"\n"):
                if any(f'"event_type":"{name}"'.encode() in text for name in _LINES):
                    self._on_line(json.loads(text))

    def _on_line(self, line: dict[str, Any]) -> None:
        owner = line.get("owner")
        if line["event_type"] == "incident_opened":
            self._incidents[line["incident_id"]] = f"{line['trigger']}: {line['msg']}"
        elif line["event_type"] == "trading_state":
            if line["new"] == "HALTED" and line["why"].startswith("incident: "):
                self._stops.append(line)
        elif not owner:
            return
        elif line["event_type"] == "order_denied":
            told = (line["deny_reason"], line["symbol"], line["side"])
            self._denials.append(GateDenial(line["ts_ns"], *told))
        else:
            self._bot_ids[line["client_order_id"]] = owner["client_order_id"]

    # ------------------------------------------------------------------ deeds
    def deny(self, changes: Mapping[str, Any]) -> None:
        """Tighten caps; `{symbol}` in a name is the bot's symbol."""
        named = {key.replace("{symbol}", self._symbol): value for key, value in changes.items()}
        self._is_tight = True
        self._ask("caps-tighten", changes=named, reason="a trial")

    def kill(self) -> None:
        """The kill switch."""
        self._ask("kill", reason="a trial")

    def calm(self) -> None:
        """Loosen what was tightened: another config, and a restart, as the product asks for."""
        if self._is_tight:
            self._is_tight = False
            self._caps[_LOOSENED] = int(self._caps[_LOOSENED]) - 1
            self.restart()

    def restart(self) -> None:
        """End the daemon in order and start it again; it asks the venue for everything anew."""
        self._stop_daemon()
        self._start_daemon()
        self.put_right()

    def put_right(self) -> list[str]:
        """What an operator does until the gate lets the bot trade; in words, what was needed.

        Raises:
            DemoError: the daemon cannot be started.
        """
        done: list[str] = []
        self._is_sure = False
        until_ns = self._clock.now_ns() + _READY_S * _S_NS
        problem = ""
        while self._clock.now_ns() < until_ns:
            if self._daemon is None or not self._daemon.is_running:
                done.append("the daemon had ended and was started again")
                self._start_daemon()
            try:
                if self._is_trading(done):
                    return done
            except ControlError as error:
                problem = str(error)
            self._pause(_LOOK_S)
        return [*done, f"the gate did not open in {_READY_S} s: {problem}"]

    def _is_trading(self, done: list[str]) -> bool:
        socket = self._socket
        status = call(socket, "status")
        gateway = status.get("gateway") or {}
        self._wire.target = str(gateway.get("address", ""))
        if status.get("gate_state") != "READY" or not self._wire.target:
            return False
        for incident in status.get("incidents", ()):
            if not incident["resolved_by"]:
                call(
                    socket,
                    "incident-resolve",
                    incident_id=incident["incident_id"],
                    root_cause="done by a trial",
                    remediation="none needed",
                    follow_up="none",
                    reason="trial",
                )
                done.append(f"an operator resolved the incident {incident['trigger']}")
        if status.get("latched"):
            call(socket, "re-arm", reason="trial")
            done.append("an operator opened the kill latch")
        if status.get("trading_state") != "ACTIVE":
            call(socket, "start", reason="trial")
            done.append("an operator started the session")
            self._is_sure = False
            return False  # asked again: it says itself when it trades
        call(socket, "re-enable", reason="trial")
        if not self._is_sure:
            # What the trial before did to the account is found here, not in the next trial.
            call(socket, "reconcile")
            self._is_sure = True
            return False
        return True

    def _ask(self, method: str, **params: Any) -> None:
        try:
            call(self._socket, method, **params)
        except ControlError as error:
            raise DemoError(f"the daemon refuses {method}: {error}") from error

    # ------------------------------------------------------------------ the daemon
    @property
    def _socket(self) -> Path:
        return self._run / "control.sock"

    def _start_daemon(self) -> None:
        config = self._write_config()
        self._daemon = Process(
            "seatriald", ["daemon", "--config", str(config)], self._home / "daemon.log"
        )

    def _stop_daemon(self) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.stop()

    def _write_config(self) -> Path:
        tables = {
            "control": {"socket": str(self._socket)},
            "metrics": {"enabled": False},
            # As the demo's: an order without an answer is settled sooner than on a real venue,
            # whose requests may be held for longer.
            "session": {"unknown_settle_ms": 4_000, "audit_period_ms": 8_000},
            "gateway": {"listen": "127.0.0.1:0"},
            "bots": {BOT: {"symbols": [self._symbol]}},
            "caps": self._caps,
        }
        return write_box(self._home, self._venue.ready, self._symbols, tables)
