"""What a decision on one instrument stands on that no order changes, kept while no fact moves it.

Rules of this file:
1. `version` is the sum of the counters of all that is kept. Each of them only grows, so the sum is
   the same only where each is. An execution moves that of behaviour; so what only fills move
   (executions, traded amounts) needs no counter of its own.
2. What leaves a window with time is kept until `until_ns`.
3. What an order, its hold or its end changes (open quantities and prices, attempts, cancels, money
   held) is not kept here, nor is what another market moves (rates, other symbols).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.copies import replace
from daemon.model.ids import InstrumentId
from riskcaps.state.context import RiskContext
from riskcaps.state.conversion import PAR, Rate
from riskcaps.state.holds import Account
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook

Quote = tuple[str, Decimal, Account, Rate | None]
"""An asset that turnover is counted in: its name, traded in 24 hours, its account, and its rate
where that is the numeraire's own."""
_NO_ACCOUNT = Account("")


class Fills(msgspec.Struct, frozen=True):
    """What only executions and time move."""

    behaviour_version: int
    until_ns: int
    executions: int
    traded_qty: Decimal
    quotes: tuple[Quote, ...]


_NO_FILLS = Fills(-1, -1, 0, ZERO, ())


class Ground(msgspec.Struct):
    """Made by `ground_of`; of a stranger it has only what has no default here.

    A decision's record is written from it, so nothing in it changes but the bounds and `until_ns`.
    """

    version: int
    until_ns: int
    verdicts: int
    """The version of `standing` that moves when the rules over it may say something else."""
    context: RiskContext
    standing: Mapping[str, Any]
    is_stranger: bool = True
    """Nobody has heard of the instrument."""
    terms_version: int = -1
    market: Mapping[str, Any] = {}
    blocked: str = ""
    rate: Rate | None = None
    """Of its quote, where that is the numeraire; any other moves with other markets."""
    of_buys: Account = _NO_ACCOUNT
    """The account of what a buy spends."""
    of_sells: Account = _NO_ACCOUNT
    has_position_max: bool = False
    """Whether a filter bounds what is held, so that a decision records it."""
    fills: Fills = _NO_FILLS
    buys: Any = None
    """The fast path's bounds of its buys, followed since it was made (fast_path.py)."""
    sells: Any = None


def ground_of_stranger(risk: RiskState, instrument_id: InstrumentId) -> Ground:
    """Of an instrument that nobody has heard of."""
    verdicts, standing = risk.standing.now(instrument_id)
    return Ground(-1, -1, verdicts, risk.contexts.of(instrument_id), standing)


def ground_of(risk: RiskState, book: SymbolBook, version: int, now_ns: int) -> Ground:
    """What a decision stands on now, kept with the book; `version` is the sum of its counters."""
    old: Ground | None = book.ground
    if old is not None and old.terms_version != book.terms_version:
        old = None
    verdicts, standing = risk.standing.now(book.instrument_id)
    fills = _NO_FILLS if old is None else old.fills
    if fills.behaviour_version != risk.behaviour.version or now_ns > fills.until_ns:
        fills = _fills_of(risk, book, now_ns)
    if old is not None:
        ground = replace(
            old, version=version, until_ns=fills.until_ns, verdicts=verdicts, standing=standing,
            market=book.market_plain(), fills=fills, buys=None, sells=None,
        )  # fmt: skip
    else:
        ground = Ground(
            version, fills.until_ns, verdicts, risk.contexts.of(book.instrument_id), standing,
            False, book.terms_version, book.market_plain(), book.blocked,
            PAR if book.at_par else None,
            book.quote_account,
            book.quote_account if book.model.sell_pays_value else book.base_account,
            book.instrument is not None and bool(book.instrument.position_max),
            fills,
        )  # fmt: skip
    book.ground = ground
    return ground


def _fills_of(risk: RiskState, book: SymbolBook, now_ns: int) -> Fills:
    windows, numeraire = risk.windows, risk.books.rates.numeraire
    executions, traded_qty = windows.executions.count(now_ns), book.traded.total(now_ns)
    until_ns = min(windows.executions.until_ns, book.traded.leaves_ns)
    quotes: list[Quote] = []
    for asset, account in risk.books.quotes.items():
        traded = account.traded.total(now_ns)
        until_ns = min(until_ns, account.traded.leaves_ns)
        quotes.append((asset, traded, account, PAR if asset == numeraire else None))
    return Fills(risk.behaviour.version, until_ns, executions, traded_qty, tuple(quotes))
