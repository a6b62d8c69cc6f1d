"""Packs closed segments with zstandard, in the daemon's background or by command.

Rules of this file:
1. Every step leaves a readable journal: the packed form is written under another name, synced,
   unpacked again and compared, renamed, and only then is the plain one removed.
2. Nothing from the segment of the last checkpoint on is packed: a boot reads plain files only.
3. One process at a time (`.housekeeping.lock`), on a thread of the lowest priority.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

from daemon.model.records import HOUSEKEEPING_LOCK, EventType
from daemon.shell.journal.segments import (
    PACKED,
    chunks_of,
    is_packed,
    newest_lines,
    segment_number,
    segments,
    sync_directory,
)

LEVEL = 9
PARTIAL = ".partial"
_CHECKPOINT = b'"event_type":"%b"' % EventType.CHECKPOINT.value.encode()
_TWO = 2
"""Of so few plain segments none can be packed: the newest is being written."""
_EVENT_TYPE = b'"event_type":'


class HousekeepingBusyError(OSError):
    """Another process packs or archives this journal."""


class StoppedError(Exception):
    """The daemon ends, so the packing is given up; it starts again another time."""


@contextlib.contextmanager
def housekeeping(directory: Path) -> Iterator[None]:
    """Be the only one who packs or moves closed segments.

    `evidence/pack/journal_archive.py` takes the same lock with code of its own: the accountant
    imports nothing of the daemon (P10). They share the name of the file, and that is all.

    Raises:
        HousekeepingBusyError: another process is.
    """
    lock_fd = os.open(directory / HOUSEKEEPING_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        owned_like(directory, lock_fd)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HousekeepingBusyError(
                f"{directory}: another process packs or archives this journal; try again when it "
                "is done"
            ) from error
        yield
    finally:
        os.close(lock_fd)


def owned_like(path: Path, fd: int) -> None:
    """Give a new file the mode and owner of an old one: root may have packed for the daemon."""
    old = path.stat()
    os.fchmod(fd, old.st_mode & 0o666)
    with contextlib.suppress(PermissionError):
        os.fchown(fd, old.st_uid, old.st_gid)


def last_checkpoint_segment(directory: Path) -> int:
    """The number of the newest segment that holds a checkpoint; 0: none does, keep everything."""
    for path in reversed(segments(directory)):
        if _has_checkpoint(path):
            return segment_number(path)
    return 0


def _has_checkpoint(path: Path) -> bool:
    return bool(newest_lines(path, 1, _is_checkpoint, needles=(_CHECKPOINT,)))


def _is_checkpoint(line: bytes) -> bool:
    """Whether the line is a checkpoint; its own type stands before any in its data."""
    return line.find(_EVENT_TYPE) == line.find(_CHECKPOINT) >= 0


def packable(directory: Path) -> list[Path]:
    """Plain segments that are closed and lie before the last checkpoint's, oldest first."""
    limit = last_checkpoint_segment(directory)
    found = [path for path in segments(directory) if segment_number(path) < limit]
    return [path for path in found if not is_packed(path)]


def pack(path: Path, *, stop: Callable[[], bool] = lambda: False) -> int:
    """Replace one closed segment by its packed form; returns the bytes saved.

    Raises:
        OSError: the disk refuses, or the packed form does not unpack to the same bytes. The plain
            segment is as it was.
        StoppedError: `stop` said so.
    """
    packed = path.with_name(path.name + PACKED)
    partial = path.with_name(f".{packed.name}{PARTIAL}")
    plain_hash = hashlib.sha256()
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj(
        size=path.stat().st_size
    )
    try:
        with partial.open("wb", buffering=0) as out:
            owned_like(path, out.fileno())
            for chunk in chunks_of(path):
                if stop():
                    raise StoppedError
                plain_hash.update(chunk)
                out.write(compressor.compress(chunk))
            out.write(compressor.flush())
            os.fsync(out.fileno())
        _check(partial, packed.name, plain_hash.digest())
        saved = path.stat().st_size - partial.stat().st_size
        partial.replace(packed)
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)
    path.unlink()
    sync_directory(path.parent)
    return saved


def _check(partial: Path, name: str, wanted: bytes) -> None:
    """Unpack what was written and compare."""
    found = hashlib.sha256()
    link = partial.with_name(f".check-{name}")
    link.unlink(missing_ok=True)
    link.hardlink_to(partial)  # its name says how to read it
    try:
        for chunk in chunks_of(link):
            found.update(chunk)
    except OSError as error:
        raise OSError(f"{name}: what was packed cannot be unpacked ({error})") from error
    finally:
        link.unlink(missing_ok=True)
    if found.digest() != wanted:
        raise OSError(f"{name}: what was packed does not unpack to the same bytes")


def sweep(directory: Path) -> None:
    """Remove the partial files of interrupted packings; call with the lock held."""
    for path in (*directory.glob(f".journal-*{PARTIAL}"), *directory.glob(".check-journal-*")):
        path.unlink(missing_ok=True)


def look(directory: Path, stop: Callable[[], bool] = lambda: False) -> int:
    """Pack what can be packed now; returns the bytes saved.

    Raises:
        OSError, StoppedError: as `pack`.
    """
    if len([path for path in segments(directory) if not is_packed(path)]) < _TWO:
        return 0
    with housekeeping(directory):
        sweep(directory)
        return sum(pack(path, stop=stop) for path in packable(directory))
