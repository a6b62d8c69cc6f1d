"""The money: the journal's trades, and what its comparisons told, against the venue's balances.

Rule of this file: every balance, to the last digit, from both ends: from what the venue had before
the first trade, and from what the journal's last comparison says.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from evidence.folds.balance_fold import BalancesFold
from evidence.folds.cap_fold import CapsFold
from evidence.folds.order_fold import OrdersFold
from evidence.judge.ledger_comparison import LedgerComparison
from evidence.read.exact_amounts import ZERO, AmountTextError, amount_or_zero, text_of


def match_balances(
    seen: LedgerComparison,
    told: BalancesFold,
    orders: OrdersFold,
    caps: CapsFold,
    ledger: Mapping[str, Any],
) -> None:
    """The journal's fills must explain every change of every balance, to the last digit."""
    try:
        before, after = _totals(ledger.get("initial_balances")), _totals(ledger.get("balances"))
    except AmountTextError as error:
        seen.unreadable_rows.add(f"balances: {error}")
        return
    if not before or not after:
        seen.silent.append("the books have no balances before and after")
        return
    expected = dict(before)
    for fill in orders.fills:
        assets = caps.assets.get(fill.symbol, ("", ""))
        account = caps.accounts.get(fill.symbol)
        if not all(assets) or account is None:
            seen.silent.append(
                f"{fill.symbol}: its assets are not in the journal, no balance follows"
            )
            return
        moves = account.moves(assets, fill.qty, fill.price, is_buy=fill.side == "BUY")
        for asset, change in moves.items():
            expected[asset] = expected.get(asset, ZERO) + change
        if fill.fee:
            expected[fill.fee_asset] = expected.get(fill.fee_asset, ZERO) - fill.fee
    for asset, moved in sorted(caps.moved_by_others.items()):
        expected[asset] = expected.get(asset, ZERO) + moved
        seen.remarks.append(f"{asset}: others moved {text_of(moved)}; it is not traded here")
    for asset in sorted(expected.keys() | after.keys()):
        mine, theirs = expected.get(asset, ZERO), after.get(asset, ZERO)
        if mine != theirs:
            what = f"{asset}: {text_of(mine)} by the journal, {text_of(theirs)} at the venue"
            seen.balance_differences.add(what)
    if told.mine:
        _match_last(seen, told, after)


def _match_last(seen: LedgerComparison, told: BalancesFold, after: Mapping[str, Decimal]) -> None:
    """What the journal's own comparisons make of each balance is what the venue has at the end."""
    for asset in sorted(told.mine.keys() | after.keys()):
        mine, theirs = told.mine.get(asset, ZERO), after.get(asset, ZERO)
        if mine != theirs:
            what = f"{asset}: {text_of(mine)} by the comparison at seq {told.last_seq} and the "
            what += f"trades around it, {text_of(theirs)} at the venue"
            seen.balance_differences.add(what)


def _totals(balances: object) -> dict[str, Decimal]:
    if not isinstance(balances, Mapping):
        return {}
    totals = {}
    for asset, row in balances.items():
        if isinstance(row, Mapping):
            parts = (row.get("free"), row.get("locked"))
        else:
            parts = tuple(row) if isinstance(row, list | tuple) else (row,)
        totals[str(asset)] = sum((amount_or_zero(part) for part in parts), ZERO)
    return totals
