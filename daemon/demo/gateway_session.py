"""The session of a demo; a daemon with one bot behind its gateway."""

import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control.control_errors import ControlError
from control.tool.client import call
from daemon.demo.box_config import caps_file, write_box
from daemon.demo.processes import DemoError, Process
from daemon.demo.run import POLL_S, READY_DEADLINE_S
from daemon.shell.process.clock import monotonic_s


def write_config(home: Path, ready: Mapping[str, Any], bot: str, symbol: str) -> Path:
    """Write the configuration and the venue's key of a box in `home`; the configuration's path.

    Args:
        home: an existing directory; the state goes into `home/state`.
        ready: the line that the simulated venue printed.
        bot: the name of the bot, for the table `[bots.NAME]`.
        symbol: the only one that it may trade, one of the caps preset `bots`.
    """
    caps = tomllib.loads(caps_file("bots").read_text())["caps"]
    caps["symbols"] = {symbol: caps["symbols"][symbol]}
    tables = {
        "metrics": {"enabled": False},
        "gateway": {"listen": "127.0.0.1:0"},
        "bots": {bot: {"symbols": [symbol]}},
        "caps": caps,
    }
    return write_box(home, ready, (symbol,), tables)


def start_session(socket: Path, daemon: Process) -> dict[str, Any]:
    """Wait for READY, start a session; the status before it.

    Raises:
        DemoError: the daemon ended, or was not READY in time.
    """
    deadline = monotonic_s() + READY_DEADLINE_S
    while monotonic_s() < deadline:
        if not daemon.is_running:
            raise DemoError(f"seatriald ended at once: {daemon.last_words()}")
        try:
            status = call(socket, "status")
            if status.get("gate_state") == "READY":
                call(socket, "start", reason="demo")
                return status
        except ControlError:
            pass  # not up yet
        time.sleep(POLL_S)
    raise DemoError(f"seatriald not READY in {READY_DEADLINE_S:.0f} s; see {daemon.log}")
