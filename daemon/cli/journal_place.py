"""Which journal a command reads: the one that is named, or that of the daemon behind the socket."""

from pathlib import Path

import click

from control.tool.command_frame import wiring
from control.tool.daemon_lookup import default_config
from daemon.settings import SettingsError, load_config
from daemon.shell.journal.segments import LINE_BYTES_MAX, segments

FILE = click.Path(path_type=Path)
CONFIG = click.option("--config", type=FILE, help="Configuration: the journal of its state_dir.")
DIRECTORY = click.option("--dir", "directory", type=FILE, help="A state or journal directory.")


def journal_of(ctx: click.Context, config: Path | None, directory: Path | None) -> Path:
    """The journal's directory.

    Without either option it is that of the daemon whose socket `seatrial` asks: that of its
    configuration, or the one beside the socket.

    Raises:
        click.UsageError: both are named, none can be told, or the configuration is refused.
        click.ClickException: there is no journal in that place.
    """
    if config is not None and directory is not None:
        raise click.UsageError("name the journal with --config FILE or with --dir DIRECTORY")
    socket = wiring(ctx).socket_path
    if config is None and directory is None:
        config = default_config(socket)
    if config is not None:
        try:
            place = load_config(config).settings.state_dir
        except SettingsError as error:
            raise click.UsageError(str(error)) from error
    else:
        place = directory or socket.parent
    for one in (place, place / "journal", place / "state/journal"):
        if segments(one):
            return one
    if config is None and directory is None:
        raise click.UsageError("name the journal with --config FILE or with --dir DIRECTORY")
    raise click.ClickException(
        f"{place}: holds no journal-NNNNNN.jsonl; name a state directory or its journal"
    )


def tell_long_line(path: Path, at: int) -> None:
    """Say that a line was passed over, because it is longer than any of ours."""
    click.echo(
        f"seatrial: {path}: the line at byte {at:,} is longer than {LINE_BYTES_MAX >> 20} MB and "
        "was passed over; `seatrial evidence verify` judges the journal",
        err=True,
    )
