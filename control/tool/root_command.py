"""`seatrial`, the operator's tool: the root command group with control's own commands.

`control/tool/mounted_commands.py` mounts the other packages' groups beside them.

Rules of this file:
1. A command is imported when it is asked for: `seatrial stop` waits for what a stop needs, and for
   no table, no screen and no model of another command.
2. `seatrial --help` and the shell's completion import no command: what they say of each stands in
   `control/tool/help_lines.py`.
3. What all commands have is given to them here, once: `--socket`, `--json`, `--reason` and `--yes`
   stand before the command or after it, `-h` is `--help`, and `--json` is taken wherever there is
   an answer (`control/tool/json_manner.py` says where there is none).
"""

import importlib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from control.tool.command_frame import wiring
from control.tool.json_manner import give_json

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

OWN: Mapping[str, str] = {
    "cancel-all": "control.tool.commands_write:cancel_all",
    "caps": "control.tool.commands_read:caps",
    "completion": "control.tool.setup_commands:completion",
    "explain": "control.tool.commands_write:explain",
    "flatten": "control.tool.commands_write:flatten",
    "gating": "control.tool.commands_read:gating",
    "incident": "control.tool.commands_read:incident",
    "init": "control.tool.setup_commands:init",
    "kill": "control.tool.commands_write:kill",
    "orders": "control.tool.commands_read:orders",
    "positions": "control.tool.commands_read:positions",
    "re-arm": "control.tool.commands_write:re_arm",
    "re-enable": "control.tool.commands_write:re_enable",
    "reconcile": "control.tool.commands_write:reconcile",
    "rpc": "control.tool.commands_read:rpc",
    "shutdown": "control.tool.commands_write:shutdown",
    "start": "control.tool.commands_write:start",
    "status": "control.tool.commands_read:status",
    "stop": "control.tool.commands_write:stop",
    "tail": "control.tool.commands_read:tail",
    "watch": "control.tool.commands_read:watch",
}
"""Control's own commands: where each is."""


def _take_socket(ctx: click.Context, _: click.Parameter, given: Path | None) -> None:
    if given is not None:
        wiring(ctx).socket = given


def socket_option(*, hidden: bool = False) -> click.Option:
    """`--socket`, for the root and for every command below it."""
    return click.Option(
        ["--socket"],
        type=click.Path(readable=False, path_type=Path),
        expose_value=False,
        callback=_take_socket,
        hidden=hidden,
        help="The daemon's control socket, before or after the command [$SEATRIAL_SOCKET, "
        "$RUNTIME_DIRECTORY/control.sock, /run/seatrial/control.sock].",
    )


class Root(click.Group):
    """Commands by name and place, imported on demand."""

    def __init__(self, places: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._places = places
        self._found: dict[str, click.Command] = {}
        self.params.append(socket_option())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        del ctx
        return sorted(self._places)

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        """Import a command when it is asked for."""
        del ctx
        place = self._places.get(cmd_name)
        if place is None:
            return None
        if cmd_name not in self._found:
            command = self.complete(cmd_name, imported(place))
            _give_socket(command, hidden=place not in OWN.values())
            give_json(command, cmd_name)
            self._found[cmd_name] = command
        return self._found[cmd_name]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Options that stand before the command's name are those of the command."""
        return super().parse_args(ctx, _hoisted(self, ctx, args))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The names with one line each; nothing is imported for it."""
        from control.tool.help_lines import SAYINGS  # noqa: PLC0415 - a stop waits for no help

        said = [(name, SAYINGS[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(said)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Names for a shell that completes them; nothing is imported for it."""
        # Imported here: a stop waits for no help.
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - see above

        from control.tool.help_lines import SAYINGS  # noqa: PLC0415 - see above

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=SAYINGS[name]) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def complete(self, name: str, command: click.Command) -> click.Command:
        """What a composition root adds to a command of this name."""
        del name
        return command

    @property
    def commands(self) -> MutableMapping[str, click.Command]:
        """All of them, imported: for who walks the whole tool."""
        found = {name: self.get_command(None, name) for name in self._places}
        return {name: command for name, command in found.items() if command is not None}

    @commands.setter
    def commands(self, _: MutableMapping[str, click.Command]) -> None:
        """Click's own constructor has none to give."""


_BEFORE = frozenset({"--json", "--yes"})
_BEFORE_WITH_VALUE = frozenset({"--reason"})


def _hoisted(root: click.Group, ctx: click.Context, args: list[str]) -> list[str]:
    """The command line with `--json`, `--yes` and `--reason WHY` behind the last command's name."""
    command: click.Command | None = root
    kept: list[str] = []
    moved: list[str] = []
    rest = list(args)
    while rest and isinstance(command, click.Group):
        word = rest.pop(0)
        if word in _BEFORE or word.startswith("--reason="):
            moved.append(word)
        elif word in _BEFORE_WITH_VALUE and rest:
            moved += [word, rest.pop(0)]
        elif word == "--socket" and rest:
            kept += [word, rest.pop(0)]
        elif word.startswith("-"):
            kept.append(word)
        else:
            kept.append(word)
            command = command.get_command(ctx, word)
    return [*kept, *moved, *rest]


def imported(place: str) -> click.Command:
    """The command at `module:name`."""
    module, _, name = place.partition(":")
    command: click.Command = getattr(importlib.import_module(module), name)
    return command


def _give_socket(command: click.Command, *, hidden: bool) -> None:
    """To a command and to all below it; shown where a daemon is asked."""
    if not any("--socket" in param.opts for param in command.params):
        command.params.append(socket_option(hidden=hidden))
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _give_socket(below, hidden=hidden)


ROOT: Mapping[str, Any] = {
    "name": "seatrial",
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 100},
    "help": "Stop, see and explain a seatrial daemon; start it when all is well.",
    "epilog": (
        "Commands that change something take --reason WHY and --yes. A command that stops or "
        "tightens never asks back. One that lets orders out (flatten, re-arm, re-enable, start) "
        "asks once, and needs --yes where there is no terminal.\n\n"
        "Exit codes: 0 done, 1 refused or failed, 2 wrong command line, 3 daemon unreachable, "
        "4 forbidden, 5 no answer in time, 6 stopped but not latched."
    ),
}
"""What the root says of itself, with the mounted commands or without."""

control_group = Root(OWN, **ROOT)
