"""Reading execution events of any stack: JSON lines, a JSON array, CSV, or a directory of these.

Rules of this file:
1. A line that is not an event is counted and located, never fatal and never silent.
2. What was read is bound to its SHA-256: the hash is taken from the bytes as they pass.
3. Lines and rows stream; only a JSON array is held whole (its format allows nothing else).
"""

import csv
import gzip
import hashlib
import io
import json
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import orjson
import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

FORMATS = ("auto", "json", "jsonl", "csv")
LINE_BYTES_MAX = 16 * 1024 * 1024
LOCATED_MAX = 50
"""So many malformed places are told by file and line; the others are counted."""

SEGMENT_NAME = re.compile(r"^journal-\d+\.jsonl(\.gz|\.zst)?$")
"""A segment of a seatrial journal; what lies beside the segments (anchors) is not an event."""
JOURNAL_FOLDER = "journal"

Event = dict[str, object]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One input file as it was read."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(slots=True)
class Intake:
    """What the reader saw beside the events: the files, and every place that is not an event."""

    files: list[SourceFile] = field(default_factory=list)
    malformed_count: int = 0
    malformed: list[str] = field(default_factory=list)

    def mark(self, name: str, line: int, why: str) -> None:
        """Count one malformed place; the first ones are kept as `file:line: why`."""
        self.malformed_count += 1
        if len(self.malformed) < LOCATED_MAX:
            self.malformed.append(f"{name}:{line}: {why}")


def infer_format(path: Path) -> str:
    """The format by the file's ending; an unknown ending is read as JSON.

    `.gz` and `.zst` are looked through.
    """
    stem = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    if stem.endswith(".jsonl"):
        return "jsonl"
    if stem.endswith(".csv"):
        return "csv"
    return "json"


def read_events(path: Path, input_format: str, intake: Intake) -> Iterator[Event]:
    """Yield every event of a file, or of a directory's files in the order of their names.

    Args:
        path: An existing file or directory.
        input_format: One of `FORMATS`.
        intake: Filled while the events are drawn; complete when the iterator ends.

    Raises:
        OSError: a file cannot be read.
    """
    for source in _sources(path, input_format):
        yield from _read_file(source, input_format, intake)


def _sources(path: Path, input_format: str) -> list[Path]:
    """One file; or a journal's segments in order; or the events files of any other directory."""
    if not path.is_dir():
        return [path]
    ending = "jsonl" if input_format == "auto" else input_format
    segments = [entry for entry in path.iterdir() if SEGMENT_NAME.match(entry.name)]
    if segments and ending == "jsonl":
        # Of two forms of one segment the plain one counts: the packing was cut short.
        named = {entry.name.split(".")[0]: entry for entry in sorted(segments, reverse=True)}
        return [named[name] for name in sorted(named, key=lambda name: int(name.split("-")[1]))]
    if not segments and (path / JOURNAL_FOLDER).is_dir():
        return _sources(path / JOURNAL_FOLDER, input_format)
    return sorted(
        entry
        for entry in path.iterdir()
        if entry.is_file()
        and entry.name.lower().removesuffix(".gz").removesuffix(".zst").endswith("." + ending)
    )


class _HashingStream(io.RawIOBase):
    """A file that hashes what is read from it."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        chunk = self._raw.read(len(view))
        view[: len(chunk)] = chunk
        self.digest.update(chunk)
        self.size_bytes += len(chunk)
        return len(chunk)


class _ZstandardStream(io.RawIOBase):
    """Zstandard frames in a row; a cut frame is an error (the library ends silently there)."""

    def __init__(self, compressed: BinaryIO) -> None:
        super().__init__()
        self._compressed = compressed
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = self._decompressor.decompressobj()
        self._started = False
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        while not self._pending:
            chunk = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
                self._started = False
            chunk = chunk or self._compressed.read(1 << 16)
            if not chunk:
                if self._started:
                    raise EOFError("the file ends inside a frame")
                return 0
            self._started = True
            self._pending = self._frame.decompress(chunk)
        view = memoryview(buffer).cast("B")
        taken = self._pending[: len(view)]
        view[: len(taken)] = taken
        self._pending = self._pending[len(taken) :]
        return len(taken)


def _read_file(path: Path, input_format: str, intake: Intake) -> Iterator[Event]:
    chosen = infer_format(path) if input_format == "auto" else input_format
    with path.open("rb", buffering=0) as raw:
        hashing = _HashingStream(raw)
        stream = cast("BinaryIO", io.BufferedReader(hashing, 1 << 18))
        plain = _decompressed(path.name, stream)
        try:
            if chosen == "jsonl":
                yield from _read_lines(plain, path.name, intake)
            elif chosen == "csv":
                yield from _read_csv(plain, path.name, intake)
            else:
                yield from _read_array(plain, path.name, intake)
        except (EOFError, gzip.BadGzipFile, zstandard.ZstdError, zlib.error) as error:
            intake.mark(path.name, 0, f"compressed data is damaged: {error}")
        while stream.read(1 << 20):
            pass  # the hash covers the whole file, also what no event was drawn from
        intake.files.append(SourceFile(path.name, hashing.digest.hexdigest(), hashing.size_bytes))


def _decompressed(name: str, stream: BinaryIO) -> BinaryIO:
    lower = name.lower()
    if lower.endswith(".gz"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=stream, mode="rb"))
    if lower.endswith(".zst"):
        return cast("BinaryIO", io.BufferedReader(_ZstandardStream(stream), 1 << 18))
    return stream


def _read_lines(stream: BinaryIO, name: str, intake: Intake) -> Iterator[Event]:
    number = 0
    while line := stream.readline(LINE_BYTES_MAX):
        number += 1
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            intake.mark(name, number, f"line is longer than {LINE_BYTES_MAX} bytes")
            while line and not line.endswith(b"\n"):
                line = stream.readline(LINE_BYTES_MAX)
            continue
        text = line.strip()
        if number == 1:
            text = text.removeprefix(b"\xef\xbb\xbf").strip()
        if not text:
            continue
        event = _decode(text)
        if isinstance(event, dict):
            yield event
        else:
            intake.mark(name, number, _why_not(event))


def _read_array(stream: BinaryIO, name: str, intake: Intake) -> Iterator[Event]:
    text = stream.read().removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        return
    value = _decode(text)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        intake.mark(name, 1, f"not a JSON array of events: {_why_not(value)}")
        return
    for index, event in enumerate(value, start=1):
        if isinstance(event, dict):
            yield event
        else:
            intake.mark(name, index, f"element {index}: {_why_not(event)}")


def _read_csv(stream: BinaryIO, name: str, intake: Intake) -> Iterator[Event]:
    csv.field_size_limit(min(sys.maxsize, LINE_BYTES_MAX))
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    rows = csv.reader(text)
    header: list[str] | None = None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            intake.mark(name, rows.line_num, str(error))
            continue
        if not row:
            continue
        if header is None:
            header = [cell.strip() for cell in row]
            continue
        if len(row) > len(header):
            intake.mark(name, rows.line_num, f"{len(row)} cells under {len(header)} headings")
        yield dict(zip(header, row, strict=False))
    text.detach()


@dataclass(frozen=True, slots=True)
class _Unreadable:
    why: str


def _decode(text: bytes) -> object:
    """A JSON value, or `_Unreadable`. NaN and large integers, which Python stacks write, pass."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return _Unreadable(f"not JSON: {str(error).splitlines()[0][:120]}")


def _why_not(value: object) -> str:
    if isinstance(value, _Unreadable):
        return value.why
    kind = "null" if value is None else type(value).__name__
    return f"an event is an object, this is {kind}"
