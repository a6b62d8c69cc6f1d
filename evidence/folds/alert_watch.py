"""Alerts of caps, held against the use of the caps as the accountant replays it.

Rules of this file:
1. An alert agrees with itself and with the caps in force: its limit is theirs, its use has reached
   its band, or has fallen below the next one.
2. Use that reaches a band is told at once. So what stands at or above one at `SAMPLES` heartbeats
   in a row has an alert of that band before the last of them.
3. A boot, and caps that were tightened, may find use that is high already: nothing is demanded of a
   cap until it was below the first band.
4. Only quantities are held against alerts: values move with prices that no line states.
"""

from decimal import Decimal

from evidence.folds.exposure_fold import CapTable, ExposureBook, Use
from evidence.read.exact_amounts import ZERO, AmountTextError, amount, text_of
from evidence.read.integrity import Faults
from evidence.read.journal_lines import CapAlertLine, HeartbeatLine

BANDS = (70, 85, 100)
SAMPLES = 3
Cap = tuple[str, str]


class AlertWatch:
    """The bands of the caps that count quantities, as alerts tell them and as they are used."""

    def __init__(self) -> None:
        self._told: dict[Cap, int] = {}
        self._high: dict[Cap, tuple[int, int]] = {}
        """The band that the last heartbeats found reached, and how many of them."""
        self._armed: set[Cap] = set()

    def begin(self) -> None:
        """A boot, or other caps: bands are told anew."""
        self._told.clear()
        self._high.clear()
        self._armed.clear()

    def alert(self, record: CapAlertLine, caps: CapTable | None, problems: Faults) -> None:
        """Take an alert; one of a bot's own caps says nothing of the account's."""
        if record.bot or record.kind != "alert" or caps is None:
            return
        symbol = record.symbol or ""
        try:
            used, limit, band = amount(record.used), amount(record.limit), int(record.band or 0)
        except (AmountTextError, ValueError):
            return
        in_force = caps.symbol(symbol, record.cap)
        if not symbol:  # of messages a part is kept for cancels
            reserve = caps.portfolio(f"{record.cap.removesuffix('_max')}_cancel_reserve")
            in_force = max(caps.portfolio(record.cap) - reserve, ZERO)
        place = f"seq {record.seq}"
        if limit != in_force:
            what = f"{record.cap} {symbol}: limit {text_of(limit)} is stated, "
            problems.note("alert_differs", place, f"{what}{text_of(in_force)} is in force")
        reached = _band_of(used, limit)
        if reached != band:
            what = f"{record.cap} {symbol}: band {band} is stated, {text_of(used)} of "
            problems.note("alert_differs", place, f"{what}{text_of(limit)} is band {reached}")
        self._told[record.cap, symbol] = band

    def sample(
        self, record: HeartbeatLine, book: ExposureBook, caps: CapTable, problems: Faults
    ) -> None:
        """Compare the use at a heartbeat with what was told."""
        for symbol, held in book.symbols.items():
            for cap, used in (
                ("position_long_base_max", held.long_qty),
                ("position_short_base_max", held.short_qty - held.fees_since_sell),
                ("orders_open_max", Decimal(held.open_orders)),
            ):
                self._sample(record, Use(cap, symbol, used, caps.symbol(symbol, cap)), problems)
        total = Decimal(len(book.working))
        limit = caps.portfolio("orders_open_max")
        self._sample(record, Use("orders_open_max", "", total, limit), problems)

    def _sample(self, record: HeartbeatLine, use: Use, problems: Faults) -> None:
        cap = (use.cap, use.symbol)
        if use.used * 100 < use.limit * BANDS[0] or use.limit <= 0:
            self._armed.add(cap)
            self._high.pop(cap, None)
        elif cap in self._armed:
            reached = _band_of(use.used, use.limit)
            band, times = self._high.get(cap, (reached, 0))
            band, told = min(band, reached), self._told.get(cap, 0)
            self._high[cap] = (band, times + 1)
            if times + 1 == SAMPLES and told < band:
                what = f"{use.words()} at {SAMPLES} heartbeats in a row is band {band}, "
                problems.note("alert_absent", f"seq {record.seq}", f"{what}band {told} was told")


def _band_of(used: Decimal, limit: Decimal) -> int:
    return max((one for one in BANDS if used * 100 >= limit * one), default=0)
