"""The accountant's own replay of exposure: positions, open orders, and their worst case.

Rules of this file:
1. Worst case long = position + every open buy; worst case short = -position + every open sell.
2. An order is valued at its own price, a position at the last price that the record shows; a
   symbol's exposure is its worse side, the portfolio's gross exposure the sum of the symbols'.
3. Of an OCO one leg trades at most: its legs count as the worst one of them, and what one has
   traded the others can trade no more. What is pending behind an order of the other side counts
   given that this one stands in the position (`Ahead`).
4. Two users: the journal's replay (`caps.py`) and the venue's books (`crosscheck.py`). Neither
   knows the daemon's code; the caps are the plain mapping of the session's start line.
"""

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec

from evidence.read.exact_amounts import NS_PER_S, ZERO, AmountTextError, amount, text_of
from evidence.read.journal_lines import OrderAmendedLine

UNLIMITED = Decimal(10) ** 28
HOUR_NS = 3600 * NS_PER_S
DAY_NS = 24 * HOUR_NS


class Working(msgspec.Struct):
    """One open order."""

    symbol: str
    is_buy: bool
    leaves: Decimal
    price: Decimal
    oco: str = ""
    """The list whose legs exclude each other; empty: it stands alone."""
    first: str = ""
    """The order that must be filled wholly before it works; empty: it waits for none."""
    counted: Decimal = ZERO
    """How much of it the sums hold."""


class Ahead(msgspec.Struct):
    """An order that others are pending behind, until it and they have ended."""

    is_buy: bool
    leaves: Decimal
    """What of it is not told as traded."""
    is_void: bool = False
    """It has ended with a rest: nothing behind it ever works."""
    has_begun: bool = False
    """An order behind it has traded: it was filled, whatever is told of it."""

    def adds(self, order: Working) -> Decimal:
        """How much a pending order adds to its side."""
        if self.is_void:
            return ZERO
        if self.has_begun or self.is_buy is order.is_buy:
            return order.leaves
        return max(order.leaves - self.leaves, ZERO)


class SymbolExposure(msgspec.Struct):
    """One symbol: position, open quantity and value on each side."""

    position: Decimal = ZERO
    mark: Decimal = ZERO
    buy_qty: Decimal = ZERO
    buy_value: Decimal = ZERO
    sell_qty: Decimal = ZERO
    sell_value: Decimal = ZERO
    arriving: Decimal = ZERO
    """Bought (negative: sold), as an order that waited for it has proven, and not told yet."""
    open_orders: int = 0
    fees_since_sell: Decimal = ZERO
    """Fees in base of sells, and of buys that sells wait for, since the last sell was placed: they
    are known only with the fills."""

    @property
    def long_qty(self) -> Decimal:
        """Position if every open buy fills and no sell does."""
        return self.position + self.buy_qty + min(self.arriving, ZERO)

    @property
    def short_qty(self) -> Decimal:
        """Short position (positive) if every open sell fills and no buy does."""
        return self.sell_qty - self.position - max(self.arriving, ZERO)

    @property
    def worst_qty(self) -> Decimal:
        """The worse side in base; an order that leaves it as it is adds no exposure."""
        return max(self.long_qty, self.short_qty, ZERO)

    @property
    def value(self) -> Decimal:
        """The worse side in quote."""
        held = self.position * self.mark
        return max(held + self.buy_value, self.sell_value - held, ZERO)


class ExposureBook(msgspec.Struct):
    """The books of all symbols, and the times of placements within the rolling windows."""

    symbols: dict[str, SymbolExposure] = {}
    working: dict[str, Working] = {}
    ahead: dict[str, Ahead] = {}
    placed_hour: deque[int] = msgspec.field(default_factory=deque)
    placed_day: deque[int] = msgspec.field(default_factory=deque)

    def book(self, symbol: str) -> SymbolExposure:
        """One symbol's book, made when first asked for."""
        found = self.symbols.get(symbol)
        if found is None:
            found = self.symbols[symbol] = SymbolExposure()
        return found

    def place(self, key: str, order: Working, ts_ns: int) -> None:
        """Add an open order."""
        if key in self.working:
            return
        self.working[key] = order
        book = self.book(order.symbol)
        if book.mark == 0:
            book.mark = order.price
        book.open_orders += 1
        if not order.is_buy:
            book.fees_since_sell = ZERO
        first = self.working.get(order.first)
        if first is not None and order.first not in self.ahead:
            self.ahead[order.first] = Ahead(first.is_buy, first.leaves)
        self._recount(order)
        self._count(self.placed_hour, ts_ns, HOUR_NS)
        self._count(self.placed_day, ts_ns, DAY_NS)

    def fill(self, key: str, symbol: str, *, is_buy: bool, qty: Decimal, price: Decimal) -> None:
        """Move a trade's quantity from the open order to the position."""
        book = self.book(symbol)
        book.position += qty if is_buy else -qty
        book.mark = price
        order = self.working.get(key)
        if order is not None:
            for one in self._together(order):
                one.leaves -= min(qty, one.leaves)
            self._recount(order)
            self._begin(order)
        ahead = self.ahead.get(key)
        if ahead is not None:
            told = min(ahead.leaves, qty)
            ahead.leaves -= told
            if ahead.has_begun:
                book.arriving -= told if ahead.is_buy else -told
            self._recount_behind(key)
            self._forget(key)

    def _begin(self, order: Working) -> None:
        """An order has traded: the one before it has come in."""
        ahead = self.ahead.get(order.first)
        if ahead is not None and not (ahead.has_begun or ahead.is_void):
            ahead.has_begun = True
            self.book(order.symbol).arriving += ahead.leaves if ahead.is_buy else -ahead.leaves
            self._recount_behind(order.first)

    def cut(self, key: str, record: OrderAmendedLine) -> None:
        """Make an order smaller by as much as the venue says."""
        order = self.working.get(key)
        if order is not None:
            with suppress(AmountTextError):  # counted by the orders fold
                cut = amount(record.old_qty) - amount(record.qty)
                self.amend(key, max(order.leaves - cut, ZERO))

    def amend(self, key: str, leaves: Decimal) -> None:
        """Set how much of an order can still fill, after an amend."""
        order = self.working.get(key)
        if order is not None and leaves < order.leaves:
            order.leaves = leaves
            self._recount(order)
            if key in self.ahead:
                self.ahead[key].leaves = min(self.ahead[key].leaves, leaves)
                self._recount_behind(key)

    def fee_in_base(self, key: str, symbol: str, fee: Decimal, *, is_buy: bool) -> None:
        """Subtract a fee that was taken in base from the position."""
        book = self.book(symbol)
        book.position -= fee
        if not is_buy or key in self.ahead:
            book.fees_since_sell += fee

    def end(self, key: str, *, is_filled: bool) -> None:
        """Remove an order that cannot fill any more (`is_filled`: it was, wholly)."""
        order = self.working.pop(key, None)
        if order is None:
            return
        book = self.book(order.symbol)
        book.open_orders -= 1
        self._shift(book, order, ZERO)
        if order.oco:
            self._recount(order)
        ahead = self.ahead.get(key)
        if ahead is not None and not is_filled and not ahead.has_begun:
            ahead.is_void = True
            self._recount_behind(key)
        for first in (key, order.first):
            self._forget(first)

    def _forget(self, first: str) -> None:
        """Forget an order that nothing waits for any more, and of which no trade is owed."""
        ahead = self.ahead.get(first)
        if ahead is None or first in self.working or self._behind(first):
            return
        if ahead.is_void or not ahead.leaves:
            del self.ahead[first]

    def _behind(self, first: str) -> list[Working]:
        return [one for one in self.working.values() if first and one.first == first]

    def _recount_behind(self, first: str) -> None:
        for one in self._behind(first):
            self._recount(one)

    def _together(self, order: Working) -> list[Working]:
        """The open orders that exclude each other, this one among them while it is open."""
        if not order.oco:
            return [order]
        return [one for one in self.working.values() if one.oco == order.oco]

    def worst_of(self, order: Working) -> Working | None:
        """Of the open orders that exclude each other the one that counts; None: none is open."""
        together = self._together(order)
        return max(together, key=lambda one: (one.leaves, one.price), default=None)

    def _recount(self, order: Working) -> None:
        """Have the sums hold the worst of the orders that exclude each other, and that alone."""
        worst = self.worst_of(order)
        for one in self._together(order):
            ahead = self.ahead.get(one.first)
            adds = one.leaves if ahead is None else ahead.adds(one)
            self._shift(self.book(one.symbol), one, adds if one is worst else ZERO)

    @staticmethod
    def _count(window: deque[int], ts_ns: int, length_ns: int) -> None:
        window.append(ts_ns)
        while window[0] <= ts_ns - length_ns:
            window.popleft()

    @staticmethod
    def _shift(book: SymbolExposure, order: Working, to: Decimal) -> None:
        """Hold so much of an order from now on."""
        qty, order.counted = to - order.counted, to
        if order.is_buy:
            book.buy_qty += qty
            book.buy_value += qty * order.price
        else:
            book.sell_qty += qty
            book.sell_value += qty * order.price


def oco_of(listed: object) -> str:
    """The list that a line's `order_list` names, where the order excludes others of it.

    Of an OCO each order does, of an OTO of three the two that are pending. Empty: it stands alone.
    """
    if not isinstance(listed, dict):
        return ""
    kind, leg, legs = listed.get("contingency"), listed.get("leg"), listed.get("legs")
    is_pair = kind == "OTO" and legs == 3 and leg in (1, 2)
    return str(listed.get("list_id") or "") if kind == "OCO" or is_pair else ""


def first_before(listed: object) -> str:
    """The order that must be filled before the one of this `order_list` works; empty: none."""
    if not isinstance(listed, dict) or listed.get("contingency") != "OTO":
        return ""
    list_id = str(listed.get("list_id") or "")
    # A list is named after its first order: `l` stands where that has `o` (daemon/model/ids.py).
    return f"{list_id[:8]}o{list_id[9:]}" if listed.get("leg") else ""


class CapTable:
    """The caps of a session start, as numbers. What is not set is zero."""

    def __init__(self, plain: Mapping[str, Any]) -> None:
        self.plain = dict(plain)
        self.numeraire = str(plain.get("numeraire") or "")
        symbols = plain.get("symbols")
        self.symbols: dict[str, Mapping[str, Any]] = (
            dict(symbols) if isinstance(symbols, Mapping) else {}
        )
        self._known: dict[tuple[str, str], Decimal] = {}
        self._of_portfolio: dict[str, Decimal] = {}

    def portfolio(self, key: str) -> Decimal:
        """A cap of the whole portfolio."""
        known = self._of_portfolio.get(key)
        if known is None:
            known = self._of_portfolio[key] = _limit(self.plain.get(key))
        return known

    def symbol(self, name: str, key: str) -> Decimal:
        """A cap of one symbol (by bare symbol, or by its full instrument id)."""
        known = self._known.get((name, key))
        if known is None:
            table = self._table(name)
            known = self._known[name, key] = _limit(table.get(key))
        return known

    def _table(self, name: str) -> Mapping[str, Any]:
        for key, table in self.symbols.items():
            if "@" in key and key.partition("@")[0] == name and isinstance(table, Mapping):
                return table
        found = self.symbols.get(name)
        return found if isinstance(found, Mapping) else {}


def _limit(value: object) -> Decimal:
    if value == "unlimited":
        return UNLIMITED
    try:
        return amount(value)
    except AmountTextError:
        return ZERO


class Use(msgspec.Struct):
    """How much of one cap is used at one moment."""

    cap: str
    symbol: str
    used: Decimal
    limit: Decimal
    slack: Decimal = ZERO
    """What two honest valuations of the same position may differ by; zero for counts."""

    @property
    def is_breach(self) -> bool:
        """Whether more is used than the cap allows."""
        return self.used > (self.limit + self.slack if self.slack else self.limit)

    def words(self) -> str:
        """`position_long_base_max BTCUSDT: 0.5 of 0.4`."""
        name = f"{self.cap} {self.symbol}".strip()
        return f"{name}: {text_of(self.used)} of {text_of(self.limit)}"


def quantity_uses(book: ExposureBook, caps: CapTable, symbol: str) -> list[Use]:
    """Use of the caps that count base quantity and open orders; exact at any moment."""
    held = book.book(symbol)
    return [
        Use("position_long_base_max", symbol, held.long_qty,
            caps.symbol(symbol, "position_long_base_max")),
        Use("position_short_base_max", symbol, held.short_qty - held.fees_since_sell,
            caps.symbol(symbol, "position_short_base_max")),
        Use("orders_open_max", symbol, Decimal(held.open_orders),
            caps.symbol(symbol, "orders_open_max")),
        Use("orders_open_max", "", Decimal(len(book.working)), caps.portfolio("orders_open_max")),
    ]  # fmt: skip


def order_uses(caps: CapTable, symbol: str, qty: Decimal, price: Decimal) -> list[Use]:
    """Use of the caps on one order."""
    return [
        Use("order_qty_base_max", symbol, qty, caps.symbol(symbol, "order_qty_base_max")),
        Use("order_notional_quote_max", symbol, qty * price,
            caps.symbol(symbol, "order_notional_quote_max")),
    ]  # fmt: skip


def rate_uses(book: ExposureBook, caps: CapTable) -> list[Use]:
    """Use of the rolling order counts that network jitter cannot falsify, after a placement."""
    return [
        Use("orders_per_hour_max", "", Decimal(len(book.placed_hour)),
            caps.portfolio("orders_per_hour_max")),
        Use("orders_per_day_max", "", Decimal(len(book.placed_day)),
            caps.portfolio("orders_per_day_max")),
    ]  # fmt: skip


Assets = Mapping[str, tuple[str, str]]
"""Symbol to (base, quote)."""


def value_uses(book: ExposureBook, caps: CapTable, symbol: str, assets: Assets) -> list[Use]:
    """Use of the caps in money: the symbol's, and the portfolio's in the numeraire.

    Symbols whose quote asset cannot be converted by a price that the record shows are left out of
    the gross sum (`unvalued` names them).
    """
    gross = slack = ZERO
    for name, held in book.symbols.items():
        value = held.value
        rate = rate_of(name, caps, book, assets) if value else None
        if rate is not None:
            gross += value * rate
            slack += _slack(held, caps, name) * rate
    here = book.book(symbol)
    return [
        Use("exposure_quote_max", symbol, here.value,
            caps.symbol(symbol, "exposure_quote_max"), _slack(here, caps, symbol)),
        Use("exposure_gross_numeraire_max", "", gross,
            caps.portfolio("exposure_gross_numeraire_max"), slack),
    ]  # fmt: skip


def _slack(held: SymbolExposure, caps: CapTable, symbol: str) -> Decimal:
    # The gate values a position at the book's price of its moment, the replay at a price of the
    # record; the collar bounds how far the two may honestly lie apart.
    return abs(held.position * held.mark) * caps.symbol(symbol, "collar_bps_max") / 10_000


def rate_of(symbol: str, caps: CapTable, book: ExposureBook, assets: Assets) -> Decimal | None:
    """What one unit of a symbol's quote asset is worth in the numeraire, by the caps' path."""
    held = assets.get(symbol, ("", ""))[1]
    if held == caps.numeraire:
        return Decimal(1)
    conversions = caps.plain.get("conversions")
    path = conversions.get(held) if isinstance(conversions, dict) else None
    rate = Decimal(1)
    for step in path or ():
        base, quote = assets.get(step, ("", ""))
        mark = book.symbols[step].mark if step in book.symbols else ZERO
        if mark == 0 or held not in (base, quote):
            return None
        rate = rate * mark if held == base else rate / mark
        held = quote if held == base else base
    return rate if held == caps.numeraire else None


def unvalued(book: ExposureBook, caps: CapTable, assets: Assets) -> list[str]:
    """Symbols whose exposure could not be brought into the gross sum."""
    names = [name for name, held in book.symbols.items() if held.value]
    return sorted(name for name in names if rate_of(name, caps, book, assets) is None)
