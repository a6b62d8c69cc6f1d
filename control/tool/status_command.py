"""`seatrial status`, for who waits for it: a plain command line asks the daemon at once.

The command line's library and the models of the other commands take longer to import than the
daemon takes to answer; what draws the screen is imported when the answer is there.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from control.control_errors import ControlError
from control.tool import output
from control.tool.client import ControlClient
from control.tool.daemon_lookup import default_socket

if TYPE_CHECKING:
    from rich.console import Console

TIMEOUT_S = 12.0
"""The method's own deadline (a test compares them) and the client's grace."""


def parse(words: Sequence[str]) -> tuple[str, bool] | None:
    """Socket and `--json` of a plain `seatrial status`; None when click has to parse it.

    (Help, a mistake, another command.) The socket is empty when none is named.
    """
    socket, as_json, is_status = "", False, False
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "status" and not is_status:
            is_status = True
        elif name == "--socket":
            given = value if equals else next(rest, "")
            if not given:
                return None
            socket = given
        elif is_status and word == "--json":
            as_json = True
        else:
            return None
    return (socket, as_json) if is_status else None


def console() -> "Console":
    """A console on stdout: colours and real width on a terminal, 80 plain columns in a pipe."""
    from rich.console import Console  # noqa: PLC0415 - what only asks does not wait for it

    # Nothing that is shown has markup or the names of emoji: their table takes 3 ms to load.
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False, emoji=False)
    told = os.environ.get("COLUMNS", "")
    width = int(told) if told.isdecimal() and int(told) else 80
    return Console(highlight=False, markup=False, emoji=False, width=width, no_color=True)


def run(socket: str, as_json: bool) -> int:
    """Ask and show; returns the exit code (`control.tool.failures`)."""
    socket = socket or default_socket()
    try:
        with ControlClient(socket) as client:
            snapshot = client.call("status", timeout_s=TIMEOUT_S)
    except ControlError as error:
        from control.tool.failures import explain, tell  # noqa: PLC0415 - hardly ever needed

        text, code, data = explain(error, socket)
        tell(text, code, as_json=as_json, data=data)
        return code
    if as_json:
        output.print_json(snapshot)
    else:
        from control.tool.status_text import status_screen  # noqa: PLC0415 - --json needs none

        console().print(status_screen(snapshot))
    return 0
