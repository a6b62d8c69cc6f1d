"""Which of our symbols can be traded, and what follows when one no longer can.

Rules of this file:
1. A symbol that the venue halts, breaks, stops listing, or describes in a way that cannot be read,
   is blocked alone: the gate and the others go on. `blocked` says which, and why.
2. Where it happens to a position or an order of ours, the order is cancelled as far as the venue
   lets it be, and an incident of that symbol is opened, once for each change.
3. A symbol, or an order of ours on it, that the venue gives no usable answer about blocks that
   symbol alone, too: by its unknown order, or by name.
"""

from collections.abc import Mapping

from daemon.core.turn_context import TurnContext
from daemon.model import journal_records as journal
from daemon.model.amounts import plain
from daemon.model.copies import replace
from daemon.model.enums import GateState, SymbolStatus
from daemon.model.ids import InstrumentId, instrument_of, symbol_of
from daemon.model.inputs import InstrumentsLoaded
from daemon.model.instrument import Instrument
from daemon.model.plain_values import to_plain
from daemon.model.records import EventType
from daemon.model.stop_triggers import StopTrigger

CONFINED = (
    StopTrigger.SYMBOL_NOT_TRADABLE,
    StopTrigger.CANCEL_STUCK,
    StopTrigger.UNKNOWN_ORDER,
    StopTrigger.STALE_FEED,
)
"""Incidents that stay with their symbol while the venue does not trade it, or is mute on it."""


class BlockedSymbols:
    """Follows what the venue says of our symbols."""

    def __init__(self, ctx: TurnContext) -> None:
        """Share the desk."""
        self._ctx = ctx
        config = ctx.config
        self._names = {instrument_of(name, config.environment): name for name in config.symbols}
        """Our instruments, and what the configuration calls them."""
        self._ids = {symbol_of(iid): iid for iid in reversed(self._names)}
        self._ids |= {name: iid for iid, name in self._names.items()}
        """By configured name, and by bare symbol; of two venues the first configured has it."""
        self._absent: dict[str, str] = {}
        """Why the venue's list has no usable row for a symbol."""

    def on_loaded(self, item: InstrumentsLoaded) -> None:
        """The venue has told its symbols: write what changed, and stop what no longer trades."""
        ctx = self._ctx
        self._absent = dict(item.absent)
        loaded = ctx.ledger.instruments
        told = (*item.instruments, *self._gone(item.absent))
        changed = [one for one in told if loaded.get(one.instrument_id) != one]
        if not changed:
            return
        closed = [one for one in changed if self._closes(loaded.get(one.instrument_id), one)]
        ctx.ledger.load_instruments(told)
        fields = journal.InstrumentsRecord(instruments=[to_plain(one) for one in told])
        ctx.record(EventType.INSTRUMENTS, fields)
        for one in closed:
            self._close(one)

    def follow_gate(self) -> None:
        """Only READY may trade: every symbol is blocked in the interceptor otherwise."""
        ctx = self._ctx
        state = ctx.gate.state
        for symbol in ctx.config.symbols:
            iid = self._id(symbol)
            mute = ctx.gate.mute.get(symbol)
            if mute is not None:
                ctx.ledger.heard(ctx.interceptor.risk.block_symbol(iid, f"no answers: {mute}"))
            elif state is GateState.READY:
                ctx.ledger.heard(ctx.interceptor.risk.unblock_symbol(iid))
            else:
                ctx.ledger.heard(ctx.interceptor.risk.block_symbol(iid, f"the gate is {state}"))

    def blocked(self) -> dict[str, str]:
        """Every symbol of ours that cannot be traded now, with the reason."""
        found = {}
        for symbol in self._ctx.config.symbols:
            why = self.why(symbol) or self._silence(symbol)
            if why:
                found[symbol] = why
        return found

    def why(self, symbol: str) -> str:
        """Why a symbol cannot be traded now; empty when it can."""
        iid = self._id(symbol)
        absent = self._absent.get(self._names.get(iid, symbol))
        if absent is not None:
            return absent
        loaded = self._ctx.ledger.instruments.get(iid)
        if loaded is None:
            return "not loaded" if self._ctx.gate.instruments_loaded else ""
        return "" if loaded.status is SymbolStatus.TRADING else f"the venue says {loaded.status}"

    def confines(self, trigger: str, symbol: str) -> bool:
        """Whether an incident concerns nothing but one symbol that is blocked anyway."""
        if trigger not in CONFINED or not symbol:
            return False
        return bool(self.why(symbol) or self._silence(symbol))

    def _silence(self, symbol: str) -> str:
        """What the venue says instead of answers about a symbol, or an order of ours on it."""
        iid = self._id(symbol)
        mute = self._ctx.gate.mute.get(self._names.get(iid, symbol))
        if mute is not None:
            return f"the venue answers no question about it: {mute}"
        for cid, ask in self._ctx.pending_queries.asks.items():
            order = self._ctx.books.orders.get(cid)
            if ask.mute_ns and order is not None and order.instrument_id == iid:
                return f"the venue gives no answer about order {cid}: {ask.mute}"
        return ""

    def _id(self, symbol: str) -> InstrumentId:
        return self._ids.get(symbol) or instrument_of(symbol, self._ctx.config.environment)

    def _gone(self, absent: Mapping[str, str]) -> list[Instrument]:
        """What we knew of symbols that the venue's list no longer has."""
        loaded = self._ctx.ledger.instruments
        known = (loaded.get(self._id(symbol)) for symbol in absent)
        return [replace(one, status=SymbolStatus.NOT_LISTED) for one in known if one is not None]

    @staticmethod
    def _closes(before: Instrument | None, now: Instrument) -> bool:
        was_open = before is None or before.status is SymbolStatus.TRADING
        return was_open and now.status is not SymbolStatus.TRADING

    def _close(self, one: Instrument) -> None:
        ctx = self._ctx
        orders = [o for o in ctx.books.working() if o.instrument_id == one.instrument_id]
        position = ctx.interceptor.risk.books.position(one.instrument_id)
        if not orders and not position:
            return
        ctx.trouble(
            StopTrigger.SYMBOL_NOT_TRADABLE,
            f"{self.why(one.symbol)}: {len(orders)} order(s) of ours and a position of "
            f"{plain(position)} {one.base} are on it; it is blocked, the other symbols trade on",
            one.symbol,
            {
                "status": one.status.value,
                "orders": [order.client_order_id for order in orders],
                "position": plain(position),
            },
        )
