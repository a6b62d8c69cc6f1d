"""Reading execution events of any stack: JSON lines, a JSON array, CSV, or a directory of these.

Rules of this file:
1. A line that is not an event is counted and located, never fatal and never silent. So is what is
   an event in another form than was asked for: it is read as well as can be, and told as a doubt.
2. What was read is bound to its SHA-256: the hash is taken from the bytes as they pass.
3. Lines and rows stream; only a JSON array is held whole (its format allows nothing else).
"""

import functools
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import orjson
import zstandard

from evidence.read.event_csv import read_csv
from evidence.read.event_streams import HashingStream, as_utf8, unpacked
from evidence.read.journal_sources import LINE_BYTES_MAX
from evidence.read.understanding import Doubts, the_worse

FORMATS = ("auto", "json", "jsonl", "csv")
LOCATED_MAX = 50
"""So many malformed places are told by file and line; the others are counted."""

SEGMENT_NAME = re.compile(r"^journal-\d+\.jsonl(\.gz|\.zst)?$")
"""A segment of a seatrial journal; what lies beside the segments (anchors) is not an event."""
JOURNAL_FOLDER = "journal"
EVENTS_NAME = re.compile(r"\.(jsonl|ndjson|json|csv|tsv|log)(\.(gz|zst|bz2|xz|zip))?$")

Event = dict[str, object]


class EventFile(msgspec.Struct, frozen=True):
    """One input file as it was read."""

    name: str
    sha256: str
    size_bytes: int


class Intake(msgspec.Struct):
    """What the reader saw beside the events: the files, and every place that is not an event."""

    files: list[EventFile] = []
    malformed_count: int = 0
    malformed: list[str] = []
    doubts: Doubts = msgspec.field(default_factory=Doubts)
    place: tuple[str, int] = ("", 0)
    """File and line of the event that was yielded last."""

    @property
    def where(self) -> str:
        """A place as it is reported."""
        return f"{self.place[0]}:{self.place[1]}"

    def doubt(self, kind: str, name: str, line: int, what: str, mend: str) -> None:
        """Report what is read in another way than it was written."""
        self.doubts.note(kind, f"{name}:{line}", what, mend)

    def checked(self, event: Event, name: str, line: int) -> Event:
        """An event with its place; with a doubled key, the reading that counts more against it."""
        self.place = (name, line)
        if isinstance(event, Doubled):
            self.mark(name, line, f"key stands twice: {', '.join(event.keys_twice)[:80]}")
            what, mend = "an object has a key twice", "write each key once"
            self.doubt("doubled_key", name, line, what, mend)
            return the_worse(event, event.first)
        return event

    def mark(self, name: str, line: int, why: str) -> None:
        """Count one malformed place; the first ones are kept as `file:line: why`."""
        self.malformed_count += 1
        if len(self.malformed) < LOCATED_MAX:
            self.malformed.append(f"{name}:{line}: {why}")
        mend = "mend it where it was written, or take it out and say so"
        self.doubts.note("malformed", f"{name}:{line}", "no event, or not a whole one", mend)


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
    sources = _sources(path, input_format)
    if path.is_dir():
        _tell_unread(path, sources, intake)
    for source in sources:
        yield from _read_file(source, input_format, intake)


def _sources(path: Path, input_format: str) -> list[Path]:
    """The files to read: one file, a journal's segments in order, or a directory's event files."""
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


def _tell_unread(path: Path, sources: list[Path], intake: Intake) -> None:
    """Files of a directory that look like events and are not read in this format."""
    if any(SEGMENT_NAME.match(source.name) for source in sources):
        return  # a journal: what lies beside its segments is no event
    for entry in sorted(set(path.iterdir()) - set(sources)):
        if entry.is_file() and EVENTS_NAME.search(entry.name.lower()):
            intake.doubt("unread", entry.name, 0, "this file of the directory is not read",
                         "name it by --input, with its --input-format")  # fmt: skip


def _read_file(path: Path, input_format: str, intake: Intake) -> Iterator[Event]:
    chosen = infer_format(path) if input_format == "auto" else input_format
    with path.open("rb", buffering=0) as raw:
        hashing = HashingStream(raw)
        stream = cast("BinaryIO", io.BufferedReader(hashing, 1 << 18))
        tell = functools.partial(intake.doubt, "encoding", path.name, 1)
        try:
            plain = as_utf8(unpacked(path.name, cast("io.BufferedReader", stream), tell), tell)
            if chosen == "jsonl":
                yield from _read_lines(plain, path.name, intake)
            elif chosen == "csv":
                yield from read_csv(plain, path.name, intake)
            else:
                yield from _read_array(plain, path.name, intake)
        except (EOFError, gzip.BadGzipFile, zstandard.ZstdError, zlib.error) as error:
            intake.mark(path.name, 0, f"compressed data is damaged: {error}")
        while stream.read(1 << 20):
            pass  # the hash covers the whole file, also what no event was drawn from
        intake.files.append(EventFile(path.name, hashing.digest.hexdigest(), hashing.size_bytes))


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
        pieces = [text]
        if b"\r" in text:
            intake.doubt("line_ends", name, number, "lines end with a carriage return alone",
                         "end lines with a newline")  # fmt: skip
            pieces = text.split(b"\r")
        for piece in pieces:
            if piece.strip():
                event = decode(piece.strip())
                if isinstance(event, dict):
                    yield intake.checked(event, name, number)
                else:
                    intake.mark(name, number, _why_not(event))


def _read_array(stream: BinaryIO, name: str, intake: Intake) -> Iterator[Event]:
    text = stream.read().removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        return
    value = decode(text)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        intake.mark(name, 1, f"not a JSON array of events: {_why_not(value)}")
        return
    for index, event in enumerate(value, start=1):
        if isinstance(event, dict):
            yield intake.checked(event, name, index)
        else:
            intake.mark(name, index, f"element {index}: {_why_not(event)}")


class _Unreadable(msgspec.Struct, frozen=True):
    why: str


def decode(text: bytes) -> object:
    """A JSON value, or `_Unreadable`. NaN and large integers, which Python stacks write, pass.

    A key that stands twice in one object is kept as `Doubled`: which of the two counts, each
    reader would decide for itself.
    """
    try:
        value = orjson.loads(text)
        is_compact = len(text) < COMPACT_MAX and len(orjson.dumps(value)) == len(text)
        if is_compact or len(_KEY_END.findall(text)) == _keys_in(value):
            return value
    except orjson.JSONDecodeError:
        pass
    try:
        value = json.loads(text, object_pairs_hook=_object_of)
        return [_lifted(one) for one in value] if isinstance(value, list) else _lifted(value)
    except (ValueError, RecursionError) as error:
        return _Unreadable(f"not JSON: {str(error).splitlines()[0][:120]}")


COMPACT_MAX = 1 << 20
"""A text that is as long when it is written again has no key twice; a large one is not written."""


class Doubled(dict[str, object]):
    """An object in which a key stands twice; `first` has the first values, itself the last."""

    first: Event
    keys_twice: list[str]


def _object_of(pairs: list[tuple[str, object]]) -> Event:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    doubled = Doubled(pairs)
    doubled.first = dict(reversed(pairs))
    names = [name for name, _ in pairs]
    doubled.keys_twice = sorted({name for name in names if names.count(name) > 1})
    return doubled


def _keys_in(value: object) -> int:
    """How many keys all objects of a value have."""
    count, rest = 0, [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            count += len(one)
            rest.extend(inner for inner in one.values() if isinstance(inner, dict | list))
        elif isinstance(one, list):
            rest.extend(inner for inner in one if isinstance(inner, dict | list))
    return count


def _lifted(value: object) -> object:
    """Mark an event as doubled when one of its inner objects is."""
    if not isinstance(value, dict) or isinstance(value, Doubled):
        return value
    rest: list[object] = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, Doubled):
            lifted = Doubled(value)
            lifted.first, lifted.keys_twice = value, one.keys_twice
            return lifted
        if isinstance(one, dict | list):
            rest.extend(one.values() if isinstance(one, dict) else one)
    return value


_KEY_END = re.compile(rb'"\s*:')


def _why_not(value: object) -> str:
    if isinstance(value, _Unreadable):
        return value.why
    kind = "null" if value is None else type(value).__name__
    return f"an event is an object, this is {kind}"
