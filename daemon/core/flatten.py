"""Flattening: reduce positions to (nearly) nothing, through the caps like everybody.

Rules of this file:
1. Orders are MARKET or LIMIT IOC, reduce-only, in the engine's name, one at a time on a symbol and
   only while nothing of ours is open there: no open order can turn a position into a flip.
2. A symbol that waits (for an answer, a price, a rate) keeps no other one waiting.
3. It ends: each symbol has so many orders without a fill, all of it has a deadline, and whatever
   ends it, `left` says what remains and why. Only dust (below the venue's filters) is no failure.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from daemon.core.retry import backoff_ns
from daemon.core.strategy_runner import StrategyRunner
from daemon.core.turn_context import TurnContext
from daemon.model.amounts import NS_PER_MS, ZERO, plain
from daemon.model.ids import InstrumentId, symbol_of
from daemon.model.intents import ENGINE, PlaceIntent
from riskcaps.gate.slices import NoSlice, Slice, dust_of, slice_of
from riskcaps.words.denials import DenyReason

BARREN_MAX = 6
"""Orders in a row without a fill (empty book, refusals) before a symbol is given up."""
ROUNDS_MAX = 5
"""How often a verification may find a closed symbol open again."""
PAUSE_BASE_NS = 250 * NS_PER_MS
PAUSE_MAX_NS = 4_000 * NS_PER_MS
MAY_PASS = frozenset(
    {
        *(DenyReason.CLOCK_UNKNOWN, DenyReason.CLOCK_STALE, DenyReason.CLOCK_DRIFT),
        *(DenyReason.SYMBOL_BLOCKED, DenyReason.UNKNOWN_ORDER_OPEN, DenyReason.NO_MARKET_DATA),
        *(DenyReason.STALE_MARKET_DATA, DenyReason.CROSSED_BOOK, DenyReason.NO_REFERENCE_PRICE),
        *(DenyReason.PRICE_COLLAR, DenyReason.FILTER_PERCENT_PRICE, DenyReason.ORDERS_OPEN_TOTAL),
        *(DenyReason.BALANCE_UNKNOWN, DenyReason.BALANCE_INSUFFICIENT, DenyReason.VENUE_BUDGET),
        *(DenyReason.ORDERS_PER_SECOND, DenyReason.ORDERS_PER_MINUTE),
        *(DenyReason.ORDERS_PER_MINUTE_SYMBOL, DenyReason.MESSAGES_PER_SECOND),
        *(DenyReason.MESSAGES_PER_MINUTE, DenyReason.DUPLICATE_ORDER),
    }
)
"""Denials that time may take back; any other one gives the symbol up."""


class _Leg(msgspec.Struct, kw_only=True):
    """One symbol on its way to nothing."""

    due_ns: int = 0
    sent_at: Decimal | None = None
    """The position when the order under way left; None: nothing is under way."""
    barren: int = 0
    why: str = ""
    """What stands, or stood last, in the way."""
    closed_at: Decimal | None = None
    """The position at which nothing more was tried."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What a flattening did not close."""

    symbol: str
    qty: Decimal
    asset: str
    why: str
    is_dust: bool

    def fields(self) -> dict[str, Any]:
        """For replies and records."""
        return {
            "symbol": self.symbol,
            "qty": plain(self.qty),
            "asset": self.asset,
            "why": self.why,
            "dust": self.is_dust,
        }


class Flatten:
    """One flattening; `step` is called at the end of every turn while it is on."""

    def __init__(self, ctx: TurnContext, runner: StrategyRunner, symbol: str = "") -> None:
        """Share the desk; `symbol`: that one only."""
        self._ctx = ctx
        self._runner = runner
        self._symbol = symbol
        self._legs: dict[InstrumentId, _Leg] = {}
        self._rounds = 0
        self.interrupted = ""
        """What ended it before its time (kill, incident, deadline); empty while it is on."""

    @property
    def is_on(self) -> bool:
        """Whether it still sends."""
        return not self.interrupted

    def step(self) -> bool:
        """Send what is due; True while some symbol is not at its end."""
        busy = False
        for iid, qty in self._positions():
            leg = self._legs.setdefault(iid, _Leg())
            busy = self._step(iid, qty, leg) or busy
        return busy

    def reopen(self) -> bool:
        """After a verification: whether fills that it found moved a symbol that was at its end."""
        moved = False
        for iid, qty in self._positions():
            leg = self._legs.setdefault(iid, _Leg())
            if leg.closed_at != qty:
                self._legs[iid] = _Leg()
                moved = True
        self._rounds += moved
        return moved and self._rounds < ROUNDS_MAX

    def left(self) -> list[Left]:
        """What is left, symbol by symbol; judged anew, whatever has been tried."""
        found = []
        for iid, qty in self._positions():
            leg = self._legs.get(iid, _Leg())
            instrument = self._ctx.ledger.instruments.get(iid)
            dust = ""
            if instrument is not None:
                top = self._ctx.interceptor.risk.books.by_id[iid].top
                px = ZERO if top is None else top.bid_px if qty > 0 else top.ask_px
                dust = dust_of(instrument, abs(qty), px)
            found.append(
                Left(
                    symbol=symbol_of(iid),
                    qty=qty,
                    asset=symbol_of(iid) if instrument is None else instrument.base,
                    why=dust or self.interrupted or leg.why or "not tried",
                    is_dust=bool(dust),
                )
            )
        return found

    # ------------------------------------------------------------------ one symbol
    def _positions(self) -> list[tuple[InstrumentId, Decimal]]:
        held = self._ctx.interceptor.risk.books.positions()
        return [
            (iid, one.qty)
            for iid, one in sorted(held.items())
            if one.qty and self._symbol in ("", symbol_of(iid))
        ]

    def _step(self, iid: InstrumentId, qty: Decimal, leg: _Leg) -> bool:
        ctx, now = self._ctx, self._ctx.now_ns
        if any(order.instrument_id == iid for order in ctx.books.open.values()):
            return True
        if leg.closed_at is not None:
            return False
        if leg.sent_at is not None:
            self._judge(iid, qty, leg)
        if leg.barren >= BARREN_MAX:
            leg.closed_at = qty
            return False
        if now < leg.due_ns:
            return True
        found = slice_of(ctx.interceptor.risk, iid, now)
        if isinstance(found, NoSlice):
            leg.why, leg.due_ns = found.why, found.until_ns
            if not found.until_ns:
                leg.closed_at = qty
            return bool(found.until_ns)
        return self._send(iid, qty, leg, found)

    def _judge(self, iid: InstrumentId, qty: Decimal, leg: _Leg) -> None:
        """The order under way has ended: did it take anything off?"""
        if qty == leg.sent_at:
            leg.barren += 1
            refused = self._ctx.refusals.pop(iid, "")
            leg.why = f"the venue refuses: {refused}" if refused else "an order found no fill"
            pause = backoff_ns(leg.barren, PAUSE_BASE_NS, PAUSE_MAX_NS)
            leg.due_ns = self._ctx.now_ns + pause
        else:
            leg.barren = 0
        leg.sent_at = None

    def _send(self, iid: InstrumentId, qty: Decimal, leg: _Leg, found: Slice) -> bool:
        self._ctx.refusals.pop(iid, None)
        denied = self._runner.place(
            PlaceIntent(
                strategy_id=ENGINE,
                instrument_id=iid,
                side=found.side,
                order_type=found.order_type,
                qty=found.qty,
                price=found.price,
                time_in_force=found.time_in_force,
                reduce_only=True,
                reason="flatten",
            )
        )
        if not denied:
            leg.sent_at = qty
            return True
        leg.why = f"denied {denied}"
        if denied in MAY_PASS:
            leg.due_ns = self._ctx.now_ns + PAUSE_MAX_NS // 4
            return True
        leg.closed_at = qty
        return False


def is_flat(left: Sequence[Left], *, verified: bool) -> bool:
    """Whether nothing but dust is left, by our books and by a snapshot since the last fill."""
    return verified and all(one.is_dust for one in left)


def told(left: Sequence[Left], *, verified: bool) -> str:
    """What is left as a sentence; it says `flat` only when nothing, or dust, is left."""
    if not verified and all(one.is_dust for one in left):
        return "NOT verified: flat by our books, and the venue could not be asked since"
    if not left:
        return "flat"
    names = "; ".join(f"{one.symbol} {plain(one.qty)} {one.asset}: {one.why}" for one in left)
    if all(one.is_dust for one in left):
        return f"flat but for dust: {names}"
    return f"NOT flat: {names}"
