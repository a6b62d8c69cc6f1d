"""The interface that the daemon offers to the control plane.

All of it is called from the control thread and none of it may block: a main loop that hangs must
not hang the stop.
"""

from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, Literal, Protocol

from control.server.line_events import EventHub
from daemon.model.effects import Reply
from daemon.model.inputs import Actor, Command

Outcome = Literal["accepted", "refused"]
Step = Callable[[Mapping[str, Any]], None]
"""Told of every step of a deed that takes its time: `{"step": …}` and what belongs to it."""


class DaemonPort(Protocol):
    """The daemon, seen from the control thread."""

    def status(self) -> Mapping[str, Any]:
        """The last published snapshot: plain JSON, replaced whole, never changed in place."""

    def command(self, command: Command) -> Future[Reply]:
        """Put a command into the pump's queue. The future is resolved from any thread."""

    def kill(
        self, actor: Actor, reason: str, received_ns: int, tell: Step
    ) -> Coroutine[Any, Any, Mapping[str, Any]]:
        """Stop now, on the control thread's own loop, whatever the main loop does.

        The halt flag is closed when this returns; the coroutine latches, cancels and verifies, and
        tells of each step. `received_ns` (monotonic) is when the request was read: times count
        from there. It answers with `verified` (the venue was asked and has no open order of ours),
        `latched` (a restart knows of it), `open_orders` (the last count of ours, or None),
        `others_open` (orders of other clients, left alone), `gate_ms`, `latched_ms`, `cancel_ms`
        (last cancel at the venue), `empty_ms` (None when not verified), `canceled`, and `msg` when
        something went wrong.
        """

    def kill_joined(self, actor: Actor, reason: str) -> None:
        """Take another kill while one runs: keep the gate closed and latch its reason too.

        Never blocks, never raises.
        """

    def events(self) -> EventHub:
        """The hub to which the journal publishes its lines."""

    def record_command(
        self,
        *,
        command_id: str,
        method: str,
        actor: Actor,
        reason: str,
        outcome: Outcome,
        msg: str,
    ) -> None:
        """Journal that a command was admitted or refused, and why. Never blocks, never raises."""
