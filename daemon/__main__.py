"""`seatriald --config FILE`: run the daemon in the foreground.

Exit codes: 0 ended in order; 2 the configuration, credentials or state directory cannot be used
(nothing was started); 70 a broken invariant (the next boot recovers).
"""

import logging
import sys
from pathlib import Path
from typing import NoReturn

import click
import uvloop

from control.errors import ControlError
from daemon.app import Daemon
from daemon.errors import SeatrialError
from daemon.ownership import check_import_ownership
from daemon.settings import SettingsError, load_config
from daemon.shell.disk import await_room
from daemon.shell.sdnotify import Notifier
from daemon.shell.secrecy import forbid_core_dumps
from daemon.version import commit, seatrial_version

EXIT_UNUSABLE = 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    required=True,
    type=click.Path(path_type=Path),
    help="TOML configuration (make one with `seatrial init`).",
)
@click.option("--check", is_flag=True, help="Check the configuration, print the result, exit.")
@click.version_option(f"{seatrial_version()} ({commit()[:12]})", prog_name="seatriald")
def main(config_path: Path, *, check: bool) -> None:
    """Trade on a testnet behind hard risk caps. Boots HALTED; start with `seatrial start`."""
    forbid_core_dumps()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("picows").setLevel(logging.WARNING)
    problems = check_import_ownership()
    if problems:
        _refuse("\n".join(problems))
    try:
        config = load_config(config_path)
    except SettingsError as error:
        _refuse("\n".join(f"{config_path}: {line}" for line in error.violations))
    if check:
        click.echo(f"{config_path}: ok (config {config.config_hash[:12]})")
        return
    manager = Notifier()
    await_room(config.settings.state_dir, manager)
    manager.close()
    try:
        daemon = Daemon(config)
    except (OSError, ValueError, ControlError, SeatrialError) as error:
        _refuse(str(error))
    try:
        code = uvloop.run(daemon.run())
    except (OSError, ValueError, ControlError, SeatrialError) as error:
        _refuse(str(error))
    sys.exit(code)


def _refuse(message: str) -> NoReturn:
    for line in message.splitlines():
        click.echo(f"seatriald: {line}", err=True)
    sys.exit(EXIT_UNUSABLE)


if __name__ == "__main__":
    main()
