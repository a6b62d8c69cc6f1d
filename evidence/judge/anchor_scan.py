"""Holds the venue's lists of orders against a journal, in one pass (`venue_anchors.py`).

Rule of this file: it is pure. Lines and lists come in, `VenueAnchors` goes out.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from evidence.judge.venue_anchors import LISTED_MAX, Misfit, Stretch, VenueAnchors
from evidence.read.exact_amounts import NS_PER_S
from evidence.read.journal_lines import (
    AmendRequestedLine,
    CancelRequestedLine,
    DrillLine,
    FillLine,
    IncidentOpenedLine,
    JournalLine,
    KillLine,
    OrderApprovedLine,
    OrderDeniedLine,
    OrderResolvedLine,
    OrderStateLine,
    RunStartLine,
)
from evidence.read.order_ids import KEY_DIGITS, KINDS, ORDER, STOP, OrderId, read_id, run_of
from evidence.read.told_inputs import INPUT_LINES
from evidence.read.venue_list import VenueList, VenueOrder

CLOCK_SLACK_NS = 10 * NS_PER_S
"""So far at most the venue's clock and ours are apart where a tail is told from a hole."""
ARCHIVED_AFTER_NS = 90 * 86_400 * NS_PER_S
"""The venue keeps orders without a fill for so long (binance-spot.md §7, -2026)."""
PENDING_REPLACE = "PENDING_REPLACE"
"""The state that an order takes in the turn that sends its replace."""
_NOTED: Mapping[type[JournalLine], str] = {
    OrderDeniedLine: "denials",
    IncidentOpenedLine: "incidents",
    DrillLine: "drills",
    RunStartLine: "runs",
    KillLine: "kill steps",
    FillLine: "fills",
}


class _Known(msgspec.Struct):
    """What the journal says of one order that the venue's lists name."""

    client_order_id: str
    seq: int
    key: str
    """Where its turn began."""
    is_adopted: bool = False


class _Acknowledged(msgspec.Struct):
    """An order that the journal says the venue has, and no list named so far."""

    client_order_id: str
    symbol: str
    seq: int
    at_ns: int
    is_filled: bool = False


class _Run(msgspec.Struct):
    """One boot as the journal has it."""

    first_ns: int
    last_ns: int
    counter: int = 0
    """The last order that it minted."""


class _Spot(msgspec.Struct):
    """A line that carries a head which some id at the venue has a digest of."""

    seq: int
    ts_ns: int
    holds: Counter[str]
    """What lies since the spot before."""


class AnchorScan:
    """Holds the venue's lists against a journal: `take` every line, then ask for `result`.

    Memory is by the length of the lists, and by the orders that no list names.
    """

    def __init__(self, lists: Sequence[VenueList]) -> None:
        """Begin with the downloads, at least one."""
        self._lists = lists
        self._rows: dict[VenueOrder, OrderId | None] = {}
        for one in lists:
            for order in one.orders:
                self._rows[order] = read_id(order.shown)
        ids = [found for found in self._rows.values() if found is not None]
        self._wanted = {found.key for found in ids if found.key}
        self._stems = {found.stem for found in ids}
        self._numbers = {(row.symbol, row.order_id) for row in self._rows}
        self._spots: dict[str, _Spot] = {}
        self._known: dict[tuple[str, int, str, int], _Known] = {}
        self._requests: dict[tuple[str, int, str, int], set[tuple[str, str]]] = {}
        """Of each order in the lists: kinds of requests about it, with the heads before them."""
        self._named: dict[tuple[str, str], tuple[str, int]] = {}
        self._acknowledged: dict[str, _Acknowledged] = {}
        self._runs: dict[tuple[str, int, str], _Run] = {}
        self._run: _Run | None = None
        self._run_id = ""
        self._turn_key = ""
        self._holds: Counter[str] = Counter()
        self._first_seq = self._last_seq = 0
        self._first_ns = self._last_ns = 0

    def read(self, records: Iterable[JournalLine]) -> None:
        """Take the lines of a journal, in order."""
        wanted, take = self._wanted, self._take
        for record in records:
            key = record.prev[:KEY_DIGITS]
            if isinstance(record, INPUT_LINES):
                self._turn_key = key
            if not self._first_seq:
                self._first_seq, self._first_ns = record.seq, record.ts_ns
            self._last_seq, self._last_ns = record.seq, record.ts_ns
            if key in wanted and key not in self._spots:
                self._spot(key, record.seq, record.ts_ns)
            take(record)

    def _spot(self, key: str, seq: int, ts_ns: int) -> None:
        self._spots[key] = _Spot(seq, ts_ns, self._holds)
        self._holds = Counter()

    def _take(self, record: JournalLine) -> None:
        kind = type(record)
        name = _NOTED.get(kind)
        if name is not None:
            self._holds[name] += 1
        if record.run_id != self._run_id:
            self._run_id = record.run_id
            boot = run_of(record.run_id)
            if boot is not None:
                self._run = self._runs.setdefault(boot, _Run(record.ts_ns, record.ts_ns))
        if self._run is not None:
            self._run.last_ns = max(self._run.last_ns, record.ts_ns)
        if kind is OrderApprovedLine or kind is OrderResolvedLine:
            self._order(record)  # type: ignore[arg-type] # its kind was just looked at
        elif kind is OrderStateLine:
            self._state(record)  # type: ignore[arg-type]
        elif kind is CancelRequestedLine:
            self._requested("c", record.client_order_id)  # type: ignore[attr-defined]
        elif kind is AmendRequestedLine:
            self._requested("a", record.client_order_id)  # type: ignore[attr-defined]
        elif kind is FillLine and record.client_order_id in self._acknowledged:  # type: ignore[attr-defined]
            self._acknowledged[record.client_order_id].is_filled = True  # type: ignore[attr-defined]

    def _order(self, record: OrderApprovedLine | OrderResolvedLine) -> None:
        """An order came into the journal: approved, or learnt from the venue and adopted."""
        is_adopted = isinstance(record, OrderResolvedLine)
        if isinstance(record, OrderResolvedLine) and record.outcome != "adopted":
            return
        found = read_id(record.client_order_id)
        if found is None:
            return
        run = self._runs.get(found.boot)
        if run is not None and not is_adopted:
            run.counter = max(run.counter, found.counter)
        if found.stem in self._stems:
            key = "" if is_adopted else self._turn_key
            self._known[found.stem] = _Known(record.client_order_id, record.seq, key, is_adopted)

    def _requested(self, kind: str, client_order_id: str) -> None:
        found = read_id(client_order_id)
        if found is not None and found.stem in self._stems:
            self._requests.setdefault(found.stem, set()).add((kind, self._turn_key))

    def _state(self, record: OrderStateLine) -> None:
        if record.new == PENDING_REPLACE:
            self._requested("r", record.client_order_id)
        if not record.order_id:
            return
        number = (record.symbol, str(record.order_id))
        if number in self._numbers:
            self._named[number] = (record.client_order_id, record.seq)
            self._acknowledged.pop(record.client_order_id, None)
        elif record.client_order_id not in self._acknowledged:
            found = read_id(record.client_order_id)
            if found is not None and found.stem in self._stems:
                return  # the list has it under another number: that is told as a misfit
            self._acknowledged[record.client_order_id] = _Acknowledged(
                record.client_order_id, record.symbol, record.seq, record.ts_ns
            )

    # ------------------------------------------------------------------ the answer
    def result(self, head: str) -> VenueAnchors:
        """What the lists say of the lines taken; `head` is the hash of the last one."""
        key = head[:KEY_DIGITS]
        if key in self._wanted and key not in self._spots:
            self._spot(key, self._last_seq + 1, self._last_ns)
        out = VenueAnchors(sources=tuple(dict.fromkeys(one.source for one in self._lists)))
        anchored: set[str] = set()
        wrong: list[Misfit] = []
        instances = {boot[0] for boot in self._runs}
        for row, found in self._rows.items():
            if found is None or found.instance not in instances:
                named = self._named.get((row.symbol, row.order_id))
                if named is not None and found is None:
                    _count(out, "renamed by the venue, matched by its order id")
                elif named is not None and found is not None:
                    out.ids += 1
                    cid, at = named
                    why = f"it is instance {found.instance}'s, the journal calls this order {cid}"
                    wrong.append(
                        Misfit(row.symbol, row.order_id, row.shown, row.placed_ns, at, why)
                    )
                continue
            out.ids += 1
            why = self._weigh(row, found, out, anchored)
            if why:
                known = self._known.get(found.stem)
                at_ns = row.updated_ns if known and found.kind != ORDER else row.placed_ns
                wrong.append(
                    Misfit(
                        row.symbol, row.order_id, row.shown, at_ns, known.seq if known else 0, why
                    )
                )
        self._stretches(out, anchored)
        if wrong:
            wrong.sort(key=lambda one: (one.at_ns, len(one.order_id), one.order_id))
            out.misfits, out.listed = len(wrong), wrong[:LISTED_MAX]
            before = [self._spots[key].seq - 1 for key in anchored]
            seq = wrong[0].seq or math.inf
            out.fits_up_to = max((one for one in before if one < seq), default=0)
        self._absent(out)
        return out

    def _weigh(self, row: VenueOrder, found: OrderId, out: VenueAnchors, anchored: set[str]) -> str:
        """Sort one id in; why it does not fit, or nothing."""
        known = self._known.get(found.stem)
        if known is None and (found.kind, found.key) not in self._requests.get(found.stem, ()):
            return self._stranger(row, found, out)
        if known is not None and known.is_adopted:
            _lost(out, row, "the journal learnt of it from the venue")
            return ""
        if not found.key:
            _count(out, "sent by an older build, or without a head")
            return ""
        if known is not None and found.kind == ORDER:
            if known.client_order_id != row.shown:
                return f"the journal has {known.client_order_id} in its place"
            if known.key != found.key:
                return "its digest is not that of the line before its turn"
        else:
            why = self._weigh_request(row, found, out)
            if why is not None:
                return why
        out.anchors += 1
        anchored.add(found.key)
        return ""

    def _weigh_request(self, row: VenueOrder, found: OrderId, out: VenueAnchors) -> str | None:
        """Why the id of a request anchors nothing, empty if that is lost; None: it is an anchor."""
        name, asked = KINDS[found.kind], self._requests.get(found.stem, set())
        if found.kind == STOP:  # no turn makes it: any head of its time
            if found.key in self._spots:
                return None
        elif (found.kind, found.key) in asked:
            return None
        elif any(kind == found.kind for kind, _ in asked):
            return f"the digest of its {name} is not that of the line before its turn"
        if not self._is_beyond(row.updated_ns):
            return f"the digest of its {name} is that of no line that asks for it"
        _lost(out, row, f"its {name} was made beyond our last line")
        return ""

    def _stranger(self, row: VenueOrder, found: OrderId, out: VenueAnchors) -> str:
        """An order that the journal does not have: before it, beyond a run's end, or taken out."""
        run = self._runs.get(found.boot)
        first_run = min((boot[1] for boot in self._runs), default=0)
        is_cut = self._first_seq > 1 or found.run < first_run
        if is_cut and row.placed_ns < self._first_ns + CLOCK_SLACK_NS:
            _count(out, "sent before the first line at hand")
            return ""
        last = max((boot[1] for boot in self._runs), default=0)
        is_later = found.run > last if run is None else found.counter > run.counter
        ended_ns = self._last_ns if run is None else run.last_ns
        if is_later and row.placed_ns + CLOCK_SLACK_NS >= ended_ns:
            _lost(out, row, "beyond our last line" if run is None else "beyond the end of its run")
            return ""
        return "the journal does not have this order"

    def _is_beyond(self, at_ns: int) -> bool:
        """Whether a moment lies in no run, as far as two clocks can tell."""
        return not any(
            run.first_ns <= at_ns < run.last_ns - CLOCK_SLACK_NS for run in self._runs.values()
        )

    def _stretches(self, out: VenueAnchors, anchored: set[str]) -> None:
        spots = sorted(self._spots.items(), key=lambda one: one[1].seq)
        first_seq, first_ns = self._first_seq, self._first_ns
        holds: Counter[str] = Counter()
        for key, spot in spots:
            holds += spot.holds
            if key not in anchored:
                continue
            out.covered_seq = spot.seq - 1
            stretch = Stretch(first_seq, spot.seq - 1, first_ns, spot.ts_ns, dict(holds))
            if out.longest is None or stretch.duration_ns > out.longest.duration_ns:
                out.longest = stretch
            first_seq, first_ns, holds = spot.seq, spot.ts_ns, Counter()
        holds += self._holds
        if first_seq <= self._last_seq:
            out.tail = Stretch(first_seq, self._last_seq, first_ns, self._last_ns, dict(holds))

    def _absent(self, out: VenueAnchors) -> None:
        """Acknowledged orders that are absent from the lists, or that these cannot tell of."""
        gone: dict[str, list[_Acknowledged]] = {}
        for one in self._acknowledged.values():
            at_ns = one.at_ns
            spans = [(a.since_ns, a.until_ns) for a in self._lists if one.symbol in a.symbols]
            newest_ns = max((until for _, until in spans), default=0)
            if not spans:
                why = f"of {one.symbol}, which no list covers"
            elif at_ns + CLOCK_SLACK_NS > newest_ns:
                why = "after the list was fetched"
            elif not any(since - CLOCK_SLACK_NS <= at_ns <= until for since, until in spans):
                why = "of a time that no list speaks of: wiped by the venue, or not downloaded"
            elif not one.is_filled and newest_ns - at_ns > ARCHIVED_AFTER_NS:
                why = "without a fill and older than 90 days: archived by the venue"
            else:
                out.absent_count += 1
                if len(out.absent) < LISTED_MAX:
                    out.absent.append(f"{one.client_order_id} (seq {one.seq})")
                continue
            gone.setdefault(why, []).append(one)
        for why, orders in gone.items():
            first, last = min(o.seq for o in orders), max(o.seq for o in orders)
            out.not_askable.append(f"{len(orders)} orders {why}, seq {first} to {last}")


def _count(out: VenueAnchors, why: str) -> None:
    out.not_anchored[why] = out.not_anchored.get(why, 0) + 1


def _lost(out: VenueAnchors, row: VenueOrder, why: str) -> None:
    out.lost_count += 1
    if len(out.lost) < LISTED_MAX:
        out.lost.append(f"{row.symbol} order {row.order_id}, {row.shown}: {why}")
