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


class Ground(msgspec.Struct):
    """Made by `ground_of`; of a stranger only what has no default here."""

    version: int
    until_ns: int
    verdicts: int
    """The version of `standing` that moves when the rules over it may say something else."""
    context: RiskContext
    standing: Mapping[str, Any]
    is_stranger: bool = True
    """Nobody has heard of the instrument."""
    market: Mapping[str, Any] = {}
    blocked: str = ""
    rate: Rate | None = None
    """Of its quote, where that is the numeraire; any other moves with other markets."""
    of_buys: Account = _NO_ACCOUNT
    """The account of what a buy spends."""
    of_sells: Account = _NO_ACCOUNT
    has_position_max: bool = False
    """Whether a filter bounds what is held, so that a decision records it."""
    executions: int = 0
    traded_qty: Decimal = ZERO
    quotes: tuple[Quote, ...] = ()
    buys: Any = None
    """The fast path's bounds of its buys, followed since it was made (fast_path.py)."""
    sells: Any = None


def version_of(risk: RiskState, book: SymbolBook) -> int:
    """The sum of the counters that move a ground."""
    return (
        book.terms_version
        + book.market_version
        + risk.health.version
        + risk.behaviour.version
        + risk.ledger.version
        + risk.alerts.bands_version
    )


def ground_of_stranger(risk: RiskState, instrument_id: InstrumentId) -> Ground:
    """Of an instrument that nobody has heard of."""
    verdicts, standing = risk.standing.now(instrument_id)
    return Ground(-1, -1, verdicts, risk.contexts.of(instrument_id), standing)


def ground_of(risk: RiskState, book: SymbolBook, now_ns: int) -> Ground:
    """What a decision stands on now, made and kept."""
    windows, traded = risk.windows, book.traded
    verdicts, standing = risk.standing.now(book.instrument_id)
    executions, traded_qty = windows.executions.count(now_ns), traded.total(now_ns)
    until_ns = min(windows.executions.until_ns, traded.leaves_ns)
    quotes: list[Quote] = []
    for asset, account in risk.books.quotes.items():
        of_asset = account.traded.total(now_ns)
        until_ns = min(until_ns, account.traded.leaves_ns)
        quotes.append(
            (asset, of_asset, account, PAR if asset == risk.books.rates.numeraire else None)
        )
    ground = book.ground = Ground(
        version_of(risk, book), until_ns, verdicts, risk.contexts.of(book.instrument_id), standing,
        False, book.market_plain(), book.blocked, PAR if book.at_par else None,
        book.quote_account,
        book.quote_account if book.model.sell_pays_value else book.base_account,
        book.instrument is not None and bool(book.instrument.position_max),
        executions, traded_qty, tuple(quotes),
    )  # fmt: skip
    return ground
