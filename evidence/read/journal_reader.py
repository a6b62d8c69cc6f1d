"""Reads journal bytes into typed records in one pass and bounded memory; locates bad lines.

Rules of this file:
1. The happy path is one typed decode, two comparisons and one hash a line; everything else is
   off the path.
2. A line that is no record of ours is never dropped in silence: it is `malformed`, `torn_tail`,
   `unknown_type` or `foreign_line`, with its file and line.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Union

import msgspec
import orjson

from daemon.model.records import GENESIS
from evidence.read.bot_lines import RECORD_CLASSES
from evidence.read.integrity import Chain
from evidence.read.journal_lines import (
    AmendRequestedLine,
    CancelRequestedLine,
    InputLine,
    JournalLine,
    Nanoseconds,
    OrderApprovedLine,
    Seq,
    StateAcceptedLine,
)
from evidence.read.journal_sources import (
    UNREADABLE,
    JournalStream,
    LineTooLongError,
    SourceFile,
    chunks_of,
    is_segment,
    line_batches,
)
from evidence.read.json_inputs import once_each
from evidence.read.order_ids import KEY_DIGITS, read_id
from evidence.read.told_inputs import INPUT_LINES, UNREAD, whole_of

DECODE = msgspec.json.Decoder(Union[RECORD_CLASSES]).decode  # noqa: UP007 - a tuple made at run time
PEEK_LINES = 5
_WITH_ID = frozenset({OrderApprovedLine, CancelRequestedLine, AmendRequestedLine})
"""Lines of ids that were made in their turn."""


class Unchained(msgspec.Struct):
    """The fields that place a line in the chain, for types that this build does not know."""

    seq: Seq
    prev: str
    ts_ns: Nanoseconds
    event_type: str


_UNCHAINED = msgspec.json.Decoder(Unchained).decode


def is_journal(stream: JournalStream) -> bool:
    """Whether a stream is a seatrial journal: by its name, else by one of its first lines."""
    first = stream.files[0]
    if is_segment(first):
        return True
    try:
        head = next(chunks_of(first), b"")
    except UNREADABLE:
        return False
    for line in head.split(b"\n")[:PEEK_LINES]:
        try:
            _UNCHAINED(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue
        return True
    return False


class JournalReader:
    """Reads the segments of one journal, or some of them, into records.

    `chain` holds what was found wrong; it is complete when `records()` is exhausted.
    """

    def __init__(
        self,
        files: Sequence[SourceFile],
        *,
        facts: list[bytes] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Read segments of one journal, oldest first.

        Args:
            files: the segments, or parts of them that say how many lines are before them.
            facts: of a part that another one precedes: takes all lines but inputs, as written.
            progress: called with the bytes read so far.
        """
        self._files = files
        self._facts = facts
        self._progress = progress
        self.chain = Chain()

    def records(self) -> Iterator[JournalLine]:
        """Every typed record, in the order of the files; faults go to `chain`."""
        return itertools.chain.from_iterable(self._batches())

    def _batches(self) -> Iterator[list[JournalLine]]:
        """The records of one read after the other."""
        for path in self._files:
            try:
                before = getattr(path, "lines_before", 0)
                yield from self._file(path.name, before, chunks_of(path))
            except LineTooLongError as error:
                self.chain.faults.note("too_long", path.name, str(error))
            except UNREADABLE as error:
                self.chain.faults.note("unreadable", path.name, f"{type(error).__name__}: {error}")

    def _file(self, name: str, number: int, chunks: Iterator[bytes]) -> Iterator[list[JournalLine]]:
        for lines, size in line_batches(chunks):
            if not size:
                (raw,) = lines
                self.chain.bytes += len(raw) + 1
                self._torn(name, number + 1, raw)
                return
            self.chain.bytes += size
            yield self._batch(name, number, lines)
            number += len(lines)
            if self._progress is not None:
                self._progress(self.chain.bytes)

    def _batch(self, name: str, before: int, lines: list[bytes]) -> list[JournalLine]:
        """Decode and chain the lines of one read; `before` lines of the file precede them.

        The chain is kept in locals while all is well, and written back where anything is not.
        """
        chain, decode, sha256 = self.chain, DECODE, hashlib.sha256
        elsewhere, last_ns, last_hash = chain.lines, chain.last_ns, chain.last_hash
        due = chain.last_seq + 1 if chain.lines else -1
        records: list[JournalLine] = []
        for number, raw in enumerate(lines, before + 1):
            try:
                record = decode(raw)
                if type(record) is not InputLine or record.input.type not in UNREAD:
                    record = self._whole(record, raw, records, f"{name}:{number}")
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                self._stand_at(elsewhere + len(records), due, last_ns, last_hash)
                self._undecodable(name, number, raw, error)
                elsewhere = chain.lines - len(records)
                due = chain.last_seq + 1 if chain.lines else -1
                last_ns, last_hash = chain.last_ns, chain.last_hash
                continue
            seq, ts_ns = record.seq, record.ts_ns
            if seq != due or record.prev != last_hash or ts_ns < last_ns:
                self._stand_at(elsewhere + len(records), due, last_ns, last_hash)
                self._joint(record, f"{name}:{number}")
            due, last_ns, last_hash = seq + 1, ts_ns, sha256(raw).hexdigest()
            records.append(record)
        self._stand_at(elsewhere + len(records), due, last_ns, last_hash)
        chain.turn_key = self._turn_key_after(records)
        return records

    def _stand_at(self, lines: int, due: int, last_ns: int, last_hash: str) -> None:
        self.chain.stand_at(lines, due - 1 if lines else self.chain.last_seq, last_ns, last_hash)

    def _whole(
        self, record: JournalLine, raw: bytes, before: Sequence[JournalLine], place: str
    ) -> JournalLine:
        """A line of which more is read than that it follows the one before.

        Raises:
            msgspec.DecodeError: it is not as it must be.
        """
        if isinstance(record, InputLine):
            whole = whole_of(record.input.type, raw)
            if whole is None:
                return record  # the decoder refuses two types
            record = whole
        if has_doubled_key(raw):
            raise msgspec.DecodeError("a key stands twice in it")
        if type(record) in _WITH_ID:
            self._check_id(record, before, place)
        if self._facts is not None:
            self._facts.append(raw)
        return record

    def _turn_key_after(self, records: Sequence[JournalLine]) -> str:
        """What ids that are made after these lines have of a head, if any turn is known."""
        for record in reversed(records):
            if isinstance(record, INPUT_LINES):
                return record.prev[:KEY_DIGITS]
        return self.chain.turn_key

    def _check_id(self, record: Any, before: Sequence[JournalLine], place: str) -> None:
        """Check that an id made in this turn carries the head before it."""
        shown = record.client_order_id
        if type(record) is not OrderApprovedLine:
            shown = record.request_id
        found = read_id(shown)
        due = self._turn_key_after(before)
        if found is None or not found.key:
            return
        if due:
            self.chain.check_id(found.key, due, shown, place)
        elif self._facts is not None:
            self.chain.early_ids.append((found.key, shown, place))

    def _joint(self, record: JournalLine, place: str) -> None:
        """Handle a line that does not follow the one before: the first line, or a fault."""
        if isinstance(record, StateAcceptedLine) and record.clock_back_ns > 0:
            self.chain.last_ns = min(self.chain.last_ns, record.ts_ns)  # an operator set it right
        if self.chain.lines:
            self.chain.link(record.seq, record.prev, record.ts_ns, place)
        else:
            self.chain.begin(record.seq, record.prev, record.ts_ns, place)

    def _torn(self, name: str, number: int, raw: bytes) -> None:
        what = f"the last line has no newline ({len(raw)} bytes)"
        self.chain.faults.note("torn_tail", f"{name}:{number}", what)

    def _undecodable(self, name: str, number: int, raw: bytes, error: Exception) -> None:
        """Find out what the line is, count it, and keep the chain going over its bytes."""
        chain, place = self.chain, f"{name}:{number}"
        digest = hashlib.sha256(raw).hexdigest()
        try:
            known = _UNCHAINED(raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            known = None
        if has_doubled_key(raw):
            chain.bad("malformed", place, "a key stands twice in it", digest)
            return
        if known is not None and "event_type" in str(error):
            self._unknown_type(known, place)
            chain.last_hash = digest
            return
        kind, what = ("malformed", str(error)) if raw.strip() else ("malformed", "a blank line")
        if known is None and _is_object(raw):
            kind, what = "foreign_line", "a line without seq and prev in a chained journal"
        chain.bad(kind, place, what, digest)

    def _unknown_type(self, known: Unchained, place: str) -> None:
        chain = self.chain
        chain.faults.note("unknown_type", place, f"event_type {known.event_type!r}")
        if chain.lines:
            chain.link(known.seq, known.prev, known.ts_ns, place)
            chain.last_seq, chain.last_ns = known.seq, known.ts_ns
        else:
            chain.begin(known.seq, known.prev, known.ts_ns, place)
        chain.lines += 1


def decoded(lines: Sequence[bytes]) -> Iterator[JournalLine]:
    """Facts from lines that a reader has decoded before, in another process."""
    for raw in lines:
        record = DECODE(raw)
        whole = whole_of(record.input.type, raw) if type(record) is InputLine else None
        yield record if whole is None else whole


def has_doubled_key(raw: bytes) -> bool:
    """Whether an object of a line has a key twice, which readers would read differently.

    Reading and writing a line again leaves out one of the two; only a line that is written in
    another way is looked at key by key. (Of what the engine was told nothing is read, so the reader
    asks for its type alone.)
    """
    try:
        if orjson.dumps(orjson.loads(raw)) == raw:
            return False
        json.loads(raw, object_pairs_hook=once_each)
    except (ValueError, RecursionError) as error:
        return "stands twice" in str(error)
    return False


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(raw), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def is_headless(chain: Chain) -> bool:
    """Whether the journal starts in the middle, without its own first line."""
    return chain.lines == 0 or chain.first_prev != GENESIS or chain.bad_before_first > 0
