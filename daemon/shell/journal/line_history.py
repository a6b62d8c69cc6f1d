"""Finds older journal lines for the control plane: by type, or by number.

Rules of this file:
1. A thread of its own, one search at a time, a bounded queue: no search delays the loop, the stop
   or another search for long.
2. A search reads backwards from the newest line, plain and packed segments alike, and ends with
   what it has when its time or its bytes are used up; it says so.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from control.protocol import LINE_BYTES_MAX
from control.server.line_events import Found
from control.server.line_filter import bot_needles, type_filter
from daemon.shell.journal.segments import find_line, newest_lines, segments, seq_of
from daemon.shell.process.clock import SystemClock

SEARCH_S = 3.0
FOUND_BYTES_MAX = 2 * 1024 * 1024
WAITING_MAX = 8
_ATTEMPTS = 3


class JournalHistory:
    """Searches one journal directory."""

    def __init__(self, directory: Path, *, search_s: float = SEARCH_S) -> None:
        """Search in `directory`, at most `search_s` at a time."""
        self._directory = directory
        self._search_s = search_s
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="journal-history")
        self._ended = threading.Event()
        self._waiting = threading.BoundedSemaphore(WAITING_MAX)

    def stop(self) -> None:
        """Accept no more searches; one under way ends soon."""
        self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def older(
        self,
        types: Sequence[str],
        without: Sequence[str],
        count: int,
        before_seq: int,
        *,
        bot: str = "",
    ) -> Future[Found]:
        """The last lines of these types (empty: all), not of those, below `before_seq` (0: any).

        With `bot`, only lines that name it: what else is about its orders cannot be told backwards.
        """
        return self._ask(lambda: self.search(types, without, count, before_seq, bot=bot))

    def line(self, seq: int) -> Future[Found]:
        """The line of a sequence number; whole and empty: no file has it."""
        return self._ask(lambda: self.find(seq))

    def _ask(self, search: Callable[[], Found]) -> Future[Found]:
        if not self._waiting.acquire(blocking=False):
            busy: Future[Found] = Future()
            busy.set_result(Found([], is_whole=False))
            return busy
        try:
            asked = self._pool.submit(search)
        except RuntimeError:  # the daemon ends
            asked = Future()
            asked.set_result(Found([], is_whole=False))
        asked.add_done_callback(lambda _: self._waiting.release())
        return asked

    def search(
        self,
        types: Sequence[str],
        without: Sequence[str],
        count: int,
        before_seq: int,
        *,
        bot: str = "",
    ) -> Found:
        """As `older`, on the caller's thread."""
        is_late = self._deadline()
        is_wanted = type_filter(types, without)
        names_bot = bot_needles(bot) if bot else ()
        needles = tuple(f'"event_type":"{name}"'.encode() for name in types) or names_bot

        def passes(line: bytes) -> bool:
            return (
                is_wanted(line)
                and (not bot or any(needle in line for needle in names_bot))
                and (not before_seq or 0 < seq_of(line) < before_seq)
                and len(line) <= LINE_BYTES_MAX
            )

        for _ in range(_ATTEMPTS):
            found: list[bytes] = []
            try:
                for path in reversed(segments(self._directory)):
                    left = count - len(found)
                    found[:0] = newest_lines(path, left, passes, needles=needles, stop=is_late)
                    if len(found) >= count or is_late():
                        break
            except FileNotFoundError:
                continue  # just packed or archived: look again
            except OSError:
                return Found(_newest_that_fit(found), is_whole=False)
            is_whole = len(found) >= count or not is_late()
            return Found(_newest_that_fit(found), is_whole=is_whole)
        return Found([], is_whole=False)

    def find(self, seq: int) -> Found:
        """As `line`, on the caller's thread."""
        is_late = self._deadline()
        for _ in range(_ATTEMPTS):
            try:
                for path in reversed(segments(self._directory)):
                    line = find_line(path, seq, is_late)
                    if line is not None:
                        return Found([line] if line else [], is_whole=bool(line) or not is_late())
            except FileNotFoundError:
                continue
            except OSError:
                return Found([], is_whole=False)
            return Found([], is_whole=not is_late())
        return Found([], is_whole=False)

    def _deadline(self) -> Callable[[], bool]:
        clock = SystemClock()
        until_ns = clock.monotonic_ns() + int(self._search_s * 1e9)
        return lambda: clock.monotonic_ns() > until_ns or self._ended.is_set()


def _newest_that_fit(lines: list[bytes]) -> list[bytes]:
    """Keep the newest lines that fit an answer, far below a connection's limit."""
    size = 0
    for number, line in enumerate(reversed(lines)):
        size += len(line)
        if size > FOUND_BYTES_MAX:
            return lines[len(lines) - number :]
    return lines
