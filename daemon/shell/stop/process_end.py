"""The ways in which the process ends: in order, at once, or without the main loop.

Rules of this file:
1. The gate is closed before anything else is tried, and cancels go before words.
2. Every step has a deadline. An order that is left is said in the exit code, never hidden.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from daemon.model.effects import ExitDaemon
from daemon.model.halt import HaltFlag
from daemon.model.inputs import Actor, Command
from daemon.shell.process.clock import Clock
from daemon.shell.process.sdnotify import Notifier
from daemon.shell.pump import Pump
from daemon.shell.stop.late_orders import LateOrders, until_settled
from daemon.shell.stop.stop_set import VenueStop

log = logging.getLogger("seatriald.end")

CANCEL_S = 5.0
"""So long the venue is asked by a process that ends without its engine."""
OVERDUE_S = 5.0
"""So long after its own deadline an orderly end is given up by the signal thread."""
EXIT_OK, EXIT_LEFT, EXIT_CRASH = 0, 1, 70
SYSTEM = Actor(uid=0, pid=0, role="operator", name="system")
_US_PER_S = 1_000_000


class ProcessEnd:
    """Ends this process. Used on the main loop, unless a method says "any thread"."""

    def __init__(
        self,
        *,
        pump: Pump,
        halt: HaltFlag,
        late: LateOrders,
        clock: Clock,
        notifier: Notifier,
        emergency: Callable[[], VenueStop],
        on_exit: Callable[[ExitDaemon], None],
        stop_deadline_s: float,
    ) -> None:
        """`emergency` makes a stop of its own, for whichever loop runs it."""
        self._pump = pump
        self._halt = halt
        self._late = late
        self._clock = clock
        self._notifier = notifier
        self._emergency = emergency
        self._on_exit = on_exit
        self._stop_deadline_s = stop_deadline_s
        self._loop = asyncio.get_running_loop()
        self.hurried = ""
        """Why the engine was not waited for; empty in an orderly end."""

    # ------------------------------------------------------------------ from the signal thread
    def request_end(self, name: str) -> float:
        """Begin an orderly end; returns the seconds after which it is overdue. Any thread."""
        command = Command(command_id=f"signal-{name}", method="shutdown", actor=SYSTEM, reason=name)
        with contextlib.suppress(RuntimeError):  # the loop has just closed: it is ending
            self._pump.offer_threadsafe(command)
        overdue_s = self._stop_deadline_s + OVERDUE_S
        self._notifier.extend_timeout(int((overdue_s + 2 * CANCEL_S) * _US_PER_S))
        return overdue_s

    def request_exit(self, name: str) -> None:
        """Close the gate and leave the main loop now; it cancels on its way out. Any thread."""
        self._halt.close(name)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._hurry, name)

    def cancel_without_main_loop(self, why: str) -> None:
        """Close the gate and cancel at the venue from the calling thread; bounded in time."""
        self._halt.close(why)
        asyncio.run(asyncio.wait_for(self.abandon_ship(why), 2 * CANCEL_S))

    # ------------------------------------------------------------------ on the main loop
    def _hurry(self, name: str) -> None:
        self.hurried = name
        self._on_exit(ExitDaemon(EXIT_LEFT, name))

    async def abandon_ship(self, why: str) -> bool:
        """Shut the gate and cancel at the venue, without the engine.

        Returns whether the venue showed that nothing of ours is left.
        """
        self._halt.close(why)
        stop = self._emergency()
        try:
            report = await stop.cancel_and_verify(deadline_s=CANCEL_S)
            report = await until_settled(stop, report, self._late, self._clock, deadline_s=CANCEL_S)
        finally:
            await stop.close()
        left = report.unasked or f"{report.remaining} of ours left at the venue"
        log.error("%s: %s canceled, %s", why, report.canceled, left)
        return report.verified_empty_ns is not None
