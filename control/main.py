"""The entry point `seatrial`: the shortest way to the stop, and to the tool.

Rules of this file:
1. It imports nothing at its top: `seatrial kill`, and more so with `--direct`, pays only for what
   a stop needs.
2. Everything else is `control.tool`.
"""

import os
import sys
from typing import Any

_PLAIN = {"--direct", "--config", "--reason", "--json"}
"""What the short road understands; `--help` and others take the long one."""


def _is_plain(arguments: list[str]) -> bool:
    options = {a.partition("=")[0] for a in arguments if a.startswith("-")}
    return options <= _PLAIN


def _kill(arguments: list[str]) -> None:
    """The command `kill` alone, without the rest of the tool."""
    from control.killing import kill  # noqa: PLC0415 - rule 1
    from control.terminal import Wiring  # noqa: PLC0415 - rule 1

    kill.main(args=arguments, prog_name="seatrial kill", obj=Wiring(direct_kill=_direct_kill))


def _direct_kill(**asked: Any) -> Any:
    from daemon.direct_kill import direct_kill  # noqa: PLC0415 - rule 1

    return direct_kill(**asked)


def main() -> None:
    """Run the tool; exit codes are documented in control/terminal.py."""
    if sys.argv[1:2] == ["kill"] and "--direct" in sys.argv and _is_plain(sys.argv[2:]):
        from daemon.direct_kill import main as stop  # noqa: PLC0415 - rule 1

        stop(sys.argv[2:])
        return
    if sys.argv[1:2] == ["kill"] and "_SEATRIAL_COMPLETE" not in os.environ:
        _kill(sys.argv[2:])
        return
    from control.tool import run  # noqa: PLC0415 - rule 1

    run()


if __name__ == "__main__":
    main()
