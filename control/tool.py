"""`seatrial` with everything mounted: a composition root, and nothing but that.

Commands of other packages are imported when they are called: `seatrial status` at 3 a.m. does not
wait for the imports of the demo.
"""

import importlib
from pathlib import Path
from typing import Any

import click

from control.cli import control_group
from control.terminal import Wiring

MOUNTED = {
    "demo": "daemon.cli:demo_command",
    "doctor": "daemon.cli_doctor:doctor_command",
    "drill": "daemon.cli_drill:drill_command",
    "journal": "daemon.cli_journal:journal_group",
    "keys": "daemon.cli_keys:keys_group",
    "ops-status": "evidence.gates.cli_housekeeping:ops_status_command",
    "promote": "evidence.promotion.cli:promote_command",
    "sim": "daemon.cli_sim:sim_command",
    "evidence": "evidence.cli:evidence_group",
    "gate": "evidence.gates.cli:gate_group",
    "preflight": "daemon.cli_preflight:preflight_command",
}

MOUNTED_BELOW = {"caps": {"explain": "daemon.cli_caps:explain_command"}}
"""Commands of other packages inside a group of control's."""


class Tool(click.Group):
    """Control's own commands, and the mounted ones on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*super().list_commands(ctx), *MOUNTED})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a mounted command when it is asked for."""
        place = MOUNTED.get(cmd_name)
        found = super().get_command(ctx, cmd_name) if place is None else _imported(place)
        if isinstance(found, click.Group):
            for name in MOUNTED_BELOW.get(cmd_name, {}):
                found.add_command(_imported(MOUNTED_BELOW[cmd_name][name]), name)
        return found


def _imported(place: str) -> click.Command:
    module, _, name = place.partition(":")
    command: click.Command = getattr(importlib.import_module(module), name)
    return command


def _direct_kill(**asked: Any) -> Any:
    return importlib.import_module("daemon.direct_kill").direct_kill(**asked)


def _check_config(path: Path) -> list[str]:
    settings = importlib.import_module("daemon.settings")
    try:
        settings.load_config(path)
    except settings.SettingsError as error:
        return list(error.violations)
    return []


def _version_option() -> click.Option:
    def show(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
        if asked:
            version = importlib.import_module("daemon.version")
            click.echo(f"seatrial {version.seatrial_version()} ({version.commit()[:12]})")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help="Show the version and commit, and exit.",
    )


def run() -> None:
    """Run the tool; exit codes are documented in control/terminal.py."""
    tool = Tool(
        name="seatrial",
        commands=control_group.commands,
        params=control_group.params,
        callback=control_group.callback,
        help=control_group.help,
        epilog=control_group.epilog,
        context_settings=control_group.context_settings,
    )
    tool.params.append(_version_option())
    tool(obj=Wiring(direct_kill=_direct_kill, check_config=_check_config), prog_name="seatrial")
