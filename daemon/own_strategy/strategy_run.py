"""`seatrial strategy run`: some minutes of a session with one strategy of the user's own.

The programs are those of every session, as processes: the simulated venue and the daemon. The judge
is the accountant, with the venue's own books.
"""

import json
import linecache
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from control.control_errors import ControlError
from control.tool.client import call
from daemon.demo.box_config import fitted_caps, write_box
from daemon.demo.demo_screen import Screen, near, program
from daemon.demo.gateway_session import start_session
from daemon.demo.processes import POLL_S, DemoError, Process
from daemon.demo.run import SHOWN_EVENTS, evidence_report
from daemon.model.records import EventType
from daemon.own_strategy.class_place import ClassPlace
from daemon.shell.journal.segments import lines_of, segments
from daemon.shell.process.clock import monotonic_s

BEGUN_S = 5.0
"""The status of before the session is not told any longer by then."""
NAME = "mine"
"""The strategy's name in the configuration, the journal and the report."""
_ERROR_LINE = f'"event_type":"{EventType.STRATEGY_ERROR.value}"'.encode()


class StrategyRun:
    """One run in a directory of its own."""

    def __init__(
        self,
        place: ClassPlace,
        home: Path,
        *,
        seconds: float,
        symbol: str,
        caps: str,
        seed: int,
        params: Mapping[str, Any],
    ) -> None:
        """Nothing is started yet; `caps` is a preset or a file."""
        self._place, self._home, self._seconds = place, home, seconds
        self._symbol, self._caps, self._seed, self._params = symbol, caps, seed, params
        self._ledger = home / "ledger.json"

    def run(self, screen: Screen) -> dict[str, Any]:
        """Trade, end in order, and judge.

        Raises:
            DemoError: a step failed; the message says which.
            ControlError: the daemon refused a session, or does not answer.
        """
        if self._home.exists() and any(self._home.iterdir()):
            raise DemoError(f"{self._home} holds an earlier run; name another with --dir")
        self._home.mkdir(parents=True, exist_ok=True)
        sim = ["daemon.cli.sim_command", "--seed", str(self._seed), "--symbols", self._symbol]
        sim += ["--ledger", str(self._ledger)]
        log = self._home / "sim.log"
        with (
            tempfile.TemporaryDirectory(prefix="seatrial-") as short,
            Process("simulated venue", sim, log, has_own_group=True) as venue,
        ):
            socket = Path(short) / "control.sock"  # a user's own path may be too long for one
            ready = venue.read_json_line()
            screen.say(f"simulated venue up at {ready['rest']}")
            with self._daemon(ready, socket) as daemon:
                start_session(socket, daemon)
                screen.say(f"seatriald READY, session started with {self._place.class_path}")
                status = self._watch(socket, daemon, screen)
                with suppress(ControlError):  # it has ended already
                    call(socket, "shutdown", reason="strategy run over")
                if (code := daemon.wait()) != 0:
                    raise DemoError(f"seatriald ended with exit code {code}; see {daemon.log}")
            venue.stop()
        return self._result(status)

    @contextmanager
    def _daemon(self, ready: Mapping[str, Any], socket: Path) -> Iterator[Process]:
        strategy = {
            "class": self._place.class_path, "symbols": [self._symbol], "params": self._params,
        }  # fmt: skip
        tables = {
            "control": {"socket": str(socket)},
            "metrics": {"enabled": False},
            "strategies": {NAME: strategy},
            "caps": fitted_caps(self._caps, (self._symbol,), ready),
        }
        config = write_box(self._home, ready, (self._symbol,), tables)
        before = os.environ.get("PYTHONPATH", "")
        path = os.pathsep.join(str(one) for one in (self._place.root, before) if one)
        arguments = ["daemon", "--config", str(config)]
        log = self._home / "seatriald.log"
        extra = {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"} if path else {}
        with Process("seatriald", arguments, log, has_own_group=True, environ=extra) as daemon:
            yield daemon

    def _watch(self, socket: Path, daemon: Process, screen: Screen) -> dict[str, Any]:
        """Until the time is over, Ctrl-C, or the session's end; the last status."""
        status: dict[str, Any] = {}
        has_begun = False
        begin = monotonic_s()
        soon, end = begin + BEGUN_S, begin + self._seconds
        try:
            while monotonic_s() < end:
                if not daemon.is_running:
                    raise DemoError(f"seatriald ended by itself: {daemon.last_words()}")
                status = call(socket, "status")
                is_halted = status.get("trading_state") == "HALTED"
                has_begun = has_begun or not is_halted or monotonic_s() > soon
                if is_halted and (has_begun or status.get("incidents_open")):
                    screen.say("the session has ended by itself")
                    return status
                events = call(socket, "events", types=SHOWN_EVENTS, tail=6)["events"]
                screen.show(status, events, seconds_left=end - monotonic_s())
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            screen.say("Ctrl-C: the session is ended in order")
        return status

    def _result(self, status: Mapping[str, Any]) -> dict[str, Any]:
        journal, out = self._home / "state" / "journal", self._home / "evidence"
        report = evidence_report(journal, self._ledger, out)
        account = report["journals"][0]
        owner = account["activity"]["owners"].get(NAME, {})
        books = account["positions"]["symbols"].get(self._symbol, {})
        equity = status.get("equity", {})
        return {
            "strategy": self._place.class_path,
            "seconds": round(self._seconds),
            "symbol": self._symbol,
            "orders": owner.get("approved", 0),
            "fills": owner.get("fills", 0),
            "denied": dict(account["orders"]["denials_by_reason"]),
            "rejected": owner.get("rejected", 0),
            "fees": dict(books.get("fees", {})),
            "position": books.get("position", "0"),
            "realised": books.get("realised_quote", "0"),
            "equity": equity.get("equity"),
            "numeraire": equity.get("numeraire", ""),
            "open_at_venue": len(json.loads(self._ledger.read_text())["open_orders"]),
            "slowest_turn_ms": round(float(status.get("turn_max_s", 0)) * 1e3, 3),
            "errors": list(strategy_errors(journal, self._place)),
            "verdict": report["verdict"],
            "reasons": report["reasons"],
            "evidence_html": str(out / "evidence_report.html"),
            "journal": str(journal),
            "ledger": str(self._ledger),
        }


def strategy_errors(journal: Path, place: ClassPlace) -> Iterator[dict[str, Any]]:
    """What the strategy raised: where, the message, and the stack with the lines of its file."""
    for path in segments(journal):
        for line in lines_of(path):
            if _ERROR_LINE not in line:
                continue
            told = json.loads(line)
            frames = [_with_source(one, place) for one in told.get("trace", ())]
            yield {"where": told["where"], "msg": told["msg"], "trace": frames}


def _with_source(frame: str, place: ClassPlace) -> str:
    """`FILE.py:12 in on_market`, and what stands in that line where the file is the user's."""
    name, _, rest = frame.partition(":")
    number = rest.partition(" ")[0]
    for file in sorted(place.root.rglob(name)) if place.root is not None else ():
        if number.isdecimal() and (source := linecache.getline(str(file), int(number)).strip()):
            return f"{frame}: {source}"
    return frame


def is_sound(result: Mapping[str, Any]) -> bool:
    """Whether the accountant has nothing against it, and the strategy raised nothing."""
    return result["verdict"] == "OK" and not result["errors"] and not result["open_at_venue"]


def summary(result: Mapping[str, Any]) -> list[str]:
    """The result for a person."""
    denied = ", ".join(f"{name} {n}" for name, n in result["denied"].items()) or "none"
    fees = ", ".join(f"{amount} {asset}" for asset, amount in result["fees"].items()) or "none"
    equity = "not known" if result["equity"] is None else f"{Decimal(result['equity']):+f}"
    lines = ["", f"verdict: {result['verdict']}", *(f"  {one}" for one in result["reasons"])]
    for error in result["errors"]:
        lines += ["", f"your strategy raised in {error['where']}, and was stopped:"]
        lines += [f"  {frame}" for frame in error["trace"]]
        lines += [f"  {error['msg']}", ""]
    return [
        *lines,
        (
            f"  orders {result['orders']}, fills {result['fills']}, refused by the venue "
            f"{result['rejected']}"
        ),
        f"  denied by caps: {denied}",
        (
            f"  position left: {result['position']} of {result['symbol']}, open orders left: "
            f"{result['open_at_venue']}"
        ),
        f"  fees {fees}; result since the start {equity} {result['numeraire']}",
        f"  slowest turn of the daemon {result['slowest_turn_ms']} ms",
        *(
            []
            if result["orders"]
            else ["  it placed no order: `seatrial strategy check` says more"]
        ),
        "",
        "files",
        f"  report    {near(result['evidence_html'], None)}",
        f"  journal   {near(result['journal'], None)}",
        "",
        "next: what became of an order, and why one was denied:",
        (
            f"  {program('seatrial')} journal query --dir {near(result['journal'], None)} "
            "--type order_denied -n 5"
        ),
    ]
