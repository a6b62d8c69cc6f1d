"""The entry point `seatrial`: the shortest way to the stop, to what stands, and to the tool.

Rules of this file:
1. It imports nothing at its top: `seatrial kill`, and more so with `--direct`, pays only for what
   a stop needs.
2. Everything else is `control.tool.mounted_commands`.
3. The standard streams are made safe before anything else, and the process ends by `output.end`:
   whatever becomes of the words, the exit code is that of the deed.
4. What lives for 50 ms collects no garbage: a twentieth of its time would go there.
"""

import gc
import os
import sys
from typing import Any

INTERRUPTED = 130
"""As the shell has it: 128 and the number of SIGINT."""


def _direct_kill(**asked: Any) -> Any:
    from daemon.direct_kill import direct_kill  # noqa: PLC0415 - rule 1

    return direct_kill(**asked)


def _run(words: list[str]) -> None:
    gc.disable()  # rule 4
    if "kill" in words and "_SEATRIAL_COMPLETE" not in os.environ:
        from control.tool.kill_command import parse, run  # noqa: PLC0415 - rule 1

        asked = parse(words)
        if asked is not None:
            sys.exit(run(asked, _direct_kill))
    elif "status" in words and "_SEATRIAL_COMPLETE" not in os.environ:
        from control.tool import status_command  # noqa: PLC0415 - rule 1

        plain = status_command.parse(words)
        if plain is not None:
            sys.exit(status_command.run(*plain))
    gc.enable()
    from control.tool.mounted_commands import run as run_tool  # noqa: PLC0415 - rule 1

    run_tool()


def main() -> None:
    """Run the tool; exit codes are documented in control/tool/failures.py."""
    from control.tool import output  # noqa: PLC0415 - rule 1

    output.install()
    code = 0
    try:
        _run(sys.argv[1:])
    except SystemExit as ended:
        code = output.code_of(ended)
    except KeyboardInterrupt:
        output.say("interrupted")
        code = INTERRUPTED
    except BaseException:  # noqa: BLE001 - a bug: told like everything else, and the process ends
        import traceback  # noqa: PLC0415 - rule 1

        traceback.print_exc()
        code = 1
    output.end(code)


if __name__ == "__main__":
    main()
