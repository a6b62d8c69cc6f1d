"""The ring of ticks that the journal leaves out: a bounded file outside the chain, for debugging.

Rules of this file:
1. Best effort: nothing here is evidence, nothing waits for it, and a disk that refuses costs ticks
   of the ring only.
2. The loop appends to a bounded queue; a thread encodes and writes.
3. Two files of half the bound each: the newer `ticks-ring.jsonl`, the older `ticks-ring.1.jsonl`.
"""

import contextlib
import threading
from collections import deque
from pathlib import Path

from daemon.model.inputs import Input
from daemon.shell.journal.input_lines import input_text

NAME, OLDER_NAME = "ticks-ring.jsonl", "ticks-ring.1.jsonl"
WAITING_MAX = 20_000
PERIOD_S = 0.5
_STOP_S = 5.0


class TickRing:
    """Takes ticks on the loop, keeps the newest on disk."""

    def __init__(self, state_dir: Path, bytes_max: int) -> None:
        """Keep at most `bytes_max` bytes in `state_dir`; 0: keep none."""
        self._path, self._older = state_dir / NAME, state_dir / OLDER_NAME
        self._half = bytes_max // 2
        self._waiting: deque[tuple[int, int, Input]] = deque(maxlen=WAITING_MAX)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tick-ring", daemon=True)
        self.thinned = 0
        """Ticks that were left out of the journal in this run."""

    def put(self, after_seq: int, ts_ns: int, item: Input) -> None:
        """A tick that left no line; it came after the line `after_seq`."""
        self.thinned += 1
        if self._half:
            self._waiting.append((after_seq, ts_ns, item))

    def start(self) -> None:
        """Begin to write."""
        if self._half:
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP_S)

    def _run(self) -> None:
        while not self._end.wait(PERIOD_S):
            self.write_out()
        self.write_out()

    def write_out(self) -> None:
        """Write what waits; called on the thread (and by tests)."""
        lines = []
        while self._waiting:
            after_seq, ts_ns, item = self._waiting.popleft()
            fields = input_text(item)[1:]
            lines.append(b'{"after_seq":%d,"ts_ns":%d,%b\n' % (after_seq, ts_ns, fields))
        if not lines:
            return
        with contextlib.suppress(OSError):
            body = b"".join(lines)[-self._half :]
            with self._path.open("ab", buffering=0) as out:
                size = out.tell()
                if size + len(body) <= self._half:
                    out.write(body)
                    return
            self._path.replace(self._older)
            self._path.write_bytes(body)
