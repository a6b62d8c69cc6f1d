"""Exposure against caps over the whole journal: proof that no breach happened, or where it did.

Rules of this file:
1. The replay counts an order from its approval to its proven end, and unknown orders all the while.
2. Every approval and every fill is a moment of proof; the highest use of each cap is kept with its
   place, its percentiles, and the time that it spent above each band.
3. Value caps move with prices that no gate can hold still: they are judged where an order asked for
   more, and their drift is shown apart.
"""

from bisect import bisect_right
from collections.abc import Mapping
from decimal import Decimal
from operator import itemgetter
from typing import Any

import msgspec

from evidence.folds.account_models import SpotBooks, account_of, pairs_of
from evidence.folds.alert_watch import AlertWatch
from evidence.folds.exposure_fold import (
    CapTable,
    ExposureBook,
    Use,
    Working,
    first_before,
    oco_of,
    order_uses,
    quantity_uses,
    rate_uses,
    unvalued,
    value_uses,
)
from evidence.folds.histogram import Histogram
from evidence.folds.journal_fold import Handler, Recent
from evidence.folds.order_fold import ABSENT_OUTCOMES, TERMINAL
from evidence.read.decision_inputs import reference_price_of
from evidence.read.exact_amounts import (
    NS_PER_MS,
    ZERO,
    AmountTextError,
    amount,
    amount_or_zero,
    text_of,
)
from evidence.read.integrity import Faults
from evidence.read.journal_lines import (
    CapAlertLine,
    CapsChangedLine,
    FillLine,
    HeartbeatLine,
    InstrumentsLine,
    JournalLine,
    OrderAmendedLine,
    OrderApprovedLine,
    OrderRejectLine,
    OrderResolvedLine,
    OrderStateLine,
    ReconciledLine,
    RunStartLine,
    SessionStartLine,
)

BANDS_PERCENT = (50, 70, 80, 90, 100)
NEVER = Decimal(-1)
"""Less than any use."""
POINTS_KEPT = 600


STRICTER_WHEN_HIGHER = frozenset({"duplicate_window_ms", "market_slippage_bps"})
"""Numbers whose safe direction the ending of their name does not tell."""


class Utilisation(msgspec.Struct):
    """How one cap was used over time."""

    limit: Decimal = ZERO
    used_max: Decimal = ZERO
    percent_max: int = 0
    place: str = ""
    percents: Histogram = msgspec.field(default_factory=Histogram)
    band_ns: dict[int, int] = {}
    used_now: Decimal = NEVER
    percent_now: int = 0
    times: int = 0
    """How often in a row the use of now was found, first and last when."""
    since_ns: int = 0
    last_ns: int = 0

    def move(self, use: Use, ts_ns: int, place: str) -> None:
        """Record a value of the use; most are the one before."""
        if use.used == self.used_now and use.limit == self.limit:
            self.times += 1
            self.last_ns = ts_ns
            return
        self._settle(ts_ns)
        used, limit = use.used, use.limit
        percent = int(used * 100 / limit) if limit else (101 if used > 0 else 0)
        self.used_now, self.percent_now, self.limit = used, percent, limit
        self.times, self.since_ns, self.last_ns = 1, ts_ns, ts_ns
        if used > self.used_max:
            self.used_max, self.percent_max, self.place = used, percent, place

    def _settle(self, ts_ns: int) -> None:
        """Count the use of now, which held until then."""
        if not self.times:
            return
        self.percents.add(self.percent_now, self.times)
        self.times = 0
        for band in BANDS_PERCENT if self.since_ns else ():
            if self.percent_now < band:
                break
            self.band_ns[band] = self.band_ns.get(band, 0) + ts_ns - self.since_ns
        self.since_ns = ts_ns

    def plain(self) -> dict[str, Any]:
        """The row of a report."""
        self._settle(self.last_ns)
        return {
            "limit": text_of(self.limit),
            "used_max": text_of(self.used_max),
            "percent_max": self.percent_max,
            "percent_p50": self.percents.percentile(500),
            "percent_p99": self.percents.percentile(990),
            "where": self.place,
            "ms_at_or_above": {
                str(band): self.band_ns.get(band, 0) // NS_PER_MS for band in BANDS_PERCENT
            },
        }


class CapsFold:
    """Worst-case exposure, re-derived line by line and held against the caps in force."""

    name = "caps"

    def __init__(self) -> None:
        self.book = ExposureBook()
        self.caps: CapTable | None = None
        self.tables_in_force: list[tuple[int, CapTable]] = []
        """Every table of the journal, and from when on it was in force."""
        self.assets: dict[str, tuple[str, str]] = {}
        self.accounts: dict[str, SpotBooks] = {}
        """By symbol; a symbol whose kind is not known has none."""
        self.moved_by_others: dict[str, Decimal] = {}
        """Assets that are not traded here, and by how much others moved them as the records say."""
        self.use: dict[tuple[str, str], Utilisation] = {}
        self.breaches = Faults()
        self.problems = Faults()
        self.checks = 0
        self.tables = 0
        self.seen = Recent()
        self.alerts = AlertWatch()
        self.points: list[tuple[int, int]] = []
        """(time, percent of the fullest exposure cap) for a drawing, thinned as it grows."""
        self._stride = 1
        self._skipped = 0

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """What moves exposure, and what sets the caps."""
        return {
            SessionStartLine: self._session_start,
            CapsChangedLine: self._caps_changed,
            InstrumentsLine: self._instruments,
            ReconciledLine: self._reconciled,
            OrderApprovedLine: self._approved,
            OrderStateLine: self._state,
            OrderRejectLine: self._rejected,
            OrderResolvedLine: self._resolved,
            OrderAmendedLine: self._amended,
            FillLine: self._fill,
            RunStartLine: lambda _: self.alerts.begin(),
            CapAlertLine: lambda line: self.alerts.alert(line, self.caps, self.problems),
            HeartbeatLine: self._heartbeat,
        }

    def _heartbeat(self, record: HeartbeatLine) -> None:
        if self.caps is not None and record.session_id:
            self.alerts.sample(record, self.book, self.caps, self.problems)

    def _session_start(self, record: SessionStartLine) -> None:
        caps = record.caps if isinstance(record.caps, Mapping) else {}
        self._in_force(caps, record.ts_ns)
        self.tables += 1
        if not caps:
            what = f"session {record.session_id} starts without its caps: nothing can be proven"
            self.problems.note("caps_absent", f"seq {record.seq}", what)

    def _caps_changed(self, record: CapsChangedLine) -> None:
        """Tightened caps: the changes are dotted keys; what cannot be read is told.

        Before the first session there are none to change: its start states what came of it.
        """
        if not isinstance(record.changes, Mapping):
            self.problems.note("caps_unread", f"seq {record.seq}", "caps changed, not to what")
            return
        if self.caps is None:
            return
        self.alerts.begin()
        plain = {**self.caps.plain, "symbols": {k: dict(v) for k, v in self.caps.symbols.items()}}
        for key, value in record.changes.items():
            new = value[-1] if isinstance(value, list) else value
            self._tightened(record, str(key), new)
            head, _, rest = str(key).partition(".")
            symbol, _, cap = rest.rpartition(".")
            if head != "symbols":
                plain[head] = new
            elif symbol in plain["symbols"]:
                plain["symbols"][symbol][cap] = new
        self._in_force(plain, record.ts_ns)

    def _in_force(self, plain: Mapping[str, Any], ts_ns: int) -> None:
        self.caps = CapTable(plain)
        tables = self.tables_in_force
        if not tables or tables[-1][1].plain != self.caps.plain:
            tables.append((ts_ns, self.caps))

    def table_at(self, ts_ns: int) -> CapTable | None:
        """The caps in force at a moment; the first table counts for all before it."""
        tables = self.tables_in_force
        place = bisect_right(tables, ts_ns, key=itemgetter(0))
        return tables[max(place - 1, 0)][1] if tables else None

    def _tightened(self, record: CapsChangedLine, key: str, new: Any) -> None:
        """A running daemon takes stricter values only; a looser one in the record is a fault."""
        head, _, rest = key.partition(".")
        symbol, _, cap = rest.rpartition(".")
        table = self.caps
        if table is None:
            return
        old = table.symbols.get(symbol, {}).get(cap) if head == "symbols" else table.plain.get(key)
        try:
            before, after = amount(old), amount(new)
        except AmountTextError:
            return  # names and windows: the gate's own hash binds them
        name = cap or key
        higher_is_stricter = name.endswith(("_min", "_reserve")) or name in STRICTER_WHEN_HIGHER
        if after < before if higher_is_stricter else after > before:
            what = f"{key} was loosened from {before} to {after} while running"
            self.problems.note("caps_loosened", f"seq {record.seq}", what)

    def _instruments(self, record: InstrumentsLine) -> None:
        self.assets |= pairs_of(record)
        for one in record.instruments:
            symbol, account = str(one.get("symbol")), account_of(one)
            if account is None:
                what = f"{symbol}: instruments of kind {one.get('kind')!r} are not known here"
                self.problems.note("kind_unknown", f"seq {record.seq}", what)
            else:
                self.accounts[symbol] = account

    def _reconciled(self, record: ReconciledLine) -> None:
        traded = {asset for pair in self.assets.values() for asset in pair}
        for row in record.differences:
            asset = str(row.get("symbol"))
            if row.get("class") != "external" or asset not in record.accepted or asset in traded:
                continue
            try:
                moved = amount(row.get("venue")) - amount(row.get("ours"))
            except AmountTextError:
                continue
            self.moved_by_others[asset] = self.moved_by_others.get(asset, ZERO) + moved

    def _approved(self, record: OrderApprovedLine) -> None:
        try:
            qty = amount(record.qty)
            price = amount_or_zero(record.price) or self._market_price(record)
        except AmountTextError:
            return  # counted by the orders fold
        oco = oco_of(record.order_list)
        first = first_before(record.order_list)
        order = Working(record.symbol, record.side == "BUY", qty, price, oco, first)
        standing, held = self._standing(record.symbol), self.book.book(record.symbol)
        worst_qty = held.worst_qty
        self.book.place(record.client_order_id, order, record.ts_ns)
        held.mark = reference_price_of(record.decision) or held.mark
        if self.caps is None:
            what = f"{record.client_order_id} is approved outside of every session"
            self.problems.note("caps_absent", f"seq {record.seq}", what)
            return
        uses = [
            *order_uses(self.caps, record.symbol, qty, price),
            *rate_uses(self.book, self.caps),
            *self._exposure(record.symbol),
        ]
        has_grown = held.worst_qty > worst_qty
        self._judge(uses, record, standing, strict=has_grown, reducing=record.reduce_only)

    def _market_price(self, record: OrderApprovedLine) -> Decimal:
        """The price of a market order: the one of its decision, else the last price seen."""
        return reference_price_of(record.decision) or self.book.book(record.symbol).mark

    def _exposure(self, symbol: str) -> list[Use]:
        if self.caps is None:
            return []
        return [
            *quantity_uses(self.book, self.caps, symbol),
            *value_uses(self.book, self.caps, symbol, self.assets),
        ]

    def _standing(self, symbol: str) -> dict[tuple[str, str], Decimal]:
        """What was in use before an event; after caps were tightened it may exceed them."""
        if len(self.tables_in_force) < 2:
            return {}
        return {(use.cap, use.symbol): use.used for use in self._exposure(symbol)}

    def _judge(
        self,
        uses: list[Use],
        record: JournalLine,
        standing: Mapping[tuple[str, str], Decimal],
        *,
        strict: bool,
        reducing: bool = False,
    ) -> None:
        self.checks += len(uses)
        place, fullest = f"seq {record.seq}", 0
        for use in uses:
            cap, key = use.cap, (use.cap, use.symbol)
            used = self.use.get(key)
            if used is None:
                used = self.use[key] = Utilisation()
            used.move(use, record.ts_ns, place)
            if used.percent_now > fullest and cap.startswith(("exposure", "position")):
                fullest = used.percent_now
            if (
                use.is_breach
                and not reducing
                and (strict or not cap.startswith("exposure"))
                and use.used > standing.get(key, NEVER)  # it has become worse
            ):
                self.breaches.note(cap, place, use.words())
        self._draw(record.ts_ns, fullest)

    def _draw(self, ts_ns: int, percent: int) -> None:
        self._skipped += 1
        if self._skipped < self._stride:
            return
        self._skipped = 0
        self.points.append((ts_ns, percent))
        if len(self.points) > POINTS_KEPT:
            self.points = self.points[::2]
            self._stride *= 2

    def _state(self, record: OrderStateLine) -> None:
        if record.new in TERMINAL:
            self.book.end(record.client_order_id, is_filled=record.new == "FILLED")

    def _rejected(self, record: OrderRejectLine) -> None:
        """The venue's no: of a daemon killed in that turn no state of the order follows."""
        self.book.end(record.client_order_id, is_filled=False)

    def _resolved(self, record: OrderResolvedLine) -> None:
        if record.outcome in ABSENT_OUTCOMES:
            self.book.end(record.client_order_id, is_filled=False)

    def _amended(self, record: OrderAmendedLine) -> None:
        self.book.cut(record.client_order_id, record)

    def _fill(self, record: FillLine) -> None:
        if not self.seen.is_new(record.exec_id):
            return
        try:
            qty, price = amount(record.qty), amount(record.price)
            fee = amount_or_zero(record.fee)
        except AmountTextError:
            return  # counted by the orders fold
        cid, symbol = record.client_order_id, record.symbol
        standing = self._standing(symbol)
        self.book.fill(cid, symbol, is_buy=record.side == "BUY", qty=qty, price=price)
        if fee and record.fee_asset == self.assets.get(symbol, ("", ""))[0]:
            self.book.fee_in_base(cid, symbol, fee, is_buy=record.side == "BUY")
        if self.caps is not None:
            self._judge(self._exposure(symbol), record, standing, strict=False)

    def _rate_limits(self) -> dict[str, str]:
        keys = [f"orders_per_{window}_max" for window in ("second", "minute", "hour", "day")]
        return {key: text_of(self.caps.portfolio(key)) for key in keys} if self.caps else {}

    @property
    def breach_count(self) -> int:
        """How many moments held more than a cap allows."""
        return sum(self.breaches.counts.values())

    def result(self) -> dict[str, Any]:
        """Use by cap, breaches, and what could not be judged."""
        left_out = unvalued(self.book, self.caps, self.assets) if self.caps else []
        return {
            "checks": self.checks,
            "breaches": self.breach_count,
            "breaches_by_cap": self.breaches.plain(),
            "use": {
                f"{cap} {symbol}".strip(): used.plain()
                for (cap, symbol), used in sorted(self.use.items())
            },
            "curve": [list(point) for point in self.points],
            "unvalued_symbols": left_out,
            "rate_limits": self._rate_limits(),
            "problems": self.problems.plain(),
        }
