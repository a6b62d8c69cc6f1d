"""Standard output and standard error, written by a thread of their own.

Rules of this file:
1. Whoever prints or logs never waits: a line goes into a bounded queue, or is dropped and counted.
   A reader that stops reading (a full pipe, a held terminal) therefore stops nothing but the log.
2. What cannot be written is dropped: a dead pipe or a full disk changes nothing of what is done.
3. At the end of the process the queue gets `DRAIN_S` to empty; then the process ends all the same.
"""

import contextlib
import io
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from daemon.shell.process.clock import monotonic_s

LINES_MAX: Final = 4_096
"""Lines that wait for a slow reader; further ones are dropped and counted."""
LINE_BYTES_MAX: Final = 16_384
"""A longer line is cut."""
DRAIN_S: Final = 1.0
_LOOK_S: Final = 0.01
_POLL_MS: Final = 1_000
_STDIN, _STDOUT, _STDERR = 0, 1, 2


class LogThread:
    """Writes queued lines to file descriptors, in the order in which they came."""

    def __init__(self, *, lines_max: int = LINES_MAX) -> None:
        """Nothing is written before `start`; lines wait until then."""
        self._lines_max = lines_max
        self._queue: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._lock = threading.RLock()  # a finalizer may print while its thread is in `put`
        self._queued = 0
        self._done = 0
        self._told = 0
        self.dropped = 0
        """Lines that found the queue full, or could not be written."""
        self._thread = threading.Thread(target=self._run, name="seatrial-log", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, descriptor: int, line: bytes) -> None:
        """Queue one line without its newline; waits for no writing, and never raises."""
        with self._lock:
            if self._queued - self._done >= self._lines_max:
                self.dropped += 1
                return
            self._queued += 1
            self._queue.put((descriptor, line[:LINE_BYTES_MAX] + b"\n"))

    def how_many_lost(self) -> int:
        """What `dropped` is now."""
        return self.dropped

    def drain(self, timeout_s: float = DRAIN_S) -> bool:
        """Wait until all is written, at most `timeout_s`; False when something is left."""
        deadline = monotonic_s() + timeout_s
        while self._done < self._queued:
            if monotonic_s() >= deadline or not self._thread.is_alive():
                return False
            time.sleep(_LOOK_S)
        return True

    def _run(self) -> None:
        while True:
            descriptor, line = self._queue.get()
            self._write(descriptor, line)
            self._done += 1
            if self.dropped > self._told and self._queue.empty():
                missing, self._told = self.dropped - self._told, self.dropped
                self._write(_STDERR, b"WARNING seatriald: %d log lines were dropped\n" % missing)

    def _write(self, descriptor: int, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:  # somebody else made the pipe non-blocking: wait for room
                waiter = select.poll()
                waiter.register(descriptor, select.POLLOUT)
                waiter.poll(_POLL_MS)
            except OSError:
                self.dropped += 1
                self._told += 1  # to tell on the stream that has just failed is no use
                return


class LogPart:
    """The log's part of the status."""

    def __init__(self, dropped: Callable[[], int]) -> None:
        """`dropped` says how many lines nobody could be given."""
        self._dropped = dropped

    def status(self) -> Mapping[str, Any]:
        """Plain values, by their names in the status."""
        return {"log_lines_dropped": self._dropped()}


class QueuedStream(io.TextIOBase):
    """What `sys.stdout` and `sys.stderr` are in the daemon: whole lines go to the `LogThread`."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, thread: LogThread, descriptor: int) -> None:
        """Write to `descriptor` through `thread`."""
        self._log = thread
        self._descriptor = descriptor
        self._part = ""

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Queue every whole line; keep the rest until its newline, or until it is long."""
        *lines, part = (self._part + text).split("\n")
        if len(part) > LINE_BYTES_MAX:
            lines, part = [*lines, part], ""
        self._part = part
        for line in lines:
            self._log.put(self._descriptor, line.encode("utf-8", "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Nothing waits here but half a line; the thread writes what is whole."""

    def finish(self) -> None:
        """Queue the half line that is left."""
        if self._part:
            self.write("\n")

    def fileno(self) -> int:
        """The descriptor behind it, for who must write without a thread (a crash handler)."""
        return self._descriptor


def occupy_standard_descriptors() -> None:
    """Open /dev/null wherever 0, 1 or 2 is closed.

    Else the next file that is opened, the journal say, gets that number, and a line that is meant
    for standard error ends up in it.
    """
    for descriptor in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)


def take_over_streams(thread: LogThread) -> None:
    """Put the standard streams of this process behind `thread`, and start it."""
    occupy_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    sys.stdout = QueuedStream(thread, _STDOUT)
    sys.stderr = QueuedStream(thread, _STDERR)
    thread.start()


def finish_streams(thread: LogThread) -> None:
    """Hand over what is left and give it `DRAIN_S`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, QueuedStream):
            stream.finish()
    thread.drain()
