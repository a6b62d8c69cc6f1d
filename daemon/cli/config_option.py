"""The daemon's configuration for a command: named with `--config`, or found by the daemon."""

from pathlib import Path

import click

from control.tool.command_frame import Failure, wiring
from control.tool.daemon_lookup import default_config
from control.tool.failures import EXIT_REFUSED
from daemon.settings import Config, SettingsError, load_config


def _named_or_found(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> Path:
    found = value or default_config(wiring(ctx).socket_path)
    if found is None and not ctx.resilient_parsing:
        raise click.UsageError(
            "name the configuration with --config FILE; or set $SEATRIAL_CONFIG, or "
            "$SEATRIAL_SOCKET to the socket of a box that `seatrial init` made"
        )
    return found or Path()


CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_named_or_found,
    help="The daemon's configuration [$SEATRIAL_CONFIG, that of the box of --socket].",
)


def known_config(path: Path, exit_code: int = EXIT_REFUSED, *, as_json: bool = False) -> Config:
    """What the file says.

    Raises:
        Failure: with every problem of it, one a line.
    """
    try:
        return load_config(path)
    except SettingsError as error:
        raise Failure(str(error), exit_code, as_json=as_json) from error
