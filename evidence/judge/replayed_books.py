"""What the journal's lines make of each instrument: position, open orders, what was traded.

Rule of this file: it folds facts, and judges none; `decision_recheck.py` compares decisions.
"""

from collections import deque
from decimal import Decimal

import msgspec

from evidence.folds.exposure_fold import first_before, oco_of
from evidence.folds.journal_fold import Recent
from evidence.folds.order_fold import ABSENT_OUTCOMES, TERMINAL
from evidence.read.exact_amounts import NS_PER_S, ZERO, AmountTextError, amount, amount_or_zero
from evidence.read.journal_lines import (
    FillLine,
    InstrumentsLine,
    OrderAmendedLine,
    OrderRejectLine,
    OrderResolvedLine,
    OrderStateLine,
    ReconciledLine,
)

WINDOWS_NS = (NS_PER_S, 60 * NS_PER_S, 3600 * NS_PER_S, 86_400 * NS_PER_S)


class ReplayedHold(msgspec.Struct):
    """An approved order that may still fill."""

    instrument_id: str
    is_buy: bool
    leaves: Decimal
    px: Decimal
    owed: Decimal = ZERO
    is_unknown: bool = False
    oco: str = ""
    """The list whose legs exclude each other; empty: it stands alone."""
    first: str = ""
    """The order that must be filled wholly before it works; empty: it waits for none."""
    is_void: bool = False
    """That order has ended with a rest: it never works."""
    has_traded_behind: bool = False
    """An order that is pending behind it has traded: it was filled, whatever was told of it."""


class InstrumentBook(msgspec.Struct):
    """The state of one instrument after the facts so far."""

    position: Decimal = ZERO
    holds: dict[str, ReplayedHold] = {}
    minute_ns: deque[int] = msgspec.field(default_factory=deque)
    traded: deque[tuple[int, Decimal]] = msgspec.field(default_factory=deque)
    traded_qty: Decimal = ZERO
    has_lists: bool = False
    """Whether any order of it was one of a list."""

    def hold(self, cid: str, order: ReplayedHold) -> None:
        """Take an open order."""
        self.holds[cid] = order
        self.has_lists = self.has_lists or bool(order.oco or order.first)

    def open_qty(self, *, is_buy: bool, without: str = "") -> Decimal:
        """Open, in flight and unknown quantity of one side; of an OCO the most of its legs.

        `without`: an OCO that is left out, because another leg of it is decided on.
        """
        alone, most = ZERO, dict[str, Decimal]()
        for hold in self.holds.values():
            if hold.is_buy is not is_buy:
                continue
            if not hold.oco:
                alone += hold.leaves
            elif hold.oco != without:
                most[hold.oco] = max(most.get(hold.oco, ZERO), hold.leaves)
        return alone + sum(most.values(), ZERO)

    def covered(self, *, is_buy: bool, without: str = "") -> Decimal:
        """Of `open_qty`, what adds nothing to its side.

        What is pending trades only when the first order of its list, of the other side, has come
        into the position; and where it has traded, the first has come in before, told or not.
        """
        if not self.has_lists:
            return ZERO
        covered, groups = ZERO, dict[str, Decimal]()
        for hold in self.holds.values():
            if not hold.first or hold.is_buy is not is_buy or (hold.oco and hold.oco == without):
                continue
            first = self.holds.get(hold.first)
            if hold.is_void:
                part = hold.leaves
            elif first is None or first.is_buy is is_buy or first.has_traded_behind:
                part = ZERO
            else:
                part = min(hold.leaves, first.leaves)
            if hold.oco:
                groups[hold.oco] = max(groups.get(hold.oco, ZERO), part)
            else:
                covered += part
        for hold in self.holds.values():
            if hold.has_traded_behind and hold.is_buy is not is_buy:
                covered += hold.leaves
        return covered + sum(groups.values(), ZERO)

    def never_fills(self, cid: str) -> None:
        """An order has ended with a rest: what is pending behind it never works."""
        ended = self.holds.get(cid)
        for hold in self.holds.values():
            if hold.first == cid and (ended is None or not ended.has_traded_behind):
                hold.is_void = True

    def prices(self, *, is_buy: bool, without: str = "") -> list[Decimal]:
        """Prices of the open orders of one side but for `without`, which must end before."""
        return [h.px for cid, h in self.holds.items() if h.is_buy is is_buy and cid != without]

    def is_pair(self, hold: ReplayedHold) -> bool:
        """Whether an order that is said to exclude others is one of two of one side and quantity.

        Such orders count once, so that more of them, or others, would hide an exposure.
        """
        if not hold.oco:
            return True
        rivals = [one for one in self.holds.values() if one.oco == hold.oco]
        shapes = [(one.is_buy, one.leaves) for one in rivals]
        return shapes in ([], [(hold.is_buy, hold.leaves)])


class ReplayedBooks:
    """All instruments and open orders, and when orders and trades were."""

    def __init__(self) -> None:
        self.books: dict[str, InstrumentBook] = {}
        self.holds: dict[str, ReplayedHold] = {}
        self.attempts_ns = tuple(deque[int]() for _ in WINDOWS_NS)
        self.executions_ns: deque[int] = deque()
        self._bases: dict[str, str] = {}
        self._seen = Recent()

    def book(self, instrument_id: str) -> InstrumentBook:
        """The state of one instrument, made when first asked for."""
        book = self.books.get(instrument_id)
        if book is None:
            book = self.books[instrument_id] = InstrumentBook()
        return book

    def instruments_told(self, record: InstrumentsLine) -> None:
        """Symbols with their base assets."""
        for one in record.instruments:
            self._bases[str(one.get("symbol"))] = str(one.get("base"))

    def place(self, cid: str, hold: ReplayedHold, ts_ns: int) -> bool:
        """Hold an approved order; False where it says that it excludes others, and does not."""
        book = self.book(hold.instrument_id)
        is_pair = book.is_pair(hold)
        self.holds[cid] = hold
        book.hold(cid, hold)
        book.minute_ns.append(ts_ns)
        for stamps in self.attempts_ns:
            stamps.append(ts_ns)
        return is_pair

    def drop(self, cid: str) -> None:
        """An order can fill no more."""
        hold = self.holds.pop(cid, None)
        if hold is not None:
            book = self.book(hold.instrument_id)
            if hold.leaves:
                book.never_fills(cid)
            book.holds.pop(cid, None)

    def state(self, record: OrderStateLine) -> None:
        """An order ended, or may still owe a trade; or it is in doubt."""
        hold = self.holds.get(record.client_order_id)
        if hold is None:
            return
        hold.is_unknown = record.new == "UNKNOWN"
        try:
            claimed, booked = amount_or_zero(record.venue_cum_qty), amount_or_zero(record.cum_qty)
        except AmountTextError:
            return  # counted by the orders fold
        if record.new not in TERMINAL:
            return
        if claimed > booked:
            hold.leaves = min(hold.leaves, claimed - booked)
            if record.new != "FILLED":
                self.book(hold.instrument_id).never_fills(record.client_order_id)
        else:
            self.drop(record.client_order_id)

    def amended(self, record: OrderAmendedLine) -> None:
        """An order was made smaller."""
        hold = self.holds.get(record.client_order_id)
        if hold is None:
            return
        try:
            cut = amount(record.old_qty) - amount(record.qty)
        except AmountTextError:
            return  # counted by the orders fold
        hold.leaves -= min(max(cut, ZERO), hold.leaves)
        if hold.leaves == 0:
            self.drop(record.client_order_id)

    def reject(self, record: OrderRejectLine) -> None:
        """The venue refused an order."""
        self.drop(record.client_order_id)

    def resolved(self, record: OrderResolvedLine) -> None:
        """A doubt about an order is over."""
        if record.outcome in ABSENT_OUTCOMES:
            self.drop(record.client_order_id)
        elif record.outcome == "adopted" and record.order and record.order.get("qty"):
            order = record.order
            if record.counted:
                self.book(record.instrument_id).minute_ns.append(record.ts_ns)
                for stamps in self.attempts_ns:
                    stamps.append(record.ts_ns)
            leaves = amount(order["qty"]) - amount_or_zero(order.get("cum_qty"))
            px = amount_or_zero(order.get("price"))
            hold = ReplayedHold(record.instrument_id, order.get("side") == "BUY", leaves, px)
            hold.is_unknown = order.get("status") == "UNKNOWN"
            hold.oco = oco_of(order.get("order_list"))
            hold.first = first_before(order.get("order_list"))
            self.holds[record.client_order_id] = hold
            self.book(record.instrument_id).hold(record.client_order_id, hold)

    def fill(self, record: FillLine) -> None:
        """A trade moves from the open order to the position."""
        if not self._seen.is_new(record.exec_id):
            return
        try:
            qty, fee = amount(record.qty), amount_or_zero(record.fee)
        except AmountTextError:
            return  # counted by the orders fold
        book = self.book(record.instrument_id)
        book.position += qty if record.side == "BUY" else -qty
        if fee and record.fee_asset == self._bases.get(record.symbol):
            book.position -= fee
        book.traded.append((record.ts_ns, qty))
        book.traded_qty += qty
        self.executions_ns.append(record.ts_ns)
        hold = self.holds.get(record.client_order_id)
        if hold is not None:
            for one in book.holds.values():
                if one is hold or (hold.oco and one.oco == hold.oco):
                    one.leaves -= min(one.leaves, qty)
            if hold.first in book.holds:
                book.holds[hold.first].has_traded_behind = True
            if hold.leaves == 0:
                self.drop(record.client_order_id)

    def reconciled(self, record: ReconciledLine) -> None:
        """A wipe of the testnet begins the books anew."""
        if any("wipe" in str(one.get("class")) for one in record.differences):
            self.books.clear()
            self.holds.clear()


def within(stamps: deque[int], window_ns: int, now_ns: int) -> int:
    """The number of times in the window; one exactly as old as the window counts."""
    while stamps and stamps[0] < now_ns - window_ns:
        stamps.popleft()
    return len(stamps)
