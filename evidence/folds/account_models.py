"""The accountant's own text of how an instrument and the account meet, by kind of instrument."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from evidence.read.exact_amounts import ZERO, amount, amount_or_zero
from evidence.read.journal_lines import FillLine, InstrumentsLine

SPOT = "spot"
"""The kind of every instrument whose line does not say one."""


class SpotBooks:
    """A buy spends quote, a sell spends base; both are balances of the account."""

    def cost(self, qty: Decimal, px: Decimal, *, is_buy: bool) -> Decimal:
        """What an order spends: its value in quote for a buy, its quantity in base for a sell."""
        return qty * px if is_buy else qty

    def moves(
        self, assets: tuple[str, str], qty: Decimal, price: Decimal, *, is_buy: bool
    ) -> dict[str, Decimal]:
        """What a fill adds to (base, quote), without its fee."""
        base, quote = assets
        signed = qty if is_buy else -qty
        return {base: signed, quote: -signed * price}

    def moves_with_fee(self, assets: tuple[str, str], fill: FillLine) -> dict[str, Decimal]:
        """What a trade's line adds to each asset, its fee taken off.

        Raises:
            AmountTextError: one of its amounts is none.
        """
        qty, price, fee = amount(fill.qty), amount(fill.price), amount_or_zero(fill.fee)
        moves = self.moves(assets, qty, price, is_buy=fill.side == "BUY")
        if fee:
            paid_in = fill.fee_asset or ""
            moves[paid_in] = moves.get(paid_in, ZERO) - fee
        return moves


_MODELS = {SPOT: SpotBooks()}


def pairs_of(record: InstrumentsLine) -> dict[str, tuple[str, str]]:
    """Base and quote of each symbol."""
    return {
        str(one.get("symbol")): (str(one.get("base")), str(one.get("quote")))
        for one in record.instruments
    }


def account_of(instrument: Mapping[str, Any]) -> SpotBooks | None:
    """The rules of an instrument's kind; None: it is not known here, and nothing is guessed."""
    return _MODELS.get(str(instrument.get("kind", SPOT)))
