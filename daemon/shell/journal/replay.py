"""Reading our own journal at boot: the torn tail, the last checkpoint, the facts after it.

Boot is recovery (promise P6): there is no other start path. What is read here is folded by
`Engine.restore` and `Engine.apply_fact`; INPUT lines are skipped (state is a fold of the facts).

Rules of this file:
1. Nothing before the last checkpoint is read: how long a daemon has run does not delay its start.
2. From the checkpoint on, every line must carry the hash of the line before it, inputs included.
   What lies before the checkpoint is verified by the evidence, not at boot.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import orjson

from daemon.model.records import GENESIS, SCHEMA_VERSION
from daemon.shell.journal.journal_writer import JournalError
from daemon.shell.journal.segments import chunks_of, is_packed, lines_of, segments

_CHECKPOINT = b'"event_type":"checkpoint"'
_EVENT_TYPE = b'"event_type":'
_INPUT = b'"event_type":"input"'
_ENVELOPE_BYTES_MAX = 400
_WINDOW_BYTES = 1024 * 1024
"""So much is looked at at once for the last checkpoint, from the segment's end backwards: what
follows it is then read once, and nowhere copied."""
_OVERLAP_BYTES = 1024
"""Of two windows: far more than stands before the words that tell a checkpoint in its line."""
_TAIL_READ_BYTES = 64 * 1024
"""In which the last line's end is looked for, before more is read."""
_PREV = slice(-66, -2)
"""Where a line carries the hash of the line before: its last field, 64 hex digits."""


class Recovered(msgspec.Struct, kw_only=True):
    """What a state directory's journal says of the past."""

    seq: int = 0
    head: str = GENESIS
    ts_ns: int = 0
    torn_bytes: int = 0
    torn_sha256: str = ""
    checkpoint: dict[str, Any] | None = None
    checkpoint_seq: int = 0
    """The line that holds it; 0: there is none, and the facts are all there ever were."""
    facts: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """Fact lines after the checkpoint, oldest first."""

    def facts_about(self) -> dict[str, Any]:
        """What the boot's RECOVERY line says of it."""
        return {
            "records": len(self.facts),
            "from_seq": self.seq,
            "checkpoint_seq": self.checkpoint_seq,
            "torn_bytes": self.torn_bytes,
            "torn_sha256": self.torn_sha256,
        }


def recover(directory: Path) -> Recovered:
    """Read the journal's tail from its last checkpoint on; cut a torn last line off.

    Raises:
        JournalError: a line of it is damaged or does not continue the chain, or a newer schema
            wrote it. The journal is then not ours to continue.
    """
    found = segments(directory)
    out = Recovered()
    if not found:
        return out
    if not is_packed(found[-1]):
        _cut_torn_tail(found[-1], out)
    bodies: list[tuple[Path, bytes]] = []
    is_whole = True
    for path in reversed(found):
        body, has_checkpoint = _from_last_checkpoint(path)
        bodies.insert(0, (path, body))
        if has_checkpoint:
            is_whole = False
            break
    head = GENESIS.encode() if is_whole else b""
    for path, body in bodies:
        head = _read(path, body, head, out)
    return out


def _from_last_checkpoint(path: Path) -> tuple[bytes, bool]:
    """The lines of a segment from its last checkpoint on, or all; read backwards from its end."""
    if is_packed(path):
        body = _unpacked(path)
        start = _last_checkpoint(body, is_whole=True)
        return body[max(0, start) :], start >= 0
    with path.open("rb") as opened:
        end = opened.seek(0, os.SEEK_END)
        start = -1
        while start < 0 and end > 0:
            begin = max(0, end - _WINDOW_BYTES)
            opened.seek(begin)
            found = _last_checkpoint(opened.read(end - begin), is_whole=not begin)
            start = begin + found if found >= 0 else -1
            # A checkpoint whose line begins before this window is seen whole in the next one.
            end = begin + _OVERLAP_BYTES if begin else 0
        opened.seek(max(0, start))
        return opened.read(), start >= 0


def has_checkpoint(path: Path) -> bool:
    """Whether a boot could begin in this segment."""
    return _from_last_checkpoint(path)[1]


def _unpacked(path: Path) -> bytes:
    try:
        return b"".join(chunks_of(path))
    except OSError as error:
        raise JournalError(
            f"journal {path}: the packed segment is damaged ({error}); restore it from a backup or "
            "an archive, or move the journal away, start with a new state directory, and reconcile "
            "by hand"
        ) from error


def _last_checkpoint(body: bytes, *, is_whole: bool) -> int:
    """Where the last checkpoint line begins; -1: none. The same words inside data do not count."""
    at = len(body)
    while (at := body.rfind(_CHECKPOINT, 0, at)) >= 0:
        start = body.rfind(b"\n", 0, at) + 1
        if not start and not is_whole:
            return -1  # its line begins before this read
        if body.find(_EVENT_TYPE, start) == at:
            return start
    return -1


def _cut_torn_tail(path: Path, out: Recovered) -> None:
    with path.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        wanted, torn = _TAIL_READ_BYTES, b""
        while size:
            begin = max(0, size - wanted)
            opened.seek(begin)
            body = opened.read(size - begin)
            end = body.rfind(b"\n") + 1
            torn = body[end:]
            if end or not begin:
                break
            wanted *= 2
    if torn:
        out.torn_bytes = len(torn)
        out.torn_sha256 = hashlib.sha256(torn).hexdigest()
        os.truncate(path, size - len(torn))


def _read(path: Path, body: bytes, head: bytes, out: Recovered) -> bytes:
    """Take a segment's lines; returns the last one's hash. `head` empty: the first is trusted."""
    sha256 = hashlib.sha256
    number, start, line = 0, 0, b""
    while (end := body.find(b"\n", start)) >= 0:  # one line at a time: a copy of all is slow memory
        number, line, start = number + 1, body[start:end], end + 1
        if line[_PREV] != head and head:
            raise JournalError(
                f"journal {path}: line {number} after the last checkpoint, or the one before it, "
                "is damaged: it does not continue the chain (a line was changed, added or "
                "removed); `seatrial evidence verify` says more; put back an undamaged copy, or "
                "go on without it: `seatrial state accept --set-aside`"
            )
        head = sha256(line).hexdigest().encode()
        if line.find(_INPUT, 0, _ENVELOPE_BYTES_MAX) >= 0:
            continue
        record = _decode(path, number, line)
        if record["event_type"] == "checkpoint":
            out.checkpoint = record["state"]
            out.checkpoint_seq = record["seq"]
            out.facts.clear()
        else:
            out.facts.append(record)
    if number:
        record = _decode(path, number, line)
        out.seq = record["seq"]
        out.ts_ns = record["ts_ns"]
        out.head = head.decode()
    return head


def _decode(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record: dict[str, Any] = orjson.loads(line)
        schema = record["schema"]
        if not (type(schema) is type(record["seq"]) is type(record["ts_ns"]) is int):
            raise TypeError("schema, seq and ts_ns are not all integers")
        if record["event_type"] == "checkpoint" and type(record["state"]) is not dict:
            raise TypeError("its state is no object")
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
        raise JournalError(
            f"journal {path}: line {number} after the last checkpoint is damaged ({error}); "
            "put back an undamaged copy, or go on without it: `seatrial state accept --set-aside`"
        ) from error
    if schema > SCHEMA_VERSION:
        raise JournalError(
            f"journal {path}: written by a newer seatrial (schema {schema}); upgrade, or use it"
        )
    return record


class ThinnedRunError(ValueError):
    """A run that cannot be re-stepped: ticks without a consequence were left out of it."""


def run_to_restep(directory: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines before the last run of a journal, and that run's own: what a re-stepping needs.

    Raises:
        ThinnedRunError: not every tick of that run was kept.
        JournalError: no run is in it.
    """
    lines = [orjson.loads(line) for path in segments(directory) for line in lines_of(path)]
    starts = [n for n, line in enumerate(lines) if line["event_type"] == "run_start"]
    if not starts:
        raise JournalError(f"journal {directory}: no run in it")
    run = lines[starts[-1] :]
    if run[0].get("ticks", "all") != "all":
        raise ThinnedRunError(
            f"run {run[0]['run_id']} is thinned: ticks without a consequence were left out, so its "
            'effects cannot be made again; set `keep_ticks = "all"` under [journal] before a run '
            "that is to be re-stepped (decisions are rechecked from their own lines all the same)"
        )
    return lines[: starts[-1]], run
