"""Which journal lines are told to people who are not looking, and in which words.

Pure: lines go in, notices come out. Who sends them is `notice_sender.py`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from typing import Any

import msgspec

from daemon.model.records import EventType

STORM_RECONNECTS = 5
STORM_NS = 600 * 1_000_000_000
"""So many reconnects within so long are one notice; the next comes after as long again."""
CAP_FALL_PERCENT = 10
_TEXT_MAX = 500


class NoticeLevel(IntEnum):
    """How much it matters. What is critical is never held back."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class Notice(msgspec.Struct, frozen=True):
    """One message: what happened (`title`), the details and the next command (`body`)."""

    level: NoticeLevel
    title: str
    body: str
    ts_ns: int


class FullCaps:
    """Tells once of a cap of which `percent` is used, and again after it fell well below that."""

    def __init__(self, percent: int) -> None:
        """Nothing was told yet."""
        self._percent = percent
        self._told: set[str] = set()

    def look(self, rows: Iterable[Mapping[str, Any]], ts_ns: int) -> list[Notice]:
        """What is to be told of the caps' use as the status shows it now."""
        found = []
        for row in rows:
            used, limit = _amount(row.get("used")), _amount(row.get("limit"))
            if used is None or not limit:
                continue  # a cap of zero is full by intent
            name, percent = _cap_name(row), abs(used) * 100 / abs(limit)
            if percent >= self._percent and name not in self._told:
                self._told.add(name)
                told = f"used {row['used']} of {row['limit']}"
                title = f"cap {name}: {percent:.0f} % used"
                found.append(
                    _notice(NoticeLevel.WARNING, title, ts_ns, told, "next: seatrial caps")
                )
            elif percent < self._percent - CAP_FALL_PERCENT:
                self._told.discard(name)
        return found


class NoticeWriter:
    """Turns lines into notices."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._reconnects: deque[int] = deque(maxlen=STORM_RECONNECTS)
        self._storm_told_ns: int | None = None
        self._incidents = 0
        self._write: Mapping[EventType, Callable[[Mapping[str, Any], int], Notice | None]] = {
            EventType.TRADING_STATE: self._trading_state,
            EventType.KILL: self._kill,
            EventType.INCIDENT_OPENED: self._incident,
            EventType.CAP_ALERT: self._cap,
            EventType.BOT_SWITCHED: self._bot,
            EventType.RECONNECT: self._reconnect,
            EventType.SESSION_START: self._session_start,
            EventType.SESSION_STOP: self._session_stop,
            EventType.JOURNAL_FAULT: self._journal_fault,
        }

    @property
    def hears(self) -> frozenset[EventType]:
        """The lines that it looks at."""
        return frozenset(self._write)

    def notice_of(
        self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int
    ) -> Notice | None:
        """What this line is told as; None: nobody is woken for it."""
        write = self._write.get(event_type)
        return None if write is None else write(fields, ts_ns)

    def _trading_state(self, line: Mapping[str, Any], ts_ns: int) -> Notice | None:
        if line.get("latched"):
            title, command = "latched: no order leaves", "seatrial status; then seatrial re-arm"
        elif line.get("new") == "HALTED" and line.get("old") != "HALTED":
            title, command = "halted", "seatrial status; seatrial incident list --unresolved"
        else:
            return None
        return _notice(NoticeLevel.CRITICAL, title, ts_ns, _why(line), f"next: {command}")

    def _kill(self, line: Mapping[str, Any], ts_ns: int) -> Notice | None:
        step = line.get("step")
        if step == "latched":
            return None  # the trading state's line says so
        title = {
            "gate_closed": "kill: the gate is closed",
            "verified_empty": "kill: no order of ours is open, the venue says",
        }.get(str(step), "kill: NOT verified, orders may be open")
        counts = ", ".join(
            f"{name} {line[name]}"
            for name in ("canceled", "open_orders", "others_open", "late_orders")
            if line.get(name) is not None
        )
        return _notice(NoticeLevel.CRITICAL, title, ts_ns, _why(line), counts)

    def _incident(self, line: Mapping[str, Any], ts_ns: int) -> Notice:
        self._incidents += 1
        name = line.get("incident_id")
        title = f"incident {name}: {line.get('trigger')}"
        symbol = f"symbol: {line['symbol']}" if line.get("symbol") else ""
        return _notice(NoticeLevel.CRITICAL, title, ts_ns, str(line.get("msg") or ""), symbol,
                       f"next: seatrial incident show {name}")  # fmt: skip

    def _cap(self, line: Mapping[str, Any], ts_ns: int) -> Notice | None:
        if line.get("kind") != "breach":
            return None  # how much of a cap is used is `FullCaps`'s matter
        title = f"cap {_cap_name(line)}: its action is due: {line.get('action')}"
        used = f"used {line.get('used')} of {line.get('limit')}"
        return _notice(NoticeLevel.CRITICAL, title, ts_ns, used, "next: seatrial caps")

    def _bot(self, line: Mapping[str, Any], ts_ns: int) -> Notice | None:
        state = line.get("state")
        if state == "active":
            return None
        title = f"bot {line.get('bot')}: {state}"
        return _notice(NoticeLevel.WARNING, title, ts_ns, _why(line), "next: seatrial bot list")

    def _reconnect(self, line: Mapping[str, Any], ts_ns: int) -> Notice | None:
        self._reconnects.append(ts_ns)
        is_storm = (
            len(self._reconnects) == STORM_RECONNECTS and ts_ns - self._reconnects[0] <= STORM_NS
        )
        told_ns = self._storm_told_ns
        if not is_storm or (told_ns is not None and ts_ns - told_ns <= STORM_NS):
            return None
        self._storm_told_ns = ts_ns
        took_s = (ts_ns - self._reconnects[0]) // 1_000_000_000
        title = f"{STORM_RECONNECTS} reconnects in {took_s} s, the last of {line.get('link')}"
        return _notice(NoticeLevel.WARNING, title, ts_ns, "next: seatrial tail --type disconnected")

    def _session_start(self, line: Mapping[str, Any], ts_ns: int) -> Notice:
        self._incidents = 0
        title = f"session {line.get('session_id')} has begun on {line.get('environment')}"
        return _notice(NoticeLevel.INFO, title, ts_ns, _why(line))

    def _session_stop(self, line: Mapping[str, Any], ts_ns: int) -> Notice:
        incidents = self._incidents
        verdict = "no incident" if not incidents else f"{incidents} incident(s)"
        seconds = int(line.get("duration_ms") or 0) // 1_000
        title = f"session {line.get('session_id')} has ended: {verdict}"
        denied = sum((line.get("denied") or {}).values())
        told = (
            f"{line.get('orders')} orders, {line.get('fills')} fills, {denied} denials, {seconds} s"
        )
        level = NoticeLevel.WARNING if incidents else NoticeLevel.INFO
        # The record has no end while the daemon runs: the accountant's verdict comes after it.
        verdict = "verdict: seatrial evidence report, once the daemon has ended"
        return _notice(level, title, ts_ns, _why(line), told, verdict)

    def _journal_fault(self, line: Mapping[str, Any], ts_ns: int) -> Notice:
        msg = str(line.get("msg") or "")
        return _notice(NoticeLevel.CRITICAL, "the journal could not be written", ts_ns, msg)


def after_crash(ts_ns: int, run_id: str) -> Notice:
    """The daemon is back, and its last run has no end in the journal."""
    title = "back after a crash"
    return _notice(NoticeLevel.WARNING, title, ts_ns, f"run {run_id}",
                   "It is halted until `seatrial start`.", "next: seatrial status")  # fmt: skip


def _cap_name(row: Mapping[str, Any]) -> str:
    return " of ".join(str(row[key]) for key in ("cap", "symbol", "bot") if row.get(key))


def _amount(value: object) -> Decimal | None:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _notice(level: NoticeLevel, title: str, ts_ns: int, *body: str) -> Notice:
    return Notice(
        level, title[:_TEXT_MAX], "\n".join(part for part in body if part)[: _TEXT_MAX * 2], ts_ns
    )


def _why(line: Mapping[str, Any]) -> str:
    why, by = line.get("why") or line.get("reason"), line.get("by")
    return " ".join(
        part for part in (f"why: {why}" if why else "", f"by {by}" if by else "") if part
    )
