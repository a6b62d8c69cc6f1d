"""Moves the closed, anchored beginning of a journal elsewhere, under a signed manifest.

Rules of this file:
1. Copy, read the copy back, sign, and only then remove: whoever dies in between leaves a journal
   that is whole, and the next call ends what was begun.
2. Nothing from the last checkpoint on is moved (a boot reads it), nothing that is not closed and
   anchored, and nothing whose chain does not hold.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.model.records import (
    ARCHIVE_KEY,
    ARCHIVE_MANIFEST,
    ARCHIVE_PREDICATE,
    GENESIS,
    HOUSEKEEPING_LOCK,
)
from evidence.judge.anchoring import read_anchors
from evidence.read.archive_manifest import ArchivedSegment, Beginning, Manifest, read_manifest
from evidence.read.dsse import Subject, seal, statement
from evidence.read.journal_lines import CheckpointLine, JournalLine
from evidence.read.journal_reader import JournalReader
from evidence.read.journal_sources import ANCHORS_FILE, UNREADABLE, chunks_of, segments_in
from evidence.read.signing import key_id, public_pem

COPY_BYTES = 1 << 20


class JournalArchiveError(OSError):
    """Nothing was moved; the text says why and what to do."""


class ArchiveBusyError(JournalArchiveError):
    """Another process packs or archives this journal; try again later."""


class Archived(msgspec.Struct, frozen=True):
    """What one call did."""

    moved: tuple[ArchivedSegment, ...]
    begins: Beginning | None
    """Where the journal begins now; None: nothing was ever moved."""


class _Read(msgspec.Struct, frozen=True):
    """What was found when a segment was read."""

    path: Path
    first: JournalLine
    last: JournalLine
    head: str
    lines: int
    runs: tuple[str, ...]


def archive(journal: Path, to: Path, key: Ed25519PrivateKey) -> Archived:
    """Move what may be moved from `journal` into `to`; a running daemon is not disturbed.

    Raises:
        ArchiveError: another process is at it, the chain does not hold, or `to` holds the archive
            of another journal.
        ManifestError: the manifest of before cannot be believed.
        OSError: a disk refuses; the journal is whole.
    """
    if to.resolve() == journal.resolve():
        raise JournalArchiveError(f"{to}: is the journal itself; name another directory")
    with _only_one(journal):
        before = _agreed(journal, to, read_manifest(journal))
        if before is not None and before.key != key_id(key.public_key()):
            raise JournalArchiveError(
                f"{journal}: its archive was begun with the key {before.key[:16]}…; sign with that "
                "one"
            )
        if before is not None:
            _finish(journal, before)
        reads = _movable(journal, before)
        if not reads:
            return Archived((), before.begins if before else None)
        to.mkdir(parents=True, exist_ok=True, mode=0o750)
        moved = tuple(_copied(one, to) for one in reads)
        following = _beginning_after(journal, reads[-1])
        manifest = Manifest((*(before.segments if before else ()), *moved), following)
        for directory in (to, journal):
            _write(directory / ARCHIVE_KEY, public_pem(key.public_key()))
            _write(directory / ARCHIVE_MANIFEST, _sealed(manifest, key))
        for one in reads:
            one.path.unlink()
        _sync(journal)
    return Archived(moved, following)


@contextlib.contextmanager
def _only_one(journal: Path) -> Iterator[None]:
    """Hold the lock that the daemon's packing takes too; a twin of its code, because of P10."""
    lock_fd = os.open(journal / HOUSEKEEPING_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        _owned_like(journal, lock_fd)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArchiveBusyError(
                f"{journal}: another process packs or archives this journal; try again when it is "
                "done"
            ) from error
        yield
    finally:
        os.close(lock_fd)


def _agreed(journal: Path, to: Path, before: Manifest | None) -> Manifest | None:
    """The journal's manifest, or the target's if a call died between writing the two.

    Raises:
        ArchiveError: the target holds the archive of another journal.
    """
    there = read_manifest(to) if to.is_dir() else None
    if there is None or (before is not None and there.is_continued_by(before)):
        return before
    if before is None or before.is_continued_by(there):
        own = {_plain_name(path): path for path in segments_in(journal.iterdir())}
        fresh = there.segments[len(before.segments) if before else 0 :]
        if all(one.name in own and _digest(own[one.name]) == one.sha256 for one in fresh):
            for name in (ARCHIVE_KEY, ARCHIVE_MANIFEST):
                _write(journal / name, (to / name).read_bytes())
            return there
    raise JournalArchiveError(f"{to}: holds the archive of another journal; name another directory")


def _finish(journal: Path, before: Manifest) -> None:
    """Remove the segments that an interrupted call had already copied and signed."""
    named = {one.name: one for one in before.segments}
    for path in segments_in(journal.iterdir()):
        one = named.get(_plain_name(path))
        if one is None:
            continue
        copies = [Path(one.place) / path.name, Path(one.place) / one.name]
        copies += [copy.with_name(copy.name + ".zst") for copy in copies[1:]]
        if not any(copy.is_file() and _digest(copy) == one.sha256 for copy in copies):
            raise JournalArchiveError(
                f"{path}: archived in {one.place}, but no copy there has its bytes; put the "
                "archive back to that place, or name what is wrong with its disk"
            )
        path.unlink()
    _sync(journal)


def _movable(journal: Path, before: Manifest | None) -> list[_Read]:
    """Closed and anchored segments before the last checkpoint's, each read and chained."""
    files = segments_in(journal.iterdir())
    limit = _last_checkpoint(files)
    anchors_file = journal / ANCHORS_FILE
    heads = read_anchors([anchors_file]) if anchors_file.is_file() else []
    anchored = {(one.get("seq"), one.get("head")) for one in heads}
    seq, head = (before.begins.seq - 1, before.begins.prev) if before else (0, GENESIS)
    reads: list[_Read] = []
    for path in files[:limit]:
        one = _read(path)
        if (one.first.seq, one.first.prev) != (seq + 1, head):
            raise JournalArchiveError(
                f"{path}: does not continue line {seq}; `seatrial evidence verify {journal}` says "
                "what is wrong, and nothing was moved"
            )
        seq, head = one.last.seq, one.head
        if (seq, head) not in anchored:
            break
        reads.append(one)
    return reads


def _last_checkpoint(files: Sequence[Path]) -> int:
    """The index of the newest segment with a checkpoint; 0 where there is none."""
    for index in reversed(range(len(files))):
        if any(type(one) is CheckpointLine for one in JournalReader([files[index]]).records()):
            return index
    return 0


def _read(path: Path) -> _Read:
    reader, first, last = JournalReader([path]), None, None
    runs: dict[str, None] = {}
    for record in reader.records():
        first, last = first or record, record
        runs.setdefault(record.run_id)
    faults = reader.chain.faults.counts
    if first is None or last is None or faults:
        told = ", ".join(f"{count} x {kind}" for kind, count in faults.items()) or "no line"
        raise JournalArchiveError(
            f"{path}: {told}; `seatrial evidence verify` says more; nothing moved"
        )
    return _Read(path, first, last, reader.chain.last_hash, reader.chain.lines, tuple(runs))


def _copied(one: _Read, to: Path) -> ArchivedSegment:
    """Copy a segment's file as it is, read the copy back, and describe its plain bytes."""
    target = to / one.path.name
    partial = to / f".{one.path.name}.partial"
    wanted = _digest(one.path)
    if target.exists() and _digest(target) != wanted:
        raise JournalArchiveError(f"{target}: is there with other bytes; name another directory")
    with one.path.open("rb") as source, partial.open("wb") as out:
        while chunk := source.read(COPY_BYTES):
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(target)
    _sync(to)
    if _digest(target) != wanted:
        raise JournalArchiveError(
            f"{target}: the copy has other bytes; look at its disk; nothing moved"
        )
    return ArchivedSegment(
        name=_plain_name(one.path),
        sha256=wanted,
        bytes=sum(map(len, chunks_of(one.path))),
        lines=one.lines,
        first_seq=one.first.seq,
        last_seq=one.last.seq,
        prev=one.first.prev,
        head=one.head,
        runs=one.runs,
        place=str(to.resolve()),
    )


def _beginning_after(journal: Path, last: _Read) -> Beginning:
    files = segments_in(journal.iterdir())
    following = files[[path.name for path in files].index(last.path.name) + 1]
    first = next(JournalReader([following]).records())
    if (first.seq, first.prev) != (last.last.seq + 1, last.head):
        raise JournalArchiveError(
            f"{following}: does not continue line {last.last.seq}; nothing moved"
        )
    return Beginning(_plain_name(following), first.seq, first.prev, first.run_id)


def _sealed(manifest: Manifest, key: Ed25519PrivateKey) -> bytes:
    predicate = msgspec.to_builtins(manifest)
    del predicate["key"]
    subjects = [Subject(one.name, one.sha256) for one in manifest.segments]
    return seal(statement(subjects, ARCHIVE_PREDICATE, predicate), key)


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".zst").removesuffix(".gz")


def _digest(path: Path) -> str:
    """SHA-256 (hex) of a segment's plain bytes; empty for a packed one that is damaged."""
    found = hashlib.sha256()
    try:
        for chunk in chunks_of(path):
            found.update(chunk)
    except UNREADABLE:
        return ""
    return found.hexdigest()


def _write(path: Path, body: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as out:
        _owned_like(path.parent, out.fileno())
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
    _sync(path.parent)


def _owned_like(path: Path, fd: int) -> None:
    """Give a file that root writes beside a journal to the journal's owner."""
    there = path.stat()
    with contextlib.suppress(PermissionError):
        os.fchown(fd, there.st_uid, there.st_gid)


def _sync(directory: Path) -> None:
    directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory_fd)
    finally:
        os.close(directory_fd)
