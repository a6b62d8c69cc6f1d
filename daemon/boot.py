"""One run of the daemon in the foreground: from a configuration's path to an exit code.

Exit codes: 0 ended in order; 1 ended, but an order of ours may be open at the venue; 2 the
configuration, credentials or state directory cannot be used (nothing was started); 70 a broken
invariant, or an end that did not come in time (the next boot recovers).
"""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import uvloop

from control.control_errors import ControlError
from daemon.app import Daemon, EndWatch
from daemon.errors import SeatrialError
from daemon.ownership import check_import_ownership
from daemon.settings import SettingsError, load_config
from daemon.shell.process.disk import await_room, boot_again, is_full
from daemon.shell.process.log_streams import LogThread, finish_streams, take_over_streams
from daemon.shell.process.sdnotify import Notifier
from daemon.shell.process.secrecy import forbid_core_dumps
from daemon.shell.process.signals import SignalThread

log = logging.getLogger("seatriald.boot")

EXIT_UNUSABLE = 2


def run(config_path: Path, *, check: bool = False) -> int:
    """Be the daemon's process: take signals and standard streams, `boot`, hand out what is left.

    Returns the exit code.
    """
    log_thread = LogThread()

    def exit_now(code: int) -> None:
        finish_streams(log_thread)
        os._exit(code)

    signals = SignalThread(exit_now=exit_now)
    if not check:
        signals.start()  # before every other thread
    take_over_streams(log_thread)
    try:
        return boot(config_path, check=check, watch=signals, log_dropped=log_thread.how_many_lost)
    finally:
        finish_streams(log_thread)


def boot(
    config_path: Path, *, check: bool = False, watch: EndWatch, log_dropped: Callable[[], int]
) -> int:
    """Run the daemon, or with `check` only look at its configuration; returns the exit code."""
    forbid_core_dumps()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("picows").setLevel(logging.WARNING)
    problems = check_import_ownership()
    if problems:
        return _refused("\n".join(problems))
    try:
        config = load_config(config_path)
    except SettingsError as error:
        return _refused("\n".join(f"{config_path}: {line}" for line in error.violations))
    if check:
        sys.stdout.write(f"{config_path}: ok (config {config.config_hash[:12]})\n")
        return 0
    environ = dict(os.environ)  # a key that is read from there is taken out of it
    manager = Notifier()
    await_room(config.settings.state_dir, manager)
    manager.close()
    try:
        return uvloop.run(Daemon(config, watch, log_dropped).run())
    except (OSError, ValueError, ControlError, SeatrialError) as error:
        if is_full(error):
            log.error("%s; beginning anew when there is room", error)
            boot_again(environ)
        return _refused(str(error))


def _refused(message: str) -> int:
    for line in message.splitlines():
        sys.stderr.write(f"seatriald: {line}\n")
    return EXIT_UNUSABLE
