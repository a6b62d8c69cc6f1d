"""The tool `seatrial` with all command groups mounted (a composition root).

Commands of other packages are imported when they are called: `seatrial status` at 3 a.m. does not
wait for the imports of the demo.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from control.control_errors import ControlError
from control.tool.command_frame import Wiring
from control.tool.root_command import OWN, ROOT, Root, imported

MOUNTED = {
    "bot": "daemon.cli.bot_commands:bot_group",
    "demo": "daemon.cli.demo_command:demo_command",
    "doctor": "daemon.cli.doctor_command:doctor_command",
    "drill": "daemon.cli.drill_command:drill_command",
    "journal": "daemon.cli.journal_commands:journal_group",
    "keys": "daemon.cli.keys_commands:keys_group",
    "notify": "daemon.cli.notify_command:notify_group",
    "order": "daemon.cli.order_command:order_command",
    "ops-status": "evidence.gates.housekeeping_commands:ops_status_command",
    "promote": "daemon.cli.promote_trials:promote_command",
    "sim": "daemon.cli.sim_command:sim_command",
    "evidence": "evidence.evidence_commands:evidence_group",
    "gate": "evidence.gates.gate_commands:gate_group",
    "preflight": "daemon.cli.preflight_command:preflight_command",
    "state": "daemon.cli.state_commands:state_group",
    "strategy": "daemon.cli.strategy_commands:strategy_group",
    "trial": "daemon.cli.trial_command:trial_command",
    "up": "daemon.cli.up_command:up_command",
    "witness": "evidence.witness.witness_commands:witness_group",
}

MOUNTED_BELOW = {"caps": {"explain": "daemon.cli.caps_commands:explain_command"}}
"""Commands of other packages inside a group of control's."""


class Tool(Root):
    """Control's own commands, and the mounted ones."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__({**OWN, **MOUNTED}, **{**ROOT, **attributes})
        self.params.append(_version_option())

    def complete(self, name: str, command: click.Command) -> click.Command:
        """Add the commands of other packages."""
        if isinstance(command, click.Group):
            for below, place in MOUNTED_BELOW.get(name, {}).items():
                command.add_command(imported(place), below)
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


def _unknown_cap(key: str) -> str:
    return str(importlib.import_module("riskcaps.words.explain").unknown_cap(key))


def _symbol_facts(
    environment: str, urls: Mapping[str, str] | None, symbols: Sequence[str]
) -> Mapping[str, Mapping[str, str]]:
    facts = importlib.import_module("daemon.shell.link.symbol_facts")
    errors = importlib.import_module("daemon.errors")
    try:
        found: Mapping[str, Mapping[str, str]] = facts.symbol_facts(environment, urls, symbols)
    except errors.SeatrialError as error:
        raise ControlError(str(error)) from error
    return found


def _version_option() -> click.Option:
    def show(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
        if asked:
            version = importlib.import_module("daemon.version")
            click.echo(f"seatrial {version.told()}")
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
    """Run the tool; exit codes are documented in control/tool/failures.py."""
    wired = Wiring(
        direct_kill=_direct_kill, check_config=_check_config, symbol_facts=_symbol_facts,
        unknown_cap=_unknown_cap,
    )  # fmt: skip
    Tool()(obj=wired, prog_name="seatrial")
