"""`seatrial`, the operator's tool: the root command group with control's own commands.

`control/tool.py` mounts the other packages' groups beside them.
"""

from pathlib import Path

import click

from control.acting import ACTING
from control.setting_up import SETTING_UP
from control.showing import SHOWING
from control.terminal import Wiring

COMMANDS: tuple[click.Command, ...] = (*SHOWING, *ACTING, *SETTING_UP)
"""To be mounted flat under the root."""


@click.group(
    name="seatrial",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 daemon unreachable, "
        "4 forbidden, 5 no answer in time."
    ),
)
@click.option(
    "--socket",
    type=click.Path(readable=False, path_type=Path),
    help="The daemon's control socket [$SEATRIAL_SOCKET, $RUNTIME_DIRECTORY/control.sock, "
    "/run/seatrial/control.sock].",
)
@click.pass_context
def control_group(ctx: click.Context, socket: Path | None) -> None:
    """Stop, see and explain a seatrial daemon; start it when all is well."""
    if ctx.obj is None:
        ctx.obj = Wiring()
    if socket is not None and isinstance(ctx.obj, Wiring):
        ctx.obj.socket = socket


for _command in COMMANDS:
    control_group.add_command(_command)
