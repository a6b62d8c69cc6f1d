"""Work on a disk that may hang, in a process of its own: nobody waits for it beyond a deadline.

A thread would not do: one that hangs in the kernel keeps its whole process from ending.
"""

import contextlib
import marshal
import os
import select
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

_READ_BYTES = 64 * 1024
_HEAD_BYTES = 4
"""Of each answer, its length."""
#: So long work that hangs may still come to its end, as a latch on a disk that answers again does.
LIFE_S_MAX = 3600


class Aside:
    """Starts the work in a child process; `answers` yields the plain values that it sends back."""

    def __init__(self, work: Callable[[], Iterator[Any]]) -> None:
        """Start the child; if no process can be made, do the work here instead."""
        self._buffer = b""
        self._done: list[Any] | None = None
        self._pid = 0
        self._from_child, to_parent = os.pipe()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the child takes no lock of another thread
                self._pid = os.fork()
        except OSError:
            os.close(to_parent)
            self._done = list(work())
            return
        if self._pid == 0:
            _as_child(work, to_parent)
        os.close(to_parent)
        os.set_blocking(self._from_child, False)

    def answers(self, within_s: float) -> Iterator[Any]:
        """Yield each answer as it arrives, until the work ends or the deadline (seconds) passes."""
        deadline_s = time.monotonic() + within_s
        if self._done is not None:
            while self._done:
                yield self._done.pop(0)
            return
        poll = select.poll()
        poll.register(self._from_child, select.POLLIN)
        while True:
            end = _HEAD_BYTES + int.from_bytes(self._buffer[:_HEAD_BYTES], "big")
            if _HEAD_BYTES < end <= len(self._buffer):
                answer, self._buffer = self._buffer[_HEAD_BYTES:end], self._buffer[end:]
                yield marshal.loads(answer)  # noqa: S302 - our own child wrote it
                continue
            # What has been said already is heard, however late we come to listen.
            if not poll.poll(max(0.0, deadline_s - time.monotonic()) * 1e3):
                return
            with contextlib.suppress(BlockingIOError):
                data = os.read(self._from_child, _READ_BYTES)
                if not data:
                    return
                self._buffer += data

    def close(self) -> None:
        """Stop listening. Work that hangs is left alone and ends by itself within an hour."""
        os.close(self._from_child)
        if self._pid:
            with contextlib.suppress(OSError):
                os.waitpid(self._pid, os.WNOHANG)


def _as_child(work: Callable[[], Iterator[Any]], to_parent: int) -> None:
    """Run the work in the child, without our streams, so that their readers see us end."""
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LIFE_S_MAX)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nowhere, descriptor)
        for answer in work():
            data = marshal.dumps(answer)  # one of the interpreter's own: json is slow to import
            data = len(data).to_bytes(_HEAD_BYTES, "big") + data
            while data:
                data = data[os.write(to_parent, data) :]
    finally:
        os._exit(0)
