"""What everything is worth in the numeraire: rates by declared paths, and worst-case values.

Rules of this file:
1. A rate is a pair: `low` for what we own, `high` for what we owe or may come to hold. Divisions
   are rounded against us.
2. A path is declared in the caps (`conversions`); there is no search, and no path is no rate.
3. A leg without a top of book, or with a crossed one, has no rate; its age is the oldest leg's.
"""

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.ids import asset_name
from riskcaps.state.symbol_book import SymbolBook

Rate = tuple[Decimal, Decimal, int]
"""`(low, high, oldest leg's time)`; the time is 0 for the numeraire itself."""
Worth = tuple[Decimal, Decimal, Decimal]
"""Worst-case values in the numeraire: gross, net long, net short."""
ONE = Decimal(1)
_DOWN = Context(prec=36, rounding=ROUND_FLOOR)
_UP = Context(prec=36, rounding=ROUND_CEILING)


class Leg(msgspec.Struct, frozen=True):
    """One step of a path: through `book`, from quote to base when `inverted`."""

    book: SymbolBook
    inverted: bool


class Rates:
    """Rates from assets to the numeraire."""

    def __init__(self) -> None:
        self.numeraire = ""
        self._paths: dict[str, tuple[Leg, ...] | None] = {}

    def rebuild(
        self,
        numeraire: str,
        conversions: Mapping[str, tuple[str, ...]],
        books: Iterable[SymbolBook],
    ) -> None:
        """Resolve every declared path against the instruments that are known."""
        by_symbol: dict[str, SymbolBook] = {}
        for book in books:
            if book.base:
                by_symbol.setdefault(book.symbol, book)
                by_symbol[str(book.instrument_id)] = book
        self.numeraire = numeraire
        self._paths = {
            asset: _resolve(asset, numeraire, path, by_symbol)
            for asset, path in conversions.items()
        }

    def legs(self, asset: str) -> tuple[Leg, ...] | None:
        """The steps from an asset; empty for the numeraire itself, None when there is no path."""
        if asset == self.numeraire:
            return ()
        legs = self._paths.get(asset)
        return () if legs is None and asset_name(asset) == self.numeraire else legs

    def rate(self, asset: str) -> Rate | None:
        """`(low, high, oldest leg's time)`; the time is 0 for the numeraire itself."""
        if asset == self.numeraire and asset:
            return PAR
        legs = self._paths.get(asset)
        if not legs:  # the numeraire at another venue is worth what it is at ours
            return PAR if asset and asset_name(asset) == self.numeraire else None
        low = high = ONE
        oldest_ns = 0
        for leg in legs:
            top = leg.book.top
            if top is None or top.bid_px >= top.ask_px or top.bid_px <= 0:
                return None
            if leg.inverted:
                low = _DOWN.divide(low, top.ask_px)
                high = _UP.divide(high, top.bid_px)
            else:
                low *= top.bid_px
                high *= top.ask_px
            if oldest_ns == 0 or leg.book.top_ns < oldest_ns:
                oldest_ns = leg.book.top_ns
        return low, high, oldest_ns

    def books_of(self, asset: str) -> tuple[SymbolBook, ...]:
        """The books whose prices make this asset's rate."""
        return tuple(leg.book for leg in self.legs(asset) or ())


PAR = (ONE, ONE, 0)


def _resolve(
    asset: str, numeraire: str, path: tuple[str, ...], by_symbol: Mapping[str, SymbolBook]
) -> tuple[Leg, ...] | None:
    legs: list[Leg] = []
    for symbol in path:
        book = by_symbol.get(symbol)
        if book is None:
            return None
        if book.base == asset:
            legs.append(Leg(book, inverted=False))
            asset = book.quote
        elif book.quote == asset:
            legs.append(Leg(book, inverted=True))
            asset = book.base
        else:
            return None
    return tuple(legs) if asset == numeraire else None


def worst_value(
    long_worst: Decimal,
    short_worst: Decimal,
    px: Decimal,
    bid: Decimal,
    rate: Rate,
) -> Worth:
    """Value both sides: what adds risk at the high price and rate, what takes it off at the low."""
    if rate is PAR:
        value_high, value_low = px, bid
    else:
        value_high, value_low = px * rate[1], bid * rate[0]
    if long_worst > 0:
        net_long = long_worst * value_high
        gross = net_long
    else:
        net_long = long_worst * value_low
        gross = ZERO
    if short_worst > 0:
        net_short = short_worst * value_high
        return max(gross, net_short), net_long, net_short
    return gross, net_long, short_worst * value_low
