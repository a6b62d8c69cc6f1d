"""The publisher: once in a while the main loop says what it knows, and that it still turns.

Everything that looks from another thread (control, metrics, watchdog) reads the last snapshot; it
is replaced whole, never changed in place.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from daemon.core.engine import Engine
from daemon.shell.health.watchdog import BEAT_PERIOD_NS, Watchdog
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.link.venue_link import VenueLink
from daemon.shell.process.clock import Clock, utc_text
from daemon.shell.process.sdnotify import Notifier
from daemon.shell.pump import Pump
from daemon.shell.stop.kill_latch import Latch
from daemon.venues.contract import unknown_text

_NS_PER_S = 1_000_000_000


def _latch_text(latch: Latch | None) -> Mapping[str, Any] | None:
    """Who latched, when and why, first and after; the engine keeps the why alone."""
    if latch is None:
        return None
    kills = [
        {
            "by_name": kill.by_name,
            "by_uid": kill.by_uid,
            "reason": kill.reason,
            "ts_ns": kill.ts_ns,
            "ts": utc_text(kill.ts_ns),
        }
        for kill in latch.kills
    ]
    return {
        "by_name": latch.by_name,
        "reason": latch.reason,
        "ts_ns": latch.ts_ns,
        "kills": kills,
    }


class StatusPart(Protocol):
    """Something that has a part in the status."""

    def status(self) -> Mapping[str, Any]:
        """Plain values, by their names in the status."""


class StatusPublisher:
    """Owned by the main loop. `run` publishes for ever."""

    def __init__(
        self,
        *,
        engine: Engine,
        journal: Journal,
        clock: Clock,
        pump: Pump,
        link: VenueLink,
        watchdog: Watchdog,
        notifier: Notifier,
        identity: Mapping[str, Any],
        parts: tuple[StatusPart, ...],
        publish: Callable[[Mapping[str, Any]], None],
        boot_monotonic_ns: int,
    ) -> None:
        """Wire it; nothing is published before `run`.

        `identity` is what never changes in a run: run id, instance, version, environment, mode.
        """
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._pump = pump
        self._link = link
        self._watchdog = watchdog
        self._notifier = notifier
        self._identity = dict(identity)
        self._parts = parts
        self._publish = publish
        self._boot_monotonic_ns = boot_monotonic_ns
        self._lag_ns = self._lag_max_ns = 0
        self._announced = ""

    def learn(self, **facts: Any) -> None:
        """What is known of this run only after its start; it stands in every status from now on."""
        self._identity |= facts

    async def run(self) -> None:
        """Publish, stamp the watchdog, pat systemd's unless a restart would help; for ever."""
        while True:
            before = self._clock.monotonic_ns()
            status = self.snapshot()
            self._publish(status)
            self._watchdog.beat(status)
            self._announce(status)
            if self._watchdog.may_go_on:
                self._notifier.watchdog()
            await asyncio.sleep(BEAT_PERIOD_NS / _NS_PER_S)
            self._lag_ns = max(0, self._clock.monotonic_ns() - before - BEAT_PERIOD_NS)
            self._lag_max_ns = max(self._lag_max_ns, self._lag_ns)

    def snapshot(self) -> dict[str, Any]:
        """Everything of `seatrial status`, as it is now."""
        now_ns = self._clock.now_ns()
        facts = self._link.facts()
        status = {
            **self._engine.status(now_ns),
            **self._identity,
            "ts_ns": now_ns,
            "published_monotonic_ns": self._clock.monotonic_ns(),
            "uptime_s": round((self._clock.monotonic_ns() - self._boot_monotonic_ns) / 1e9, 3),
            "venue": facts,
            "clock_offset_s": facts.get("offset_ns", 0) / 1e9,
            "journal_path": str(self._journal.path),
            "journal_seq": self._journal.seq,
            "journal_pending_lines": self._journal.pending_lines,
            "journal_undurable_lines": self._journal.seq - self._journal.durable_seq,
            "journal_fault": self._journal.fault,
            "queue_age_s": self._pump.queue_age_ns / 1e9,
            "loop_lag_s": self._lag_ns / 1e9,
            # The watchdog's is of a loop that still hangs; it looks too seldom to see a short one.
            "loop_lag_max_s": max(self._lag_max_ns, self._watchdog.lag_max_ns) / 1e9,
            "turns": self._pump.turns,
            "turn_max_s": self._pump.turn_max_ns / 1e9,
            "conflated": self._pump.conflated,
            "health": {
                "healthy": self._watchdog.healthy,
                "problems": list(self._watchdog.problems),
            },
            "dead_mans_switch": self._watchdog.switch.describe(),
            "latch": _latch_text(self._watchdog.latch_seen),
        }
        if unknown := facts.get("links", {}).get("rest", {}).get("unknown_filters"):
            status["warnings"] = [*status.get("warnings", []), unknown_text(unknown)]
        for part in self._parts:
            status |= part.status()
        return status

    def _announce(self, status: Mapping[str, Any]) -> None:
        """Tell systemd that we serve, then each change of what an operator would ask first.

        Started means that the control socket answers: a venue that is down at boot is no failed
        start, and must not end in the start limit.
        """
        text = f"gate {status.get('gate_state')}, trading {status.get('trading_state')}"
        text += ", kill latch holds" if status.get("latched") else ""
        fault = status.get("journal_fault")
        text += f", no order leaves: the journal cannot be written ({fault})" if fault else ""
        if not self._announced:
            self._notifier.ready(text)
        elif text != self._announced:
            self._notifier.status(text)
        self._announced = text
