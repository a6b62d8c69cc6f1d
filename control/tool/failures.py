"""How a command of `seatrial` ends: its exit codes, and a failure in words.

    0  done
    1  refused or failed: the message says why and what to do
    2  the command line is wrong
    3  the daemon cannot be reached
    4  forbidden: your role may not do this
    5  no answer in time: the outcome is unknown
    6  stopped, but not latched: nothing of ours is open at the venue, and a restart would not know

The words come after the deed; that they cannot be written changes no code (`control.tool.output`).
"""

import os
from collections.abc import Mapping
from typing import Any

from control.control_errors import (
    CallTimeoutError,
    ControlError,
    DaemonUnreachableError,
    ProtocolErrorCode,
    RpcError,
)
from control.tool import output

EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_FORBIDDEN = 4
EXIT_TIMEOUT = 5
EXIT_NOT_LATCHED = 6


def explain(
    error: ControlError, socket: os.PathLike[str] | str
) -> tuple[str, int, Mapping[str, Any]]:
    """An error of the control plane as (sentence, exit code, data)."""
    if isinstance(error, DaemonUnreachableError):
        if "unknown" in str(error):
            return str(error), EXIT_UNREACHABLE, {}
        text = (
            f"cannot reach the daemon at {error}. Is it running? "
            f"Start it with `seatriald --config FILE`, or name its socket with --socket PATH"
        )
        return text, EXIT_UNREACHABLE, {}
    if isinstance(error, CallTimeoutError):
        return str(error), EXIT_TIMEOUT, {}
    if isinstance(error, RpcError):
        codes: dict[int, int] = {
            ProtocolErrorCode.FORBIDDEN: EXIT_FORBIDDEN,
            ProtocolErrorCode.TIMEOUT: EXIT_TIMEOUT,
        }
        why = error.data.get("code")
        text = f"{error.message} [{why}]" if why else error.message
        return text, codes.get(error.code, EXIT_REFUSED), {"code": error.code, **error.data}
    return f"{error} (socket {socket})", EXIT_REFUSED, {}


def tell(
    message: str, exit_code: int, *, as_json: bool, data: Mapping[str, Any] | None = None
) -> None:
    """One line on stderr; with --json also one object on stdout."""
    if as_json:
        output.print_json(
            {"error": {"message": message, "exit_code": exit_code, "data": dict(data or {})}}
        )
    output.say(message)
