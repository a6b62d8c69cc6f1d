"""The demo itself: start, trade, crash if asked, kill, stop, reduce, compare, verdict."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from control.control_errors import ControlError, RpcError
from control.tool.client import call
from daemon.demo.box_config import fitted_caps, write_box
from daemon.demo.demo_screen import Screen
from daemon.demo.plan import DemoOptions, sim_arguments, strategies_of, symbols_of
from daemon.demo.processes import (
    POLL_S,
    DemoError,
    Process,
    fetch_ledger,
    until_ready,
)
from daemon.shell.process.clock import monotonic_s

KILL_RESERVE_S = 4
ORDER_RESERVE_S = 30.0
"""So much longer at most a session may take to its first order, on a slow machine."""
SHOWN_EVENTS = [
    "fill", "order_approved", "order_denied", "order_reject", "cancel_requested", "reconnect",
    "incident_opened", "timeout", "rate_limit",
]  # fmt: skip
EVIDENCE_DEADLINE_S = 120


class Demo:
    """One run in `options.directory`. `run()` returns the result object of the README."""

    def __init__(self, options: DemoOptions, screen: Screen) -> None:
        """Prepare the directory; nothing is started yet."""
        self._options = options
        self._screen = screen
        self._dir = options.directory
        self._rng = random.Random(options.seed)  # noqa: S311 - instants of crashes, seeded
        self._config = self._dir / "seatrial.toml"
        self._socket = self._dir / "state" / "control.sock"
        self._ledger = self._dir / "ledger.json"
        self._restarts = 0
        self._daemon: Process | None = None

    def run(self) -> dict[str, Any]:
        """Run the whole demo.

        Raises:
            DemoError: a step failed; the message says which.
        """
        self._dir.mkdir(parents=True, exist_ok=True)
        if (self._dir / "state").exists():
            raise DemoError(f"{self._dir} holds an earlier demo; name another with --out-dir")
        sim = ["daemon.cli.sim_command", *sim_arguments(self._options, self._ledger)]
        with Process("simulated venue", sim, self._dir / "sim.log") as venue:
            ready = venue.read_json_line()
            self._screen.say(f"simulated venue up at {ready['rest']} (pid {ready['pid']})")
            self._write_config(ready)
            with self._running_daemon():
                session_id = self._start_session()
                self._trade()
                kill, at_kill = self._kill_drill(str(ready["admin"]))
                self._stop_daemon()
            self._check_exit("simulated venue", venue.stop())
        self._screen.say("processes stopped; reducing the journal")
        return self._result(session_id, kill, at_kill)

    def _write_config(self, ready: Mapping[str, Any]) -> None:
        symbols = symbols_of(self._options)
        tables = {
            "control": {"socket": str(self._socket)},
            "metrics": {"port": 0},
            "journal": {"keep_ticks": "all"},  # a demo's run can be re-stepped
            "session": {
                "audit_period_ms": 8_000,
                "unknown_settle_ms": 4_000,
                "unknown_incident_ms": 15_000,
                # A ban of the venue at the end is waited out: what it filled is heard of.
                "stop_deadline_ms": 30_000,
            },
            "strategies": strategies_of(self._options),
            "caps": fitted_caps(self._options.caps, symbols, ready),
        }
        write_box(self._dir, ready, symbols, tables)

    @contextmanager
    def _running_daemon(self) -> Iterator[None]:
        self._start_daemon()
        try:
            yield
        finally:
            if self._daemon is not None and self._daemon.is_running:
                self._daemon.stop()

    def _start_daemon(self) -> None:
        self._daemon = Process(
            "seatriald", ["daemon", "--config", str(self._config)], self._dir / "seatriald.log"
        )
        status = until_ready(self._socket, self._daemon)
        self._screen.say(f"seatriald READY and {status.get('trading_state')}")

    def _status(self) -> dict[str, Any]:
        try:
            return dict(self._call("status"))
        except ControlError:
            return {}

    def _events(self) -> list[Mapping[str, Any]]:
        try:
            return list(self._call("events", types=SHOWN_EVENTS, tail=6)["events"])
        except ControlError:
            return []

    def _call(self, method: str, **params: Any) -> Mapping[str, Any]:
        return call(self._socket, method, **params)

    def _start_session(self) -> str:
        try:
            answer = self._call("start", reason="demo")
        except RpcError:
            if self._options.faults == "none":
                raise
            self._resolve_incidents()  # a fault may strike before the session
            answer = self._call("start", reason="demo")
        session_id = str(answer["session_id"])
        self._screen.say(f"session {session_id} started")
        return session_id

    def _resolve_incidents(self) -> None:
        for incident in self._status().get("incidents", ()):
            if not incident["resolved_by"]:
                self._screen.say(f"incident {incident['trigger']} resolved: injected")
                self._call(
                    "incident-resolve",
                    incident_id=incident["incident_id"],
                    root_cause="injected by the demo",
                    remediation="none needed",
                    follow_up="none",
                    reason="demo",
                )

    def _trade(self) -> None:
        """Watch until it is time for the drill; kill -9 and restart at seeded instants."""
        total = max(2.0, self._options.seconds - KILL_RESERVE_S)
        begin = monotonic_s()
        end = begin + total
        span = total / (self._options.crashes + 1)
        crashes = [
            begin + span * (n + self._rng.uniform(0.5, 0.95)) for n in range(self._options.crashes)
        ]
        while (now := monotonic_s()) < end or (now < end + ORDER_RESERVE_S and self._is_untried()):
            if crashes and now >= crashes[0]:
                crashes.pop(0)
                self._crash()
            if self._daemon is not None and not self._daemon.is_running:
                raise DemoError(f"seatriald ended by itself: {self._daemon.last_words()}")
            self._screen.show(self._status(), self._events(), seconds_left=end - monotonic_s())
            time.sleep(POLL_S)

    def _is_untried(self) -> bool:
        """Whether the last session has sent nothing yet, so that the venue knows nothing of it."""
        status = self._status()
        return status.get("trading_state") == "ACTIVE" and not status.get("session_orders")

    def _crash(self) -> None:
        if self._daemon is None:
            return
        self._screen.say(f"kill -9 {self._daemon.pid}")
        self._daemon.kill_hard()
        self._restarts += 1
        self._start_daemon()
        self._start_session()

    def _kill_drill(self, admin: str) -> tuple[Mapping[str, Any], int]:
        open_before = len(self._status().get("open_orders", ()))
        kill = self._call("kill", reason="demo kill drill")
        self._screen.show(self._status(), self._events(), seconds_left=0)
        left = [o for o in fetch_ledger(admin)["open_orders"] if o.get("ours", True)]
        self._screen.say(
            f"kill with {open_before} open: gate closed in {kill['gate_ms']:.3f} ms, "
            + (
                f"venue empty in {kill['empty_ms']:.1f} ms"
                if kill.get("empty_ms") is not None
                else "venue NOT verified empty"
            )
            + f", {len(left)} open"
        )
        return kill, len(left)

    def _stop_daemon(self) -> None:
        if self._daemon is None:
            return
        self._call("shutdown", reason="demo over")
        code = self._daemon.wait()
        if self._options.faults == "none":
            self._check_exit("seatriald", code)

    def _check_exit(self, name: str, code: int) -> None:
        if code != 0:
            raise DemoError(f"{name} ended with exit code {code}; see {self._dir}")

    def _result(self, session_id: str, kill: Mapping[str, Any], open_left: int) -> dict[str, Any]:
        """Compare the journal with the venue's ledger, by the accountant in its own process."""
        journal = self._dir / "state" / "journal"
        out = self._dir / "evidence"
        report = evidence_report(journal, self._ledger, out)
        account = report["journals"][0]
        compared = {
            key: value["count"] if isinstance(value, Mapping) else value
            for key, value in account["ledger"].items()
        }
        parts = sorted(journal.glob("journal-*.jsonl"))
        result = {
            "session_id": session_id,
            "journal": str(parts[0] if len(parts) == 1 else journal),
            "ledger": str(self._ledger),
            "evidence_json": str(out / "evidence_report.json"),
            "evidence_md": str(out / "evidence_report.md"),
            "evidence_html": str(out / "evidence_report.html"),
            "orders_submitted": compared["orders_submitted"],
            "fills": compared["fills"],
            "denied": compared["denied"],
            "orders_missing_from_journal": compared["orders_missing_from_journal"],
            "fills_missing_from_journal": compared["fills_missing_from_journal"],
            "cap_breaches_at_venue": compared["cap_breaches_at_venue"],
            "open_orders_after_kill": open_left,
            "kill_gate_ms": kill["gate_ms"],
            "kill_empty_ms": kill.get("empty_ms"),
            "verdict": report["verdict"],
            "anchored_by": [
                one["name"] for one in account["anchoring"]["sources"] if one["is_outside"]
            ],
            "uncovered_lines": account["anchoring"].get("uncovered", {}).get("lines", 0),
        }
        if self._options.faults != "none":
            books = json.loads(self._ledger.read_text())
            result["faults_injected"] = dict(books["faults"])
            result["duplicates"] = compared["duplicate_orders"] + compared["duplicate_fills"]
            result["incidents"] = [one["trigger"] for one in account["incidents"]["incidents"]]
            result["reasons"] = report["reasons"]
        if self._options.crashes:
            result["restarts"] = self._restarts
            result["recovered_fills"] = account["orders"]["recovered_fills"]
        return result


def evidence_report(journal: Path, ledger: Path, out: Path) -> dict[str, Any]:
    """The accountant's report on a journal and the venue's ledger, made by a process of its own.

    The ledger is the venue's list of our orders, too: their ids are held against the chain.

    Raises:
        DemoError: there is none; with what it said.
    """
    arguments = ["report", str(journal), "--ledger", str(ledger), "--out-dir", str(out), "--json"]
    arguments += ["--venue-history", str(ledger)]
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "control.main", "evidence", *arguments],
        capture_output=True,
        check=False,
        timeout=EVIDENCE_DEADLINE_S,
    )
    if done.returncode not in (0, 2, 3):
        raise DemoError(f"evidence: {done.stderr.decode(errors='replace').strip()}")
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def is_clean(result: Mapping[str, Any]) -> bool:
    """Whether the demo may exit 0: nothing missing, no breach, nothing left open.

    Under injected faults the accountant may have reasons (a wipe takes orders away): then an
    incident must have been opened, or the verdict be OK.
    """
    counts = (
        "orders_missing_from_journal",
        "fills_missing_from_journal",
        "cap_breaches_at_venue",
        "open_orders_after_kill",
    )
    if any(result[key] for key in counts) or result.get("duplicates"):
        return False
    if result["kill_empty_ms"] is None:
        return False
    return result["verdict"] == "OK" or bool(result.get("incidents"))
