"""Hashes a foreign file's bytes, unpacks them and converts them to UTF-8.

What a file is shows in its first bytes, not in its name: a file that is packed or encoded otherwise
than its name says is read all the same, and told.
"""

import codecs
import gzip
import hashlib
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from evidence.read.journal_sources import unpacked_zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

HEAD_BYTES = 64
Tell = Callable[[str, str], None]
"""Takes what is not as it should be, and the mend."""

GZIP, ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_UNREAD_PACKINGS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7z"}
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
)  # fmt: skip


class HashingStream(io.RawIOBase):
    """A file that hashes what is read from it."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        """It is only read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer with what comes next."""
        view = memoryview(buffer).cast("B")
        chunk = self._raw.read(len(view))
        view[: len(chunk)] = chunk
        self.digest.update(chunk)
        self.size_bytes += len(chunk)
        return len(chunk)


class ChunkStream(io.RawIOBase):
    """Pieces of bytes, read like a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._pending = b""

    def readable(self) -> bool:
        """It is only read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer with what comes next."""
        while not self._pending:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._pending = chunk
        view = memoryview(buffer).cast("B")
        taken = self._pending[: len(view)]
        view[: len(taken)] = taken
        self._pending = self._pending[len(taken) :]
        return len(taken)


def _transcoded(stream: io.BufferedReader, encoding: str) -> Iterator[bytes]:
    """Text as UTF-8; what cannot be decoded becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while chunk := stream.read(1 << 16):
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def unpacked(name: str, stream: io.BufferedReader, tell: Tell) -> io.BufferedReader:
    """The stream, through gzip or zstandard where its bytes are packed so."""
    lower, head = name.lower(), stream.peek(HEAD_BYTES)[:HEAD_BYTES]
    is_gzip, is_zstandard = lower.endswith(".gz"), lower.endswith(".zst")
    if not (is_gzip or is_zstandard):
        is_gzip, is_zstandard = head.startswith(GZIP), head.startswith(ZSTANDARD)
        if is_gzip or is_zstandard:
            tell("it is packed, and its name does not say so", "name it .gz or .zst")
    if is_gzip:
        packed = gzip.GzipFile(fileobj=cast("BinaryIO", stream), mode="rb")
        return io.BufferedReader(cast("io.RawIOBase", packed), 1 << 18)
    if is_zstandard:
        return io.BufferedReader(ChunkStream(unpacked_zstandard(stream)), 1 << 18)
    for magic, packing in _UNREAD_PACKINGS.items():
        if head.startswith(magic):
            tell(f"it is packed with {packing}, which is not read", "unpack it, or use gzip")
    return stream


def as_utf8(stream: io.BufferedReader, tell: Tell) -> BinaryIO:
    """The stream as UTF-8, whatever of the Unicode encodings it is written in."""
    encoding = encoding_of(stream.peek(HEAD_BYTES)[:HEAD_BYTES])
    if not encoding:
        return cast("BinaryIO", stream)
    tell(f"it is written in {encoding.upper()}, not in UTF-8", "write it in UTF-8")
    whole = io.BufferedReader(ChunkStream(_transcoded(stream, encoding)), 1 << 18)
    return cast("BinaryIO", whole)


def encoding_of(head: bytes) -> str:
    """UTF-16 or UTF-32 by the mark at the beginning, or by where zero bytes stand; else empty."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[0::2], head[1::2]
    if len(head) < 4 or head.count(0) * 3 < len(head):
        return ""
    if head.count(0) * 3 >= len(head) * 2:
        return "utf-32-be" if head[0] == 0 else "utf-32-le"
    return "utf-16-be" if even.count(0) > odd.count(0) else "utf-16-le"
