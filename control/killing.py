"""`seatrial kill`: what a person sees of a stop, from the first millisecond to the proof.

Rules of this file:
1. There is a line at once, and one each second: silence is never all that an operator has.
2. A daemon that says nothing for two seconds is called silent, in plain words, with the command
   that stops without it; `--or-direct` takes that road by itself.
3. Progress goes to stderr; stdout has the result alone.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from control.client import ControlClient
from control.errors import ControlError
from control.places import default_config, direct_command
from control.render import kill_line
from control.terminal import (
    EXIT_REFUSED,
    EXIT_TIMEOUT,
    EXIT_UNREACHABLE,
    Failure,
    failure_of,
    print_json,
    who,
    wiring,
)
from daemon.model.text import one_line

SILENT_S = 2.0
"""A daemon that lives has closed its gate and said so long before."""
CONNECT_S = 2.0
TICK_S = 1.0


class _Silent(Exception):  # noqa: N818 - the daemon says nothing; no error of ours
    """The daemon has not said that its gate is closed, and there is another road."""


@click.command()
@click.option("--reason", default="", help="Why; goes into the record.")
@click.option("--direct", is_flag=True, help="Without the daemon: cancel at the venue from here.")
@click.option(
    "--or-direct",
    "or_direct_s",
    is_flag=False,
    flag_value=SILENT_S,
    type=click.FloatRange(min=0.05, max=3600),
    metavar="[=SECONDS]",
    help="Ask the daemon; if it says nothing for so long (2 s), do it from here.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The daemon's config, for --direct [$SEATRIAL_CONFIG, /etc/seatrial/NAME.toml].",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1, max=3600),
    default=62.0,
    show_default=True,
    help="Seconds to wait for the answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
@click.pass_context
def kill(
    ctx: click.Context,
    *,
    reason: str,
    direct: bool,
    or_direct_s: float | None,
    config: Path | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Stop now and stay stopped: latch, cancel everything of ours, verify at the venue.

    Only `seatrial re-arm --reason …` opens the latch again. With --direct it works while the
    daemon hangs, is stopped, or is dead.
    """
    reason = one_line(reason)
    socket = wiring(ctx).socket_path
    config = config or default_config(socket)
    by_hand = direct_command(socket, config)
    if direct:
        result = _direct(ctx, config, reason, as_json=as_json)
    else:
        try:
            teller = Teller(by_hand, or_direct_s)
            result = _ask(socket, reason, timeout_s, teller, as_json=as_json)
        except (Failure, _Silent) as failure:
            if isinstance(failure, Failure) and failure.exit_code not in {
                EXIT_UNREACHABLE,
                EXIT_TIMEOUT,
                EXIT_REFUSED,
            }:
                raise
            if or_direct_s is None:
                code = failure.exit_code if isinstance(failure, Failure) else EXIT_TIMEOUT
                raise Failure(
                    f"{failure}. To stop at the venue without the daemon, run now: {by_hand}",
                    code,
                    as_json=as_json,
                ) from failure
            click.echo(f"seatrial: {failure}; going to the venue directly", err=True)
            result = _direct(ctx, config, reason, as_json=as_json)
    if as_json:
        print_json(result)
    else:
        click.echo(kill_line(result))
    if not result.get("verified", False):
        raise Failure(
            f"NOT verified empty: {result.get('msg') or 'the venue did not confirm'}. "
            f"Run again, or: {by_hand}; then look at the venue itself",
            EXIT_REFUSED,
        )


class Teller:
    """Turns the steps of a kill, and their absence, into lines on stderr."""

    def __init__(self, by_hand: str, or_direct_s: float | None) -> None:
        self._by_hand = by_hand
        self._or_direct_s = or_direct_s
        self._told_s = 0.0
        self._heard = False
        self._complained = False
        self._last = "gate closed"

    def wait_s(self, elapsed_s: float) -> float:
        """Until the next line is due."""
        left_s = (self._or_direct_s or SILENT_S) - elapsed_s
        return TICK_S if self._heard or left_s <= 0 else min(TICK_S, left_s)

    def step(self, step: Mapping[str, Any], elapsed_s: float) -> None:
        """A step has come, or (an empty one) time has passed without any.

        Raises:
            _Silent: the daemon says nothing, and the other road was asked for.
        """
        name = step.get("step")
        self._heard = self._heard or bool(step)
        if name == "joined":
            _say("a kill is running already, the gate is closed: waiting for its end")
        elif name == "gate_closed":
            _say(f"gate closed in {float(step.get('gate_ms', 0)):.1f} ms: no order leaves any more")
        elif name == "canceling":
            left = step.get("open_orders")
            self._last = f"{step.get('canceled')} canceled, {left} of ours left at the venue"
        elif not self._heard:
            self._silence(elapsed_s)
        if self._heard and elapsed_s - self._told_s >= TICK_S:
            self._told_s = elapsed_s
            _say(f"{elapsed_s:3.0f} s: {self._last}")

    def _silence(self, silent_s: float) -> None:
        if silent_s + 0.001 < (self._or_direct_s or SILENT_S):
            _say(f"{silent_s:3.0f} s: no answer yet")
            return
        text = f"THE DAEMON DOES NOT ANSWER ({silent_s:.1f} s): it is stopped, or it hangs"
        if self._or_direct_s is not None:
            raise _Silent(text)
        if not self._complained:
            self._complained = True
            _say(f"{text} and its interpreter is held.")
            _say(f"To stop at the venue without it, now, in another terminal: {self._by_hand}")
            _say("Waiting on; the kill stays in its socket whatever becomes of this command.")
        else:
            _say(f"{silent_s:3.0f} s: still no answer; run: {self._by_hand}")


def _ask(
    socket: Path, reason: str, timeout_s: float, teller: Teller, *, as_json: bool
) -> Mapping[str, Any]:
    try:
        with ControlClient(socket, connect_timeout_s=CONNECT_S) as client:
            _say(f"kill sent to {socket}")
            return client.call_telling(
                "kill",
                teller,
                timeout_s=timeout_s,
                reason=reason,
                progress=True,
            )
    except ControlError as error:
        raise failure_of(error, socket, as_json=as_json) from error


def _direct(
    ctx: click.Context, config: Path | None, reason: str, *, as_json: bool
) -> Mapping[str, Any]:
    act = wiring(ctx).direct_kill
    if act is None:
        raise Failure("this installation has no direct stop path", EXIT_REFUSED, as_json=as_json)
    try:
        return act(config=config, by=who(), uid=os.getuid(), reason=reason or "no reason given")
    except ControlError as error:
        raise Failure(str(error), EXIT_REFUSED, as_json=as_json) from error
    except Exception as error:  # at 3 a.m. a line with the next step, no traceback
        raise Failure(
            f"the direct stop failed: {type(error).__name__}: {error}. Cancel at the venue's own "
            f"site now, then look at the state directory",
            EXIT_REFUSED,
            as_json=as_json,
        ) from error


def _say(text: str) -> None:
    click.echo(f"seatrial: {text}", err=True)
