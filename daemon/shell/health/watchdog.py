"""The watchdog: a thread beside the main loop that says whether the daemon is healthy.

Rules of this file:
1. It reads what the main loop stamps, and waits for nothing that the main loop holds.
2. Every reason to be unhealthy must stand for its own time first (promise P11): a restart by
   systemd is a remedy for what is stuck, not for a venue that is slow.
3. It also watches the kill latch on the disk: a second process may latch while the main loop hangs.
"""

import contextlib
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from daemon.model.halt import HaltFlag
from daemon.model.inputs import Actor, Input, KillLatched, LoopLagged
from daemon.model.records import EventType
from daemon.model.stop_triggers import StopTrigger
from daemon.shell.process.clock import Clock
from daemon.shell.stop.kill_latch import Latch, LatchedKill, LatchStore

log = logging.getLogger("seatriald.watchdog")

LOOK_PERIOD_S = 0.1
BEAT_PERIOD_NS = 200_000_000
"""How often the main loop promises to stamp."""
LAG_TOLD_NS = 1_000_000_000
"""From here on the engine is told of a lag; again whenever the same lag has doubled."""
LAG_UNHEALTHY_NS = 2_000_000_000
STUCK_NS = 300_000_000
"""A main loop that is so late may hold the interpreter: threads that stop us get it sooner."""
SWITCH_INTERVAL_STUCK_S = 0.000_1
QUEUE_AGE_MAX_S = 2.0
LATCH_GRACE_NS = 500_000_000
"""Whoever latches also tells the engine; only when it has not heard by then, it is told by us."""
STALE_VERDICT_NS = 2_000_000_000
_NS_PER_S = 1_000_000_000
_STOP_S = 5.0


class DeadMansSwitch(Protocol):
    """What a venue may offer: it cancels everything of ours when no beat comes any more."""

    def describe(self) -> str:
        """One line for `status`."""

    def beat(self) -> None:
        """Renew it. Called from the watchdog's thread while healthy; must not block or raise."""


class NoDeadMansSwitch:
    """Binance Spot has none: our own watchdog and systemd are the only net."""

    def describe(self) -> str:
        """One line for `status`."""
        return "none at this venue; the local watchdog is the only net"

    def beat(self) -> None:
        """There is nothing to renew."""


class WatchedPump(Protocol):
    """What the watchdog needs of the pump."""

    def offer_threadsafe(self, item: Input) -> None:
        """Queue an input from another thread."""


class HealthVerdict(msgspec.Struct, frozen=True):
    """What the last look found; `problems` are sentences, empty when healthy."""

    at_ns: int
    problems: tuple[str, ...] = ()
    triggers: tuple[StopTrigger, ...] = ()
    """What tripped, beside each problem."""
    restart_mends: bool = False
    """Whether one of them may be gone after a restart."""

    @property
    def healthy(self) -> bool:
        """Whether nothing has stood long enough to worry."""
        return not self.problems


class HealthCheck(msgspec.Struct, frozen=True):
    """One reason to be unhealthy: what it looks at, and how long it must stand."""

    trigger: StopTrigger
    patience_s: float
    problem: Callable[[Mapping[str, Any]], str]
    """The sentence, or empty when all is well."""
    restart_mends: bool = True
    """A full disk is as full after a restart: a halted daemon that says so is worth more."""

    @property
    def name(self) -> str:
        """As sentences begin."""
        return self.trigger.removeprefix("watchdog_")


def _queue(status: Mapping[str, Any]) -> str:
    age_s = float(status.get("queue_age_s", 0))
    return f"inputs waited {age_s:.1f} s" if age_s > QUEUE_AGE_MAX_S else ""


def _journal(status: Mapping[str, Any]) -> str:
    return f"cannot be written: {status['journal_fault']}" if status.get("journal_fault") else ""


def _gate(status: Mapping[str, Any]) -> str:
    """Only inside a session: a halted daemon may wait for its venue for ever."""
    state = status.get("gate_state")
    return (
        f"is {state} while a session is on"
        if status.get("session_id") and (state != "READY")
        else ""
    )


def _clock(status: Mapping[str, Any]) -> str:
    offset_s = float(status.get("clock_offset_s", 0))
    return f"is {offset_s:.3f} s from the venue's" if abs(offset_s) > 1 else ""


def checks(audit_period_s: float) -> tuple[HealthCheck, ...]:
    """Every check but the lag, which is measured and not read."""

    def reconciliation(status: Mapping[str, Any]) -> str:
        age_ms = status.get("reconcile", {}).get("last_age_ms")
        due = audit_period_s and status.get("gate_state") == "READY" and age_ms is not None
        late = due and age_ms > 1_000 * (3 * audit_period_s + 30)
        return f"is {age_ms // 1_000} s old" if late else ""

    return (
        HealthCheck(StopTrigger.WATCHDOG_QUEUE, 2, _queue),
        HealthCheck(StopTrigger.WATCHDOG_JOURNAL, 5, _journal, restart_mends=False),
        HealthCheck(StopTrigger.WATCHDOG_GATE, 120, _gate),
        HealthCheck(StopTrigger.WATCHDOG_RECONCILIATION, 30, reconciliation),
        HealthCheck(StopTrigger.WATCHDOG_CLOCK, 120, _clock),
    )


class Watchdog:
    """Measures, judges and tells. `beat` belongs to the main loop, `look` to the thread."""

    def __init__(
        self,
        *,
        pump: WatchedPump,
        halt: HaltFlag,
        latch: LatchStore,
        clock: Clock,
        audit_period_s: float,
        switch: DeadMansSwitch | None = None,
    ) -> None:
        """Healthy until a look says otherwise; `start` begins to look."""
        self._pump = pump
        self._halt = halt
        self._latch = latch
        self._clock = clock
        self._checks = checks(audit_period_s)
        self.switch: DeadMansSwitch = switch or NoDeadMansSwitch()
        self._beat_ns = clock.monotonic_ns()
        self._status: Mapping[str, Any] = {}
        self._since_ns: dict[str, int] = {}
        self._durable = (0, self._beat_ns)
        self._told_lag_ns = 0
        self._is_stuck = False
        self.lag_max_ns = 0
        """The longest that the main loop has been late in this run."""
        self.latch_seen: Latch | None = None
        """The latch as the last look found it."""
        self._latch_since_ns = 0
        self._latch_told: tuple[str, ...] = ()
        self._verdict = HealthVerdict(self._beat_ns)
        self._interval_s = sys.getswitchinterval()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="seatrial-watchdog", daemon=True)

    # ------------------------------------------------------------------ the main loop's side
    def beat(self, status: Mapping[str, Any]) -> None:
        """The main loop turns, and this is what it knows."""
        self._status = status
        self._beat_ns = self._clock.monotonic_ns()

    @property
    def healthy(self) -> bool:
        """Whether the last look is fresh and found nothing."""
        return self._fresh and self._verdict.healthy

    @property
    def may_go_on(self) -> bool:
        """Whether systemd may be patted: nothing is wrong that a restart could mend."""
        return self._fresh and not self._verdict.restart_mends

    @property
    def _fresh(self) -> bool:
        return self._clock.monotonic_ns() - self._verdict.at_ns < STALE_VERDICT_NS

    @property
    def problems(self) -> tuple[str, ...]:
        """What the last look found."""
        return self._verdict.problems

    # ------------------------------------------------------------------ the thread
    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP_S)
        sys.setswitchinterval(self._interval_s)

    def _run(self) -> None:
        while not self._stop.wait(LOOK_PERIOD_S):
            try:
                self.look()
            except Exception:  # a look that fails makes the verdict stale: unhealthy
                log.exception("the watchdog could not look")

    def look(self) -> HealthVerdict:
        """Measure, judge, tell; once."""
        now_ns = self._clock.monotonic_ns()
        lag_ns = max(0, now_ns - self._beat_ns - BEAT_PERIOD_NS)
        self.lag_max_ns = max(self.lag_max_ns, lag_ns)
        self._follow_lag(lag_ns)
        self._follow_latch(now_ns)
        before = self._verdict.problems
        found = self._problems(now_ns, lag_ns)
        verdict = self._verdict = HealthVerdict(
            now_ns,
            tuple(words for _, words, _ in found),
            tuple(trigger for trigger, _, _ in found),
            restart_mends=any(mends for _, _, mends in found),
        )
        if verdict.healthy:
            self.switch.beat()
        if verdict.problems != before and bool(before) != bool(verdict.problems):
            log.warning("unhealthy: %s", "; ".join(verdict.problems) or "no longer")
        return verdict

    def _problems(self, now_ns: int, lag_ns: int) -> list[tuple[StopTrigger, str, bool]]:
        """Each with what tripped, and whether a restart may mend it."""
        status = self._status
        found: list[tuple[StopTrigger, str, bool]] = []
        if lag_ns > LAG_UNHEALTHY_NS:
            text = f"main loop has not turned for {lag_ns / _NS_PER_S:.1f} s"
            found.append((StopTrigger.WATCHDOG_LOOP, text, True))
        for check in self._checks:
            sentence = check.problem(status)
            if not sentence:
                self._since_ns.pop(check.name, None)
                continue
            since_ns = self._since_ns.setdefault(check.name, now_ns)
            if now_ns - since_ns >= check.patience_s * _NS_PER_S:
                found.append((check.trigger, f"{check.name} {sentence}", check.restart_mends))
        if self._is_writer_stuck(status, now_ns):
            text = "journal is not becoming durable"
            found.append((StopTrigger.WATCHDOG_WRITER, text, True))
        return found

    def _is_writer_stuck(self, status: Mapping[str, Any], now_ns: int) -> bool:
        undurable = int(status.get("journal_undurable_lines", 0))
        durable_seq = int(status.get("journal_seq", 0)) - undurable
        refused = bool(status.get("journal_fault"))  # a problem of its own
        if durable_seq != self._durable[0] or not undurable or refused:
            self._durable = (durable_seq, now_ns)
        return now_ns - self._durable[1] > 5 * _NS_PER_S

    def _follow_lag(self, lag_ns: int) -> None:
        """Tell the engine, once and at each doubling; hand out the interpreter more often."""
        if lag_ns >= STUCK_NS:
            sys.setswitchinterval(SWITCH_INTERVAL_STUCK_S)
            if not self._is_stuck:
                gc.freeze()  # a storm of collections has less to walk, and lets threads in
        elif sys.getswitchinterval() < self._interval_s and not self._halt.closed:
            sys.setswitchinterval(self._interval_s)
        self._is_stuck = lag_ns >= STUCK_NS
        if lag_ns < LAG_TOLD_NS:
            self._told_lag_ns = 0
        elif lag_ns >= 2 * self._told_lag_ns:
            self._told_lag_ns = lag_ns
            age_ns = int(float(self._status.get("queue_age_s", 0)) * _NS_PER_S)
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                self._pump.offer_threadsafe(LoopLagged(lag_ns, max(age_ns, lag_ns)))

    def _follow_latch(self, now_ns: int) -> None:
        """A kill latch on the disk holds, whoever wrote it."""
        latch = self.latch_seen = self._latch.read()
        if latch is None or self._status.get("latched"):
            self._latch_since_ns = 0
            if latch is not None and self._latch_told:
                self._tell_of_others(latch)
            self._latch_told = () if latch is None else latch.entries
            return
        if not self._halt.closed and self._latch.read() is not None:
            self._halt.close(f"latched: {latch.reason}")
        self._latch_since_ns = self._latch_since_ns or now_ns
        waited = now_ns - self._latch_since_ns >= LATCH_GRACE_NS
        if waited and self._latch_told != latch.entries:
            self._latch_told = latch.entries
            with contextlib.suppress(RuntimeError):
                self._pump.offer_threadsafe(kill_of(latch))

    def _tell_of_others(self, latch: Latch) -> None:
        """While one kill holds, another process has latched as well: its reason is kept, too."""
        ours = f"-{os.getpid()}-"
        for kill in latch.kills:
            if kill.entry not in self._latch_told and ours not in kill.entry:
                with contextlib.suppress(RuntimeError):
                    self._pump.offer_threadsafe(kill_of(kill))


def kill_of(latch: Latch | LatchedKill) -> KillLatched:
    """What the engine is told of a latch that was found on the disk."""
    actor = Actor(uid=latch.by_uid, pid=0, role="operator", name=latch.by_name)
    return KillLatched(actor, latch.reason, latch.ts_ns)


class LatchClearer:
    """Removes the latch from the disk when, and only when, the engine has re-armed.

    Only what had been seen is removed: a kill that comes while an operator re-arms stays.
    """

    hears = frozenset({EventType.RE_ARM})

    def __init__(self, latch: LatchStore) -> None:
        """Nothing seen yet; `watch` names whoever sees."""
        self._latch = latch
        self._watchdog: Watchdog | None = None

    def watch(self, watchdog: Watchdog) -> None:
        """Whose view of the latch counts."""
        self._watchdog = watchdog

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """One line was appended to the journal."""
        del event_type, fields, ts_ns
        self._latch.clear(None if self._watchdog is None else self._watchdog.latch_seen)
