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


def unvalued(keeper: "Keeper") -> dict[str, str]:
    """What keeps equity from being known: each asset or symbol with what would mend it."""
    missing: dict[str, str] = {}
    for book in keeper.books.values():
        if not book.was_traded or book.worth is not None:
            continue
        if keeper.rates.rate(book.quote) is None:
            missing[book.quote] = f"{book.symbol} is quoted in it; {_no_rate(keeper, book.quote)}"
        else:
            missing[book.symbol] = "no price of it was seen yet"
    for asset in keeper.fees_owed:
        if keeper.rates.rate(asset) is None:
            missing[asset] = f"fees were paid in it; {_no_rate(keeper, asset)}"
    return missing


def _no_rate(keeper: "Keeper", asset: str) -> str:
    """Why an asset has no rate, and what would give it one."""
    legs = keeper.rates.legs(asset)
    if legs:
        silent = [leg.book.symbol for leg in legs if leg.book.top is None] or ["its path"]
        return f"no price of {', '.join(silent)} was seen yet"
    declared = keeper.capset.conversions.get(asset)
    if declared:
        return f"the path {' '.join(declared)} does not lead to {keeper.capset.numeraire}: watch it"
    pair = f"{asset}{keeper.capset.numeraire}"
    return f'no path: add {asset} = ["{pair}"] to [caps.conversions], "{pair}" to venue.symbols'


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
