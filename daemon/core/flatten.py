"""Flattening: reduce every position to (nearly) nothing, through the caps like everybody.

Rules of this file:
1. It begins when nothing of ours is working, so that no open order can turn it into a flip.
2. Orders are MARKET, reduce-only, in the engine's name; what the caps or filters refuse stays.
3. It tries a bounded number of times; a rest below the filters (dust) is no reason to go on.
"""

from decimal import Decimal

from daemon.core.desk import Desk
from daemon.core.runner import Runner
from daemon.model.amounts import ZERO, floor_to
from daemon.model.enums import OrderType, Side
from daemon.model.instrument import Instrument
from daemon.model.intents import ENGINE, PlaceIntent

ROUNDS_MAX = 3


class Flatten:
    """One flattening; `step` is called whenever nothing of ours is working."""

    def __init__(self, desk: Desk, runner: Runner) -> None:
        """Share the desk."""
        self._desk = desk
        self._runner = runner
        self._rounds = 0

    def step(self) -> bool:
        """Send the next reducing orders; True while some are on their way."""
        if self._rounds >= ROUNDS_MAX:
            return False
        self._rounds += 1
        sent = False
        for iid, position in sorted(self._desk.interceptor.positions().items()):
            instrument = self._desk.ledger.instruments.get(iid)
            if instrument is None or position.qty == 0:
                continue
            wish = reducing_wish(instrument, position.qty)
            if wish is not None and not self._runner.place(wish):
                sent = True
        return sent


def reducing_wish(instrument: Instrument, position: Decimal) -> PlaceIntent | None:
    """The wish that closes a position as far as the lot allows; None for dust."""
    lot = instrument.market_lot or instrument.lot
    qty = floor_to(abs(position), lot) if lot else abs(position)
    if qty <= ZERO or qty < max(instrument.market_qty_min, instrument.qty_min):
        return None
    return PlaceIntent(
        strategy_id=ENGINE,
        instrument_id=instrument.instrument_id,
        side=Side.SELL if position > 0 else Side.BUY,
        order_type=OrderType.MARKET,
        qty=qty,
        price=None,
        time_in_force=None,
        reduce_only=True,
        reason="flatten",
    )
