"""The entry point `seatrial`: a composition root, and nothing but the mounting of commands."""

from control.cli import control_group
from control.terminal import Wiring

# The other packages' groups are mounted here, with control_group.add_command, one line each.


def main() -> None:
    """Run the tool; exit codes are documented in control/terminal.py."""
    # The direct stop path is handed in here: Wiring(direct_kill=...).
    control_group(obj=Wiring(), prog_name="seatrial")
