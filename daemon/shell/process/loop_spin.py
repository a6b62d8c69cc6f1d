"""A main loop that goes on looking for a while before it sleeps.

A loop that sleeps is woken late, and finds its caches full of what others have done meanwhile: the
same order takes two to three times as long. Looking costs a core for as long as it lasts.

Rules of this file:
1. Only work that was done prolongs the looking; it ends by itself, and with a closed halt flag: a
   stop gets the whole machine.
2. Each look lets go of the interpreter, and whoever else wants it gets it within
   `SWITCH_INTERVAL_S`: control, watchdog and gateway wait for no spinning loop.
"""

import asyncio
import sys

from daemon.model.halt import HaltFlag
from daemon.shell.process.clock import Clock

SWITCH_INTERVAL_S = 0.000_05


class LoopSpin:
    """Belongs to one loop; every method is called there."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, halt: HaltFlag, clock: Clock, spin_us: int
    ) -> None:
        """Look for `spin_us` after each piece of work, but not while `halt` is closed."""
        self._loop = loop
        self._halt = halt
        self._now_ns = clock.monotonic_ns
        self._spin_ns = spin_us * 1_000
        self._until_ns = 0
        self._is_looking = False
        sys.setswitchinterval(min(SWITCH_INTERVAL_S, sys.getswitchinterval()))

    def worked(self) -> None:
        """There was work: look for more from now on."""
        self._until_ns = self._now_ns() + self._spin_ns
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        # What is called soon keeps the loop from sleeping in its poll: it only looks.
        if self._now_ns() < self._until_ns and not self._halt.closed:
            self._loop.call_soon(self._look)
        else:
            self._is_looking = False
