"""The files of a journal: their names, their order, and their bytes, plain or packed.

A closed segment may be packed with zstandard (`segment_packing.py`). Where both forms of one
stand side by side, a packing was cut short: the plain one is believed.
"""

import errno
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

PACKED = ".zst"
CHUNK_BYTES = 1 << 20
LINE_BYTES_MAX = 16 << 20
"""No line of ours is longer. A longer one is passed over, so that no file can fill the memory."""
_PACKED_BYTES = 2_048
"""So many packed bytes are unpacked at once: 64 MB come of them at most."""
_SEQ = b'{"seq":'
_SEQ_BYTES_MAX = 32
_NAME = re.compile(r"^journal-(\d{6})\.jsonl(\.zst)?$")


def segment_name(number: int) -> str:
    """File name of the n-th segment, from 1."""
    return f"journal-{number:06d}.jsonl"


def segments(directory: Path) -> list[Path]:
    """All segments of a journal, oldest first, each once."""
    found: dict[int, Path] = {}
    for path in sorted(directory.glob("journal-*")):  # the plain name sorts before the packed one
        if match := _NAME.match(path.name):
            found.setdefault(int(match[1]), path)
    return [found[number] for number in sorted(found)]


def segment_number(path: Path) -> int:
    """Which segment a file is; 0: none."""
    match = _NAME.match(path.name)
    return int(match[1]) if match else 0


def is_packed(path: Path) -> bool:
    """Whether a segment's bytes must be unpacked."""
    return path.name.endswith(PACKED)


def chunks_of(path: Path) -> Iterator[bytes]:
    """A segment's plain bytes, piece by piece.

    Raises:
        OSError: it cannot be read; or it is packed, and damaged or cut.
    """
    with path.open("rb", buffering=0) as raw:
        if not is_packed(path):
            while chunk := raw.read(CHUNK_BYTES):
                yield chunk
            return
        # Imported here: a stop reads the journal's end, which is plain, and waits for no library.
        import zstandard  # noqa: PLC0415 - see above

        try:
            yield from _unpacked(raw, zstandard.ZstdDecompressor)
        except (zstandard.ZstdError, EOFError) as error:
            raise OSError(errno.EIO, f"the packed bytes are damaged: {error}", path) from error


def _unpacked(raw: IO[bytes], decompressor: Callable[[], Any]) -> Iterator[bytes]:
    frame, is_inside = decompressor().decompressobj(), False
    while chunk := raw.read(CHUNK_BYTES >> 3):
        while chunk:
            is_inside = True
            plain = frame.decompress(chunk[:_PACKED_BYTES])
            chunk = frame.unused_data + chunk[_PACKED_BYTES:]
            for begin in range(0, len(plain), CHUNK_BYTES):
                yield plain[begin : begin + CHUNK_BYTES]
            if frame.eof:
                frame, is_inside = decompressor().decompressobj(), False
    if is_inside:
        raise EOFError("they end inside a zstandard frame")


def seq_of(line: bytes) -> int:
    """The sequence number that a line begins with; 0: it is no line of ours."""
    head = line[:_SEQ_BYTES_MAX]
    digits = head[len(_SEQ) : max(0, head.find(b","))]
    return int(digits) if head.startswith(_SEQ) and digits.isdigit() else 0


def bodies_of(path: Path, on_long: Callable[[int], None] = lambda _at: None) -> Iterator[bytes]:
    """A segment in pieces of whole lines; a last line without its newline is left out.

    `on_long` is told at which plain byte a line begins that is longer than `LINE_BYTES_MAX`; it is
    left out.

    Raises:
        OSError: as `chunks_of`.
    """
    carry: list[bytes] = []
    held = at = 0
    for chunk in chunks_of(path):
        first, end = chunk.find(b"\n") + 1, chunk.rfind(b"\n") + 1
        held += first or len(chunk)
        if held > LINE_BYTES_MAX:
            carry.clear()
        if not first:
            if held <= LINE_BYTES_MAX:
                carry.append(chunk)
            continue
        if held > LINE_BYTES_MAX:
            on_long(at)
            body = chunk[first:end]
        else:
            body = b"".join((*carry, chunk[:end]))
        if body:
            yield body
        at += held + end - first
        carry, held = [chunk[end:]], len(chunk) - end


def find_line(path: Path, seq: int, stop: Callable[[], bool] = lambda: False) -> bytes | None:
    """The line of a sequence number in a segment; empty: not in it; None: it begins later.

    Raises:
        OSError: as `chunks_of`.
    """
    needle, is_first = b"%b%d," % (_SEQ, seq), True
    for body in bodies_of(path):
        if is_first and seq_of(body) > seq:
            return None
        is_first = False
        at = 0 if body.startswith(needle) else body.find(b"\n" + needle) + 1
        if at or body.startswith(needle):
            return body[at : body.index(b"\n", at)]
        if stop():
            break
    return b""


def tail_of(path: Path, bytes_max: int) -> list[bytes]:
    """The lines in the last `bytes_max` plain bytes of a segment; the first may be cut.

    Raises:
        OSError: as `chunks_of`.
    """
    if is_packed(path):
        kept: deque[bytes] = deque()
        size = 0
        for chunk in chunks_of(path):
            kept.append(chunk)
            size += len(chunk)
            while size - len(kept[0]) >= bytes_max:
                size -= len(kept.popleft())
        return b"".join(kept)[-bytes_max:].splitlines()
    with path.open("rb") as source:
        source.seek(max(0, source.seek(0, os.SEEK_END) - bytes_max))
        return source.read().splitlines()


def lines_of(path: Path) -> Iterator[bytes]:
    """A segment's whole lines, without their newlines.

    Raises:
        OSError: as `chunks_of`.
    """
    for body in bodies_of(path):
        yield from body[:-1].split(b"\n")


def newest_lines(
    path: Path,
    count: int,
    passes: Callable[[bytes], bool],
    *,
    needles: tuple[bytes, ...] = (),
    stop: Callable[[], bool] = lambda: False,
) -> list[bytes]:
    """The last `count` whole lines of a segment that pass, oldest first.

    A piece of the file with none of `needles` in it is not looked at line by line. When `stop`
    says so the search ends with what it has.

    Raises:
        OSError: as `chunks_of`.
    """
    if is_packed(path):
        return _newest_of_packed(path, count, passes, needles, stop)
    found: list[bytes] = []
    for body in _whole_lines_backwards(path):
        if stop():
            break
        if needles and not any(needle in body for needle in needles):
            continue
        lines = [line for line in body.split(b"\n") if line and passes(line)]
        found[:0] = lines[-(count - len(found)) :]
        if len(found) >= count:
            break
    return found


def _newest_of_packed(
    path: Path,
    count: int,
    passes: Callable[[bytes], bool],
    needles: tuple[bytes, ...],
    stop: Callable[[], bool],
) -> list[bytes]:
    found: deque[bytes] = deque(maxlen=count)
    for body in bodies_of(path):
        if stop():
            break
        if not needles or any(needle in body for needle in needles):
            found.extend(line for line in body.split(b"\n") if line and passes(line))
    return list(found)


def _whole_lines_backwards(path: Path) -> Iterator[bytes]:
    """A plain file's bytes from its end in pieces of whole lines.

    A torn last line and lines longer than `LINE_BYTES_MAX` are left out.
    """
    with path.open("rb", buffering=0) as raw:
        at = raw.seek(0, os.SEEK_END)
        after, is_end = b"", True
        while at:
            begin = max(0, at - CHUNK_BYTES)
            raw.seek(begin)
            body = raw.read(at - begin) + after
            at = begin
            if is_end:
                body = body[: body.rfind(b"\n") + 1]
                is_end = not body
            start = body.find(b"\n") + 1 if begin else 0
            if begin and not start:
                after = body  # a line longer than a piece
                if len(after) > LINE_BYTES_MAX:
                    after, is_end = b"", True  # its beginning is cut off like that of a torn one
                continue
            after = body[:start]
            yield body[start:]


def sync_directory(directory: Path) -> None:
    """Make names that were changed in a directory durable."""
    directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory_fd)
    finally:
        os.close(directory_fd)
