"""Orders that were sent and not answered, and may still reach the venue during a stop.

A placement whose bytes left before the gate closed can be accepted after the last listing showed
nothing. The venue refuses it only when its receive window is over. So a stop looks again until
every such order is answered, or too old to be accepted.

Because an approved order's record leaves the process before its bytes do (promise P5), the set can
be read from the journal as well: a second process knows it without asking the daemon.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from daemon.model.copies import replace
from daemon.model.records import EventType
from daemon.shell.journal.segments import segments, tail_of
from daemon.shell.process.clock import Clock

if TYPE_CHECKING:  # a stop waits for every import
    from daemon.shell.stop.emergency_stop import KillReport, OnRound
    from daemon.shell.stop.stop_set import VenueStop

_ORDER_STATE, _ORDER_APPROVED = EventType.ORDER_STATE, EventType.ORDER_APPROVED
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

MARGIN_NS = 500_000_000
"""Beyond the receive window: clocks are known to a few milliseconds, and bytes travel."""
TAIL_BYTES_MAX = 8 * 1024 * 1024
"""So much of the journal's end is read: far more than a receive window can hold."""
LOOK_GAP_MIN_S = 0.005
LOOK_GAP_MAX_S = 1.0
_KEPT_MAX = 4_096
_OPEN_QUESTIONS = frozenset({"APPROVED", "SUBMITTED", "UNKNOWN"})
"""States in which the venue has not said that it has the order; a wanted cancel says nothing."""
_CANCELING = frozenset({"PENDING_CANCEL", "PENDING_REPLACE"})
_TELLING = frozenset(
    {
        EventType.ORDER_APPROVED,
        EventType.ORDER_STATE,
        EventType.ORDER_REJECT,
        EventType.ORDER_RESOLVED,
    }
)


class LateOrders:
    """Follows records; readable from any thread. A `RecordSink` of the pump."""

    hears = _TELLING

    def __init__(self, recv_window_ms: int, sent_ns: Mapping[str, int] | None = None) -> None:
        """Nothing is under way but what is told: client order ids and when each was sent."""
        self._window_ns = recv_window_ms * 1_000_000 + MARGIN_NS
        self._sent_ns: dict[str, int] = dict(sent_ns or {})
        self.approved = 0
        """Orders approved in this run."""

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """One line was appended to the journal."""
        order_id = fields.get("client_order_id", "")
        if event_type is _ORDER_APPROVED:
            self.approved += 1
            self._sent_ns[order_id] = ts_ns
            if len(self._sent_ns) > _KEPT_MAX:
                self._forget(ts_ns)
        elif order_id in self._sent_ns:
            state = fields.get("new") if event_type is _ORDER_STATE else None
            if fields.get("order_id") if state in _CANCELING else state not in _OPEN_QUESTIONS:
                del self._sent_ns[order_id]

    def until_ns(self, now_ns: int) -> int:
        """Until when (engine time) an unanswered order can still be accepted; 0: none can."""
        newest = max(self._sent_ns.copy().values(), default=0)
        until_ns = newest + self._window_ns
        return until_ns if newest and until_ns > now_ns else 0

    def count(self, now_ns: int) -> int:
        """How many orders are unanswered and can still be accepted."""
        oldest_ns = now_ns - self._window_ns
        return sum(1 for sent_ns in self._sent_ns.copy().values() if sent_ns > oldest_ns)

    def sent_ns(self) -> Mapping[str, int]:
        """Unanswered orders with the time at which each was sent."""
        return self._sent_ns.copy()

    def _forget(self, now_ns: int) -> None:
        oldest_ns = now_ns - self._window_ns
        self._sent_ns = {cid: at for cid, at in self._sent_ns.items() if at > oldest_ns}


def late_orders_of_journal(directory: Path, recv_window_ms: int, *, now_ns: int) -> LateOrders:
    """Read the late orders from the journal's end, without the daemon; bad lines are skipped.

    The daemon's time need not be this machine's: its clock may have been wrong when it booted. No
    order was sent after `now_ns`, and none earlier than the journal's file was written, less what
    the lines say lies between them.
    """
    late = LateOrders(recv_window_ms)
    lines = list(_tail_lines(directory))
    behind_ns = max(0, _written_ns(directory) - _last_ns(lines))
    for line in lines:
        if b'"order_' not in line:
            continue
        try:
            record = msgspec.json.decode(line)
            at_ns = min(int(record["ts_ns"]) + behind_ns, now_ns)
            late.on_record(EventType(record["event_type"]), record, at_ns)
        except (KeyError, TypeError, ValueError, RecursionError):
            continue
    return late


def _last_ns(lines: Sequence[bytes]) -> int:
    """The daemon's time at the last line that can be read; the very last may be torn."""
    for line in reversed(lines[-4:]):
        try:
            return int(msgspec.json.decode(line)["ts_ns"])
        except (KeyError, TypeError, ValueError, RecursionError):
            continue
    return 0


def _written_ns(directory: Path) -> int:
    """When the journal was last written to, by this machine's clock; 0: not known."""
    try:
        return max((path.stat().st_mtime_ns for path in segments(directory)), default=0)
    except OSError:
        return 0


def _tail_lines(directory: Path) -> Iterable[bytes]:
    """The lines of the last two segments, at most `TAIL_BYTES_MAX` of each, oldest first."""
    for path in segments(directory)[-2:]:
        try:
            yield from tail_of(path, TAIL_BYTES_MAX)
        except OSError:
            continue


async def until_settled(
    stop: "VenueStop",
    report: "KillReport",
    late: LateOrders,
    clock: Clock,
    *,
    deadline_s: float,
    on_round: "OnRound | None" = None,
    pause: Callable[[float], Awaitable[None]] | None = None,
) -> "KillReport":
    """Look again until no order that was under way can be accepted any more.

    `on_round` hears of every look. `pause` waits (seconds); without it, the running event loop
    does. Returns the report of all looks together; `verified_empty_ns`
    is that of the last.
    """
    if pause is None:
        import asyncio  # noqa: PLC0415 - a second process has no loop

        pause = asyncio.sleep
    gap_s = LOOK_GAP_MIN_S
    while report.verified_empty_ns is not None:
        now_ns = clock.now_ns()
        until_ns = late.until_ns(now_ns)
        if not until_ns:
            return report
        await pause(min(gap_s, (until_ns - now_ns) / 1e9))
        gap_s = min(LOOK_GAP_MAX_S, gap_s * 2)
        if on_round is not None:
            with contextlib.suppress(Exception):  # whoever is told cannot end the stop
                on_round(report.canceled, report.remaining)
        again = await stop.cancel_and_verify(deadline_s=deadline_s)
        report = replace(
            again,
            started_ns=report.started_ns,
            first_cancel_ns=report.first_cancel_ns or again.first_cancel_ns,
            last_cancel_ns=again.last_cancel_ns or report.last_cancel_ns,
            canceled=report.canceled + again.canceled,
            rounds=report.rounds + again.rounds,
            errors=tuple(dict.fromkeys((*report.errors, *again.errors))),
        )
    return report
