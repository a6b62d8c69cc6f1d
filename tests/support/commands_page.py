"""docs/COMMANDS.md, generated from the tool itself: `python -m tests.support.commands_page`."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from control.methods import METHODS
from control.tool.command_frame import Wiring
from control.tool.mounted_commands import Tool

PAGE = Path(__file__).resolve().parents[2] / "docs" / "COMMANDS.md"
HEAD = """# Commands

Every command of `seatrial`, one a row; `seatrial COMMAND --help` has its options. Those that ask a
daemon take `--socket PATH` (or `$SEATRIAL_SOCKET`), and all that answer take `--json`. The third
column says which role of the [control protocol](CONTROL-PROTOCOL.md) a command needs; a stopper may
do what an observer may, and an operator everything. *Files*: it needs no daemon, and the rights to
read (or write) the files that it works on.

Generated (`python -m tests.support.commands_page`); a test fails when it is stale.

| command | what it does | who may |
|---|---|---|
"""
METHOD_OF = {
    "bot kill": "bot-kill", "bot suspend": "bot-suspend", "bot resume": "bot-resume",
    "caps show": "caps", "caps set": "caps-tighten", "gating token": "confirm-token",
    "incident list": "incidents", "incident show": "incident",
    "incident note": "incident-note", "incident resolve": "incident-resolve", "tail": "events",
    "watch": "status", "rpc": "ping",
}  # fmt: skip
FILES = "files"


def rows_of(group: click.Group, context: click.Context, before: str = "") -> Iterator[str]:
    """A row for each command, in the order of the alphabet; a group's commands after it."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if command.hidden:
            continue
        whole = f"{before}{name}"
        if isinstance(command, click.Group):
            inner = click.Context(command, parent=context, info_name=name)
            if command.invoke_without_command:
                yield row(whole, command)
            yield from rows_of(command, inner, f"{whole} ")
        else:
            yield row(whole, command)


def row(name: str, command: click.Command) -> str:
    """One line of the table."""
    text = inspect.cleandoc(command.help or "").partition("\n\n")[0]
    said = " ".join(text.replace("\b", "").split()).replace("|", "\\|")
    spec = METHODS.get(METHOD_OF.get(name, name))
    return f"| `{name}` | {said} | {spec.needs if spec else FILES} |"


def page_text() -> str:
    """The whole page."""
    tool = Tool()
    context = click.Context(tool, info_name="seatrial", obj=Wiring())
    return HEAD + "\n".join(rows_of(tool, context)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page_text())
