"""`seatrial` with everything mounted: a composition root, and nothing but that.

Commands of other packages are imported when they are called: `seatrial status` at 3 a.m. does not
wait for the imports of the demo.
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from control.cli import OWN, ROOT, Root, imported
from control.errors import ControlError
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
    "state": "daemon.cli_state:state_group",
}

MOUNTED_BELOW = {"caps": {"explain": "daemon.cli_caps:explain_command"}}
"""Commands of other packages inside a group of control's."""


class Tool(Root):
    """Control's own commands, and the mounted ones."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__({**OWN, **MOUNTED}, **{**ROOT, **attributes})
        self.params.append(_version_option())

    def complete(self, name: str, command: click.Command) -> click.Command:
        """With the commands of other packages inside it."""
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


def _symbol_facts(
    environment: str, urls: Mapping[str, str] | None, symbols: Sequence[str]
) -> Mapping[str, Mapping[str, str]]:
    facts = importlib.import_module("daemon.shell.symbol_facts")
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
    """Run the tool; exit codes are documented in control/failures.py."""
    wired = Wiring(direct_kill=_direct_kill, check_config=_check_config, symbol_facts=_symbol_facts)
    Tool()(obj=wired, prog_name="seatrial")
