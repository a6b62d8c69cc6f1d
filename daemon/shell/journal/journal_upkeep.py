"""Cares for a journal beside its writer: packing, tick ring, searches, size.

Rules of this file:
1. Nothing here runs on the main loop, and nothing that fails here stops anything: the status says
   it, and the next look tries again.
2. What a day costs is measured from what this run wrote, and scaled by how well packing did.
"""

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zstandard

from control.server.line_events import EventHub
from daemon.settings import Settings
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.journal.line_history import JournalHistory
from daemon.shell.journal.segment_packing import HousekeepingBusyError, StoppedError, look
from daemon.shell.journal.segments import is_packed, segments
from daemon.shell.journal.tick_ring import TickRing
from daemon.shell.process.clock import SystemClock
from daemon.shell.strategy_loader import keepers_of_ticks

log = logging.getLogger("seatriald.journal")

LOOK_PERIOD_S = 30.0
MEASURED_MIN_NS = 60_000_000_000
SAMPLES_MAX = 2_880
"""A day of looks."""
_DAY_NS = 86_400_000_000_000
CHUNK_PAUSE_S = 0.05
"""After each megabyte packed: the disk and the processor serve the orders first."""
_LOWEST_PRIORITY = 19
_HEADER_BYTES = 18
_STOP_S = 10.0


class JournalUpkeep:
    """A thread beside the journal of one daemon."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        """Look after `journal` and the ring beside it.

        Raises:
            StrategyConfigError: a strategy's class cannot be loaded.
        """
        self._directory = settings.state_dir / "journal"
        self._is_packing = settings.journal.compress
        self._journal = journal
        self._clock = SystemClock()
        self._keepers = keepers_of_ticks(settings)
        self._ring = TickRing(settings.state_dir, settings.journal.ticks_ring_bytes_max)
        self._history = JournalHistory(self._directory)
        self._samples: deque[tuple[int, int]] = deque(maxlen=SAMPLES_MAX)
        self._size: Mapping[str, Any] = {}
        self._fault = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-care", daemon=True)

    @property
    def ticks(self) -> str:
        """What the run's first line says: `all`, or `thinned`."""
        return "all" if self._keepers else "thinned"

    @property
    def thin_to(self) -> TickRing | None:
        """The ring for ticks without a consequence; None when every input is journalled."""
        return None if self._keepers else self._ring

    def answer(self, hub: EventHub) -> None:
        """Find lines in the files that the hub no longer holds."""
        hub.older, hub.line = self._history.older, self._history.line

    def start(self) -> None:
        """Begin to pack, to measure and to keep the ring."""
        if self._keepers:
            log.info("every tick is a line of the journal: %s", ", ".join(self._keepers))
        self._ring.start()
        self._thread.start()

    def stop(self) -> None:
        """End soon; a packing under way is given up."""
        self._end.set()
        self._history.stop()
        self._ring.stop()
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP_S)

    def status(self) -> Mapping[str, Any]:
        """Its part of the daemon's status."""
        return {
            **self._size,
            "ticks": self.ticks,
            "ticks_kept_for": list(self._keepers),
            "ticks_thinned": self._ring.thinned,
            "journal_pack_fault": self._fault,
        }

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
        while True:
            try:
                if self._is_packing:
                    look(self._directory, lambda: self._end.wait(CHUNK_PAUSE_S))
                self._fault = ""
            except StoppedError:
                return
            except (HousekeepingBusyError, FileNotFoundError):
                pass  # whoever is at it does what we would do
            except OSError as error:
                if str(error) != self._fault:
                    log.warning("closed segments are not packed: %s", error)
                self._fault = str(error)
            with contextlib.suppress(OSError):
                self.measure()
            if self._end.wait(LOOK_PERIOD_S):
                return

    def measure(self) -> None:
        """Measure the journal's size and growth."""
        self._samples.append((self._clock.monotonic_ns(), self._journal.bytes_written))
        (began_ns, first), (now_ns, last) = self._samples[0], self._samples[-1]
        size, ratio = disk_use(self._directory)
        out: dict[str, Any] = {"journal_bytes": size}
        if now_ns - began_ns >= MEASURED_MIN_NS:
            a_day = int((last - first) * _DAY_NS / (now_ns - began_ns) * ratio)
            found = os.statvfs(self._directory)
            out["journal_bytes_per_day"] = a_day
            out["journal_days_left"] = found.f_bavail * found.f_frsize // max(1, a_day)
        self._size = out


def disk_use(directory: Path) -> tuple[int, float]:
    """Bytes of a journal's segments on disk, and how small packing made those that are packed."""
    total = packed = unpacked = 0
    for path in segments(directory):
        with contextlib.suppress(FileNotFoundError):
            size = path.stat().st_size
            total += size
            if is_packed(path):
                with path.open("rb") as opened:
                    plain = zstandard.frame_content_size(opened.read(_HEADER_BYTES))
                if plain > 0:
                    packed, unpacked = packed + size, unpacked + plain
    return total, packed / unpacked if unpacked else 1.0
