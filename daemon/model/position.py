"""Positions and balances as values."""

from decimal import Decimal

import msgspec

from daemon.model.ids import InstrumentId


class Balance(msgspec.Struct, frozen=True):
    """One asset of the account: free and locked in open orders, as the venue says."""

    asset: str
    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """What the account owns of it."""
        return self.free + self.locked


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Net traded quantity of one instrument since the books' epoch; positive is long.

    The epoch is the start of the state directory, or the last testnet wipe; the quantity is the sum
    of signed fills less fees taken in base.

    On a spot venue this is what *we* bought or sold, not the account's balance: a testnet account
    comes pre-funded, and the caps bound what the stack does.
    """

    instrument_id: InstrumentId
    qty: Decimal
    avg_px: Decimal
    realised_pnl: Decimal
    """In quote, fees in quote included."""
    fees_quote: Decimal
