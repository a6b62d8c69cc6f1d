"""`seatrial kill`: sends the request and shows its steps until the venue is verified empty.

Rules of this file:
1. Deed before word: from `run` to the bytes of the request nothing is said, looked up or imported
   that the request does not need; the command line's library and the tables come after it, if at
   all. What is said may fail (`control.tool.output`).
2. Once sent there is a line at once, and one each second: silence is never all there is.
3. A daemon that says nothing for two seconds is called silent, in plain words, with the command
   that stops without it; `--or-direct` takes that road by itself.
4. Progress goes to stderr; stdout has the result alone.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from control.control_errors import ControlError
from control.tool import output
from control.tool.daemon_lookup import default_socket, direct_command
from daemon.model.user_text import one_line

if TYPE_CHECKING:
    from pathlib import Path

SILENT_S = 2.0
"""A daemon that lives has closed its gate and said so long before."""
CONNECT_S = 2.0
TICK_S = 1.0
TIMEOUT_S = 62.0


class DirectKill(Protocol):
    """The stop path of a second process: no daemon needed (promise P7, road 3)."""

    def __call__(
        self, *, config: "Path | None", socket: "Path", by: str, uid: int, reason: str
    ) -> Mapping[str, Any]:
        """Latch through the state directory, cancel at the venue, verify.

        Without `config`, that of the daemon whose socket this is. Returns what `DaemonPort.kill`
        returns. Raises ControlError with what, why, what to do now.
        """


class KillOptions(NamedTuple):
    """The options of `seatrial kill` (declared in `control.tool.commands_write`)."""

    socket: str = ""
    """The default place when it is empty."""
    reason: str = ""
    direct: bool = False
    or_direct_s: float | None = None
    config: str = ""
    timeout_s: float = TIMEOUT_S
    as_json: bool = False


def parse(words: Sequence[str]) -> KillOptions | None:
    """Parse a plain `seatrial kill` command line; None when click has to parse it.

    (Help, a mistake, another command.) The options mean what they mean there.
    """
    found: dict[str, Any] = {}
    is_kill = False
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word == "kill" and not is_kill:
            is_kill = True
        elif name == "--socket" or (is_kill and name in {"--reason", "--config", "--timeout"}):
            given = value if equals else next(rest, None)
            if given is None:
                return None
            found[name] = given
        elif is_kill and name == "--or-direct":
            found[name] = value if equals else SILENT_S
        elif is_kill and word in {"--direct", "--json", "--yes"}:
            found[word] = True
        else:
            return None
    try:
        or_direct_s = float(found["--or-direct"]) if "--or-direct" in found else None
        timeout_s = float(found.get("--timeout", TIMEOUT_S))
    except ValueError:
        return None
    if not is_kill or not 0.1 <= timeout_s <= 3600 or not 0.05 <= (or_direct_s or 1) <= 3600:
        return None
    return KillOptions(
        socket=found.get("--socket", ""),
        reason=found.get("--reason", ""),
        direct="--direct" in found,
        or_direct_s=or_direct_s,
        config=found.get("--config", ""),
        timeout_s=timeout_s,
        as_json="--json" in found,
    )


class _Silent(Exception):  # noqa: N818 - the daemon says nothing; no error of ours
    """Raised when the daemon has not closed its gate in time and the direct stop is available."""


class _Failed(Exception):  # noqa: N818 - the end of the command, with its words
    """Raised when a stop path has failed, with sentence, exit code and the data of --json."""

    def __init__(self, text: str, code: int, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.data = data or {}


def run(asked: KillOptions, direct: DirectKill | None) -> int:
    """Stop now and report it; returns the exit code (`control.tool.failures`)."""
    output.deed()
    try:
        result = _stop(asked, direct)
    except _Failed as failed:
        from control.tool.failures import tell  # noqa: PLC0415 - rule 1

        tell(str(failed), failed.code, as_json=asked.as_json, data=failed.data)
        return failed.code
    return _tell_result(asked, result)


def _stop(asked: KillOptions, direct: DirectKill | None) -> Mapping[str, Any]:
    socket = asked.socket or default_socket()
    reason = one_line(asked.reason)
    if asked.direct:
        return _directly(asked, socket, reason, direct)
    try:
        result = _ask(asked, socket, reason)
    except _Silent as silent:
        # Only asked for with another road: see Teller.
        output.say(f"{silent}; going to the venue directly")
        return _directly(asked, socket, reason, direct)
    except ControlError as error:
        from control.tool.failures import (  # noqa: PLC0415 - rule 1
            EXIT_REFUSED,
            EXIT_TIMEOUT,
            EXIT_UNREACHABLE,
            explain,
        )

        text, code, data = explain(error, socket)
        if code not in {EXIT_UNREACHABLE, EXIT_TIMEOUT, EXIT_REFUSED}:
            raise _Failed(text, code, data) from error
        if asked.or_direct_s is None:
            by_hand = direct_command(socket, asked.config)
            text = f"{text}. To stop at the venue without the daemon, run now: {by_hand}"
            raise _Failed(text, code, data) from error
        output.say(f"{text}; going to the venue directly")
        return _directly(asked, socket, reason, direct)
    if isinstance(result.get("verified"), bool) or asked.or_direct_s is None:
        return result
    output.say("the daemon's answer does not say what it did; going to the venue directly")
    return _directly(asked, socket, reason, direct)


def _ask(asked: KillOptions, socket: str, reason: str) -> Mapping[str, Any]:
    from control.tool.client import ControlClient  # noqa: PLC0415 - a direct stop needs none

    teller = Teller(socket, asked.config, asked.or_direct_s)
    with ControlClient(socket, connect_timeout_s=CONNECT_S) as client:
        return client.call_telling(
            "kill", teller, timeout_s=asked.timeout_s, reason=reason, progress=True
        )


def _directly(
    asked: KillOptions, socket: str, reason: str, act: DirectKill | None
) -> Mapping[str, Any]:
    if act is None:
        raise _Failed("this installation has no direct stop path", 1)
    from pathlib import Path  # noqa: PLC0415 - a kill over the socket needs none

    try:
        return act(
            config=Path(asked.config) if asked.config else None,
            socket=Path(socket),
            by=_who(),
            uid=os.getuid(),
            reason=reason or "no reason given",
        )
    except ControlError as error:
        raise _Failed(str(error), 1) from error
    except KeyboardInterrupt:
        output.say(
            "the stop is NOT finished: orders of ours may still be open, and the latch may be "
            "missing; run it again"
        )
        raise
    except Exception as error:  # at 3 a.m. a line with the next step, no traceback
        raise _Failed(
            f"the direct stop failed: {type(error).__name__}: {error}. Cancel at the venue's own "
            f"site now, then look at the state directory",
            1,
        ) from error


def _who() -> str:
    """The person's name from the environment; a look-up could block for ever."""
    uid = os.getuid()
    name = os.environ.get("USER") or os.environ.get("LOGNAME") or f"uid {uid}"
    sudo = os.environ.get("SUDO_USER")
    return one_line(f"{name} (sudo from {sudo})" if sudo else name)


def _tell_result(asked: KillOptions, result: Mapping[str, Any]) -> int:
    from control.tool.failures import (  # noqa: PLC0415 - rule 1
        EXIT_NOT_LATCHED,
        EXIT_OK,
        EXIT_REFUSED,
        tell,
    )

    if asked.as_json:
        output.print_json(result)
    else:
        sys.stdout.write(f"{kill_line(result)}\n")
        sys.stdout.flush()
    why = result.get("msg")
    if not result.get("verified", False):
        by_hand = direct_command(asked.socket or default_socket(), asked.config)
        tell(
            f"NOT verified empty: {why or 'the venue did not confirm'}. "
            f"Run again, or: {by_hand}; then look at the venue itself",
            EXIT_REFUSED,
            as_json=False,
        )
        return EXIT_REFUSED
    if not result.get("latched", True):
        tell(
            f"NOT LATCHED: {why or 'the latch was not written'}. Nothing of ours is open at the "
            f"venue, but a daemon that is started now would not know of this kill",
            EXIT_NOT_LATCHED,
            as_json=False,
        )
        return EXIT_NOT_LATCHED
    return EXIT_OK


def kill_line(result: Mapping[str, Any]) -> str:
    """One line with the steps of a kill and their times."""
    steps = (
        ("gate closed", "gate_ms"),
        ("latched", "latched_ms"),
        ("last cancel", "cancel_ms"),
        ("venue verified empty", "empty_ms"),
    )
    parts = [
        f"{label} {value:.1f} ms"
        for label, key in steps
        if isinstance(value := result.get(key), int | float)
    ]
    if result.get("canceled") is not None:
        parts.append(f"{one_line(str(result['canceled']))} canceled")
    if unasked := result.get("unasked"):
        parts.append(f"open orders of ours: unknown, {one_line(str(unasked))}")
    elif result.get("open_orders") is not None:
        parts.append(open_words(result["open_orders"], result.get("others_open")))
    verdict = "KILL NOT VERIFIED"
    if result.get("verified"):
        verdict = "KILLED" if result.get("latched", True) else "KILLED BUT NOT LATCHED"
    return " · ".join([verdict, *parts])


def open_words(ours: object, others: object) -> str:
    """Words for what is open at the venue: our orders, and those of other clients."""
    if not isinstance(ours, int) or ours < 0:
        return "open orders of ours: unknown"
    text = f"{ours} open order{'' if ours == 1 else 's'} of ours"
    if isinstance(others, int) and others > 0:
        text += f"; {others} of other clients left alone"
    return text


class Teller:
    """Writes each step of a kill, or that none comes, as a line on stderr."""

    def __init__(self, socket: str, config: str, or_direct_s: float | None) -> None:
        self._socket = socket
        self._config = config
        self._or_direct_s = or_direct_s
        self._told_s = 0.0
        self._heard = False
        self._by_hand = ""
        self._last = "gate closed"

    def sent(self) -> None:
        """The bytes of the request have left."""
        output.say(f"kill sent to {self._socket}")

    def wait_s(self, elapsed_s: float) -> float:
        """Seconds until the next line is due."""
        left_s = (self._or_direct_s or SILENT_S) - elapsed_s
        return TICK_S if self._heard or left_s <= 0 else min(TICK_S, left_s)

    def step(self, step: Mapping[str, Any], elapsed_s: float) -> None:
        """Handle a step; an empty one means that time passed without any.

        Raises:
            _Silent: the daemon says nothing, and the other road was asked for.
        """
        name = step.get("step")
        self._heard = self._heard or bool(step)
        if name == "joined":
            output.say("a kill is running already, the gate is closed: waiting for its end")
        elif name == "gate_closed":
            gate_ms = step.get("gate_ms", 0)
            output.say(f"gate closed in {float(gate_ms):.1f} ms: no order leaves any more")
        elif name == "canceling":
            left = step.get("open_orders")
            self._last = f"{step.get('canceled')} canceled, {left} of ours left at the venue"
        elif not self._heard:
            self._silence(elapsed_s)
        if self._heard and elapsed_s - self._told_s >= TICK_S:
            self._told_s = elapsed_s
            output.say(f"{elapsed_s:3.0f} s: {self._last}")

    def _silence(self, silent_s: float) -> None:
        if silent_s + 0.001 < (self._or_direct_s or SILENT_S):
            output.say(f"{silent_s:3.0f} s: no answer yet")
            return
        text = f"THE DAEMON DOES NOT ANSWER ({silent_s:.1f} s): it is stopped, or it hangs"
        if self._or_direct_s is not None:
            raise _Silent(text)
        if not self._by_hand:
            output.say(f"{text} and its interpreter is held.")
            self._by_hand = direct_command(self._socket, self._config)
            output.say(
                f"To stop at the venue without it, now, in another terminal: {self._by_hand}"
            )
            output.say("Waiting on; the kill stays in its socket whatever becomes of this command.")
        else:
            output.say(f"{silent_s:3.0f} s: still no answer; run: {self._by_hand}")
