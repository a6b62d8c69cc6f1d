"""The entry point `seatrial`: a composition root, and nothing but the mounting of commands.

Commands of other packages are imported when they are called: `seatrial kill` at 3 a.m. does not
wait for the imports of the demo.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import click

MOUNTED = {
    "demo": "daemon.cli:demo_command",
    "doctor": "daemon.cli_doctor:doctor_command",
    "drill": "daemon.cli_drill:drill_command",
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


def _is_plain(arguments: list[str]) -> bool:
    """Whether the short road knows every option; `--help` and others take the long one."""
    options = {a.partition("=")[0] for a in arguments if a.startswith("-")}
    return options <= {"--direct", "--config", "--reason", "--json"}


def main() -> None:
    """Run the tool; exit codes are documented in control/terminal.py."""
    if sys.argv[1:2] == ["kill"] and "--direct" in sys.argv and _is_plain(sys.argv[2:]):
        # The second process' road imports only what a stop needs.
        importlib.import_module("daemon.direct_kill").main(sys.argv[2:])
        return
    group = importlib.import_module("control.cli").control_group
    tool = Tool(
        name="seatrial",
        commands=group.commands,
        params=group.params,
        callback=group.callback,
        help=group.help,
        context_settings=group.context_settings,
    )
    tool.params.append(_version_option())
    wiring = importlib.import_module("control.terminal").Wiring(
        direct_kill=_direct_kill, check_config=_check_config
    )
    tool(obj=wiring, prog_name="seatrial")


if __name__ == "__main__":
    main()
