"""What a decision on one instrument stands on that no order changes, kept while no fact moves it.

Rules of this file:
1. `version` is the sum of the counters of all that is kept. Each of them only grows, so the sum is
   the same only where each is. An execution moves that of behaviour; so what only fills move
   (executions, traded amounts) needs no counter of its own.
2. What leaves a window with time is kept until `until_ns`.
3. What an order, its hold or its end changes (open quantities and prices, attempts, cancels, money
   held) is not kept here, nor is what another market moves (rates, other symbols).
4. A ground follows in place, as each tick moves it; what a record is written from
   (`RecordedGround`) never changes, and is made anew.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.ids import InstrumentId
from riskcaps.state.context import RiskContext
from riskcaps.state.conversion import PAR, Rate
from riskcaps.state.holds import Account
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook


class RecordedGround(msgspec.Struct, frozen=True):
    """The part of a ground that decisions record; shared by all that stand on it."""

    context: RiskContext
    standing: Mapping[str, Any]
    market: Mapping[str, Any] = {}
    blocked: str = ""
    is_stranger: bool = True
    """Nobody has heard of the instrument: there is no ground."""


def told_of_stranger(risk: RiskState, instrument_id: InstrumentId) -> RecordedGround:
    """Of an instrument that nobody has heard of."""
    return RecordedGround(risk.contexts.of(instrument_id), risk.standing.now(instrument_id)[1])


class Ground:
    """The ground of one book, which keeps it (`SymbolBook.ground`)."""

    __slots__ = (
        "behaviour_version", "buys", "context", "executions", "fills_until_ns",
        "fills_version", "has_position_max", "of_buys", "of_sells", "only_quote",
        "only_traded", "quotes", "rate", "sells", "terms_version", "told", "traded_qty",
        "until_ns", "verdicts", "version",
    )  # fmt: skip

    def __init__(self) -> None:
        self.version = self.terms_version = self.behaviour_version = self.fills_version = -1
        self.until_ns = self.fills_until_ns = self.verdicts = self.executions = -1
        self.told: RecordedGround
        self.context: RiskContext
        self.rate: Rate | None = None
        """Of its quote, where that is the numeraire; any other moves with other markets."""
        self.of_buys = self.of_sells = Account("")
        """The account of what a buy, and a sell, spends."""
        self.has_position_max = False
        """Whether a filter bounds what is held, so that a decision records it."""
        self.quotes: list[tuple[str, Account, Rate | None]] = []
        """The assets that turnover is counted in; the rate where that is the numeraire's own."""
        self.only_quote: Account | None = None
        """The account of that asset, where there is one and it is the numeraire."""
        self.traded_qty = self.only_traded = ZERO
        """Base of the book, and `only_quote`, traded in 24 hours."""
        self.buys: Any = None
        """The fast path's bounds of its buys, drawn on this `version` (fast_path.py)."""
        self.sells: Any = None

    def follow(self, risk: RiskState, book: SymbolBook, version: int, now_ns: int) -> None:
        """A counter has moved, or something has left a window. `version`: their sum."""
        if self.terms_version != book.terms_version:
            self._follow_terms(risk, book)
        behaviour_version = risk.behaviour.version
        if self.behaviour_version != behaviour_version or now_ns > self.fills_until_ns:
            self._follow_fills(risk, book, now_ns)
            self.behaviour_version = behaviour_version
        self.verdicts, standing = risk.standing.now(book.instrument_id)
        self.told = RecordedGround(self.context, standing, book.market_plain(), book.blocked, False)
        self.buys = self.sells = None
        self.version, self.until_ns = version, self.fills_until_ns

    def _follow_terms(self, risk: RiskState, book: SymbolBook) -> None:
        self.context = risk.contexts.of(book.instrument_id)
        self.rate = PAR if book.at_par else None
        self.of_buys = book.quote_account
        self.of_sells = book.quote_account if book.model.sell_pays_value else book.base_account
        filters = book.instrument
        self.has_position_max = filters is not None and bool(filters.position_max)
        numeraire = risk.books.rates.numeraire
        self.quotes = [
            (asset, account, PAR if asset == numeraire else None)
            for asset, account in risk.books.quotes.items()
        ]
        self.only_quote = self.quotes[0][1] if len(self.quotes) == 1 and self.quotes[0][2] else None
        self.behaviour_version = -1  # what was traded is another asset's
        self.terms_version = book.terms_version

    def _follow_fills(self, risk: RiskState, book: SymbolBook, now_ns: int) -> None:
        done, traded = risk.windows.executions, book.traded
        self.executions = done.count(now_ns)
        self.traded_qty = traded.kept if now_ns <= traded.leaves_ns else traded.total(now_ns)
        self.fills_until_ns = min(done.until_ns, traded.leaves_ns)
        if self.only_quote is not None:
            traded = self.only_quote.traded
            self.only_traded = traded.total(now_ns)
            self.fills_until_ns = min(self.fills_until_ns, traded.leaves_ns)
        self.fills_version += 1
