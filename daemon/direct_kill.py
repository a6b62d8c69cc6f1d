"""Road 3 of the kill switch: a second process, when the daemon is stopped, dead or unreachable.

Rules of this file:
1. It latches through the state directory before anything else (a daemon that comes back finds the
   latch), then cancels at the venue with the same credentials over its own session, and polls until
   the venue has no open order of ours, and none can arrive late any more.
2. It reads of the configuration only what a stop needs: a mistake elsewhere in the file must not
   keep us from stopping.
3. The state directory may be on a disk that is full, read-only or hangs: another process works on
   it (`control.tool.isolated_work`) while this one imports what is slow to import, and after one
   second the orders are canceled, latched or not. The result says which.
4. Nothing is said before the first cancel was asked for, and no word can end the stop
   (`control.tool.output`).
5. No event loop: the stop is the daemon's own (`emergency_stop.py`), its waits are blocking ones
   (`blocking_waits.py`).

    python -m daemon.direct_kill --config FILE --reason WHY

is the same as `seatrial kill --direct`. Exit codes: `control.tool.failures`.
What is under way is told on stderr, once a second; stdout has the result alone.
"""

import contextlib
import os
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from control.control_errors import ControlError
from control.tool import output
from control.tool.daemon_lookup import CONFIG_DEADLINE_S, default_config, direct_command
from control.tool.isolated_work import Aside
from daemon.errors import CredentialsRefused, InstanceUnknown, SeatrialError
from daemon.model.config_paths import base_of, place_of
from daemon.model.lean_msgspec import msgspec
from daemon.model.user_text import one_line, text_of
from daemon.shell.process.clock import SystemClock
from daemon.shell.state.state_dir import (
    StateDirError,
    head_of_journal,
    instance_of_journal,
    read_identity,
)
from daemon.shell.stop.kill_latch import LATCH_DEADLINE_S, LatchStore
from daemon.shell.stop.late_orders import LateOrders, late_orders_of_journal, until_settled

if TYPE_CHECKING:
    from daemon.shell.stop.blocking_waits import BlockingWaits
    from daemon.shell.stop.emergency_stop import EmergencyStop, KillReport

DEADLINE_S = 30.0
JOURNAL_DEADLINE_S = 2.0
"""So long at most the journal's end is read, to learn which orders may still arrive."""
SECOND_CHANCE_S = 5.0
"""So long the state directory may take to say which of several instances is ours."""
TELL_FIRST_S = 0.2
TELL_PERIOD_S = 1.0
NO_CONFIG = (
    "kill --direct needs the daemon's configuration: add --config FILE, or set $SEATRIAL_CONFIG"
)
RECV_WINDOW_MS = 3_000
"""The configuration's default for `venue.recv_window_ms`."""


class StopPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a stop needs to know: where we latch, whom we ask, with which key."""

    state_dir: Path
    environment: str
    symbols: tuple[str, ...]
    urls: Mapping[str, str]
    """By route; empty where the environment's hosts are built in."""
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
            key_file, base = keys.get("file"), base_of(path)
            routes = ("rest", "ws_api", "streams")
            return cls(
                state_dir=place_of(data["state_dir"], base),
                environment=str(venue["environment"]),
                symbols=tuple(str(symbol) for symbol in venue["symbols"]),
                urls={route: str(venue[route]) for route in routes if route in venue},
                key_file=None if key_file is None else place_of(key_file, base),
                keyring_service=str(keys.get("keyring_service", "")),
                recv_window_ms=int(venue.get("recv_window_ms", RECV_WINDOW_MS)),
            )
        except OSError as error:
            raise ControlError(f"kill --direct: {path}: {error.strerror}") from error
        except KeyError as error:
            raise ControlError(f"kill --direct: {path}: {error.args[0]} is missing") from error
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise ControlError(f"kill --direct: {path}: cannot be used: {error}") from error


class _State(msgspec.Struct, kw_only=True):
    """What the disks have answered by the deadline."""

    instance: str = ""
    head: str = ""
    """The hash of the journal's last whole line; empty: not read."""
    unused: str = ""
    """That no daemon has been in the state directory, where none has."""
    unknown: str = ""
    """Why nobody can tell which orders are ours."""
    latched_ms: float | None = None
    latch_fault: str = ""
    is_key_read: bool = False
    """Whether a disk has given the key file, if there is one."""
    is_settled: bool = False
    """Nothing was under way when the latch stood: nothing can arrive at the venue any more."""
    answer: dict[str, Any]
    """All of it, as it came."""

    @property
    def latch_words(self) -> str:
        return (
            f"NOT latched ({self.latch_fault})"
            if self.latched_ms is None
            else f"latched in {self.latched_ms:.0f} ms"
        )


def direct_kill(
    *, config: Path | None, socket: Path, by: str, uid: int, reason: str
) -> Mapping[str, Any]:
    """Latch, cancel, verify, without any daemon. Returns what `DaemonPort.kill` returns.

    Raises:
        ControlError: with what, why, and what to do now.
    """
    clock = SystemClock()
    start = clock.monotonic_ns()
    aside = _begun(config, socket, clock, start, uid=uid, by=by, reason=one_line(reason))
    _import_the_rest()
    plan = _plan(aside, config)
    state = _state(plan, aside, {}, LATCH_DEADLINE_S)
    closed_ms = (clock.monotonic_ns() - start) / 1e6
    if state.latched_ms is not None:
        closed_ms = state.latched_ms  # a daemon that lives looks there before every order
    if state.unknown:
        raise ControlError(
            f"kill --direct: {state.latch_words}, but nothing is canceled: do it by hand at the "
            f"venue. {state.unknown}"
        )
    try:
        try:
            report, empty_ns = _stop(plan, state, aside, clock)
        except InstanceUnknown:
            state = _state(plan, aside, state.answer, SECOND_CHANCE_S)
            if not state.instance:
                raise
            report, empty_ns = _stop(plan, state, aside, clock)
    except SeatrialError as error:
        done = "latched" if state.latched_ms is not None else "NOT latched"
        by_unit = direct_command(socket, config)
        hint = "" if "--direct" in by_unit else f"; the unit has its own keys: {by_unit}"
        raise ControlError(
            f"kill --direct: {done}, but nothing is canceled: {error}{hint}"
        ) from error
    state = _state(plan, aside, state.answer, 0)  # a disk that was only slow
    aside.close()
    return {
        "verified": report.verified_empty_ns is not None,
        "latched": state.latched_ms is not None,
        "open_orders": report.open_orders,
        "others_open": report.others if report.others >= 0 else None,
        "gate_ms": closed_ms,
        "gate_closed_monotonic_ns": start + int(closed_ms * 1e6),
        "latched_ms": state.latched_ms,
        "cancel_ms": _ms(report.last_cancel_ns, start),
        "empty_ms": _ms(empty_ns, start),
        "settled_ms": _ms(report.verified_empty_ns, start),
        "canceled": report.canceled,
        "unasked": report.unasked,
        "msg": "; ".join(
            text
            for text in (state.latch_fault, state.unused, report.unasked, *report.errors)
            if text
        ),
    }


def _begun(
    config: Path | None,
    socket: Path,
    clock: SystemClock,
    start: int,
    *,
    uid: int,
    by: str,
    reason: str,
) -> Aside:
    """Begin with what the disks are needed for, whatever they do: plan, latch, key, journal.

    Each part is told as soon as it is known; what hangs holds those behind it alone.
    """

    def work() -> Iterator[Mapping[str, Any]]:
        path = config or default_config(socket)
        if path is None:
            yield {"refused": NO_CONFIG}
            return
        try:
            plan = StopPlan.read(path)
        except ControlError as error:
            yield {"refused": str(error)}
            return
        yield {**msgspec.structs.asdict(plan), "key_file": plan.key_file and str(plan.key_file),
               "state_dir": str(plan.state_dir)}  # fmt: skip
        told: dict[str, Any] = {}
        for part in _latching(plan, clock, start, uid=uid, by=by, reason=reason):
            yield part
            told |= part
        yield from _key_reading(plan)
        yield {"head": head_of_journal(plan.state_dir)}
        if "latched_ms" in told and "unused" not in told:
            # A placement's line is written before the look at the latch that its bytes wait for.
            yield {"is_settled": not _under_way(plan, clock)}

    return Aside(work)


def _latching(
    plan: StopPlan, clock: SystemClock, start: int, *, uid: int, by: str, reason: str
) -> Iterator[Mapping[str, Any]]:
    """Latch, and learn whose orders are ours."""
    try:
        identity = read_identity(plan.state_dir)
        # None: never used, or not mounted; the venue is asked whose orders are open. Latched in any
        # case: a daemon may be starting there this moment.
        yield (
            {"unused": f"{plan.state_dir} was never used, or its disk is not mounted"}
            if identity is None
            else {"instance": identity.instance}
        )
    except StateDirError as error:  # latched all the same
        instance = instance_of_journal(plan.state_dir)
        yield {"instance": instance} if instance else {"unknown": str(error)}
    try:
        latch = LatchStore(plan.state_dir)
        latch.latch(by_uid=uid, by_name=by, reason=reason, ts_ns=clock.now_ns())
    except SeatrialError as error:
        yield {"latch_fault": str(error)}
    else:
        yield {"latched_ms": (clock.monotonic_ns() - start) / 1e6}


def _key_reading(plan: StopPlan) -> Iterator[Mapping[str, Any]]:
    """Prove that the disk gives the key; whoever needs the key tells of a fault."""
    if plan.key_file is not None and "CREDENTIALS_DIRECTORY" not in os.environ:
        with contextlib.suppress(OSError):
            plan.key_file.read_bytes()
    yield {"is_key_read": True}


def _plan(aside: Aside, config: Path | None) -> StopPlan:
    """What a stop needs, read within a second, whatever the disk does.

    Raises:
        ControlError: it cannot be read, or was not in time.
    """
    told = next(aside.answers(CONFIG_DEADLINE_S), None)
    if told is None:
        raise ControlError(
            f"kill --direct: NOTHING IS DONE: {config or 'the configuration'} was not read within "
            f"{CONFIG_DEADLINE_S:g} s: its disk hangs. Name a copy on another disk with --config, "
            f"kill over the socket, or cancel by hand at the venue"
        )
    if "refused" in told:
        raise ControlError(told["refused"])
    key_file = told.pop("key_file")
    return StopPlan(
        **{**told, "symbols": tuple(told["symbols"]), "state_dir": Path(told["state_dir"])},
        key_file=None if key_file is None else Path(key_file),
    )


def _state(plan: StopPlan, aside: Aside, answer: dict[str, Any], within_s: float) -> _State:
    """What the disks have answered by now, or answer in so many seconds.

    `answer` holds what came before, and takes what comes: each part is read once.
    """
    for part in aside.answers(within_s):
        answer |= part
        if "head" in part:  # what follows is for the end of the stop
            break
    is_hung = not {"latched_ms", "latch_fault"} & set(answer)
    if is_hung and "is_key_read" not in answer:  # the key may lie elsewhere
        reading = Aside(lambda: _key_reading(plan))
        for part in reading.answers(CONFIG_DEADLINE_S):
            answer |= part
        reading.close()
    found = _State(answer=answer, **answer)
    if is_hung:
        found.latch_fault = LatchStore(plan.state_dir).hung()
    return found


def _import_the_rest() -> None:
    """What is slow to import, while the disk works; a fault in it is told by whoever needs it."""
    with contextlib.suppress(Exception):
        import daemon.shell.keys.credentials  # noqa: PLC0415 - rule 3
        import daemon.shell.stop.blocking_waits  # noqa: F401, PLC0415 - rule 3


def _ms(at_ns: int | None, start_ns: int) -> float | None:
    return None if at_ns is None else (at_ns - start_ns) / 1e6


def _stop(
    plan: StopPlan, state: _State, aside: Aside, clock: SystemClock
) -> tuple["KillReport", int | None]:
    """Cancel and verify; the last report, and when the venue was first seen empty."""
    from daemon.shell.stop.blocking_waits import BlockingWaits, driven  # noqa: PLC0415 - rule 3

    waits = BlockingWaits()
    stop = _emergency(plan, state, clock, waits)
    seen = _Seen()

    async def work() -> tuple["KillReport", int | None]:
        try:
            report = await stop.cancel_and_verify(deadline_s=DEADLINE_S, on_round=seen.on_round)
            settled = await until_settled(
                stop, report, _late_orders(plan, state, aside, clock), clock,
                deadline_s=DEADLINE_S, on_round=seen.on_round, pause=waits.pause,
            )  # fmt: skip
            return settled, report.verified_empty_ns
        finally:
            await stop.close()

    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(plan, state, seen, over), daemon=True)
    teller.start()
    try:
        return driven(work())
    finally:
        over.set()
        teller.join()
        waits.close()


def _emergency(
    plan: StopPlan, state: _State, clock: SystemClock, waits: "BlockingWaits"
) -> "EmergencyStop":
    from daemon.shell.keys.credentials import load_credentials  # noqa: PLC0415 - rule 3
    from daemon.shell.link.link_config import VenueEndpoints, adapter_of  # noqa: PLC0415 - rule 3
    from daemon.shell.link.venue_urls import BINANCE_SPOT_TESTNET  # noqa: PLC0415 - rule 3
    from daemon.shell.process.secrecy import forbid_core_dumps  # noqa: PLC0415 - rule 3
    from daemon.shell.stop.emergency_stop import EmergencyStop  # noqa: PLC0415 - rule 3

    forbid_core_dumps()
    if not state.is_key_read:
        raise CredentialsRefused(
            f"{plan.key_file}: not read within {CONFIG_DEADLINE_S:g} s: its disk hangs; cancel by "
            f"hand at the venue"
        )
    urls = plan.urls if plan.environment == "sim" else BINANCE_SPOT_TESTNET
    try:
        endpoints = VenueEndpoints(environment=plan.environment, **urls)
    except TypeError as error:
        raise ControlError("kill --direct: sim needs rest, ws_api and streams") from error
    return EmergencyStop(
        endpoints=endpoints,
        adapter=adapter_of(
            load_credentials(plan.key_file, keyring_service=plan.keyring_service),
            plan.environment,
            plan.symbols,
        ),
        instance=state.instance,
        clock=clock,
        head=lambda: state.head,
        waits=waits,
    )


def _under_way(plan: StopPlan, clock: SystemClock) -> Mapping[str, int]:
    """Orders that were sent and not answered, by the journal, with the time of each."""
    journal, now_ns = plan.state_dir / "journal", clock.now_ns()
    late = late_orders_of_journal(journal, plan.recv_window_ms, now_ns=now_ns)
    return late.sent_ns() if late.until_ns(now_ns) else {}


def _late_orders(plan: StopPlan, state: _State, latching: Aside, clock: SystemClock) -> LateOrders:
    """Which orders may still arrive; a journal that cannot be read in time hides one sent now."""
    answer = state.answer
    for part in latching.answers(JOURNAL_DEADLINE_S if "head" in answer else 0):
        answer |= part
    if answer.get("is_settled"):
        return LateOrders(plan.recv_window_ms)
    aside = Aside(lambda: iter((_under_way(plan, clock),)))
    sent_ns = next(aside.answers(JOURNAL_DEADLINE_S), None)
    aside.close()
    if sent_ns is None:
        sent_ns = {"not read": clock.now_ns()}
    return LateOrders(plan.recv_window_ms, sent_ns)


class _Seen:
    """What the rounds have shown so far."""

    def __init__(self) -> None:
        self.words = "the venue has not answered yet"

    def on_round(self, canceled: int, remaining: int) -> None:
        """A listing has come."""
        self.words = f"{canceled} canceled, {remaining} of ours left at the venue"


def _tell(plan: StopPlan, state: _State, seen: _Seen, over: threading.Event) -> None:
    """A line when the first requests have left, and one for every second that the stop takes."""
    whose = state.instance or "the one instance that has orders there"
    over.wait(TELL_FIRST_S)
    output.say(
        f"{state.latch_words}; asking the venue ({plan.environment}) to cancel everything of "
        f"{whose}"
    )
    seconds = 0
    while not over.wait(TELL_PERIOD_S):
        seconds += 1
        output.say(f"{seconds:3} s: {seen.words}")


def main(argv: Sequence[str] | None = None) -> None:
    """Stop from a process of its own, without the rest of the operator's tool.

    Takes the options of `seatrial kill --direct`; ends the process with the same exit codes.
    """
    from control.tool.kill_command import parse, run  # noqa: PLC0415 - the tool's stop imports this module

    words = [word for word in (sys.argv[1:] if argv is None else argv) if word != "--direct"]
    asked = parse(["kill", "--direct", *words])
    if asked is None:
        output.say(
            "python -m daemon.direct_kill takes --config FILE, --reason WHY and --json; "
            "`seatrial kill --help` explains them"
        )
        sys.exit(2)
    sys.exit(run(asked, direct_kill))


if __name__ == "__main__":
    output.install()
    try:
        main()
    except SystemExit as ended:
        output.end(output.code_of(ended))
