"""The venue as notary: the ids in its list of our orders prove which journal stood before each.

Rules of this file:
1. An id of ours carries a digest of the journal's head when its turn began. An *anchor* is such an
   id at the venue whose digest is that head in the journal given: every line up to there is the
   one that stood there when the order was sent.
2. A digest that no line fits is a *misfit*, and the journal is not the one of that time. The first
   is the one that the venue saw first; what was changed lies between the anchor before it and it.
3. Orders at the venue that lie beyond the last line of a run are a *lost tail*: a power cut looks
   like a cut by hand, so it is never OK and never called forgery.
4. What the venue renamed, what older builds sent and what carries no head is *not anchored*.
5. What the venue can no longer tell (a testnet's wipe, the archive of unfilled orders after 90
   days) is named with its span. What lies between two anchors could be rewritten until the later
   one was sent; what lies after the last one still can.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from evidence.read.exact_amounts import NS_PER_S
from evidence.read.venue_list import Source

LISTED_MAX = 20


class Stretch(msgspec.Struct, frozen=True):
    """Lines with no anchor between them: from after one (or the beginning) up to the next."""

    first_seq: int
    last_seq: int
    first_ns: int
    last_ns: int
    holds: Mapping[str, int]

    @property
    def duration_ns(self) -> int:
        """How long it took."""
        return self.last_ns - self.first_ns

    def words(self) -> str:
        """For people."""
        held = ", ".join(f"{count} {name}" for name, count in sorted(self.holds.items()))
        long = f"{self.duration_ns / NS_PER_S:.1f} s, seq {self.first_seq} to {self.last_seq}"
        return f"{long} ({held or 'nothing but inputs and states'})"


class Misfit(msgspec.Struct, frozen=True):
    """An id at the venue that the journal given cannot have made."""

    symbol: str
    order_id: str
    shown: str
    at_ns: int
    seq: int
    """The line that approves this order; 0: there is none."""
    why: str

    def words(self) -> str:
        """For people."""
        where = f" (seq {self.seq})" if self.seq else ""
        return f"{self.symbol} order {self.order_id}, {self.shown}{where}: {self.why}"


class VenueAnchors(msgspec.Struct):
    """What the venue's lists say of one journal."""

    sources: tuple[Source, ...] = ()
    ids: int = 0
    """Ids of ours in the lists."""
    anchors: int = 0
    covered_seq: int = 0
    """Every line up to here is the one that stood there when the last anchor was sent."""
    longest: Stretch | None = None
    """The longest stretch up to the last anchor."""
    tail: Stretch | None = None
    """What lies after the last anchor."""
    misfits: int = 0
    listed: list[Misfit] = []
    """The first of them, as the venue saw them: at most `LISTED_MAX`."""
    fits_up_to: int = 0
    """The last line that is proven before the first misfit."""
    lost: list[str] = []
    """Orders at the venue beyond the last line of a run: at most `LISTED_MAX`."""
    lost_count: int = 0
    absent: list[str] = []
    """Orders that the journal has as acknowledged and the venue's list lacks."""
    absent_count: int = 0
    not_anchored: dict[str, int] = {}
    """Ids that prove nothing, by why."""
    not_askable: list[str] = []
    """Spans that the venue could not be asked about, or no longer."""

    @property
    def first_misfit(self) -> Misfit | None:
        """The first order whose id does not fit."""
        return self.listed[0] if self.listed else None

    @property
    def is_outside(self) -> bool:
        """Whether the verifier had it from the venue itself."""
        return bool(self.sources) and set(self.sources) == {Source.FETCHED}

    @property
    def is_simulated(self) -> bool:
        """Whether any of it is a simulated venue's."""
        return Source.SIMULATED in self.sources

    @property
    def fits(self) -> bool:
        """Whether nothing at the venue speaks against the journal."""
        return not self.misfits and not self.absent_count

    def plain(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "sources": [source.value for source in self.sources],
            "is_outside_anchor": self.is_outside,
            "ids": self.ids,
            "anchors": self.anchors,
            "covered_seq": self.covered_seq,
            "longest_stretch": _stretch(self.longest),
            "after_last_anchor": _stretch(self.tail),
            "misfits": self.misfits,
            "first_misfit": self.first_misfit.words() if self.first_misfit else None,
            "fits_up_to": self.fits_up_to,
            "lost_tail": {"count": self.lost_count, "listed": list(self.lost)},
            "absent_at_venue": {"count": self.absent_count, "listed": list(self.absent)},
            "not_anchored": dict(sorted(self.not_anchored.items())),
            "not_askable": list(self.not_askable),
        }


def _stretch(stretch: Stretch | None) -> dict[str, Any] | None:
    if stretch is None:
        return None
    return {
        "first_seq": stretch.first_seq, "last_seq": stretch.last_seq,
        "lines": stretch.last_seq - stretch.first_seq + 1,
        "duration_ns": stretch.duration_ns, "holds": dict(sorted(stretch.holds.items())),
    }  # fmt: skip
