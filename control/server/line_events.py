"""Hands journal lines to watchers; bounded, never blocks, callable from any thread.

Rules of this file:
1. `publish` costs the journal an append and, while somebody watches, at most once a batch, one
   wake-up of the control loop: nobody is woken for lines that nobody hears.
2. A slow watcher loses lines and is told how many; nobody else notices.
3. A line that is longer than the protocol's own is a checkpoint: it stays in the journal.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from typing import Protocol

import msgspec

from control.protocol import LINE_BYTES_MAX


class Older(Protocol):
    """Answers from the journal's files, on a thread of its own."""

    def __call__(
        self, types: Sequence[str], without: Sequence[str], count: int, before_seq: int, *, bot: str
    ) -> "Future[Found]":
        """The last `count` lines of these types, not of those, below a number (0: any).

        With `bot`, only lines that name it.
        """


RING_LINES = 1_000
QUEUE_LINES_MAX = 4_096


class Found(msgspec.Struct, frozen=True):
    """What a search in the journal's files found."""

    lines: list[bytes]
    """Oldest first."""
    is_whole: bool
    """Whether all of the journal that could matter was looked at."""


class EventHub:
    """Keeps the last lines and passes new ones to the control loop.

    One hub a daemon. `publish` may be called from any thread, before, during and after serving.
    """

    def __init__(self, ring_lines: int = RING_LINES) -> None:
        self._ring: deque[bytes] = deque(maxlen=ring_lines)
        self._queue: deque[bytes] = deque()
        self._dropped = 0
        self._wake: Callable[[], None] | None = None
        self._lock = Lock()
        self.older: Older | None = None
        """Where lines are found that the ring no longer holds; None: nowhere."""
        self.line: Callable[[int], Future[Found]] | None = None
        """Where the line of a sequence number is found; None: nowhere."""

    def publish(self, line: bytes) -> None:
        """Take one journal line (with or without its newline)."""
        if len(line) > LINE_BYTES_MAX:
            return
        if line.endswith(b"\n"):
            line = line[:-1]
        self._ring.append(line)
        if self._wake is None:
            return
        with self._lock:
            if len(self._queue) >= QUEUE_LINES_MAX:
                self._dropped += 1
                return
            self._queue.append(line)
            first = len(self._queue) == 1
            wake = self._wake
        if first and wake is not None:
            wake()

    def recent(self, count: int) -> list[bytes]:
        """The last lines, oldest first."""
        lines = self._ring.copy()
        return list(lines)[-count:] if count else []

    def attach(self, wake: Callable[[], None]) -> None:
        """Start queueing. The publishing thread calls `wake` when the queue was empty."""
        with self._lock:
            self._wake = wake

    def detach(self) -> None:
        """Stop queueing and forget what is queued."""
        with self._lock:
            self._wake = None
            self._queue.clear()
            self._dropped = 0

    def drain(self) -> tuple[list[bytes], int]:
        """What was published since the last call, and how many lines did not fit."""
        with self._lock:
            lines, dropped = list(self._queue), self._dropped
            self._queue.clear()
            self._dropped = 0
        return lines, dropped
