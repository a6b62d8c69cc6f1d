"""`seatriald`'s command line: options, help, version. What it starts is `daemon.boot`."""

import sys
from pathlib import Path

import click

from daemon.boot import run
from daemon.version import told


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    required=True,
    type=click.Path(path_type=Path),
    help="TOML configuration (make one with `seatrial init`).",
)
@click.option("--check", is_flag=True, help="Check the configuration, print the result, exit.")
@click.version_option(told(), prog_name="seatriald")
def main(config_path: Path, *, check: bool) -> None:
    """Trade on a testnet behind hard risk caps. Boots HALTED; start with `seatrial start`."""
    sys.exit(run(config_path, check=check))
