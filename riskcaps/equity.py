"""Equity in the numeraire: the sum of what the symbols are worth, less fees still owed.

Rules of this file:
1. It only reads. Each symbol's worth was marked by the keeper when its book last moved.
2. What cannot be valued makes the whole None: no rule may pass on a guess.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from daemon.model.amounts import ZERO
from riskcaps.drawdown import EquityView

if TYPE_CHECKING:
    from riskcaps.keeper import Keeper


def equity_of(keeper: "Keeper") -> Decimal | None:
    """Equity as last marked; None while a part of it cannot be valued."""
    total = ZERO
    for book in keeper.books.values():
        if book.was_traded:
            if book.worth is None:
                return None
            total += book.worth
    owed = _owed(keeper)
    return None if owed is None else total - owed


def _owed(keeper: "Keeper") -> Decimal | None:
    total = ZERO
    for asset, amount in keeper.fees_owed.items():
        rate = keeper.rates.rate(asset)
        if rate is None:
            return None
        total += amount * rate[1]
    return total


def equity_view(keeper: "Keeper") -> EquityView:
    """Equity with its parts, where they can be valued."""
    realised: Decimal | None = ZERO
    fees = _owed(keeper)
    for book in keeper.books.values():
        if not book.was_traded:
            continue
        rate = keeper.rates.rate(book.quote)
        if rate is None or realised is None or fees is None:
            realised = fees = None
            break
        realised += book.realised * (rate[0] if book.realised > 0 else rate[1])
        fees += book.fees_quote * rate[1]
    held = keeper.ledger
    known = held.equity is not None and realised is not None and fees is not None
    unrealised = held.equity - realised + fees if known else None  # type: ignore[operator]
    drawdown = None
    if held.equity is not None and held.peak is not None:
        drawdown = max(held.peak - held.equity, ZERO)
    return EquityView(
        numeraire=keeper.capset.numeraire,
        equity=held.equity,
        peak=held.peak,
        drawdown=drawdown,
        realised=realised,
        unrealised=unrealised,
        fees=fees,
        day=held.day,
        day_open=held.day_open,
        session_open=held.session_open,
        rebased=held.rebased,
    )
