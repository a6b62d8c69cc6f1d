"""What every command of the tool shares: where the daemon is, how a failure ends, how to ask.

Exit codes of `seatrial`:
    0  done
    1  refused or failed: the message says why and what to do
    2  the command line is wrong
    3  the daemon cannot be reached
    4  forbidden: your role may not do this
    5  no answer in time: the outcome is unknown
"""

import os
import pwd
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import click
import orjson
from rich.console import Console

from control.client import ControlClient
from control.errors import (
    CallTimeoutError,
    ControlError,
    DaemonUnreachableError,
    ErrorCode,
    RpcError,
)
from control.places import default_socket

EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_FORBIDDEN = 4
EXIT_TIMEOUT = 5


class DirectKill(Protocol):
    """The stop path of a second process: no daemon needed (promise P7, road 3)."""

    def __call__(self, *, config: Path | None, by: str, uid: int, reason: str) -> Mapping[str, Any]:
        """Latch through the state directory, cancel at the venue, verify.

        Returns what `DaemonPort.kill` returns. Raises ControlError with what, why, what to do now.
        """


class SymbolFacts(Protocol):
    """Asks a venue for filters and price of symbols; needs no key."""

    def __call__(
        self, environment: str, urls: Mapping[str, str] | None, symbols: Sequence[str]
    ) -> Mapping[str, Mapping[str, str]]:
        """Facts by symbol; one that the venue does not list is left out.

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

    @property
    def socket_path(self) -> Path:
        """The daemon's socket: as told, or where a service or a script would have put it."""
        return self.socket or default_socket()


class Failure(click.ClickException):
    """The end of a command that did not do its work: one clear line, and the right exit code."""

    def __init__(
        self,
        message: str,
        exit_code: int,
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
        if self._as_json:
            print_json(
                {
                    "error": {
                        "message": self.message,
                        "exit_code": self.exit_code,
                        "data": dict(self._data),
                    }
                }
            )
        click.echo(f"seatrial: {self.message}", file=file, err=True)


def failure_of(error: ControlError, socket: Path, *, as_json: bool) -> Failure:
    """Turn an error of the control plane into the end of the command."""
    if isinstance(error, DaemonUnreachableError):
        message = (
            f"cannot reach the daemon at {error}. Is it running? "
            f"Start it with `seatriald --config FILE`, or name its socket with --socket PATH"
        )
        if "unknown" in str(error):
            message = str(error)
        return Failure(message, EXIT_UNREACHABLE, as_json=as_json)
    if isinstance(error, CallTimeoutError):
        return Failure(str(error), EXIT_TIMEOUT, as_json=as_json)
    if isinstance(error, RpcError):
        code = {
            ErrorCode.FORBIDDEN: EXIT_FORBIDDEN,
            ErrorCode.TIMEOUT: EXIT_TIMEOUT,
        }.get(error.code, EXIT_REFUSED)  # type: ignore[call-overload]  # an unknown code is refused
        why = error.data.get("code")
        text = f"{error.message} [{why}]" if why else error.message
        return Failure(text, code, as_json=as_json, data={"code": error.code, **error.data})
    return Failure(f"{error} (socket {socket})", EXIT_REFUSED, as_json=as_json)


def ask(ctx: click.Context, method: str, *, as_json: bool = False, **params: Any) -> dict[str, Any]:
    """Ask the daemon one thing; ends the command with the right exit code when it fails."""
    socket = wiring(ctx).socket_path
    timeout_s = params.pop("timeout_s", None)
    try:
        with ControlClient(socket) as client:
            return client.call(method, timeout_s=timeout_s, **params)
    except ControlError as error:
        raise failure_of(error, socket, as_json=as_json) from error


def wiring(ctx: click.Context) -> Wiring:
    """The wiring of this run; a bare one when the commands run outside the entry point."""
    found = ctx.find_object(Wiring)
    if found is None:
        found = ctx.find_root().obj = Wiring()
    return found


def print_json(value: Any) -> None:
    """One line of JSON on stdout."""
    click.echo(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode())


def console() -> Console:
    """Stdout: colours and live width on a terminal, plain 80 columns when piped."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=int(os.environ.get("COLUMNS", "80")), no_color=True)


def is_interactive() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before a command that lets orders out; a script, that cannot be asked, says --yes."""
    if yes:
        return
    if not is_interactive():
        raise Failure(f"{question} There is no terminal to ask at: add --yes", EXIT_USAGE)
    if not click.confirm(question, default=False):
        raise Failure("not confirmed; nothing was done", EXIT_REFUSED)


def reason_or_ask(reason: str, command: str, *, required: bool) -> str:
    """The reason for the record; asked for at a terminal, an error in a script that owes one."""
    if reason.strip():
        return reason.strip()
    if is_interactive():
        answer: str = click.prompt("Reason (goes into the record)", default="", show_default=False)
        reason = answer.strip()
    if required and not reason:
        raise click.UsageError(f"{command} needs --reason: it goes into the record")
    return reason


def who() -> str:
    """The name of the person at this terminal, for records that no daemon writes."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    return f"{name} (sudo from {user})" if (user := os.environ.get("SUDO_USER")) else name
