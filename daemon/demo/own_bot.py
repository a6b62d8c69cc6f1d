"""The demo of a program of your own: through the gateway for a while, and then the evidence.

The simulated venue and the daemon run as processes of their own; the bot's command is given the
gateway's address and a key, in the environment and in ready files, exactly as `seatrial trial`
gives them (`BotProcess`). The judge is the venue's own ledger.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from control.control_errors import ControlError
from control.tool.client import call
from daemon.demo.demo_screen import Screen, near, program
from daemon.demo.gateway_session import start_session, write_config
from daemon.demo.processes import POLL_S, DemoError, Process
from daemon.demo.run import SHOWN_EVENTS, evidence_report
from daemon.shell.gateway.bot_keys import new_key, write_key
from daemon.shell.process.clock import monotonic_s
from daemon.trials.bot import BotError, BotProcess
from daemon.trials.sandbox import clean_environment

SYMBOL, PAIR = "BTCUSDT", "BTC/USDT"
NAME = "mybot"
"""Its name in the configuration, the journal and the report."""
_LOG_LINES, _LOG_BYTES = 10, 16_384


class OwnBotOptions(msgspec.Struct, frozen=True):
    """What the command line asked for."""

    directory: Path
    command: Sequence[str]
    seconds: int
    seed: int


class OwnBotDemo:
    """One run in `options.directory`."""

    def __init__(self, options: OwnBotOptions, screen: Screen) -> None:
        """Nothing is started yet."""
        self._options = options
        self._dir = options.directory
        self._screen = screen
        self._ledger = self._dir / "ledger.json"
        self._ended_with: int | None = None
        """The bot's exit code, where it ended before it was told to."""

    def run(self) -> dict[str, Any]:
        """Trade until the bot ends or the time is over; what the accountant says of it.

        Raises:
            DemoError: a step failed; the message says which.
        """
        if self._dir.exists() and any(self._dir.iterdir()):
            raise DemoError(f"{self._dir} holds an earlier demo; name another with --out-dir")
        self._dir.mkdir(parents=True, exist_ok=True)
        sim = ["daemon.cli.sim_command", "--seed", str(self._options.seed)]
        sim += ["--symbols", SYMBOL, "--ledger", str(self._ledger)]
        with Process("simulated venue", sim, self._dir / "sim.log") as venue:
            ready = venue.read_json_line()
            self._screen.say(f"simulated venue up at {ready['rest']}")
            config = write_config(self._dir, ready, NAME, SYMBOL)
            key = new_key(NAME, 0)
            write_key(self._dir / "state", key)
            arguments = ["daemon", "--config", str(config)]
            with Process("seatriald", arguments, self._dir / "seatriald.log") as daemon:
                socket = self._dir / "state" / "control.sock"
                address = str(start_session(socket, daemon)["gateway"]["address"])
                self._screen.say(f"seatriald READY, session started, gateway at {address}")
                with self._bot(address, key.api_key, key.secret) as bot:
                    self._watch(bot, daemon, socket)
                with suppress(ControlError):  # it has ended already
                    call(socket, "shutdown", reason="demo over")
                if (code := daemon.wait()) != 0:
                    raise DemoError(f"seatriald ended with exit code {code}; see {daemon.log}")
            venue.stop()
        return self._result(bot)

    @contextmanager
    def _bot(self, address: str, api_key: str, secret: str) -> Iterator[BotProcess]:
        work = self._dir / "bot"
        work.mkdir()
        values = {
            "rest": f"http://{address}",
            "ws_api": f"ws://{address}/ws-api/v3",
            "streams": f"ws://{address}",
            "key": api_key,
            "secret": secret,
            "symbol": SYMBOL,
            "pair": PAIR,
        }
        environment, taken = clean_environment(os.environ)
        if taken:
            self._screen.say(f"kept from the bot: {', '.join(taken)}")
        log = self._dir / "bot.log"
        try:
            bot = BotProcess(
                self._options.command, values, work=work, log=log, environment=environment
            )
            bot.start()
        except BotError as error:
            raise DemoError(str(error)) from error
        try:
            self._screen.say(f"your bot runs; what it prints is in {near(log, None)}")
            yield bot
        finally:
            bot.end()

    def _watch(self, bot: BotProcess, daemon: Process, socket: Path) -> None:
        end = monotonic_s() + self._options.seconds
        while monotonic_s() < end and bot.is_running:
            if not daemon.is_running:
                raise DemoError(f"seatriald ended by itself: {daemon.last_words()}")
            with suppress(ControlError):
                events = call(socket, "events", types=SHOWN_EVENTS, tail=6)["events"]
                left_s = end - monotonic_s()
                self._screen.show(call(socket, "status"), events, seconds_left=left_s)
            time.sleep(POLL_S)
        if bot.is_running:
            self._screen.say("the time is over: your bot is told to end (SIGTERM)")
        else:
            self._ended_with = bot.exit_code
            self._screen.say(f"your bot has ended by itself, exit code {bot.exit_code}")

    def _result(self, bot: BotProcess) -> dict[str, Any]:
        journal, out = self._dir / "state" / "journal", self._dir / "evidence"
        report = evidence_report(journal, self._ledger, out)
        account = report["journals"][0]
        found = account.get("bots", {}).get("bots", {}).get(NAME, {})
        books = json.loads(self._ledger.read_text())
        orders, left = found.get("orders", 0), len(books["open_orders"])
        verdict, why = judged(report["verdict"], self._ended_with or 0, orders, left)
        return {
            "bot": NAME,
            "exit_code": bot.exit_code,
            "requests": found.get("requests", 0),
            "orders": orders,
            "denied": {**found.get("denied", {}), **found.get("refused", {})},
            "fills": found.get("fills", 0),
            "open_at_venue": left,
            "verdict": verdict,
            "reasons": [*report["reasons"], *why],
            "evidence_html": str(out / "evidence_report.html"),
            "journal": str(journal),
            "ledger": str(self._ledger),
            "bot_log": str(self._dir / "bot.log"),
        }


def judged(verdict: str, ended_with: int, orders: int, left_open: int) -> tuple[str, list[str]]:
    """The demo's verdict and what it adds to the accountant's: a bot that failed, or did nothing.

    Args:
        verdict: the accountant's; one that is not OK stays.
        ended_with: the bot's exit code where it ended by itself; 0: it did not fail.
        orders: how many it placed.
        left_open: how many of them the venue still has.
    """
    why = [f"your bot ended by itself with exit code {ended_with}"] if ended_with else []
    why += [f"{left_open} orders are left open at the venue"] if left_open else []
    word = "FAIL" if why else "OK" if orders else "UNKNOWN"
    why += [] if orders else ["your bot placed no order, so nothing is shown"]
    return (word if verdict == "OK" else verdict), why


def _end_of(log: Path) -> list[str]:
    """The last ten lines that the bot printed, without what moves a cursor."""
    lines = log.read_bytes()[-_LOG_BYTES:].decode(errors="replace").strip().splitlines()
    return ["".join(c if c.isprintable() else " " for c in line) for line in lines[-_LOG_LINES:]]


def told(result: Mapping[str, Any]) -> list[str]:
    """The result for a person."""
    said = [] if result["verdict"] == "OK" else _end_of(Path(result["bot_log"]))
    denied = ", ".join(f"{name} {n}" for name, n in result["denied"].items()) or "none"
    orders = f"{result['orders']} orders, {result['fills']} fills"
    return [
        "",
        f"verdict: {result['verdict']}",
        *(f"  {reason}" for reason in result["reasons"]),
        f"  your bot: {result['requests']} requests, {orders}",
        f"  left open at the venue: {result['open_at_venue']}",
        f"  denied or refused: {denied}",
        *(["", "the end of bot.log", *(f"  {line}" for line in said)] if said else []),
        "",
        "files",
        f"  report    {near(result['evidence_html'], None)}",
        f"  bot       {near(result['bot_log'], None)}",
        f"  journal   {near(result['journal'], None)}",
        f"  venue     {near(result['ledger'], None)}",
        "",
        "next: open the report in a browser; then let every cap be decided again:",
        f"  {program('python')} -m evidence.recheck {near(result['journal'], None)}",
        "A bot on a box of your own: docs/GATEWAY.md.",
    ]


def is_clean(result: Mapping[str, Any]) -> bool:
    """Whether the demo may exit 0: the bot has traded, and everything is accounted for."""
    return bool(result["verdict"] == "OK")
