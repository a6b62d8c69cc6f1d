"""Road 3 of the kill switch: a second process, when the daemon is stopped, dead or unreachable.

Rules of this file:
1. It latches through the state directory before anything else (a daemon that comes back finds the
   latch), then cancels at the venue with the same credentials over its own session, and polls until
   the venue has no open order of ours, and none can arrive late any more.
2. It reads of the configuration only what a stop needs: a mistake elsewhere in the file must not
   keep us from stopping.
3. What is slow to import is imported after the latch is on the disk.

    python -m daemon.direct_kill --config FILE --reason WHY

is the same as `seatrial kill --direct`. Exit code 0: verified empty.
What is under way is told on stderr, once a second; stdout has the result alone.
"""

import argparse
import asyncio
import json
import os
import pwd
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from control.errors import ControlError
from control.places import default_config, default_socket, direct_command
from daemon.errors import SeatrialError
from daemon.model.text import one_line, text_of
from daemon.shell.clock import SystemClock
from daemon.shell.latch import LatchStore
from daemon.shell.state_dir import StateDirError, read_identity

if TYPE_CHECKING:
    from daemon.shell.emergency import KillReport

DEADLINE_S = 30.0
TELL_PERIOD_NS = 1_000_000_000
RECV_WINDOW_MS = 3_000
"""The configuration's default for `venue.recv_window_ms`."""


@dataclass(frozen=True, kw_only=True)
class StopPlan:
    """What a stop needs to know: where we latch, whom we ask, with which key."""

    state_dir: Path
    environment: str
    symbols: tuple[str, ...]
    urls: Mapping[str, str]
    """By road; empty where the environment's hosts are built in."""
    key_file: Path | None
    keyring_service: str
    recv_window_ms: int

    @classmethod
    def read(cls, path: Path) -> "StopPlan":
        """Read it from the daemon's configuration.

        Raises:
            ControlError: the file cannot be read, or lacks what a stop needs.
        """
        try:
            data = tomllib.loads(text_of(path.read_bytes()))
            venue = data["venue"]
            keys = data.get("credentials", {})
            key_file = keys.get("file")
            roads = ("rest", "ws_api", "streams")
            return cls(
                state_dir=Path(data["state_dir"]),
                environment=str(venue["environment"]),
                symbols=tuple(str(symbol) for symbol in venue["symbols"]),
                urls={road: str(venue[road]) for road in roads if road in venue},
                key_file=None if key_file is None else Path(key_file),
                keyring_service=str(keys.get("keyring_service", "")),
                recv_window_ms=int(venue.get("recv_window_ms", RECV_WINDOW_MS)),
            )
        except OSError as error:
            raise ControlError(f"kill --direct: {path}: {error.strerror}") from error
        except KeyError as error:
            raise ControlError(f"kill --direct: {path}: {error.args[0]} is missing") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
            raise ControlError(f"kill --direct: {path}: cannot be used: {error}") from error


def direct_kill(*, config: Path | None, by: str, uid: int, reason: str) -> Mapping[str, Any]:
    """Latch, cancel, verify, without any daemon. Returns what `DaemonPort.kill` returns.

    Raises:
        ControlError: with what, why, and what to do now.
    """
    if config is None and (config := default_config(default_socket())) is None:
        raise ControlError(
            "kill --direct needs the daemon's configuration: add --config FILE, or set "
            "$SEATRIAL_CONFIG"
        )
    plan = StopPlan.read(config)
    clock = SystemClock()
    start = clock.monotonic_ns()
    unknown: StateDirError | None = None
    identity = None
    try:
        identity = read_identity(plan.state_dir)
    except StateDirError as error:
        unknown = error  # latched all the same
    if identity is None and unknown is None:
        raise ControlError(
            f"kill --direct: {plan.state_dir} was never used: no order of ours exists"
        )
    latch_fault = ""
    try:
        latch = LatchStore(plan.state_dir)
        latch.latch(by_uid=uid, by_name=by, reason=one_line(reason), ts_ns=clock.now_ns())
    except SeatrialError as error:
        latch_fault = str(error)  # the orders are cancelled all the same
    closed_ns = clock.monotonic_ns()
    latched_ms = (closed_ns - start) / 1e6
    done = f"NOT latched ({latch_fault})" if latch_fault else f"latched in {latched_ms:.0f} ms"
    if identity is None:
        raise ControlError(
            f"kill --direct: {done}, but nothing is canceled: do it by hand at the venue. {unknown}"
        ) from unknown
    _say(f"{done}; asking the venue ({plan.environment}) to cancel everything of {identity[0]}")
    try:
        report, empty_ns = asyncio.run(_stop(plan, identity[0], clock))
    except SeatrialError as error:
        done = "NOT latched" if latch_fault else "latched, but nothing is canceled"
        by_unit = direct_command(default_socket(), config)
        hint = "" if "--direct" in by_unit else f"; the unit has its own keys: {by_unit}"
        raise ControlError(f"kill --direct: {done}: {error}{hint}") from error
    verified = report.verified_empty_ns is not None
    return {
        "verified": verified and not latch_fault,
        "open_orders": report.remaining,
        "gate_ms": latched_ms,
        "gate_closed_monotonic_ns": closed_ns,
        "latched_ms": None if latch_fault else latched_ms,
        "cancel_ms": _ms(report.last_cancel_ns, start),
        "empty_ms": _ms(empty_ns, start),
        "settled_ms": _ms(report.verified_empty_ns, start),
        "canceled": report.canceled,
        "msg": "; ".join(text for text in (latch_fault, *report.errors) if text),
    }


def _ms(at_ns: int | None, start_ns: int) -> float | None:
    return None if at_ns is None else (at_ns - start_ns) / 1e6


async def _stop(
    plan: StopPlan, instance: str, clock: SystemClock
) -> tuple["KillReport", int | None]:
    """Cancel and verify; the last report, and when the venue was first seen empty."""
    from daemon.shell.credentials import load_credentials  # noqa: PLC0415 - rule 3
    from daemon.shell.emergency import EmergencyStop  # noqa: PLC0415 - rule 3
    from daemon.shell.endpoints import BINANCE_SPOT_TESTNET  # noqa: PLC0415 - rule 3
    from daemon.shell.late_orders import late_orders_of_journal, until_settled  # noqa: PLC0415 - rule 3
    from daemon.shell.link_config import VenueEndpoints  # noqa: PLC0415 - rule 3
    from daemon.shell.secrecy import forbid_core_dumps  # noqa: PLC0415 - rule 3

    forbid_core_dumps()
    urls = plan.urls if plan.environment == "sim" else BINANCE_SPOT_TESTNET
    try:
        endpoints = VenueEndpoints(environment=plan.environment, **urls)
    except TypeError as error:
        raise ControlError("kill --direct: sim needs rest, ws_api and streams") from error
    stop = EmergencyStop(
        endpoints=endpoints,
        credentials=load_credentials(plan.key_file, keyring_service=plan.keyring_service),
        symbols=plan.symbols,
        instance=instance,
        clock=clock,
        cold=True,
    )
    tell = _round_teller(clock)
    try:
        report = await stop.cancel_and_verify(deadline_s=DEADLINE_S, on_round=tell)
        empty_ns = report.verified_empty_ns
        late = late_orders_of_journal(plan.state_dir / "journal", plan.recv_window_ms)
        settled = await until_settled(
            stop, report, late, clock, deadline_s=DEADLINE_S, on_round=tell
        )
        return settled, empty_ns
    finally:
        await stop.close()


def _round_teller(clock: SystemClock) -> Callable[[int, int], None]:
    """A line for every second that the stop takes."""
    began_ns = told_ns = clock.monotonic_ns()

    def tell(canceled: int, remaining: int) -> None:
        nonlocal told_ns
        now_ns = clock.monotonic_ns()
        if now_ns - told_ns >= TELL_PERIOD_NS:
            told_ns = now_ns
            seconds = (now_ns - began_ns) // 1_000_000_000
            _say(f"{seconds:3} s: {canceled} canceled, {remaining} of ours left at the venue")

    return tell


def _say(text: str) -> None:
    sys.stderr.write(f"seatrial: {text}\n")
    sys.stderr.flush()


def main(argv: Sequence[str] | None = None) -> None:
    """Stop from a process of its own, without the rest of the operator's tool.

    Takes the options of `seatrial kill --direct`; ends the process with the same exit codes.
    """
    parser = argparse.ArgumentParser(prog="seatrial kill --direct")
    parser.add_argument("--config", type=Path, help="the daemon's configuration")
    parser.add_argument("--reason", default="", help="goes into the record")
    parser.add_argument("--json", action="store_true", help="answer with one JSON object")
    parser.add_argument("--direct", action="store_true", help="understood; there is no other way")
    asked = parser.parse_args(argv)
    uid = os.getuid()
    reason = asked.reason or "no reason given"
    try:
        result = direct_kill(config=asked.config, by=_name_of(uid), uid=uid, reason=reason)
    except ControlError as error:
        _say(str(error))
        sys.exit(1)
    if asked.json:
        sys.stdout.write(json.dumps(result) + "\n")
    elif result["verified"]:
        sys.stdout.write(
            f"latched in {result['latched_ms']:.0f} ms; {result['canceled']} order(s) canceled; "
            f"the venue has none of ours ({result['settled_ms']:.0f} ms)\n"
        )
    if not result["verified"]:
        _say(
            f"NOT verified empty: {result['msg'] or 'the venue did not confirm'}. "
            "Run again, then look at the venue itself"
        )
        sys.exit(1)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


if __name__ == "__main__":
    main()
