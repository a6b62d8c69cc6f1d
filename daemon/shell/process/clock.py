"""The only clock of the house.

Engine time is the wall clock at boot plus the time since, and never earlier than the floor (the
journal's last record). It does not step: no rolling window is refilled by a clock change, in either
direction, and a restart continues where the journal ended. It goes on while the machine sleeps, so
that a suspend is a gap in our own clockwork and not a clock that is wrong for ever after. The
venue's time is engine time plus the offset that `time_sync` measures.
"""

import time
from typing import Final, Protocol

_SINCE: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Time that never steps and counts the machine's sleep, where the kernel has it (Linux)."""


class Clock(Protocol):
    """Where the shell takes its time from."""

    def now_ns(self) -> int:
        """Engine time: UTC nanoseconds that never step."""

    def monotonic_ns(self) -> int:
        """Nanoseconds for measuring durations."""


class SystemClock:
    """The clock of a running daemon."""

    def __init__(self, floor_ns: int = 0) -> None:
        since_ns = time.clock_gettime_ns(_SINCE)
        self._shift_ns = max(time.time_ns(), floor_ns) - since_ns

    def now_ns(self) -> int:
        """Engine time: UTC nanoseconds that never step."""
        return time.clock_gettime_ns(_SINCE) + self._shift_ns

    monotonic_ns = staticmethod(time.monotonic_ns)
    """Nanoseconds for measuring durations; they stand still while the machine sleeps."""


def monotonic_s() -> float:
    """Seconds for deadlines of threads that have no clock of their own."""
    return time.monotonic()


def utc_text(ts_ns: int) -> str:
    """ISO-8601 UTC with microseconds and `Z`, from integer nanoseconds."""
    seconds, rest = divmod(ts_ns, 1_000_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{rest // 1000:06d}Z"
