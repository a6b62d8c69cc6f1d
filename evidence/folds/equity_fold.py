"""Equity and losses that decisions state, derived again from trades, fees and the stated prices.

Rules of this file:
1. Equity is the cash of all trades and fees, and each position at the price that is against us:
   bid if long, ask if short. A decision states the touch of its own instrument and of every other
   with a position, so nothing else is needed; what it does not value, is not derived.
2. Session's and day's loss and the drawdown are what the last equity line's baselines and peak
   leave of it. A line of the same turn stands behind its decisions.
3. An equity line agrees with itself: drawdown, and realised less fees plus unrealised.
4. A wipe of the testnet begins the books anew at a moment that no line names: nothing after one is
   derived.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec

from evidence.folds.journal_fold import ComparingFold, Handler, Recent
from evidence.read.exact_amounts import ZERO, AmountTextError, amount, amount_or_zero, text_of
from evidence.read.journal_lines import (
    EquityLine,
    FillLine,
    InstrumentsLine,
    JournalLine,
    OrderApprovedLine,
    OrderDeniedLine,
    ReconciledLine,
    RiskContextLine,
    RunStartLine,
)

LOSSES = ("session_open", "day_open", "peak")
NO_VALUE = (AttributeError, IndexError, KeyError, TypeError, AmountTextError)
"""A decision that does not state what it is derived from; the recheck tells of a broken one."""


class Traded(msgspec.Struct):
    """One instrument since the books' epoch."""

    base: str
    quote: str
    position: Decimal = ZERO
    cash: Decimal = ZERO


class LossesStated(msgspec.Struct, frozen=True):
    """Losses that do not follow from the equity line before them."""

    seq: int
    ts_ns: int
    equity: Decimal
    stated: tuple[Decimal, ...]


class EquityFold(ComparingFold):
    """Values the books at every decision."""

    name = "equity"

    def __init__(self) -> None:
        super().__init__()
        self._assets: dict[str, tuple[str, str]] = {}
        self._traded: dict[str, Traded] = {}
        self._owed: dict[str, Decimal] = {}
        """Fees in assets that are neither base nor quote of their instrument."""
        self._seen = Recent()
        self._is_blind = False
        self._numeraire = ""
        self._baselines: tuple[Decimal, ...] | None = None
        """Session's and day's beginning, and the peak, as the last equity line states them."""
        self._doubts: list[LossesStated] = []

    def handlers(self) -> Mapping[type[JournalLine], Handler]:
        """Trades, and what states a value."""
        return {
            RunStartLine: self._run_start,
            InstrumentsLine: self._instruments,
            FillLine: self._fill,
            RiskContextLine: self._risk_context,
            EquityLine: self._equity,
            OrderApprovedLine: self._decided,
            OrderDeniedLine: self._decided,
            ReconciledLine: self._reconciled,
        }

    # ------------------------------------------------------------------ books
    def _run_start(self, _: RunStartLine) -> None:
        self._settle(0)

    def _instruments(self, record: InstrumentsLine) -> None:
        for one in record.instruments:
            self._assets[str(one.get("instrument_id", ""))] = (
                str(one.get("base")), str(one.get("quote")),
            )  # fmt: skip

    def _fill(self, record: FillLine) -> None:
        if not self._seen.is_new(record.exec_id):
            return
        assets = self._assets.get(record.instrument_id)
        if assets is None:
            self._is_blind = True
            return
        held = self._traded.setdefault(record.instrument_id, Traded(*assets))
        try:
            qty, price, fee = amount(record.qty), amount(record.price), amount_or_zero(record.fee)
        except AmountTextError:
            return  # counted by the orders fold
        signed = qty if record.side == "BUY" else -qty
        held.position += signed
        held.cash -= signed * price
        paid_in = record.fee_asset or ""
        if paid_in == held.base:
            held.position -= fee
        elif paid_in == held.quote:
            held.cash -= fee
        elif fee:
            self._owed[paid_in] = self._owed.get(paid_in, ZERO) + fee

    def _reconciled(self, record: ReconciledLine) -> None:
        self._is_blind |= any("wipe" in str(one.get("class")) for one in record.differences)

    def _risk_context(self, record: RiskContextLine) -> None:
        self._numeraire = str(record.portfolio_caps.get("numeraire") or "")

    # ------------------------------------------------------------------ statements
    def _decided(self, record: OrderApprovedLine | OrderDeniedLine) -> None:
        if self._doubts:
            self._settle(record.ts_ns)
        if self._is_blind or not self._numeraire:
            return
        try:
            inputs, standing = record.decision, record.decision["standing"]
            stated = amount(standing["equity"])
            mine = self._value(inputs)
        except NO_VALUE:
            return
        if mine is None:
            return
        self.checked += 1
        if stated != mine:
            if not _is_crossed(inputs):  # else it was valued at the touch before
                what = f"equity {text_of(stated)} is stated, {text_of(mine)} by the trades before "
                self.note("equity_differs", record, what + "it and its own prices")
            return
        try:
            losses = tuple(amount(row[0]) for row in standing["losses"][: len(LOSSES)])
        except NO_VALUE:
            return
        if self._losses_of(stated) != losses:
            self._doubts.append(LossesStated(record.seq, record.ts_ns, stated, losses))

    def _value(self, inputs: Mapping[str, Any]) -> Decimal | None:
        """The equity at the prices that a decision states; None: they do not value all of it."""
        numeraire = self._numeraire
        own, others = str(inputs["instrument_id"]), inputs["others"]
        total = ZERO
        for name, held in self._traded.items():
            row: Sequence[Any] = ()
            if name == own:
                market, rate = inputs["market"], inputs["rate"]
                row = (market["bid"], market["ask"], *(rate or (None, None))[:2])
            elif name in others:
                cells = others[name]
                row = (cells[4], cells[5], cells[7], cells[8])
            worth = held.cash
            if held.position:
                worth += held.position * amount(row[0] if held.position > 0 else row[1])
            if held.quote != numeraire:
                worth *= amount(row[2] if worth > 0 else row[3])
            total += worth
        for asset, owed in self._owed.items():
            if asset != numeraire:
                return None
            total -= owed
        return total

    def _losses_of(self, equity: Decimal) -> tuple[Decimal, ...] | None:
        if self._baselines is None:
            return None
        return tuple(baseline - equity for baseline in self._baselines)

    def _settle(self, ts_ns: int) -> None:
        """Report losses that no equity line of their turn explains."""
        doubts = [one for one in self._doubts if one.ts_ns != ts_ns]
        self._doubts = [one for one in self._doubts if one.ts_ns == ts_ns]
        for one in doubts:
            mine = self._losses_of(one.equity)
            if mine is not None and mine != one.stated:
                what = f"losses {_texts(one.stated)} are stated, {_texts(mine)} by the equity line "
                self.note("losses_differ", one, f"{what}before it")

    def _equity(self, record: EquityLine) -> None:
        self._settle(record.ts_ns)
        self._numeraire, self._baselines = record.numeraire, None
        with suppress(AmountTextError):  # one that is not known yet
            self._baselines = tuple(amount(getattr(record, name)) for name in LOSSES)
        self._doubts = [one for one in self._doubts if self._losses_of(one.equity) != one.stated]
        try:
            equity, peak, drawdown = (
                amount(one) for one in (record.equity, record.peak, record.drawdown)
            )
            realised, unrealised, fees = (
                amount(one) for one in (record.realised, record.unrealised, record.fees)
            )
        except AmountTextError:
            return  # it could not be valued then
        self.checked += 1
        for name, stated, mine in (
            ("drawdown", drawdown, max(peak - equity, ZERO)),
            ("equity", equity, realised - fees + unrealised),
        ):
            if stated != mine:
                what = f"{name} {text_of(stated)} is stated, {text_of(mine)} by its other figures"
                self.note("equity_differs", record, what)

    def result(self) -> dict[str, Any]:
        """How many values were derived again, and what is wrong; nothing where none is stated."""
        self._settle(0)
        if not self.checked:
            return {}
        return {"checked": self.checked, "problems": self.problems.plain()}


def _is_crossed(inputs: Mapping[str, Any]) -> bool:
    """Whether a touch that a decision states is crossed."""
    market = inputs["market"]
    touches = [
        (market["bid"], market["ask"]),
        *((row[4], row[5]) for row in inputs["others"].values()),
    ]
    with suppress(*NO_VALUE):
        return any(amount(bid) >= amount(ask) for bid, ask in touches if bid and ask)
    return True


def _texts(values: Sequence[Decimal]) -> str:
    return ", ".join(text_of(value) for value in values)
