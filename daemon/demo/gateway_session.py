"""The session of a demo; a daemon with one bot behind its gateway."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from control.tool.client import call
from daemon.demo.box_config import fitted_caps, write_box
from daemon.demo.processes import Process, until_ready


def write_config(home: Path, ready: Mapping[str, Any], bot: str, symbol: str) -> Path:
    """Write the configuration and the venue's key of a box in `home`; the configuration's path.

    Args:
        home: an existing directory; the state goes into `home/state`.
        ready: the line that the simulated venue printed.
        bot: the name of the bot, for the table `[bots.NAME]`.
        symbol: the only one that it may trade, one of the caps preset `bots`.
    """
    tables = {
        "metrics": {"enabled": False},
        "gateway": {"listen": "127.0.0.1:0"},
        "bots": {bot: {"symbols": [symbol]}},
        "caps": fitted_caps("bots", (symbol,), ready),
    }
    return write_box(home, ready, (symbol,), tables)


def start_session(socket: Path, daemon: Process) -> dict[str, Any]:
    """Wait for READY, start a session; the status before it.

    Raises:
        DemoError: the daemon ended, or was not READY in time.
    """
    status = until_ready(socket, daemon)
    call(socket, "start", reason="demo")
    return status
