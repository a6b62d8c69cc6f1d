"""The journal: one writer, JSON lines, hash chain, write(2) before sending, group-committed.

Rules of this file:
1. `append` only encodes and chains; `flush` hands the bytes to the kernel; while `run` runs, a
   thread makes them durable (journal_sync.py: one fdatasync for all lines since the last).
2. A line that was flushed is never changed. A line that could not be flushed stays pending, and
   while anything is pending the journal is faulted: the pump sends no order (promise P5).
3. Nothing else in the daemon writes into the journal directory.
"""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from daemon.model.records import (
    GENESIS,
    SCHEMA_VERSION,
    EventType,
    severity_of,
)
from daemon.shell.journal.journal_sync import DiskSync
from daemon.shell.journal.segments import is_packed, segment_name, segment_number, segments
from daemon.shell.process.clock import utc_text

_INPUT = EventType.INPUT
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

log = logging.getLogger("seatriald.anchor")

ANCHORED = frozenset(
    {
        EventType.RECOVERY, EventType.SESSION_STOP, EventType.RUN_STOP, EventType.KILL,
        EventType.DRILL, EventType.INCIDENT_RESOLVED,
    }
)  # fmt: skip
"""After these the head is anchored at once; else when a segment is full. A stop never waits for it:
of a kill the cancels leave from another thread, and the others are written when all is done."""
SEGMENT_BYTES_MAX = 128 * 1024 * 1024
PENDING_LINES_MAX = 100_000
LINES_A_WRITE = 1_000
"""A backlog goes out in pieces: what fits on a disk with little room is kept."""
RETRY_PERIOD_S = 0.5
INPUTS_WAIT_S = 0.02
"""So long at most are inputs without a consequence not durable: 900 ticks a second need no more
than 50 syncs. They are with the kernel at once, and durable with the next fact."""
_DISPLACED = (
    "is no longer the file that we write: the state directory was moved, removed or replaced; "
    "stop the daemon, put it back, and start again"
)
_SHA256 = hashlib.sha256()
"""Copied for each line: to look the algorithm up anew costs as much as to hash a short line."""
_ENVELOPE = frozenset(
    {
        "seq", "ts", "ts_ns", "schema", "run_id", "session_id", "mode", "exchange", "event_type",
        "level", "is_error", "is_anomaly", "prev",
    }
)  # fmt: skip


class JournalError(OSError):
    """The journal cannot take a line. Trading halts until it can."""


class Journal:
    """Append-only JSON lines in segments. Made by `daemon.app` from what recovery found."""

    def __init__(
        self,
        directory: Path,
        *,
        run_id: str,
        mode: str,
        exchange: str,
        seq: int = 0,
        head: str = GENESIS,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        lock_fd: int | None = None,
    ) -> None:
        """Open the last segment for appending.

        Args:
            directory: the journal directory; created when absent.
            run_id: this boot, copied into each line.
            mode: sim, testnet or live.
            exchange: venue environment name.
            seq: the last sequence number in the directory (0: none).
            head: the hash of the last line in the directory.
            segment_bytes_max: a segment that reaches this size is closed and anchored.
            lock_fd: what `lock_journal` gave, when it was taken before recovery; else taken here.

        Raises:
            JournalError: another process holds the journal, or the directory cannot be written.
        """
        self._directory = directory
        self._segment_bytes_max = segment_bytes_max
        self._fixed = _fixed(run_id, mode, exchange)
        self._middles: dict[EventType, bytes] = {}
        """What lines of one type and session share, from `schema` on; made when first needed."""
        self._middles_session = ""
        self.seq = seq
        self.known_head = head
        """A head of the chain, for other threads: the last that was taken, rarely the newest."""
        self._unhashed: bytes | None = None
        self.durable_seq = seq
        self.bytes_written = 0
        self.fault = ""
        self._pending: list[bytes] = []
        self._second, self._second_bytes = b"-", b""
        self._lock_fd = lock_journal(directory) if lock_fd is None else lock_fd
        self._dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        """All of the journal stays in one directory, even when that is moved under us."""
        self.displaced = ""
        found = segments(directory)
        self._number = segment_number(found[-1]) + is_packed(found[-1]) if found else 1
        try:
            self._fd = self._open(self._number)
        except OSError as error:
            raise JournalError(f"journal {self.path}: {error.strerror}") from error
        self._size = os.fstat(self._fd).st_size
        self._anchor_due = self._closed = False
        self._loop: asyncio.AbstractEventLoop
        self._sync: DiskSync | None = None
        """While `run` runs, it and its loop."""
        self._is_sync_due = True  # or there is nobody to ask
        self._is_unsynced = self._has_facts = False
        self._lazy_sync: asyncio.TimerHandle | None = None
        self.on_line: Callable[[bytes], None] | None = None
        """Sees every line as it is appended (event subscribers). Must not block."""
        self.on_mended: Callable[[], None] = _nothing
        """Called when everything that had been refused is written. Must not block."""
        self.on_durable: Callable[[int], None] = _never_mind
        """Hears the sequence number that is on the disk; called on the thread that syncs."""
        self.on_anchor: Callable[[int, str], None] = _never_mind
        """Hears a line that was anchored, and its hash; it is on the disk."""
        self.on_displaced: Callable[[str], object] = str
        """Hears once that the journal was moved, removed or replaced. Must not block."""

    @property
    def head(self) -> str:
        """The hash of the last line. It is taken when it is asked for: after an order has left."""
        if self._unhashed is not None:
            taken = _SHA256.copy()
            taken.update(self._unhashed)
            self.known_head = taken.hexdigest()
            self._unhashed = None
        return self.known_head

    @property
    def path(self) -> Path:
        """The segment now written to."""
        return self._directory / segment_name(self._number)

    @property
    def pending_lines(self) -> int:
        """Lines that are encoded but not yet with the kernel."""
        return len(self._pending)

    def append(
        self,
        event_type: EventType,
        fields: Mapping[str, Any] | bytes,
        *,
        ts_ns: int,
        session_id: str,
    ) -> int:
        """Encode one line into the buffer and chain it. Returns its sequence number.

        A field that has the name of an envelope's key takes its place. Fields may be text already:
        a JSON object with a key, none an envelope's.

        Raises:
            JournalError: the pending buffer is full (the disk has been refusing for long).
        """
        if len(self._pending) >= PENDING_LINES_MAX:
            raise JournalError(f"journal: {PENDING_LINES_MAX} lines pending and the disk refuses")
        seq = self.seq + 1
        if self._unhashed is not None:  # `head`, written out
            taken = _SHA256.copy()
            taken.update(self._unhashed)
            self.known_head = taken.hexdigest()
        head = self.known_head.encode()
        text = line_bytes = b""
        if isinstance(fields, bytes):
            text = fields
        elif fields and _ENVELOPE.isdisjoint(fields):
            text = orjson.dumps(fields)
        else:
            line = {"seq": seq, "ts": utc_text(ts_ns), "ts_ns": ts_ns, **self._fixed}
            line |= {"session_id": session_id, **_kind_of(event_type), **fields}
            line_bytes = b'%b,"prev":"%b"}' % (orjson.dumps(line)[:-1], head)
        if text:
            if session_id != self._middles_session:
                self._middles.clear()
                self._middles_session = session_id
            middle = self._middles.get(event_type)
            if middle is None:
                shared = {**self._fixed, "session_id": session_id, **_kind_of(event_type)}
                middle = self._middles[event_type] = orjson.dumps(shared)[1:-1]
            digits = b"%d" % ts_ns
            second = digits[:-9]
            if second != self._second:
                self._second, self._second_bytes = second, utc_text(ts_ns)[:19].encode()
            micros = digits[-9:-3] if second else b"%06d" % (ts_ns // 1000)
            parts = (seq, self._second_bytes, micros, digits, middle, text[1:-1], head)
            line_bytes = b'{"seq":%d,"ts":"%b.%bZ","ts_ns":%b,%b,%b,"prev":"%b"}' % parts
        self.seq, self._unhashed = seq, line_bytes
        if event_type is not _INPUT:
            self._has_facts = True
        self._pending.append(line_bytes)
        if event_type in ANCHORED:
            self._anchor_due = True
        if self.on_line is not None:
            self.on_line(line_bytes)
        return seq

    def flush(self) -> None:
        """Hand every pending line to the kernel, in order, and have them made durable soon.

        Raises:
            JournalError: as `write` does.
        """
        try:
            if self._pending or self._anchor_due:
                self.write()
        finally:  # what the kernel has taken does not wait for what it refused
            if self._is_unsynced and not self._is_sync_due:
                self._sync_soon()

    def write(self) -> None:
        """Hand every pending line to the kernel; `flush` follows, when what waits for it has left.

        Raises:
            JournalError: the kernel took less than all; the file ends at a whole line, the rest
                stays pending and a later flush tries again.
        """
        pending = self._pending
        try:
            if self._size >= self._segment_bytes_max and pending:
                self._rotate()
            while pending:
                some = pending[:LINES_A_WRITE]
                kept, written, failed = len(some), 0, None
                some.append(b"")  # the last line ends, too
                data = b"\n".join(some)
                try:
                    written = os.write(self._fd, data)
                    while written < len(data):
                        written += os.write(self._fd, data[written:])
                except OSError as error:
                    kept, written = self._cut(data, written)
                    failed = error
                del pending[:kept]
                self._size += written
                self.bytes_written += written
                self._is_unsynced |= kept > 0
                if failed is not None:
                    raise failed
            if self._anchor_due:
                os.fdatasync(self._fd)  # no anchor outlives the line that it names
                self._anchor(self.seq, self.head)
                self._anchor_due = False
        except OSError as error:
            self.fault = f"{self.path.name}: {error.strerror}"
            raise JournalError(
                f"journal {self.path}: {error.strerror}; free space or mend the disk, "
                f"{len(self._pending)} lines are waiting"
            ) from error
        if self.fault:
            self.fault = ""
            if not self.displaced:
                self.on_mended()

    async def run(self) -> None:
        """Make flushed lines durable, for ever; retry pending ones; raise when fdatasync fails."""
        loop = self._loop = asyncio.get_running_loop()
        failed: asyncio.Future[None] = loop.create_future()

        def fail(error: OSError) -> None:
            if not failed.done():
                self.fault = f"{self.path.name}: fdatasync: {error.strerror}"
                failed.set_exception(
                    JournalError(f"journal {self.path}: fdatasync: {error.strerror}")
                )

        def failed_on_thread(error: OSError) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and so does the process
                loop.call_soon_threadsafe(fail, error)

        self._sync = DiskSync(on_durable=self._on_durable, on_failure=failed_on_thread)
        self._sync.start()
        self._want_sync()
        try:
            while True:
                await asyncio.wait([failed], timeout=RETRY_PERIOD_S)
                if failed.done():
                    return failed.result()
                with contextlib.suppress(JournalError):
                    self.flush()
                self._look_where_we_are()
        finally:
            self._stop_sync()

    def _look_where_we_are(self) -> None:
        """Check that the path still leads to our file; report once when it does not."""
        if not self.displaced and not _leads_to(self.path, self._fd):
            self.displaced = f"{self.path} {_DISPLACED}"
            self.on_displaced(self.displaced)

    def _want_sync(self) -> None:
        self._is_sync_due, self._is_unsynced = self._sync is None, False
        if self._lazy_sync is not None:
            self._lazy_sync.cancel()
            self._lazy_sync = None
        _ = self.head  # now, and not before the next order
        if self._sync is not None:
            self._sync.want(self._fd, self._flushed_seq())

    def _on_durable(self, seq: int) -> None:
        self.durable_seq = seq
        self.on_durable(seq)

    def _stop_sync(self) -> None:
        self._is_sync_due = True
        if self._lazy_sync is not None:
            self._lazy_sync.cancel()
            self._lazy_sync = None
        if self._sync is not None:
            self._sync.stop()
            self._sync = None

    def close(self) -> None:
        """Flush, sync and release the journal."""
        if self._closed:
            return
        self._closed = True
        self._stop_sync()
        try:
            self.flush()
            os.fdatasync(self._fd)
        finally:
            os.close(self._fd)
            os.close(self._lock_fd)
            os.close(self._dir_fd)

    def _open(self, number: int) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(segment_name(number), flags, 0o640, dir_fd=self._dir_fd)

    def _cut(self, data: bytes, written: int) -> tuple[int, int]:
        """Let the file end at a whole line; how many lines of `data` stand in it, and their bytes.

        Raises:
            OSError: it cannot be cut.
        """
        whole = data.rfind(b"\n", 0, written) + 1
        os.ftruncate(self._fd, self._size + whole)
        return data.count(b"\n", 0, whole), whole

    def _sync_soon(self) -> None:
        """Ask for a sync: at once for facts, later for inputs alone."""
        if self._has_facts:
            self._has_facts, self._is_sync_due = False, True
            self._loop.call_soon(self._want_sync)
        elif self._lazy_sync is None:
            self._lazy_sync = self._loop.call_later(INPUTS_WAIT_S, self._want_sync)

    def _rotate(self) -> None:
        """Anchor the head of the full segment, open the next, close it. The chain runs on."""
        old_fd, seq = self._fd, self._flushed_seq()
        os.fdatasync(old_fd)
        self._anchor(seq, self._flushed_head())
        next_fd = self._open(self._number + 1)
        if self._sync is not None:
            self._sync.let_go(next_fd, seq)
        os.close(old_fd)
        self._number += 1
        self._fd = next_fd
        self._size = 0

    def _anchor(self, seq: int, head: str) -> None:
        """Write the chain's head outside the journal, so that rewriting the journal shows.

        `anchors.jsonl` may be a link to a file that the service user can only append to; the log
        line goes to the system's own journal, which it cannot touch at all.

        Raises:
            OSError: the file did not take it; it ends as it did before.
        """
        anchor = {
            "segment": segment_name(self._number),
            "seq": seq,
            "head": head,
            "run_id": self._fixed["run_id"],
        }
        _append_anchor(self._dir_fd, orjson.dumps(anchor) + b"\n")
        self.on_anchor(seq, head)
        log.info("anchor %s seq=%d head=%s", anchor["segment"], seq, head)

    def _flushed_seq(self) -> int:
        return self.seq - len(self._pending)

    def _flushed_head(self) -> str:
        first = orjson.loads(self._pending[0])
        return str(first["prev"])


def _kind_of(event_type: EventType) -> dict[str, Any]:
    severity = severity_of(event_type)
    return {
        "event_type": event_type.value,
        "level": severity.level,
        "is_error": severity.is_error,
        "is_anomaly": severity.is_anomaly,
    }


def _fixed(run_id: str, mode: str, exchange: str) -> dict[str, Any]:
    """The fields that all lines of a run share."""
    return {
        "schema": SCHEMA_VERSION,
        "run_id": run_id,
        "session_id": "",
        "mode": mode,
        "exchange": exchange,
    }


def _leads_to(path: Path, opened_fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(opened_fd))
    except OSError:
        return False


def _append_anchor(dir_fd: int, line: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    anchors_fd = os.open("anchors.jsonl", flags, 0o640, dir_fd=dir_fd)
    try:
        size = os.fstat(anchors_fd).st_size
        if os.write(anchors_fd, line) < len(line):
            with contextlib.suppress(OSError):  # a file that may only grow stays torn
                os.ftruncate(anchors_fd, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(anchors_fd)
    finally:
        os.close(anchors_fd)


def _never_mind(seq: int, head: str = "") -> None:
    """The default listener."""


def _nothing() -> None:
    """The default when nobody waits for the disk."""


def lock_journal(directory: Path) -> int:
    """Become the one writer of a journal; held until the descriptor is closed.

    Raises:
        JournalError: somebody else is, or the directory cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock_fd = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise JournalError(
            f"journal {directory}: {error.strerror}; check state_dir and its owner"
        ) from error
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock_fd)
        raise JournalError(
            f"journal {directory}: another seatriald is running on this state directory"
        ) from error
    return lock_fd
