"""Heads of a chain that were kept elsewhere, held against the journal; and which of them count.

Rules of this file:
1. What stands beside the journal (`anchors.jsonl`) is checked and proves nothing against the box's
   owner, who can write both. Outside is what the verifier got from somebody else.
2. Every head of every source is compared: two sources that name one line differently both count.
3. The simulated venue's anchors are outside for simulated sessions alone.
4. A line is covered when an outside anchor names it or one after it (`uncovered.py`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from evidence.folds.journal_fold import JournalFold
from evidence.folds.session_fold import SessionsFold
from evidence.judge.venue_anchors import VenueAnchors
from evidence.read.archive_manifest import Manifest
from evidence.read.integrity import Faults
from evidence.read.journal_reader import JournalReader
from evidence.read.journal_sources import SourceError, SourceFile, chunks_of
from evidence.read.json_inputs import once_each

BESIDE, FILE, WITNESS, TIMESTAMP, VENUE = "beside", "file", "witness", "timestamp", "venue"
PROVEN = frozenset({WITNESS, TIMESTAMP, VENUE})
"""Kinds whose heads a signature or the verifier's own fetch vouches for; a file is what somebody
says of it."""
SIMULATED_MODE = "sim"


class AnchorSource(msgspec.Struct, frozen=True):
    """Heads from one place: mappings with `seq` and `head` (SHA-256 in hex of that line)."""

    kind: str
    name: str
    """As a report and a fault call it."""
    heads: Sequence[Mapping[str, Any]] = ()
    is_simulated: bool = False
    count: int = 0
    """Of the venue's list: how many of its ids are anchors; they were compared elsewhere."""
    covered_seq: int = 0
    """Of the venue's list: the line that the last of them confirms."""

    @property
    def last_seq(self) -> int:
        """The newest line that it names; 0: none."""
        numbers = (one.get("seq") for one in self.heads)
        return max((seq for seq in numbers if isinstance(seq, int)), default=self.covered_seq)

    def reaches(self, sessions: SessionsFold) -> bool:
        """Whether it confirms the journal up to its last session's end.

        The venue last hears of us before that: its list must reach into the last session.
        """
        if self.kind != VENUE:
            return self.last_seq >= sessions.last_stop_seq
        last = sessions.sessions[-1].started_seq if sessions.sessions else 0
        return self.last_seq >= last

    def counts_for(self, modes: set[str]) -> bool:
        """Whether it is outside of the box for a journal with lines of these modes."""
        return self.kind != BESIDE and not (self.is_simulated and modes - {SIMULATED_MODE})

    def plain(self) -> dict[str, Any]:
        """What a report says of it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "heads": self.count or len(self.heads),
            "last_seq": self.last_seq,
            "is_outside": self.kind != BESIDE,
        }


class Anchoring(msgspec.Struct):
    """What the heads of all sources say of one journal."""

    sources: list[AnchorSource] = []
    faults: Faults = msgspec.field(default_factory=Faults)
    longest_ns: int = 0
    """The longest that a line stood before somebody outside knew of it: to the next outside anchor,
    by that one's time where it states one. What was written long before it was anchored shows."""
    longest_at: int = 0
    """That line."""
    reached: dict[tuple[str, str], tuple[int, int]] = {}
    """Kind and name of a source -> the last line that it confirms, and that line's time."""

    def outside(self, modes: set[str]) -> list[AnchorSource]:
        """The sources that count for a journal with lines of these modes."""
        return [one for one in self.sources if one.counts_for(modes)]

    def covered(
        self, modes: set[str], kinds: frozenset[str] | None = None
    ) -> tuple[int, int] | None:
        """The last line that an outside anchor (of these kinds) confirms, and its time.

        Returns:
            None: there is none that counts for a journal with lines of these modes.
        """
        found = [
            self.reached.get((one.kind, one.name), (0, 0))
            for one in self.outside(modes)
            if kinds is None or one.kind in kinds
        ]
        return max(found, default=None)

    def reach(self, source: AnchorSource, seq: int, ts_ns: int) -> None:
        """Note a line that a source confirms."""
        key = (source.kind, source.name)
        self.reached[key] = max(self.reached.get(key, (0, 0)), (seq, ts_ns))

    def add_venue(self, venue: VenueAnchors) -> None:
        """Add the venue's list of our orders, where the verifier fetched it or the venue is ours.

        A list that somebody handed over is what he says of the venue.
        """
        if venue.anchors and (venue.is_outside or venue.is_simulated):
            is_alone = all(one.kind == BESIDE for one in self.sources)
            name = "the simulated venue's orders" if venue.is_simulated else "the venue's orders"
            source = AnchorSource(
                VENUE, name, is_simulated=venue.is_simulated, count=venue.anchors,
                covered_seq=venue.covered_seq,
            )  # fmt: skip
            self.sources.append(source)
            self.reach(source, venue.covered_seq, venue.tail.first_ns if venue.tail else 0)
            if is_alone and venue.longest is not None:
                longest = venue.longest
                self.stretch(longest.first_seq, longest.first_ns, longest.last_ns)

    def stretch(self, first_seq: int, first_ns: int, end_ns: int) -> None:
        """Note the lines from `first_seq` up to the next anchor."""
        if end_ns - first_ns > self.longest_ns:
            self.longest_ns, self.longest_at = end_ns - first_ns, first_seq

    def plain(self) -> dict[str, Any]:
        """The anchors that a verdict leaned on."""
        return {
            "sources": [one.plain() for one in self.sources],
            "longest_unanchored_ns": self.longest_ns,
            "longest_unanchored_at": self.longest_at,
        }


def read_anchors(paths: Sequence[SourceFile]) -> list[dict[str, Any]]:
    """Read anchored heads, lines of `segment, seq, head`; a line of another form is kept as text.

    Raises:
        SourceError: a file cannot be read.
    """
    heads: list[dict[str, Any]] = []
    for path in paths:
        try:
            lines = b"".join(chunks_of(path)).splitlines()
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror or error}") from error
        for line in lines:
            try:
                head = json.loads(line, object_pairs_hook=once_each)
            except (ValueError, RecursionError):
                head = None
            heads.append(head if isinstance(head, dict) else {"unreadable": True})
    return heads


def check_anchors(
    files: Sequence[SourceFile],
    sources: Sequence[AnchorSource],
    account: JournalFold,
    archived: Manifest | None = None,
) -> Anchoring:
    """Compare each anchored head with the line that it names, or with the archive's manifest."""
    found = Anchoring([one for one in sources if one.heads])
    wanted = _Wanted(found, set(account.tally.by_mode))
    chain = account.chain
    if archived is not None and archived.may_begin(chain.first_seq, chain.first_prev):
        heads = archived.heads()
        for seq in wanted.below(chain.first_seq):
            what = "the archive's manifest names another line than"
            wanted.compare(seq, heads.get(seq), 0, what)
    last = chain.last_seq
    for seq in wanted.above(last):
        wanted.absent(seq, f"anchored, but the journal ends at seq {last}")
    if wanted.inner(last):
        _check_inner(files, wanted)
    elif (at_ns := wanted.compare(last, chain.last_hash, chain.last_ns)) is not None:
        found.stretch(chain.first_seq, chain.first_ns, max(chain.last_ns, at_ns))
    return found


class _Head(msgspec.Struct, frozen=True):
    digest: str
    ts_ns: int
    source: AnchorSource


class _Wanted:
    """The heads still to be compared, by line."""

    def __init__(self, found: Anchoring, modes: set[str]) -> None:
        self.found = found
        self._heads: dict[int, list[_Head]] = {}
        self._modes = modes
        for source in found.sources:
            for number, head in enumerate(source.heads, 1):
                seq, digest = head.get("seq"), head.get("head")
                if isinstance(seq, int) and isinstance(digest, str):
                    ts_ns = head.get("ts_ns")
                    told = _Head(digest, ts_ns if isinstance(ts_ns, int) else 0, source)
                    self._heads.setdefault(seq, []).append(told)
                else:
                    found.faults.note("anchor_unreadable", f"anchor {number}", "not seq and head")

    def below(self, seq: int) -> list[int]:
        return [one for one in self._heads if one < seq]

    def above(self, seq: int) -> list[int]:
        return [one for one in self._heads if one > seq]

    def inner(self, last: int) -> bool:
        """Whether lines before the last one are named."""
        return bool(self._heads.keys() - {last})

    def rest(self) -> Iterator[int]:
        yield from list(self._heads)

    def compare(
        self, seq: int, digest: str | None, ts_ns: int, what: str = "this line is not"
    ) -> int | None:
        """Hold a line, written at `ts_ns`, against every head of it.

        Returns:
            When the first outside one was made, 0 where it does not say; None: none confirms it.
        """
        confirmed: list[int] = []
        for head in self._heads.pop(seq, ()):
            if digest is not None and head.digest != digest:
                end = "the one that was anchored"
                end += "" if head.source.kind == BESIDE else f" by {head.source.name}"
                self.found.faults.note("anchor_differs", f"seq {seq}", f"{what} {end}")
            elif digest is not None and head.source.counts_for(self._modes):
                confirmed.append(head.ts_ns)
                self.found.reach(head.source, seq, ts_ns)
        return min(confirmed, default=None)

    def absent(self, seq: int, what: str) -> None:
        """Note that no such line is in the journal."""
        del self._heads[seq]
        self.found.faults.note("anchored_line_absent", f"seq {seq}", what)


def _check_inner(files: Sequence[SourceFile], wanted: _Wanted) -> None:
    """Check heads inside segments in one more pass: a line's hash stands in the next line."""
    reader = JournalReader(files)
    first_seq = first_ns = before_ns = 0
    for record in reader.records():
        if (at_ns := wanted.compare(record.seq - 1, record.prev, before_ns)) is not None:
            wanted.found.stretch(first_seq, first_ns, max(before_ns, at_ns))
            first_seq = 0
        if not first_seq:
            first_seq, first_ns = record.seq, record.ts_ns
        before_ns = record.ts_ns
    at_ns = wanted.compare(reader.chain.last_seq, reader.chain.last_hash, before_ns)
    if at_ns is not None:
        wanted.found.stretch(first_seq, first_ns, max(before_ns, at_ns))
    for seq in wanted.rest():
        wanted.absent(seq, "anchored, but not in the journal")
