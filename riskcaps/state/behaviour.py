"""Behaviour: what no single order shows. Executions without a human, streaks, duplicates.

Rules of this file:
1. A throttle that has tripped stays tripped until a named human re-enables (RTS 6 15(3)).
2. A losing order is counted once, when it ends: its reducing fills together, fees in quote
   included. Partial fills of one order are not a streak.
   Streaks are of one symbol: what another one does neither ends nor lengthens them, and what trips
   denies that symbol. For the whole account stand the loss caps and the storm of rejects.
3. Duplicates are remembered for the window only; the memory is bounded by the order rate.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from daemon.model.amounts import NS_PER_MS, decimal_of
from daemon.model.ids import InstrumentId, symbol_of
from riskcaps.state.bands import CapNotice
from riskcaps.words.capset import CapSet

NEVER_NS = -1 << 62
"""Longer ago than any window."""
LATE_MAX = 64
ACCOUNT = "*"
DuplicateKey = tuple[str, bool, Decimal | None, Decimal]
"""Instrument, is buy, limit price (or trigger; None for a market order), quantity."""


def duplicate_key(
    instrument_id: str, owner: str, price: Decimal | None, qty: Decimal, *, is_buy: bool
) -> DuplicateKey:
    """What makes two orders the same: those of a bot are compared with its own only."""
    return (f"{instrument_id}#{owner}" if owner else instrument_id, is_buy, price, qty)


class Behaviour:
    """Counters and latches of the behaviour rules."""

    def __init__(self) -> None:
        self.version = 0
        """Moves with everything that a decision writes down of it."""
        self.verdict_version = 0
        """Moves with everything that may change what the rule over it says, duplicates apart."""
        self.executions_since_human = 0
        self.rejects: dict[str, int] = {}
        self.losses: dict[str, int] = {}
        """Streaks by instrument; no entry is none. ACCOUNT: of a state that knew no instruments."""
        self.executions_max = self.reject_streak_max = self.loss_streak_max = 0
        self.duplicate_window_ns = 0
        self._actions = {"venue_reject_streak_max": "halt", "loss_streak_max": "halt"}
        self.newest_ns = NEVER_NS
        """When the last order was approved: longer ago than the window, nothing is a duplicate."""
        self._seen: dict[DuplicateKey, int] = {}
        """When each order was last approved: the window's, and at most as many older ones."""
        self._late: list[tuple[int, DuplicateKey]] = []
        """The newest, not yet in the table: the hash of a price costs more than a whole rule."""
        self._full = LATE_MAX

    def set_caps(self, caps: CapSet) -> None:
        """Limits of this run."""
        self._moved()
        self.executions_max = caps.executions_without_human_max
        self.reject_streak_max = caps.venue_reject_streak_max
        self.loss_streak_max = caps.loss_streak_max
        self.duplicate_window_ns = caps.duplicate_window_ms * NS_PER_MS
        self._actions = {
            "venue_reject_streak_max": caps.venue_reject_streak_action,
            "loss_streak_max": caps.loss_streak_action,
        }

    @property
    def reject_streak(self) -> int:
        """The longest of any symbol."""
        return max(self.rejects.values(), default=0)

    @property
    def loss_streak(self) -> int:
        """The longest of any symbol."""
        return max(self.losses.values(), default=0)

    def streaks(self, instrument_id: str) -> tuple[int, int]:
        """Rejects and losing orders in a row, as they stand against one instrument."""
        return (
            max(self.rejects.get(instrument_id, 0), self.rejects.get(ACCOUNT, 0)),
            max(self.losses.get(instrument_id, 0), self.losses.get(ACCOUNT, 0)),
        )

    def executed(self) -> None:
        """One execution that no human made."""
        self.executions_since_human += 1
        self.version += 1
        if self.executions_since_human >= self.executions_max:
            self.verdict_version += 1

    def accepted(self, instrument_id: str) -> None:
        """The venue took an order: a streak of rejects ends, unless it has already tripped."""
        _end(self.rejects, instrument_id, self.reject_streak_max)
        self.version += 1

    def rejected(self, instrument_id: str) -> tuple[CapNotice, ...]:
        """The venue refused a placement as faulty."""
        used = self.rejects[instrument_id] = self.rejects.get(instrument_id, 0) + 1
        return self._tripped("venue_reject_streak_max", instrument_id, used, self.reject_streak_max)

    def order_ended(self, instrument_id: str, realised: Decimal) -> tuple[CapNotice, ...]:
        """A reducing order is over; `realised` is its profit in quote."""
        if realised >= 0:
            if self.losses:
                _end(self.losses, instrument_id, self.loss_streak_max)
                self.version += 1
            return ()
        used = self.losses[instrument_id] = self.losses.get(instrument_id, 0) + 1
        return self._tripped("loss_streak_max", instrument_id, used, self.loss_streak_max)

    def _tripped(
        self, cap: str, instrument_id: str, used: int, limit: int
    ) -> tuple[CapNotice, ...]:
        self.version += 1
        if used >= limit:
            self.verdict_version += 1
        if limit <= 0 or used != limit:
            return ()
        action = self._actions[cap]
        symbol = symbol_of(InstrumentId(instrument_id))
        text = f"{cap} {symbol}: {used} in a row; {action}, until a human re-enables"
        return (CapNotice("breach", cap, symbol, 100, True, str(used), str(limit), action, text),)

    def _moved(self) -> None:
        self.version += 1
        self.verdict_version += 1

    def re_enable(self) -> None:
        """A named human has looked."""
        self._moved()
        self.executions_since_human = 0
        self.rejects.clear()
        self.losses.clear()

    def remember(self, key: DuplicateKey, now_ns: int) -> None:
        """An order with this key was approved."""
        self.newest_ns = now_ns
        self._late.append((now_ns, key))
        if len(self._late) >= LATE_MAX:
            self._sort_in()

    def last_seen_ns(self, key: DuplicateKey, now_ns: int) -> int:
        """When such an order was approved within the window; -1 when it was not."""
        if now_ns - self.newest_ns > self.duplicate_window_ns:
            return -1
        self._sort_in()
        seen_ns = self._seen.get(key, -1)
        return seen_ns if seen_ns >= 0 and now_ns - seen_ns <= self.duplicate_window_ns else -1

    def _sort_in(self) -> None:
        """Bring the late keys into the table. The window ends at the newest order, a fact."""
        oldest_ns = self.newest_ns - self.duplicate_window_ns
        for at_ns, key in self._late:
            if at_ns >= oldest_ns:
                self._seen[key] = at_ns
        self._late.clear()
        if len(self._seen) >= self._full:
            self._seen = {key: at_ns for key, at_ns in self._seen.items() if at_ns >= oldest_ns}
            self._full = 2 * len(self._seen) + LATE_MAX

    def state(self, now_ns: int) -> dict[str, Any]:
        """Everything durable, as plain JSON."""
        self._sort_in()
        oldest_ns = now_ns - self.duplicate_window_ns
        return {
            "executions_since_human": self.executions_since_human,
            "reject_streaks": dict(sorted(self.rejects.items())),
            "loss_streaks": dict(sorted(self.losses.items())),
            "duplicates": [
                [stamp, key[0], key[1], None if key[2] is None else str(key[2]), str(key[3])]
                for key, stamp in sorted(self._seen.items(), key=_when)
                if stamp >= oldest_ns
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take a `state()` back."""
        self._moved()
        self.executions_since_human = state["executions_since_human"]
        self.rejects = _streaks_of(state, "reject_streak")
        self.losses = _streaks_of(state, "loss_streak")
        self._seen.clear()
        self._late.clear()
        rows: Iterable[list[Any]] = state["duplicates"]
        for stamp, instrument, is_buy, price, qty in rows:
            key = (
                instrument,
                is_buy,
                None if price is None else decimal_of(price),
                decimal_of(qty),
            )
            self._seen[key] = stamp
            self.newest_ns = max(self.newest_ns, stamp)


def _end(streaks: dict[str, int], instrument_id: str, limit: int) -> None:
    for key in (instrument_id, ACCOUNT):
        if streaks.get(key, limit) < limit:
            del streaks[key]


def _streaks_of(state: Mapping[str, Any], name: str) -> dict[str, int]:
    """By instrument; an older state has one number, which then stands against every one."""
    if f"{name}s" in state:
        return dict(state[f"{name}s"])
    return {ACCOUNT: state[name]} if state[name] else {}


def _when(item: tuple[DuplicateKey, int]) -> tuple[int, str]:
    """A total order: a twin that was restored keeps its keys in another one."""
    return item[1], str(item[0])
