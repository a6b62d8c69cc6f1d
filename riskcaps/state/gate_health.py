"""What stands before every order alike: halt flag, trading state, journal, clock, venue's budget.

Rules of this file:
1. Until it is told otherwise the gate believes the worst: halted, no journal, no clock.
2. `version` moves with every fact but the halt flag, which other threads close at any moment.
"""

from collections.abc import Mapping

from daemon.model.amounts import NS_PER_MS
from daemon.model.enums import TradingState
from daemon.model.halt import HaltFlag


class GateHealth:
    """The last word on each; written by facts, read by rules."""

    def __init__(self, halt: HaltFlag) -> None:
        self.halt = halt
        self.version = 0
        self.trading_state = TradingState.HALTED
        self.journal_ok = False
        self.clock_ns = -1
        """Engine time of the last clock sample; -1: never."""
        self.clock_offset_ns = self.clock_rtt_ns = 0
        self.budget: dict[str, list[int]] = {}
        """[used, limit] by window, as decisions record it; never changed in place."""
        self.budget_ns = 0

    def set_trading_state(self, state: TradingState) -> None:
        """What the gate admits."""
        self.trading_state = state
        self.version += 1

    def set_journal(self, ok: bool) -> None:
        """Whether the journal can be written."""
        self.journal_ok = ok
        self.version += 1

    def set_clock(self, offset_ns: int, rtt_ns: int, now_ns: int) -> None:
        """Venue clock minus ours, with the round trip that measured it."""
        self.clock_offset_ns, self.clock_rtt_ns, self.clock_ns = offset_ns, rtt_ns, now_ns
        self.version += 1

    def set_budget(self, used: Mapping[str, int], limits: Mapping[str, int], now_ns: int) -> None:
        """What the venue says is used of its own limits, by window name."""
        self.budget = {name: [used.get(name, 0), limit] for name, limit in limits.items()}
        self.budget_ns = now_ns
        self.version += 1


def drifts(offset_ns: int, rtt_ns: int, offset_ms_max: int) -> bool:
    """Whether offset plus half the round trip is beyond the cap (doubled: no half nanoseconds)."""
    return abs(offset_ns) * 2 + rtt_ns > offset_ms_max * NS_PER_MS * 2


def clock_problem(health: GateHealth, offset_ms_max: int) -> str:
    """Why the clock denies every order, in words with the mend; empty: it does not."""
    offset_ns = health.clock_offset_ns
    if health.clock_ns < 0 or not drifts(offset_ns, health.clock_rtt_ns, offset_ms_max):
        return ""
    offset_ms = offset_ns // NS_PER_MS
    side = "ahead of" if offset_ms < 0 else "behind"
    return (
        f"clock_drift: our time is {abs(offset_ms)} ms {side} the venue's, the cap is "
        f"{offset_ms_max}; every order would be denied. Set this machine's "
        "clock right and restart; where the journal was written with a clock that was ahead, stop "
        "the daemon and say so: seatrial state accept --config FILE --reason WHY"
    )
