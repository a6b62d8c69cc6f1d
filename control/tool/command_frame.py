"""Shared by all commands: finding the daemon, ending on a failure, asking a person.

The exit codes are those of `control.tool.failures`.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import click

from control.control_errors import ControlError
from control.tool import output
from control.tool.client import ControlClient
from control.tool.daemon_lookup import default_socket
from control.tool.failures import EXIT_REFUSED, EXIT_USAGE, explain, tell
from control.tool.kill_command import DirectKill

_LOOKING = frozenset(
    {"status", "orders", "positions", "caps", "incidents", "incident", "events", "schema", "ping"}
)
"""Methods that do nothing (a test compares them with the method table): their words are all."""


class SymbolFacts(Protocol):
    """Asks a venue for filters and price of symbols; needs no key."""

    def __call__(
        self, environment: str, urls: Mapping[str, str] | None, symbols: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Facts by symbol, without symbols that the venue does not list.

        Raises ControlError with what prevented it.
        """


@dataclass(slots=True)
class Wiring:
    """What the entry point hands to the commands (click's `ctx.obj`)."""

    socket: Path | None = None
    direct_kill: DirectKill | None = None
    check_config: Callable[[Path], list[str]] | None = None
    """Every problem of a configuration file, one line each; empty when it can be used."""
    symbol_facts: SymbolFacts | None = None
    """What a venue tells of symbols before there is a key."""
    unknown_cap: Callable[[str], str] | None = None
    """What is wrong with the name of a cap; empty: there is one."""

    @property
    def socket_path(self) -> Path:
        """The daemon's socket: the one that was given, or the default place."""
        return self.socket or Path(default_socket())


class Failure(click.ClickException):
    """The end of a command that did not do its work: one clear line, and the right exit code."""

    def __init__(
        self,
        message: str,
        exit_code: int = EXIT_REFUSED,
        *,
        as_json: bool = False,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance
        self._as_json = as_json
        self._data = data or {}

    def show(self, file: IO[Any] | None = None) -> None:
        """One line on stderr; with --json also one object on stdout."""
        del file
        tell(self.message, self.exit_code, as_json=self._as_json, data=self._data)


def failure_of(error: ControlError, socket: Path, *, as_json: bool) -> Failure:
    """The Failure for an error of the control plane."""
    text, exit_code, data = explain(error, socket)
    return Failure(text, exit_code, as_json=as_json, data=data)


def ask(ctx: click.Context, method: str, *, as_json: bool = False, **params: Any) -> dict[str, Any]:
    """Send one request to the daemon; a failure ends the command with its exit code."""
    if method not in _LOOKING:
        output.deed()
    socket = wiring(ctx).socket_path
    timeout_s = params.pop("timeout_s", None)
    try:
        with ControlClient(socket) as client:
            return client.call(method, timeout_s=timeout_s, **params)
    except ControlError as error:
        raise failure_of(error, socket, as_json=as_json) from error


def done(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Say that a command is done; with what the daemon adds to it."""
    if as_json:
        output.print_json(result)
        return
    note = result.get("message") or result.get("msg") or result.get("note")
    click.echo(f"{text}: {note}" if note else text)


def wiring(ctx: click.Context) -> Wiring:
    """The wiring of this run; an empty one when no entry point has made it."""
    found = ctx.find_object(Wiring)
    if found is None:
        found = ctx.find_root().obj = Wiring()
    return found


def is_interactive() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


_ANSWERS = frozenset({"y", "yes", "n", "no", "ok"})
"""What answers another question: no reason for a record."""


def confirm(question: str, *, yes: bool) -> None:
    """Ask before a command that lets orders out; a script, that cannot be asked, says --yes."""
    if yes:
        return
    if not is_interactive():
        raise Failure(f"{question} There is no terminal to ask at: add --yes", EXIT_USAGE)
    if not click.confirm(question, default=False):
        raise Failure("not confirmed; nothing was done")


def said(given: str, command: str, option: str, *, yes: bool = False) -> str:
    """A text that the record needs; a person at a terminal is asked, unless --yes was given.

    Raises:
        click.UsageError: it is not given, and nobody can be asked.
    """
    text = given.strip()
    while not text:
        if yes or not is_interactive():
            raise click.UsageError(f"{command} needs --{option}: it goes into the record")
        answer: str = click.prompt(f"{option.replace('-', ' ').capitalize()} (for the record)")
        text = "" if answer.strip().lower() in _ANSWERS else answer.strip()
        if not text:
            click.echo(f"{answer.strip()!r} is no {option.replace('-', ' ')}: write why", err=True)
    return text


def need_all(command: str, given: Mapping[str, str]) -> None:
    """Where nobody can be asked, every text that the record lacks is named at once.

    Raises:
        click.UsageError: naming the options that are missing.
    """
    lacking = [f"--{option}" for option, text in given.items() if not text.strip()]
    if lacking and not is_interactive():
        raise click.UsageError(f"{command} needs {' '.join(lacking)}: they go into the record")


def refuse_beyond_the_journal(ctx: click.Context, seq: int, *, as_json: bool) -> None:
    """Ask the daemon how many lines its journal has.

    Raises:
        Failure: there is no line `seq`, with what there is.
    """
    written = ask(ctx, "status", as_json=as_json).get("journal_seq")
    if isinstance(written, int) and seq > written:
        raise Failure(
            f"the journal has {written} lines, there is no line {seq}; `seatrial tail` shows them",
            as_json=as_json,
        )
