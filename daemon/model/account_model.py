"""How an instrument and the account meet: what an order costs, what a fill moves, what is compared.

One model for each kind of instrument (`Instrument.kind`); whoever books, holds or compares asks it.
Quantities are in units of base on every venue: an adapter whose venue counts contracts multiplies.
"""

from decimal import Decimal
from typing import Protocol

from daemon.model.amounts import ZERO
from daemon.model.enums import Side
from daemon.model.instrument import SPOT, Instrument
from daemon.model.reports import Fill


class AccountModel(Protocol):
    """The rules of one kind of instrument. Amounts are exact."""

    @property
    def sell_pays_value(self) -> bool:
        """Whether a sell, like a buy, spends its value in quote; else it spends base."""

    def cost(
        self, instrument: Instrument, side: Side, qty: Decimal, px: Decimal
    ) -> tuple[str, Decimal]:
        """The asset that an order spends, and how much of it must be free."""

    def moves(self, instrument: Instrument, fill: Fill) -> dict[str, Decimal]:
        """What a fill and its fee add to each asset of the account."""

    def value(self, qty: Decimal, px: Decimal) -> Decimal:
        """What a position of `qty` (negative: short) is worth in quote at a price."""

    def compared(self, instrument: Instrument) -> tuple[str, ...]:
        """The assets whose totals reconciliation compares because of this instrument."""


class SpotAccount:
    """Spot: a buy spends quote, a sell spends base, and both are balances of the account."""

    sell_pays_value = False

    def cost(
        self, instrument: Instrument, side: Side, qty: Decimal, px: Decimal
    ) -> tuple[str, Decimal]:
        """Value in quote for a buy, quantity in base for a sell."""
        if side is Side.BUY:
            return instrument.quote, self.value(qty, px)
        return instrument.base, qty

    def moves(self, instrument: Instrument, fill: Fill) -> dict[str, Decimal]:
        """Base for quote, less the fee in whatever asset it was taken."""
        qty = fill.qty if fill.side is Side.BUY else -fill.qty
        changes = {instrument.base: qty, instrument.quote: -(qty * fill.price)}
        if fill.fee:
            changes[fill.fee_asset] = changes.get(fill.fee_asset, ZERO) - fill.fee
        return changes

    def value(self, qty: Decimal, px: Decimal) -> Decimal:
        """Quantity times price."""
        return qty * px

    def compared(self, instrument: Instrument) -> tuple[str, ...]:
        """Base and quote."""
        return instrument.base, instrument.quote


SPOT_ACCOUNT = SpotAccount()
MODELS: dict[str, AccountModel] = {SPOT: SPOT_ACCOUNT}
"""By kind of instrument."""


def account_of(instrument: Instrument) -> AccountModel:
    """The account model of an instrument.

    Raises:
        ValueError: no model is known for its kind; nothing of it may be traded.
    """
    model = MODELS.get(instrument.kind)
    if model is None:
        raise ValueError(f"{instrument.instrument_id}: no account model for {instrument.kind!r}")
    return model
