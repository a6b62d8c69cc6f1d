"""Sequence and hash chain of one journal, and every fault that a reader meets.

Rules of this file:
1. A fault is counted, located (`file:line`) and reported; it never ends the reading.
2. Everything here is a value that merges associatively: reading a journal in parts and merging the
   parts in order gives what reading it in one go gives.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

EXAMPLES_MAX = 8
"""Located examples kept of each kind of fault; the count is always exact."""

INTACT_FAULTS = frozenset(
    {
        "chain_break", "malformed", "torn_tail", "unreadable", "too_long", "duplicate",
        "out_of_order", "id_of_another_chain",
    }
)  # fmt: skip
"""Faults which say that bytes are not as they were written."""
COMPLETE_FAULTS = frozenset({"gap", "unknown_type", "foreign_line", "headless", "clock_backwards"})
"""Faults which say that something is absent or does not belong."""


class Faults(msgspec.Struct):
    """Counts of faults by kind with the first places of each."""

    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}

    def note(self, kind: str, place: str, what: str, count: int = 1) -> None:
        """Count one fault of `kind` at `place` (`file:line`)."""
        self.counts[kind] = self.counts.get(kind, 0) + count
        seen = self.examples.setdefault(kind, [])
        if len(seen) < EXAMPLES_MAX:
            seen.append(f"{place}: {what}")

    def merge(self, other: "Faults") -> None:
        """Add the faults of a later part."""
        for kind, count in other.counts.items():
            self.counts[kind] = self.counts.get(kind, 0) + count
            seen = self.examples.setdefault(kind, [])
            seen.extend(other.examples.get(kind, ())[: EXAMPLES_MAX - len(seen)])

    def of(self, kinds: Iterable[str]) -> dict[str, int]:
        """The counts of some kinds, zeros left out."""
        return {kind: self.counts[kind] for kind in sorted(kinds) if self.counts.get(kind)}

    def first(self, kind: str) -> str:
        """The place of the first fault of a kind, or nothing."""
        return next(iter(self.examples.get(kind, ())), "")

    def plain(self) -> dict[str, Any]:
        """Counts and examples, sorted by kind."""
        return {
            kind: {"count": self.counts[kind], "examples": list(self.examples[kind])}
            for kind in sorted(self.counts)
        }


class Chain(msgspec.Struct):
    """A contiguous run of lines: its ends, its length and its faults.

    An undecodable line takes one sequence number and one link: its bytes are hashed like any
    other's, so one bad line is one fault and not three.
    """

    lines: int = 0
    bytes: int = 0
    bad_before_first: int = 0
    first_seq: int = -1
    first_prev: str = ""
    first_place: str = ""
    last_seq: int = -1
    last_hash: str = ""
    first_ns: int = 0
    last_ns: int = 0
    faults: Faults = msgspec.field(default_factory=Faults)
    turn_key: str = ""
    """What ids made after the last line have of a head (see `JournalReader`)."""
    early_ids: list[tuple[str, str, str]] = []
    """(key, id, place) of ids that stand before a part's first turn."""

    def begin(self, seq: int, prev: str, ts_ns: int, place: str) -> None:
        """Take the first decodable line; what lies before it may be known after a merge only."""
        self.first_seq, self.first_prev, self.first_place = seq, prev, place
        self.first_ns = self.last_ns = ts_ns
        self.last_seq = seq
        if self.bad_before_first:
            self._check_hash(prev, seq, place)

    def link(self, seq: int, prev: str, ts_ns: int, place: str) -> None:
        """Check that this line follows the one before (the reader inlines the good case)."""
        self._check_order(seq, ts_ns, place)
        self._check_hash(prev, seq, place)

    def stand_at(self, lines: int, last_seq: int, last_ns: int, last_hash: str) -> None:
        """Set the position after lines that the reader checked itself."""
        self.lines, self.last_seq = lines, last_seq
        self.last_ns, self.last_hash = last_ns, last_hash

    def bad(self, kind: str, place: str, what: str, digest: str) -> None:
        """Count a line that is no record; the next line must carry its hash all the same."""
        self.faults.note(kind, place, what)
        if self.lines:
            self.last_seq += 1
        else:
            self.bad_before_first += 1
        self.last_hash = digest

    def merge(self, other: "Chain") -> None:
        """Merge the part that follows, and check that it continues this one."""
        if other.lines:
            if other.bad_before_first == 0 and self.last_hash:
                self._check_hash(other.first_prev, other.first_seq, other.first_place)
            if self.lines:
                self.last_seq += other.bad_before_first
                self._check_order(other.first_seq, other.first_ns, other.first_place)
            else:
                self.bad_before_first += other.bad_before_first
                self.first_seq, self.first_prev = other.first_seq, other.first_prev
                self.first_place, self.first_ns = other.first_place, other.first_ns
            self.last_seq, self.last_ns = other.last_seq, other.last_ns
        elif self.lines:
            self.last_seq += other.bad_before_first
        else:
            self.bad_before_first += other.bad_before_first
        self.last_hash = other.last_hash or self.last_hash
        for key, shown, place in other.early_ids if self.turn_key else ():
            self.check_id(key, self.turn_key, shown, place)
        self.turn_key = other.turn_key or self.turn_key
        self.faults.merge(other.faults)
        self.lines += other.lines
        self.bytes += other.bytes

    def check_id(self, key: str, due: str, shown: str, place: str) -> None:
        """Check that an id carries the head that stood before its turn."""
        if key != due:
            what = f"{shown} was made after other lines than those before it here"
            self.faults.note("id_of_another_chain", place, what)

    def _check_order(self, seq: int, ts_ns: int, place: str) -> None:
        note, step = self.faults.note, seq - self.last_seq
        if step == 0:
            note("duplicate", place, f"seq {seq} stands twice")
        elif step < 0:
            note("out_of_order", place, f"seq {seq} after {self.last_seq}")
        elif step > 1:
            what = f"seq {self.last_seq} is followed by {seq}: {step - 1} lines are missing"
            note("gap", place, what, step - 1)
        if ts_ns < self.last_ns:
            note("clock_backwards", place, f"seq {seq} is {self.last_ns - ts_ns} ns too early")

    def _check_hash(self, prev: str, seq: int, place: str) -> None:
        if prev != self.last_hash:
            what = f"seq {seq} does not carry the hash of the line before it"
            self.faults.note("chain_break", place, what)

    def plain(self) -> Mapping[str, Any]:
        """The figures of a report."""
        return {
            "lines": self.lines,
            "bytes": self.bytes,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "head": self.last_hash,
            "first_ts_ns": self.first_ns,
            "last_ts_ns": self.last_ns,
            "faults": self.faults.plain(),
        }
