"""What is timed gets its turn before what computes: more tests run at once than there are cores."""

import contextlib
import os
from collections.abc import Iterator
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


@contextlib.contextmanager
def after_others() -> Iterator[None]:
    """What is done inside, and what is started there, has less of the machine than all else."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    if os.geteuid() != 0:  # who may not take it back does not give it away
        yield
        return
    os.setpriority(os.PRIO_PROCESS, 0, before + STEPS)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)
