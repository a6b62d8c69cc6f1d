"""The manifest of a journal's archived beginning: read, checked against its signature, compared.

Rules of this file:
1. A manifest that is there and not as it was signed stops the reading: which lines are absent by
   right is the one thing that it says.
2. Who signed is for people to judge: the key lies beside the manifest, its id is shown.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from daemon.model.records import (
    ARCHIVE_KEY,
    ARCHIVE_MANIFEST,
    ARCHIVE_PREDICATE,
    GENESIS,
)


class ManifestError(OSError):
    """A manifest that cannot be believed; the text names it and the mend."""


class ArchivedSegment(msgspec.Struct, frozen=True):
    """One segment that was moved away."""

    name: str
    sha256: str
    bytes: int
    lines: int
    first_seq: int
    last_seq: int
    prev: str
    head: str
    runs: tuple[str, ...]
    place: str


class Beginning(msgspec.Struct, frozen=True):
    """Where the journal begins now: the first line's number, its `prev`, and its run."""

    segment: str
    seq: int
    prev: str
    run_id: str


class Manifest(msgspec.Struct, frozen=True):
    """The segments that were moved, oldest first, and where the journal begins now."""

    segments: tuple[ArchivedSegment, ...]
    begins: Beginning
    key: str = ""
    """Id of the key that signed it."""

    def is_continued_by(self, later: "Manifest") -> bool:
        """Whether `later` speaks of the same journal, at this time or afterwards."""
        mine = [(one.name, one.sha256) for one in self.segments]
        return mine == [(one.name, one.sha256) for one in later.segments[: len(mine)]]

    def heads(self) -> dict[int, str]:
        """The hash of each archived segment's last line, by its number."""
        return {one.last_seq: one.head for one in self.segments}

    def may_begin(self, seq: int, prev: str) -> bool:
        """Whether a journal may begin with this line: the first one of a known segment."""
        starts = {(one.first_seq, one.prev) for one in self.segments}
        return (seq, prev) in starts | {(self.begins.seq, self.begins.prev)}


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a journal or an archive; None when nothing was ever moved.

    Raises:
        ManifestError: it is there, and not as it was signed, or it contradicts itself.
    """
    path = directory / ARCHIVE_MANIFEST
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    try:
        pem = (directory / ARCHIVE_KEY).read_bytes()
    except OSError:
        pem = b""
    return manifest_of(raw, pem, str(path))


def manifest_of(raw: bytes, pem: bytes, path: str) -> Manifest:
    """The manifest in some bytes, checked against the key in others.

    Raises:
        ManifestError: it is not as it was signed, or it contradicts itself.
    """
    # Most journals have no archive, and no use for cryptography.
    from evidence.read.dsse import EnvelopeError, open_envelope  # noqa: PLC0415
    from evidence.read.signing import KeyFileError, key_id, public_key_of  # noqa: PLC0415

    try:
        key = public_key_of(pem, ARCHIVE_KEY)
        statement = open_envelope(raw, key, ARCHIVE_PREDICATE)
        predicate = {**msgspec.convert(statement["predicate"], dict), "key": key_id(key)}
        found = msgspec.convert(predicate, Manifest)
    except (EnvelopeError, KeyFileError, KeyError, msgspec.ValidationError) as error:
        raise ManifestError(
            f"{path}: {error}; restore {ARCHIVE_MANIFEST} and {ARCHIVE_KEY} from the archive's "
            "directory, where copies lie"
        ) from error
    if not _is_chained(found.segments, found.begins):
        raise ManifestError(f"{path}: its segments do not follow each other; restore it")
    return found


def _is_chained(segments: Sequence[ArchivedSegment], begins: Beginning) -> bool:
    seq, head = 0, GENESIS
    for one in segments:
        if (one.first_seq, one.prev) != (seq + 1, head):
            return False
        seq, head = one.last_seq, one.head
    return bool(segments) and (begins.seq, begins.prev) == (seq + 1, head)
