"""The pack's container: a plain tar of one exact form, so that every byte of it is checked.

Rules of this file:
1. Same files, same bytes: sorted names, no times, no owners, one header form. It is not compressed,
   because a compressed stream holds bits that mean nothing and could change unseen; compress the
   finished pack for transport if you like.
2. The reader rebuilds each header and compares; it unpacks nothing and trusts no name.
"""

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

BLOCK = tarfile.BLOCKSIZE
RECORD = tarfile.RECORDSIZE
NAME_LENGTH_MAX = 100
CHUNK_BYTES = 1 << 20


class PackFormError(Exception):
    """The archive departs from its form; the text names the file at which."""


class Member(msgspec.Struct, frozen=True):
    """One file of the archive, read to its end."""

    name: str
    size_bytes: int
    sha256: str
    content: bytes | None
    """Only of the first member: the envelope."""


def write_archive(target: BinaryIO, members: Mapping[str, Path | bytes], first: str) -> None:
    """Write the archive: `first`, then the others in the order of their names.

    Raises:
        ArchiveError: a name that the form does not allow.
        OSError: a file cannot be read, or the target not be written.
    """
    written = 0
    for name in [first, *sorted(set(members) - {first})]:
        written += _write_member(target, name, members[name])
    written += 2 * BLOCK
    target.write(b"\0" * (2 * BLOCK + -written % RECORD))


def _write_member(target: BinaryIO, name: str, source: Path | bytes) -> int:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    target.write(header(name, size))
    if isinstance(source, bytes):
        target.write(source)
        copied = size
    else:
        copied = 0
        with source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                target.write(chunk)
                copied += len(chunk)
    if copied != size:
        raise PackFormError(
            f"{name}: changed while it was packed; stop the daemon, then pack again"
        )
    padding = -size % BLOCK
    target.write(b"\0" * padding)
    return BLOCK + size + padding


def header(name: str, size_bytes: int) -> bytes:
    """The one header that this form allows for a file.

    Raises:
        ArchiveError: the name is not plain ASCII of at most 100 characters inside the archive.
    """
    parts = name.split("/")
    if (
        not name.isascii()
        or not name.isprintable()
        or len(name) > NAME_LENGTH_MAX
        or any(part in {"", ".", ".."} for part in parts)
    ):
        raise PackFormError(f"{name!r}: not a name that a pack can hold; rename the file")
    info = tarfile.TarInfo(name)
    info.size = size_bytes
    info.mode = 0o644
    try:
        return info.tobuf(format=tarfile.USTAR_FORMAT)
    except ValueError as error:
        raise PackFormError(f"{name}: larger than a pack can hold (8 GiB)") from error


def read_archive(source: BinaryIO) -> Iterator[Member]:
    """Yield every member, hashed, and check every byte between and after them.

    Raises:
        ArchiveError: any byte departs from the form.
    """
    place = "the first header"
    is_first, offset = True, 0
    while True:
        raw = source.read(BLOCK)
        offset += BLOCK
        if raw == b"\0" * BLOCK:
            break
        info = _member_info(raw, place)
        digest, content = _read_content(source, info, keep=is_first)
        offset += info.size + -info.size % BLOCK
        yield Member(info.name, info.size, digest, content)
        is_first, place = False, f"the header after {info.name}"
    rest = source.read()
    end = -(offset + BLOCK) % RECORD + BLOCK
    if rest != b"\0" * end:
        raise PackFormError("the end of the archive was changed, cut or added to")


def _member_info(raw: bytes, place: str) -> tarfile.TarInfo:
    if len(raw) < BLOCK:
        raise PackFormError(f"the archive is cut at {place}")
    try:
        info = tarfile.TarInfo.frombuf(raw, "ascii", "strict")
        expected = header(info.name, info.size)
    except (tarfile.HeaderError, UnicodeError, ValueError, PackFormError) as error:
        raise PackFormError(f"{place} was changed") from error
    if expected != raw:
        raise PackFormError(f"{place} ({info.name}) was changed")
    return info


def _read_content(
    source: BinaryIO, info: tarfile.TarInfo, *, keep: bool
) -> tuple[str, bytes | None]:
    digest = hashlib.sha256()
    kept = []
    left = info.size
    while left:
        chunk = source.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise PackFormError(f"{info.name} is cut: {left} bytes are missing")
        digest.update(chunk)
        if keep:
            kept.append(chunk)
        left -= len(chunk)
    padding = -info.size % BLOCK
    if source.read(padding) != b"\0" * padding:
        raise PackFormError(f"the padding after {info.name} was changed")
    return digest.hexdigest(), b"".join(kept) if keep else None
