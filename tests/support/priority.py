"""What is timed gets its turn before what computes: more tests run at once than there are cores."""

import contextlib
import os
from typing import Protocol

STEPS = 5


class Started(Protocol):
    """A process that has been started."""

    @property
    def pid(self) -> int:
        """Its number."""


def before_others(process: Started) -> None:
    """A daemon or a venue that has just been started goes before the tests' own computing.

    A main loop that is a second late three times halts, as it should (`loop_lag`): a neighbour that
    plays seeded worlds is no reason for that. Only root may; elsewhere all stay as they are.
    """
    with contextlib.suppress(PermissionError, ProcessLookupError):
        nice = os.getpriority(os.PRIO_PROCESS, 0) - STEPS
        os.setpriority(os.PRIO_PROCESS, process.pid, nice)
