"""freqtrade, as it is installed, with a strategy that always wants to buy; for the demo's scene."""

import json
import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.shell.gateway.snippets import Address, snippet
from daemon.shell.process.child_processes import end_with_parent
from daemon.shell.process.clock import monotonic_s

RUN_S = 60.0
"""So long it runs, unless it has bought enough before."""
_LOOK_S = 0.5
_SETTLE_S = 12.0
"""After its first trade is in its database: so long it could still buy again."""
_STRATEGY = """from freqtrade.strategy import IStrategy


class AlwaysBuy(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {"0": 100.0}
    stoploss = -0.9
    startup_candle_count = 1

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe["exit_long"] = 0
        return dataframe
"""


def run_freqtrade(
    home: Path, rest: str, ws: str, api_key: str, secret: str, *, enough: Callable[[], bool]
) -> dict[str, Any]:
    """Run it for a while; `trades`: what stands in its database, `attempts`: from its log."""
    (home / "strategies").mkdir(parents=True)
    (home / "strategies" / "always_buy.py").write_text(_STRATEGY)
    config = json.loads(snippet("freqtrade", Address(rest, ws), ("BTCUSDT",)))
    config["exchange"] |= {"key": api_key, "secret": secret}
    database = home / "trades.sqlite"
    config |= {
        "max_open_trades": 1, "stake_currency": "USDT", "stake_amount": 100,
        "trading_mode": "spot", "db_url": f"sqlite:///{database}",
        "entry_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "exit_pricing": {"price_side": "other", "use_order_book": True, "order_book_top": 1},
        "order_types": {"entry": "market", "exit": "market", "stoploss": "market",
                        "stoploss_on_exchange": False},
        "pairlists": [{"method": "StaticPairList"}],
        "internals": {"process_throttle_secs": 2}, "initial_state": "running",
        "bot_name": "demo", "cancel_open_orders_on_exit": False,
    }  # fmt: skip
    file = home / "config.json"
    file.write_text(json.dumps(config, indent=1))
    file.chmod(0o600)
    with (home / "freqtrade.log").open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - the program that the operator has installed
            ["freqtrade", "trade", "--config", str(file), "--userdir", str(home),  # noqa: S607
             "--strategy", "AlwaysBuy", "--strategy-path", str(home / "strategies")],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=dict(os.environ), cwd=home,
            preexec_fn=end_with_parent(),  # noqa: PLW1509 - one system call, no lock
        )  # fmt: skip
    try:
        _wait(child, database, enough)
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    text = (home / "freqtrade.log").read_text(errors="replace")
    attempts = len(re.findall(r"Unable to create trade|Order .* was created", text))
    return {"trades": _trades(database), "attempts": attempts}


def _wait(child: "subprocess.Popen[bytes]", database: Path, enough: Callable[[], bool]) -> None:
    end = monotonic_s() + RUN_S
    settled: float | None = None
    while monotonic_s() < end and child.poll() is None:
        if enough() or (settled is not None and monotonic_s() > settled):
            return
        if settled is None and _trades(database):
            settled = monotonic_s() + _SETTLE_S
        time.sleep(_LOOK_S)


def _trades(database: Path) -> list[str]:
    if not database.exists():
        return []
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            rows = connection.execute("select id from trades").fetchall()
    except sqlite3.Error:  # it is being made
        return []
    return [str(row[0]) for row in rows]
