"""`--json` for every command that answers: where a command has none of its own, what it says.

Rules of this file:
1. A command whose words matter to programs has a `--json` of its own; it is left alone.
2. What only confirms a deed ("wrote X") is told as `{"said": [lines]}`, an error as everywhere.
3. What prints JSON by itself takes the option and does the same. `NO_ANSWER` names the rest.
"""

import contextlib
import functools
import io
from collections.abc import Callable, Mapping
from typing import Any

import click

NO_ANSWER: Mapping[str, str] = {
    "completion": "a script for a shell",
    "watch": "a screen",
    "up": "a screen",
    "bot snippet": "a text for a client's configuration",
    "witness serve": "it serves",
    "sim": "it serves; its first line is JSON",
}
"""Commands without `--json`, and what they are instead."""
JSON_BY_ITSELF = frozenset({"rpc schema", "rpc call", "witness export"})


def give_json(command: click.Command, path: str) -> None:
    """To a command and to all below it."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            give_json(below, f"{path} {name}")
        return
    if path in NO_ANSWER or any("--json" in param.opts for param in command.params):
        return
    plain = path in JSON_BY_ITSELF or path.startswith("gate ")
    option = click.Option(
        ["--json", "_as_json"], is_flag=True, expose_value=not plain, hidden=plain,
        help="Answer with one JSON object.",
    )  # fmt: skip
    command.params.append(option)
    if not plain and command.callback is not None:
        command.callback = _told_as_json(command.callback)


def _told_as_json(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def call(*args: Any, _as_json: bool = False, **kwargs: Any) -> Any:
        if not _as_json:
            return callback(*args, **kwargs)
        from control.tool import output  # noqa: PLC0415 - a stop waits for nothing of this
        from control.tool.failures import tell  # noqa: PLC0415 - see above

        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                callback(*args, **kwargs)
        except click.ClickException as error:
            tell(error.format_message(), error.exit_code, as_json=True)
            raise click.exceptions.Exit(error.exit_code) from error
        except SystemExit as ended:
            output.print_json({"said": said.getvalue().splitlines(), "exit_code": ended.code or 0})
            raise
        output.print_json({"said": said.getvalue().splitlines()})
        return None

    return call
