"""What the daemon offers its control thread: status, commands, kill.

Every method is called on the control thread. Nothing here waits for the main loop, except the
future of a command, which the caller awaits with a deadline: a stuck main loop delays no kill.
"""

import asyncio
import concurrent.futures
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from control.events import EventHub
from daemon.model.effects import Reply
from daemon.model.halt import HaltFlag
from daemon.model.inputs import Actor, Command, Input, KillLatched
from daemon.model.records import EventType
from daemon.shell.clock import Clock
from daemon.shell.emergency import EmergencyStop
from daemon.shell.latch import LatchStore

KILL_DEADLINE_S = 30.0
REPLIES_WAITING_MAX = 1_000


class PumpPort(Protocol):
    """What this thread may ask of the pump."""

    def offer_threadsafe(self, item: Input) -> None:
        """Queue an input."""

    def note_threadsafe(self, event_type: EventType, fields: Mapping[str, Any]) -> None:
        """Journal a fact."""


class ControlPort:
    """Implements `control.server.DaemonPort`."""

    def __init__(
        self,
        *,
        pump: PumpPort,
        halt: HaltFlag,
        latch: LatchStore,
        emergency: EmergencyStop,
        clock: Clock,
    ) -> None:
        """Wire the port; the emergency session opens on first use, on the control loop."""
        self._pump = pump
        self._halt = halt
        self._latch = latch
        self._emergency = emergency
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, concurrent.futures.Future[Reply]] = OrderedDict()
        self._status: Mapping[str, Any] = {}
        self._events = EventHub()

    def publish(self, status: Mapping[str, Any]) -> None:
        """Called on the main loop: replace the snapshot that `status` answers."""
        self._status = status

    def status(self) -> Mapping[str, Any]:
        """The last published snapshot, with the halt flag as it is now."""
        return {**self._status, "halt_closed": self._halt.closed, "halt_reason": self._halt.reason}

    def command(self, command: Command) -> concurrent.futures.Future[Reply]:
        """Queue a command for the engine; the future answers when the engine does."""
        future: concurrent.futures.Future[Reply] = concurrent.futures.Future()
        with self._lock:
            self._waiting[command.command_id] = future
            while len(self._waiting) > REPLIES_WAITING_MAX:
                self._waiting.popitem(last=False)[1].cancel()
        self._pump.offer_threadsafe(command)
        return future

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
        self._pump.note_threadsafe(
            EventType.COMMAND,
            {
                "command_id": command_id,
                "method": method,
                "uid": actor.uid,
                "pid": actor.pid,
                "role": actor.role,
                "by": actor.name,
                "reason": reason,
                "outcome": outcome,
                "msg": msg,
            },
        )

    def events(self) -> EventHub:
        """Where the journal publishes its lines."""
        return self._events

    async def warm(self) -> None:
        """Open the emergency session ahead of need."""
        await self._emergency.warm()

    async def kill(self, actor: Actor, reason: str) -> Mapping[str, Any]:
        """Close the gate, latch, cancel everything of ours, poll the venue until it has none.

        Returns:
            See `control.port.DaemonPort.kill`.
        """
        start = self._clock.monotonic_ns()
        self._halt.close(f"kill by {actor.name or actor.uid}: {reason}")
        gate_ms = self._since_ms(start)
        ts_ns = self._clock.now_ns()
        self._pump.offer_threadsafe(KillLatched(actor, reason, ts_ns))
        self._note("gate_closed", actor, reason, {"gate_ms": gate_ms})
        report, latched_ms = await asyncio.gather(
            self._emergency.cancel_and_verify(deadline_s=KILL_DEADLINE_S),
            asyncio.to_thread(self._latch_now, actor, reason, ts_ns, start),
        )
        verified = report.verified_empty_ns is not None
        empty_ms = self._since_ms(start)
        cancel_ms = None
        if report.last_cancel_ns is not None:
            cancel_ms = (report.last_cancel_ns - report.started_ns) / 1e6
        result: dict[str, Any] = {
            "verified": verified,
            "open_orders": report.remaining,
            "gate_ms": gate_ms,
            "latched_ms": latched_ms,
            "cancel_ms": cancel_ms,
            "empty_ms": empty_ms if verified else None,
            "canceled": report.canceled,
            "rounds": report.rounds,
            "msg": "; ".join(report.errors),
        }
        self._note("verified_empty" if verified else "not_verified", actor, reason, result)
        return result

    def _latch_now(self, actor: Actor, reason: str, ts_ns: int, start: int) -> float:
        self._latch.latch(by_uid=actor.uid, by_name=actor.name, reason=reason, ts_ns=ts_ns)
        latched_ms = self._since_ms(start)
        self._note("latched", actor, reason, {"latched_ms": latched_ms})
        return latched_ms

    def _note(self, step: str, actor: Actor, reason: str, extra: Mapping[str, Any]) -> None:
        # Durations as text: no float stands in a record.
        exact = {k: f"{v:.3f}" if isinstance(v, float) else v for k, v in extra.items()}
        self._pump.note_threadsafe(
            EventType.KILL,
            {"step": step, "by": actor.name, "uid": actor.uid, "reason": reason, **exact},
        )

    def _since_ms(self, start_ns: int) -> float:
        return (self._clock.monotonic_ns() - start_ns) / 1e6
