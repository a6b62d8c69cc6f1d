"""What the daemon offers its control thread: status, commands, kill.

Every method is called on the control thread. Nothing here waits for the main loop, except the
future of a command, which the caller awaits with a deadline: a stuck main loop delays no kill.
"""

import asyncio
import concurrent.futures
import contextlib
import gc
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from typing import Any, Protocol

from control.server.daemon_port import Step
from control.server.line_events import EventHub
from daemon.model.bots import BotState, BotSwitched
from daemon.model.effects import Reply
from daemon.model.halt import HaltFlag
from daemon.model.inputs import (
    Actor,
    Command,
    Input,
    KillLatched,
)
from daemon.model.journal_records import CommandRecord
from daemon.model.records import EventType
from daemon.shell.checks.preflight_pass import StartPermit
from daemon.shell.process.clock import Clock
from daemon.shell.stop.emergency_stop import KillReport, OnRound
from daemon.shell.stop.kill_latch import LATCH_DEADLINE_S, LatchStore
from daemon.shell.stop.late_orders import LateOrders, until_settled
from daemon.shell.stop.stop_set import VenueStop

KILL_DEADLINE_S = 30.0
REPLIES_WAITING_MAX = 1_000
STAND_ASIDE_S = 0.05
"""So long, at most, a main loop that turns stands aside for a stop, before the engine hears of it
and cancels too: both at once would only take the interpreter from each other. The flag is closed
before either, so that nothing is lost by waiting."""
SWITCH_INTERVAL_S = 0.000_1
"""How long a busy main loop may keep the interpreter from a thread that stops us."""


_BOT_STATES = {
    "bot-kill": (BotState.SUSPENDED, True),
    "bot-suspend": (BotState.SUSPENDED, False),
    "bot-revoke": (BotState.REVOKED, True),
    "bot-resume": (BotState.ACTIVE, False),
}
"""What a command makes of a bot, and whether its open orders are cancelled."""


class PumpPort(Protocol):
    """What this thread may ask of the pump."""

    def offer_threadsafe(self, item: Input) -> None:
        """Queue an input."""

    def note_threadsafe(self, event_type: EventType, fields: Mapping[str, Any]) -> None:
        """Journal a fact."""


class ControlPort:
    """Implements `control.server.control_server.DaemonPort`."""

    def __init__(
        self,
        *,
        pump: PumpPort,
        halt: HaltFlag,
        latch: LatchStore,
        emergency: VenueStop,
        late: LateOrders,
        clock: Clock,
        main_loop: asyncio.AbstractEventLoop,
        may_start: Callable[[Command, int], StartPermit] | None = None,
        bots: Collection[str] = (),
    ) -> None:
        """Wire the port; the emergency session opens on first use, on the control loop.

        `may_start` is asked, with the command and the time, before a `start` goes to the engine.
        """
        self._main_loop = main_loop
        self._pump = pump
        self._halt = halt
        self._latch = latch
        self._emergency = emergency
        self._late = late
        self._clock = clock
        self._may_start = may_start
        self._bots = frozenset(bots)
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, concurrent.futures.Future[Reply]] = OrderedDict()
        self._status: Mapping[str, Any] = {}
        self._events = EventHub()
        self._control_loop: asyncio.AbstractEventLoop | None = None
        self.drills: Callable[[Command], concurrent.futures.Future[Reply]] | None = None
        """Who runs drills; they are no business of the engine's."""

    def publish(self, status: Mapping[str, Any]) -> None:
        """Called on the main loop: replace the snapshot that `status` answers."""
        self._status = status

    def status(self) -> Mapping[str, Any]:
        """The last published snapshot, with the halt flag as it is now."""
        return {**self._status, "halt_closed": self._halt.closed, "halt_reason": self._halt.reason}

    def command(self, command: Command) -> concurrent.futures.Future[Reply]:
        """Queue a command for the engine; the future answers when the engine does."""
        if command.method == "drill" and self.drills is not None:
            return self.drills(command)
        future: concurrent.futures.Future[Reply] = concurrent.futures.Future()
        if command.method in _BOT_STATES:
            future.set_result(self._switch_bot(command))
            return future
        if command.method == "start" and (refused := self._preflight_refusal(command)):
            future.set_result(refused)
            return future
        with self._lock:
            self._waiting[command.command_id] = future
            while len(self._waiting) > REPLIES_WAITING_MAX:
                self._waiting.popitem(last=False)[1].cancel()
        self._pump.offer_threadsafe(command)
        return future

    def _switch_bot(self, command: Command) -> Reply:
        """Suspend, resume, revoke or kill one bot: the engine hears of it as of any input."""
        bot = str(command.params.get("bot", ""))
        if bot not in self._bots:
            known = ", ".join(sorted(self._bots)) or "none"
            return Reply(
                command_id=command.command_id,
                error_code="bad_params",
                error_message=f"{bot!r} is no bot of the configuration; it has: {known}",
            )
        state, cancel = _BOT_STATES[command.method]
        # The snapshot may be a second old; the engine keeps a revoked bot revoked in any case.
        now = self._status.get("bots", {}).get(bot, {}).get("state")
        if now == BotState.REVOKED and state is not BotState.REVOKED and not cancel:
            return Reply(
                command_id=command.command_id,
                error_code="bot_revoked",
                error_message=f"{bot} is revoked for good: its name never trades again",
            )
        by = command.actor.name or str(command.actor.uid)
        reason = f"{command.method} by {by}: {command.reason}"
        self._pump.offer_threadsafe(BotSwitched(bot=bot, state=state, reason=reason, cancel=cancel))
        return Reply(command_id=command.command_id, result={"bot": bot, "state": state.value})

    def _preflight_refusal(self, command: Command) -> Reply | None:
        """Whether a pass allows a session now; that it does, or that none is needed, is noted."""
        if self._may_start is None:
            return None
        permit = self._may_start(command, self._clock.now_ns())
        if not permit.allowed:
            return Reply(
                command_id=command.command_id, error_code=permit.code, error_message=permit.msg
            )
        self.record_command(
            command_id=f"{command.command_id}-preflight",
            method="preflight",
            actor=command.actor,
            reason=command.reason,
            outcome="accepted",
            msg=permit.msg,
        )
        return None

    def on_reply(self, reply: Reply) -> None:
        """Called on the main loop: the engine answered."""
        with self._lock:
            future = self._waiting.pop(reply.command_id, None)
        if future is not None and future.set_running_or_notify_cancel():
            future.set_result(reply)

    def record_command(
        self, *, command_id: str, method: str, actor: Actor, reason: str, outcome: str, msg: str
    ) -> None:
        """Journal a command or a refusal."""
        fields: CommandRecord = {
            "command_id": command_id, "method": method, "uid": actor.uid, "pid": actor.pid,
            "role": actor.role, "by": actor.name, "reason": reason, "outcome": outcome, "msg": msg,
        }  # fmt: skip
        self._pump.note_threadsafe(EventType.COMMAND, fields)

    def events(self) -> EventHub:
        """Where the journal publishes its lines."""
        return self._events

    async def warm(self) -> None:
        """Keep the emergency session's connections open until cancelled; then close them."""
        self._control_loop = asyncio.get_running_loop()
        try:
            await self._emergency.keep_warm(may=self._may_warm)
        finally:
            await self._emergency.close()

    def _may_warm(self) -> bool:
        """Not while the venue hears nobody: a warm connection is no reason to lengthen a ban."""
        return not self._status.get("venue_pause")

    def cancel_and_verify(self, deadline_s: float) -> KillReport:
        """The emergency session alone, for a drill: called from a thread that may wait.

        Raises:
            RuntimeError: the control loop does not run yet.
        """
        if self._control_loop is None:
            raise RuntimeError("the control loop does not run yet")
        stopping = self._emergency.cancel_and_verify(deadline_s=deadline_s)
        return asyncio.run_coroutine_threadsafe(stopping, self._control_loop).result()

    def kill(
        self, actor: Actor, reason: str, received_ns: int, tell: Step
    ) -> Coroutine[Any, Any, Mapping[str, Any]]:
        """Close the gate now; then latch, cancel everything of ours, poll until the venue has none.

        Returns:
            See `control.server.daemon_port.DaemonPort.kill`; its answer also has `settled_ms`
            (no order that was under way can be accepted any more), `late_orders` (how many were
            under way) and `gate_closed_monotonic_ns`, for a stopwatch on the asking side.
        """
        self._halt.close(f"kill by {actor.name or actor.uid}: {reason}")
        closed_ns = self._clock.monotonic_ns()
        start = min(received_ns, closed_ns)
        with contextlib.suppress(Exception):  # whoever is told cannot end the stop
            tell({"step": "gate_closed", "gate_ms": (closed_ns - start) / 1e6})
        return self._stop(actor, reason, start, closed_ns, tell)

    def kill_joined(self, actor: Actor, reason: str) -> None:
        """Another kill was asked for while one runs: its reason is latched and journalled, too."""
        self._halt.close(f"kill by {actor.name or actor.uid}: {reason}")
        ts_ns = self._clock.now_ns()
        with contextlib.suppress(RuntimeError):  # the main loop has ended
            self._pump.offer_threadsafe(KillLatched(actor, reason, ts_ns))
        self._begin_latch(actor, reason, ts_ns, self._clock.monotonic_ns())

    async def _stop(
        self, actor: Actor, reason: str, start: int, closed_ns: int, tell: Step
    ) -> Mapping[str, Any]:
        with _interpreter_for_us():
            return await self._stop_and_verify(actor, reason, start, closed_ns, tell)

    async def _stop_and_verify(
        self, actor: Actor, reason: str, start: int, closed_ns: int, tell: Step
    ) -> Mapping[str, Any]:
        gate_ms = (closed_ns - start) / 1e6
        ts_ns = self._clock.now_ns()
        late_orders = self._late.count(ts_ns)
        stopped = threading.Event()
        with contextlib.suppress(RuntimeError):  # the main loop has ended: nothing stands aside
            self._main_loop.call_soon_threadsafe(stopped.wait, STAND_ASIDE_S)
        self._note("gate_closed", actor, reason, {"gate_ms": gate_ms})
        with contextlib.suppress(RuntimeError):
            self._pump.offer_threadsafe(KillLatched(actor, reason, ts_ns))
        on_round = _round_teller(tell)
        latching = self._begin_latch(actor, reason, ts_ns, start)
        try:
            report = await self._emergency.cancel_and_verify(
                deadline_s=KILL_DEADLINE_S, on_round=on_round
            )
        finally:
            stopped.set()
        empty_ms = self._since_ms(start)
        latched_ms, latch_fault = await self._latched(latching, start)
        report = await until_settled(
            self._emergency,
            report,
            self._late,
            self._clock,
            deadline_s=KILL_DEADLINE_S,
            on_round=on_round,
        )
        empty = report.verified_empty_ns is not None
        cancel_ms = None
        if report.last_cancel_ns is not None:
            cancel_ms = (report.last_cancel_ns - start) / 1e6
        result: dict[str, Any] = {
            "verified": empty,
            "latched": not latch_fault,
            "open_orders": report.open_orders,
            "others_open": report.others if report.others >= 0 else None,
            "gate_ms": gate_ms,
            "gate_closed_monotonic_ns": closed_ns,
            "latched_ms": latched_ms,
            "cancel_ms": cancel_ms,
            "empty_ms": empty_ms if empty else None,
            "settled_ms": self._since_ms(start) if empty else None,
            "canceled": report.canceled,
            "unasked": report.unasked,
            "late_orders": late_orders,
            "rounds": report.rounds,
            "msg": "; ".join(
                text for text in (latch_fault, report.unasked, *report.errors) if text
            ),
        }
        if not latch_fault:
            self._note("latched", actor, reason, {"latched_ms": latched_ms})
        self._note("verified_empty" if empty else "not_verified", actor, reason, result)
        return result

    def _begin_latch(
        self, actor: Actor, reason: str, ts_ns: int, start: int
    ) -> "asyncio.Future[tuple[float | None, str]]":
        """Latch in a thread that nobody waits for beyond a deadline: the disk may hang.

        Answers when it was on the disk, or why it is not: the orders are canceled all the same.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[float | None, str]] = loop.create_future()

        def settle(latched_ms: float | None, fault: str) -> None:
            if not done.done():
                done.set_result((latched_ms, fault))

        def latch() -> None:
            latched_ms, fault = None, ""
            try:
                self._latch.latch(by_uid=actor.uid, by_name=actor.name, reason=reason, ts_ns=ts_ns)
                latched_ms = self._since_ms(start)
            except Exception as error:  # noqa: BLE001 - told in the answer, whatever it is
                fault = str(error) or type(error).__name__
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, latched_ms, fault)

        # No executor: the end of a process waits for its threads.
        try:
            threading.Thread(target=latch, name="seatrial-latch", daemon=True).start()
        except RuntimeError as error:
            settle(None, f"the kill is not latched: {error}")
        return done

    async def _latched(
        self, latching: "asyncio.Future[tuple[float | None, str]]", start: int
    ) -> tuple[float | None, str]:
        """What became of the latch by its deadline, which runs from the beginning of the kill."""
        left_s = max(0.0, LATCH_DEADLINE_S - self._since_ms(start) / 1e3)
        done, _ = await asyncio.wait({latching}, timeout=left_s)
        return latching.result() if done else (None, self._latch.hung())

    def _note(self, step: str, actor: Actor, reason: str, extra: Mapping[str, Any]) -> None:
        # Durations as text: no float stands in a record.
        exact = {k: f"{v:.3f}" if isinstance(v, float) else v for k, v in extra.items()}
        fields = {"step": step, "by": actor.name, "uid": actor.uid, "reason": reason, **exact}
        with contextlib.suppress(RuntimeError):  # the main loop has ended, and its journal
            self._pump.note_threadsafe(EventType.KILL, fields)

    def _since_ms(self, start_ns: int) -> float:
        return (self._clock.monotonic_ns() - start_ns) / 1e6


def _round_teller(tell: Step) -> OnRound:
    def on_round(canceled: int, remaining: int) -> None:
        tell({"step": "canceling", "canceled": canceled, "open_orders": remaining})

    return on_round


@contextlib.contextmanager
def _interpreter_for_us() -> Iterator[None]:
    """While we stop, neither a busy main loop nor the garbage collector keeps us waiting.

    Freezing leaves collections nothing to walk, even those that a strategy asks for.
    """
    interval_s, collecting = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(min(interval_s, SWITCH_INTERVAL_S))
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        if collecting:
            gc.enable()
