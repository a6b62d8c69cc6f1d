"""Positions, fees, profit and loss, and drawdown, from fills alone.

Rules of this file:
1. The position is the sum of signed fills less fees taken in the base asset; cash is its mirror in
   quote. Realised profit is by average cost; realised + unrealised = cash + position x mark.
2. The mark is our own last fill price: it needs no market data, and says so in the report.
3. The daemon's own figures (position on a fill, equity lines) are compared, never believed.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from evidence.folds.account_models import pairs_of
from evidence.folds.journal_fold import Handler, Recent
from evidence.read.exact_amounts import ZERO, AmountTextError, amount, amount_or_zero, text_of
from evidence.read.integrity import Faults
from evidence.read.journal_lines import (
    EquityLine,
    FillLine,
    InstrumentsLine,
    JournalLine,
    ReconciledLine,
)

WIPE_CLASSES = frozenset({"testnet_wipe", "wipe"})


class Holding(msgspec.Struct):
    """One symbol's running account."""

    symbol: str
    base: str = ""
    quote: str = ""
    qty: Decimal = ZERO
    avg_px: Decimal = ZERO
    cash: Decimal = ZERO
    realised: Decimal = ZERO
    mark: Decimal = ZERO
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    turnover: Decimal = ZERO
    fills: int = 0
    fees: dict[str, Decimal] = {}

    @property
    def profit(self) -> Decimal:
        """Realised and unrealised, in quote, at the mark; fees in base and quote included."""
        return self.cash + self.qty * self.mark

    def trade(self, *, is_buy: bool, qty: Decimal, price: Decimal) -> None:
        """Book one trade at average cost."""
        signed = qty if is_buy else -qty
        self.cash -= signed * price
        self.turnover += qty * price
        self.bought += qty if is_buy else ZERO
        self.sold += ZERO if is_buy else qty
        self.mark = price
        if self.qty == 0 or (self.qty > 0) is is_buy:
            total = self.qty + signed
            self.avg_px = (self.avg_px * self.qty + price * signed) / total
        else:
            closed = min(qty, abs(self.qty))
            direction = 1 if self.qty > 0 else -1
            self.realised += closed * (price - self.avg_px) * direction
            if qty > abs(self.qty):
                self.avg_px = price
        self.qty += signed

    def pay(self, fee: Decimal, asset: str) -> None:
        """Take a fee: base shrinks the position, quote the cash; others are only listed."""
        self.fees[asset] = self.fees.get(asset, ZERO) + fee
        if asset == self.quote:
            self.cash -= fee
            self.realised -= fee
        elif asset == self.base:
            self.qty -= fee
            self.realised -= fee * self.mark


class Curve(msgspec.Struct):
    """A running value with its peak and its deepest fall from a peak."""

    now: Decimal = ZERO
    peak: Decimal = ZERO
    low: Decimal = ZERO
    drawdown: Decimal = ZERO

    def move(self, value: Decimal) -> None:
        """Take the next value."""
        self.now = value
        self.peak = max(self.peak, value)
        self.low = min(self.low, value)
        self.drawdown = max(self.drawdown, self.peak - value)


class PositionsFold:
    """Holdings by symbol, profit curves by quote asset, differences from the daemon's claims."""

    name = "positions"

    def __init__(self) -> None:
        self.holdings: dict[str, Holding] = {}
        self.assets: dict[str, tuple[str, str]] = {}
        self.curves: dict[str, Curve] = {}
        self.problems = Faults()
        self.seen = Recent()
        self.daemon_equity: dict[str, Any] = {}
        self.daemon_drawdown_max = ZERO
        self.points: list[tuple[int, str, Decimal]] = []
        """(time, quote, profit) for a drawing; thinned by half whenever it grows too long."""
        self._stride = 1
        self._skipped = 0

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Fills, what names the assets, and the claims to compare with."""
        return {
            InstrumentsLine: lambda line: self.assets.update(pairs_of(line)),
            FillLine: self._fill,
            EquityLine: self._equity,
            ReconciledLine: self._reconciled,
        }

    def holding(self, symbol: str) -> Holding:
        """The account of one symbol."""
        held = self.holdings.get(symbol)
        if held is None:
            base, quote = self.assets.get(symbol, ("", ""))
            held = self.holdings[symbol] = Holding(symbol, base, quote)
        return held

    def _fill(self, record: FillLine) -> None:
        if not self.seen.is_new(record.exec_id):
            return  # counted as a problem by the orders fold; money moves once
        held = self.holding(record.symbol)
        try:
            qty, price = amount(record.qty), amount(record.price)
            fee, claimed = amount_or_zero(record.fee), record.position_qty
            held.trade(is_buy=record.side == "BUY", qty=qty, price=price)
            if fee:
                held.pay(fee, record.fee_asset or "")
            if claimed is not None and amount(claimed) != held.qty:
                what = (
                    f"{record.symbol}: the daemon says {claimed}, fills sum to {text_of(held.qty)}"
                )
                self.problems.note("position_differs", f"seq {record.seq}", what)
        except AmountTextError as error:
            self.problems.note("bad_amount", f"seq {record.seq}", str(error))
            return
        held.fills += 1
        self._draw(record.ts_ns, held.quote)

    def _draw(self, ts_ns: int, quote: str) -> None:
        total = sum((h.profit for h in self.holdings.values() if h.quote == quote), ZERO)
        self.curves.setdefault(quote, Curve()).move(total)
        self._skipped += 1
        if self._skipped >= self._stride:
            self._skipped = 0
            self.points.append((ts_ns, quote, total))
            if len(self.points) > 600:
                self.points = self.points[::2]
                self._stride *= 2

    def _equity(self, record: EquityLine) -> None:
        self.daemon_equity = {
            "numeraire": record.numeraire, "equity": record.equity, "peak": record.peak,
            "drawdown": record.drawdown, "realised": record.realised,
        }  # fmt: skip
        try:
            drawdown = amount_or_zero(record.drawdown)
        except AmountTextError as error:
            self.problems.note("bad_amount", f"seq {record.seq}", str(error))
            return
        self.daemon_drawdown_max = max(self.daemon_drawdown_max, drawdown)

    def _reconciled(self, record: ReconciledLine) -> None:
        """A testnet wipe starts the books anew, on both sides."""
        if any(str(d.get("class")) in WIPE_CLASSES for d in record.differences):
            self.holdings.clear()
            self.seen.clear()

    def result(self) -> dict[str, Any]:
        """Holdings, curves and differences."""
        return {
            "symbols": {
                symbol: {
                    "position": text_of(held.qty),
                    "avg_px": _short(held.avg_px),
                    "bought": text_of(held.bought),
                    "sold": text_of(held.sold),
                    "turnover_quote": text_of(held.turnover),
                    "realised_quote": _short(held.realised),
                    "profit_quote": _short(held.profit),
                    "fees": {asset: text_of(fee) for asset, fee in sorted(held.fees.items())},
                    "fills": held.fills,
                }
                for symbol, held in sorted(self.holdings.items())
            },
            "profit": {
                quote: {
                    "end": _short(curve.now),
                    "peak": _short(curve.peak),
                    "low": _short(curve.low),
                    "drawdown_max": _short(curve.drawdown),
                }
                for quote, curve in sorted(self.curves.items())
            },
            "daemon": {
                "last_equity": dict(self.daemon_equity),
                "drawdown_max": text_of(self.daemon_drawdown_max),
            },
            "curve": [[ts_ns, quote, _short(profit)] for ts_ns, quote, profit in self.points],
            "problems": self.problems.plain(),
            "marked_at": "own last fill price",
        }


def _short(value: Decimal) -> str:
    """Divisions have 64 digits; twelve after the point are shown."""
    return text_of(value.quantize(Decimal("1e-12")))
