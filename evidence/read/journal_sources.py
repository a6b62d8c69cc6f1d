"""Finds and reads a journal's files: directories, segments; plain, gzip or zstandard.

Memory is bounded by the chunk and the longest allowed line, never by the file. (Events of foreign
stacks, in arrays and tables, have their own reader: `evidence.read.event_input`.)
"""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal, Protocol, TypeVar

import msgspec
import zstandard

from evidence.read.archive_manifest import Manifest, read_manifest

CHUNK_BYTES = 1 << 18
LINE_BYTES_MAX = 16 << 20
"""A longer line is a fault of its own; it is skipped without being held."""
ANCHORS_FILE = "anchors.jsonl"
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")
PACKINGS = ("", ".gz", ".zst")

_SEGMENT = re.compile(r"^journal-(\d+)\.jsonl(\.gz|\.zst)?$")


AnyFile = TypeVar("AnyFile", bound="SourceFile")


class SourceError(OSError):
    """An input that cannot be opened at all."""


class SourceFile(Protocol):
    """What a reader needs of a file; paths and files in remote stores provide it."""

    @property
    def name(self) -> str:
        """The last part of its path."""

    def open(self, mode: Literal["rb"], buffering: Literal[0]) -> IO[bytes]:
        """Open it for reading bytes."""


class JournalStream(msgspec.Struct):
    """Files that follow each other: the segments of one journal, or one file of events."""

    name: str
    files: list[Path]
    anchors: list[Path] = []
    directory: Path | None = None
    manifest: Manifest | None = None
    """What of this journal was archived; its segments are among the files where they were found."""
    archives: frozenset[Path] = frozenset()
    """Directories that archived segments were found in, and further copies of them."""


def streams_of(inputs: Sequence[Path]) -> list[JournalStream]:
    """Arrange inputs into streams. A journal directory, or its segments, is one stream.

    Raises:
        SourceError: an input that does not exist, or a directory with nothing to read.
    """
    streams: list[JournalStream] = []
    directories = [path for path in inputs if path.is_dir()]
    for path in inputs:
        if path.is_dir():
            streams.append(_with_archives(_directory_stream(path), directories))
        elif not path.exists():
            raise SourceError(f"{path}: no such file; name a journal directory or an events file")
        elif _joins(streams, path):
            streams[-1].files.append(path)
        else:
            anchors = [path.parent / ANCHORS_FILE] if _SEGMENT.match(path.name) else []
            found = [anchor for anchor in anchors if anchor.exists()]
            streams.append(JournalStream(path.name, [path], found))
    taken = frozenset[Path]().union(*(one.archives for one in streams))
    return [one for one in streams if one.directory is None or one.directory.resolve() not in taken]


def _with_archives(stream: JournalStream, named: Sequence[Path]) -> JournalStream:
    """Put archived segments before a journal's own, from the recorded or a given place.

    Raises:
        ManifestError: a manifest is not as it was signed.
    """
    if stream.directory is None:
        return stream
    manifest = stream.manifest = read_manifest(stream.directory)
    if manifest is None:
        return stream
    here = stream.directory.resolve()
    places = dict.fromkeys(Path(one.place) for one in manifest.segments)
    archived = {one.name for one in manifest.segments}
    found: dict[int, Path] = {}
    used: dict[int, Path] = {}
    copies: set[Path] = set()
    for place in (path.resolve() for path in (*places, *named)):
        if place == here or not place.is_dir():
            continue
        theirs = read_manifest(place)
        if theirs is None or not (
            theirs.is_continued_by(manifest) or manifest.is_continued_by(theirs)
        ):
            continue  # another journal's, or another archive of the same box begun anew
        segments = segments_in(place.iterdir())
        if {_plain_name(path) for path in segments} <= {one.name for one in theirs.segments}:
            copies.add(place)  # a journal holds one segment at least that is in no archive
        for path in segments:
            if _plain_name(path) in archived:
                found.setdefault(segment_number(path.name), path)
                used.setdefault(segment_number(path.name), place)
    own = {segment_number(path.name): path for path in stream.files}
    found |= own
    stream.files = [found[number] for number in sorted(found)]
    stream.archives = frozenset(place for number, place in used.items() if number not in own)
    stream.archives |= copies
    return stream


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".zst").removesuffix(".gz")


def _joins(streams: list[JournalStream], path: Path) -> bool:
    """Whether a file continues the stream before it: the next segment of the same directory."""
    if not streams or streams[-1].directory is not None:
        return False
    before = streams[-1].files[-1]
    return bool(
        before.parent == path.parent and _SEGMENT.match(before.name) and _SEGMENT.match(path.name)
    )


def _directory_stream(path: Path) -> JournalStream:
    names = [p for p in path.iterdir() if p.is_file()]
    segments = segments_in(names)
    anchors = [p for p in names if p.name == ANCHORS_FILE]
    events = (p for p in names if _is_events_file(p) and p.name != ANCHORS_FILE)
    files = segments or sorted(events)
    for inner in (path / "journal", path / "state" / "journal"):
        if not segments and inner.is_dir():
            return _directory_stream(inner)  # a state directory, or a demo's directory
    if not files:
        raise SourceError(f"{path}: holds no journal-NNNNNN.jsonl and no events file")
    return JournalStream(path.name, files, anchors, path)


def segments_in(files: Iterable[AnyFile]) -> list[AnyFile]:
    """The segments among some files, oldest first, each once.

    A packing that was cut short leaves both forms of one; the plain form is the one that is read.
    """
    found: dict[int, AnyFile] = {}
    for one in sorted(files, key=lambda file: file.name):  # the plain name sorts first
        if number := segment_number(one.name):
            found.setdefault(number, one)
    return [found[number] for number in sorted(found)]


def _is_events_file(path: Path) -> bool:
    return any(path.name.endswith(s + packing) for s in SUFFIXES for packing in PACKINGS)


def is_segment(path: Path) -> bool:
    """Whether a file is named like a segment of a seatrial journal."""
    return _SEGMENT.match(path.name) is not None


def segment_number(name: str) -> int:
    """The number of a journal segment, 0 for any other file name."""
    found = _SEGMENT.match(name)
    return int(found[1]) if found else 0


def chunks_of(path: SourceFile) -> Iterator[bytes]:
    """The unpacked bytes of a file, piece by piece.

    Raises:
        SourceError: it cannot be opened.
        UNREADABLE: it is damaged, cut, or the disk fails; raised after the last good piece.
    """
    try:
        raw = path.open("rb", 0)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    with raw:
        if path.name.endswith(".zst"):
            yield from unpacked_zstandard(raw)
            return
        opened = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk


def unpacked_zstandard(raw: IO[bytes]) -> Iterator[bytes]:
    """Frames one after the other; a cut frame raises (the library's own reader just ends)."""
    frame, is_inside = zstandard.ZstdDecompressor().decompressobj(), False
    while chunk := raw.read(CHUNK_BYTES >> 2):
        while chunk:
            is_inside = True
            yield frame.decompress(chunk)
            chunk = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame, is_inside = zstandard.ZstdDecompressor().decompressobj(), False
    if is_inside:
        raise EOFError("the file ends inside a zstandard frame")


def line_batches(chunks: Iterator[bytes]) -> Iterator[tuple[list[bytes], int]]:
    """Lines without their newlines, in batches, and how many bytes a batch has with them.

    A last line that has no newline comes alone, with 0.

    Raises:
        UNREADABLE: what the chunks raise, after the whole lines before it; LineTooLongError.
    """
    carry = b""
    for chunk in chunks:
        lines, size = chunk.split(b"\n"), len(carry) + len(chunk)
        if carry:
            lines[0] = carry + lines[0]
        carry = lines.pop()
        if lines:
            yield lines, size - len(carry)
        if len(carry) > LINE_BYTES_MAX:
            raise LineTooLongError(f"a line of more than {LINE_BYTES_MAX} bytes")
    if carry:
        yield [carry], 0


class LineTooLongError(ValueError):
    """A line beyond `LINE_BYTES_MAX`: the rest of the file is not read."""


UNREADABLE = (OSError, EOFError, zlib.error, zstandard.ZstdError, LineTooLongError)
"""What a damaged or failing file raises while it is read."""
