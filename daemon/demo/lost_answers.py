"""The scene of the lost answers: one bot, once straight at the venue and once through the gateway.

Every answer to a placement is lost (`unknown_1007_after`: executed, and answered with a timeout).
Straight at the venue the bot buys again and again; through the gateway it hears what the user
stream has proven. The judge is the venue's own ledger.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from daemon.demo.demo_screen import Screen, program
from daemon.demo.freqtrade_bot import run_freqtrade
from daemon.demo.gateway_session import start_session, write_config
from daemon.demo.naive_bot import SYMBOL
from daemon.demo.processes import DemoError, Process, ask_venue, fetch_ledger
from daemon.shell.gateway.bot_keys import new_key, write_key

LOOPS = 10
BOTS = ("ccxt", "freqtrade")
_BOT_DEADLINE_S = 120.0
_FAULT = [{"kind": "unknown_1007_after", "rate": 1.0, "purposes": ["place"]}]
_NAME = "demo"


class DemoRoute(msgspec.Struct, frozen=True):
    """Where the bot trades, and with what key."""

    rest: str
    ws: str
    api_key: str
    secret: str


def not_installed(bot: str) -> str:
    """A plain sentence where the bot cannot run here; empty: it can."""
    if bot == "ccxt" and importlib.util.find_spec("ccxt") is None:
        return (
            f"ccxt is not installed beside seatrial: {program('pip')} install ccxt, then ask again"
        )
    if bot == "freqtrade" and shutil.which("freqtrade") is None:
        return "freqtrade is not on the PATH: pip install freqtrade in a venv, then ask again"
    return ""


class LostAnswers:
    """Both runs in `directory`, one folder each."""

    def __init__(self, directory: Path, *, bot: str, seed: int, screen: Screen) -> None:
        """Nothing is started yet."""
        self._dir = directory
        self._bot = bot
        self._seed = seed
        self._screen = screen

    def run(self) -> dict[str, Any]:
        """What the venue's ledger and the bot say each way.

        Raises:
            DemoError: a step failed; the message says which.
        """
        if self._dir.exists() and any(self._dir.iterdir()):
            raise DemoError(f"{self._dir} holds an earlier demo; name another with --out-dir")
        direct, gate = self._direct(), self._through_the_gate()
        return {"scene": "lost answers", "bot": self._bot, "direct": direct, "gate": gate}

    def _direct(self) -> dict[str, Any]:
        with self._venue("direct") as venue:
            ready = venue.read_json_line()
            route = DemoRoute(
                ready["rest"], ready["streams"], ready["api_key"], ready["api_secret"]
            )
            return self._judged("straight at the venue", "direct", ready, route)

    def _through_the_gate(self) -> dict[str, Any]:
        home = self._dir / "gate"
        with self._venue("gate") as venue:
            ready = venue.read_json_line()
            config = write_config(home, ready, _NAME, SYMBOL)
            key = new_key(_NAME, 0)
            write_key(home / "state", key)
            with Process(
                "seatriald", ["daemon", "--config", str(config)], home / "daemon.log"
            ) as d:
                status = start_session(home / "state" / "control.sock", d)
                address = status["gateway"]["address"]
                route = DemoRoute(f"http://{address}", f"ws://{address}", key.api_key, key.secret)
                return self._judged("through the gateway", "gate", ready, route)

    def _venue(self, name: str) -> Process:
        home = self._dir / name
        home.mkdir(parents=True)
        arguments = ["daemon.cli.sim_command", "--seed", str(self._seed), "--symbols", SYMBOL]
        return Process("simulated venue", arguments, home / "sim.log")

    def _judged(
        self, where: str, name: str, ready: Mapping[str, Any], route: DemoRoute
    ) -> dict[str, Any]:
        admin = str(ready["admin"])
        ask_venue(admin, "faults", _FAULT)
        self._screen.say(f"{self._bot} {where}; every answer to a placement is lost")
        if self._bot == "freqtrade":
            believed = run_freqtrade(
                self._dir / name / "freqtrade", route.rest, route.ws, route.api_key, route.secret,
                enough=lambda: len(_bought(fetch_ledger(admin))) >= LOOPS,
            )  # fmt: skip
        else:
            believed = self._run_ccxt(self._dir / name, route)
        bought = _bought(fetch_ledger(admin))
        told = {
            "orders_at_venue": len(bought),
            "trades_in_bot": len(believed["trades"]),
            "attempts": believed["attempts"],
        }
        self._screen.say(
            f"  bought {told['orders_at_venue']} times; the bot knows of {told['trades_in_bot']}"
        )
        return told

    def _run_ccxt(self, home: Path, route: DemoRoute) -> dict[str, Any]:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-W", "ignore", "-m", "daemon.demo.naive_bot", route.rest, route.ws,
             str(LOOPS)],
            env=os.environ | {"BOT_API_KEY": route.api_key, "BOT_API_SECRET": route.secret},
            capture_output=True, text=True, timeout=_BOT_DEADLINE_S, check=False,
        )  # fmt: skip
        (home / "bot.log").write_text(done.stderr)
        if done.returncode != 0:
            raise DemoError(f"the bot failed; see {home / 'bot.log'}")
        believed: dict[str, Any] = json.loads(done.stdout)
        return believed


def told(result: Mapping[str, Any]) -> list[str]:
    """The table for a person."""
    lines = ["", f"bot: {result['bot']}, at most one open trade, every answer lost", ""]
    lines.append(f"{'route':<24} {'bought at the venue':>20} {'known to the bot':>17}")
    for name, words in (("direct", "straight at the venue"), ("gate", "through the gateway")):
        row = result[name]
        lines.append(f"{words:<24} {row['orders_at_venue']:>20} {row['trades_in_bot']:>17}")
    return lines


def is_safe(result: Mapping[str, Any]) -> bool:
    """Whether the bot bought once through the gateway, and knows of it."""
    gate = result["gate"]
    return bool(gate["orders_at_venue"] == gate["trades_in_bot"] == 1)


def _bought(ledger: Mapping[str, Any]) -> list[Any]:
    """Orders of the account that traded; the market's own are nobody's."""
    return [one for one in ledger["orders"] if one["side"] == "BUY" and one["status"] == "FILLED"]
