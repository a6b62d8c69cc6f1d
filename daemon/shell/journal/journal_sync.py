"""The thread that makes a journal's written lines durable, so that the main loop never waits.

Rules of this file:
1. Group commit: one fdatasync stands for all lines written before it began.
2. A line alone: at once. Many lines (several in one round, or more while it ran): `GATHER_S` apart,
   so that disk, processor and interpreter are left to whoever writes; a round costs as much of them
   as an order does.
3. After a failed fdatasync the kernel may have dropped the pages: the thread ends, nothing can be
   promised any more, and the process must stop (crash-only).
"""

import os
import threading
from collections.abc import Callable

GATHER_S = 0.005
_STOP_S = 30.0


class DiskSync:
    """Belongs to one journal, which calls everything here from its own loop."""

    def __init__(
        self,
        *,
        on_durable: Callable[[int], None],
        on_failure: Callable[[OSError], None],
    ) -> None:
        """Wire it; both are called on the thread, `on_durable` with a sequence number."""
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._bell = threading.Lock()
        self._bell.acquire()  # held: nothing is wanted
        self._rung = False
        self._busy = threading.Lock()
        """Held while the descriptor is in use: it is closed by nobody meanwhile."""
        self._end = threading.Event()
        self._fd = -1
        self._seq = 0
        self._writes = 0
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)

    def start(self) -> None:
        """Start the thread; earlier requests are handled now."""
        self._thread.start()

    def want(self, fd: int, seq: int) -> None:
        """Lines up to `seq` are written to `fd`: make them durable."""
        self._fd, self._seq = fd, seq
        self._writes += 1
        if not self._rung:
            self._rung = True
            self._bell.release()

    def let_go(self, fd: int, seq: int) -> None:
        """The caller has made `seq` durable and closes the descriptor of before; `fd` is next."""
        with self._busy:
            self._fd, self._seq = fd, seq

    def stop(self) -> None:
        """End the thread; the caller must sync whatever is not durable yet."""
        self._end.set()
        if not self._rung:
            self._rung = True
            self._bell.release()
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP_S)

    def _run(self) -> None:
        done = 0
        while True:
            self._bell.acquire()
            self._rung = False  # from here on a write rings again; its line may be in this round
            if self._end.is_set():
                return
            writes = self._writes
            try:
                with self._busy:
                    seq = self._seq
                    os.fdatasync(self._fd)
            except OSError as error:
                self._on_failure(error)
                return
            self._on_durable(seq)
            if seq - done > 1 or self._writes != writes:
                self._end.wait(GATHER_S)
            done = seq
