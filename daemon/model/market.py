"""Market events, with both clocks: `ts_venue_ns` (0: the venue gives none) and `ts_recv_ns`."""

from decimal import Decimal

import msgspec

from daemon.model.enums import Side
from daemon.model.ids import InstrumentId


class TopOfBook(msgspec.Struct, frozen=True):
    """Best bid and ask. Prices in quote per base, quantities in base; all positive."""

    instrument_id: InstrumentId
    bid_px: Decimal
    bid_qty: Decimal
    ask_px: Decimal
    ask_qty: Decimal
    update_id: int
    ts_venue_ns: int
    ts_recv_ns: int

    @property
    def is_crossed(self) -> bool:
        """Crossed or locked: no price of such a book may be trusted."""
        return self.bid_px >= self.ask_px

    @property
    def mid(self) -> Decimal:
        """Half-way between bid and ask, exact."""
        return (self.bid_px + self.ask_px) / 2


class TradeTick(msgspec.Struct, frozen=True):
    """One public trade."""

    instrument_id: InstrumentId
    trade_id: int
    aggressor: Side
    price: Decimal
    qty: Decimal
    ts_venue_ns: int
    ts_recv_ns: int
