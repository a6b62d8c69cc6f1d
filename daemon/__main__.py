"""The entry point `seatriald`: the shortest way to a daemon that serves.

Rules of this file:
1. It imports nothing at its top, and the command line's library only for what is not plain.
2. The collector is off until the daemon serves (`daemon.app` turns it on): nothing that start-up
   makes is garbage, yet it would walk over all of it again and again, for an eighth of the time.
"""

import gc
import sys
from pathlib import Path


def main() -> None:
    """Run the daemon; exit codes are documented in daemon/boot.py."""
    gc.disable()
    if len(sys.argv) == 3 and sys.argv[1] == "--config":
        from daemon.boot import run  # noqa: PLC0415 - rule 1

        sys.exit(run(Path(sys.argv[2])))
    from daemon.cli.seatriald_command import main as command  # noqa: PLC0415 - rule 1

    command()


if __name__ == "__main__":
    main()
