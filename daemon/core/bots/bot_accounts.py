"""What is durable of the bots: states, own ids, fills, positions, streaks, tallies.

Rules of this file:
1. Each method stands for one journal line; live turns and recovery call the same with the same
   values (durable_state.py, rule 1). What can be told from the orders is not kept twice.
2. An id of a bot means the latest order that the bot placed under it.
3. A bot's position is its own: another bot's, or a strategy's, never nets with it. The cost is the
   average; P&L is in the quote asset of the symbol, fees paid in quote included.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from daemon.model.amounts import ZERO, plain
from daemon.model.bots import BotState, bot_of
from daemon.model.enums import OrderStatus, Side
from daemon.model.ids import ClientOrderId, InstrumentId, VenueOrderId, symbol_of
from daemon.model.instrument import Instrument
from daemon.model.orders import Order
from daemon.model.plain_values import from_plain, to_plain
from daemon.model.reports import Fill


class BotPosition(msgspec.Struct, kw_only=True):
    """Net traded quantity in base (fees in base taken off), its cost and what was realised."""

    qty: Decimal = ZERO
    cost: Decimal = ZERO
    """What the quantity cost in quote; negative when it was sold short."""
    realised: Decimal = ZERO
    fees_quote: Decimal = ZERO

    def trade(self, side: Side, qty: Decimal, price: Decimal) -> Decimal | None:
        """Take one trade; what it realised in quote, None where it only added."""
        signed = qty if side is Side.BUY else -qty
        if not self.qty or (self.qty > 0) == (signed > 0):
            self.qty += signed
            self.cost += signed * price
            return None
        closed = min(qty, abs(self.qty))
        sign = 1 if self.qty > 0 else -1
        cost = self.cost * closed / abs(self.qty)
        gained = sign * closed * price - cost
        self.cost -= cost
        self.qty -= sign * closed
        self.realised += gained
        if qty > closed:
            self.qty = (qty - closed).copy_sign(signed)
            self.cost = self.qty * price
        return gained


class BotAccount(msgspec.Struct, kw_only=True):
    """One bot as the journal tells it."""

    state: BotState = BotState.ACTIVE
    reason: str = ""
    orders: int = 0
    fills: int = 0
    denied: dict[str, int] = msgspec.field(default_factory=dict)
    refused: dict[str, int] = msgspec.field(default_factory=dict)
    throttled: int = 0
    rejects: int = 0
    """Faulty orders in a row, as the venue said."""
    losses: int = 0
    """Orders in a row that closed a position at a loss."""
    positions: dict[InstrumentId, BotPosition] = msgspec.field(default_factory=dict)
    flows: dict[str, Decimal] = msgspec.field(default_factory=dict)
    """Net change of each asset by its own fills and fees since the books' epoch."""

    def position(self, instrument_id: InstrumentId) -> BotPosition:
        """Its position of one instrument, for a change."""
        return self.positions.setdefault(instrument_id, BotPosition())

    def told_positions(self) -> dict[str, dict[str, str]]:
        """Plain values by symbol, for the operator."""
        return {
            symbol_of(iid): {
                "qty": plain(one.qty),
                "realised_pnl": plain(one.realised),
                "fees_quote": plain(one.fees_quote),
            }
            for iid, one in sorted(self.positions.items())
        }


class BotAccounts:
    """All bots that the journal has heard of."""

    def __init__(self) -> None:
        """None yet."""
        self.of: dict[str, BotAccount] = {}
        self.fills: dict[ClientOrderId, list[Fill]] = {}
        """Of each order that the books still have, in the order of booking."""
        self.realised: dict[ClientOrderId, Decimal] = {}
        """What each open order has realised so far; no entry: it has closed nothing."""
        self._by_own: dict[tuple[str, str], Order] = {}
        self._by_venue: dict[tuple[InstrumentId, VenueOrderId], Order] = {}

    # ------------------------------------------------------------------ finding
    def account(self, bot: str) -> BotAccount:
        """One bot's account; made when it is first asked for."""
        found = self.of.get(bot)
        if found is None:
            found = self.of[bot] = BotAccount()
        return found

    def order(self, bot: str, client_order_id: str) -> Order | None:
        """The latest order that the bot placed under this id of its own."""
        return self._by_own.get((bot, client_order_id))

    def order_at_venue(
        self, bot: str, instrument_id: InstrumentId, venue_order_id: VenueOrderId
    ) -> Order | None:
        """The bot's order that the venue knows by this id; another bot's is nobody's."""
        order = self._by_venue.get((instrument_id, venue_order_id))
        return order if order is not None and bot_of(order.strategy_id) == bot else None

    # ------------------------------------------------------------------ facts
    def approve(self, order: Order) -> None:
        """ORDER_APPROVED with an owner."""
        self.account(_bot(order)).orders += 1
        self.know(order)

    def know(self, order: Order) -> None:
        """The books have this order of a bot: it is found by the bot's id, and by the venue's."""
        self._by_own[_bot(order), order.bot_order_id] = order
        if order.venue_order_id is not None:
            self._by_venue[order.instrument_id, order.venue_order_id] = order

    def deny(self, bot: str, reason: str) -> None:
        """ORDER_DENIED with an owner."""
        denied = self.account(bot).denied
        denied[reason] = denied.get(reason, 0) + 1

    def refuse(self, bot: str, reason: str) -> None:
        """BOT_REFUSED."""
        refused = self.account(bot).refused
        refused[reason] = refused.get(reason, 0) + 1

    def throttle(self, bot: str, count: int) -> None:
        """BOT_THROTTLED."""
        self.account(bot).throttled += count

    def switch(self, bot: str, state: BotState, reason: str) -> None:
        """BOT_SWITCHED; whoever is let in again begins with no streak."""
        account = self.account(bot)
        account.state, account.reason = state, reason
        if state is BotState.ACTIVE:
            account.rejects = account.losses = 0

    def move(self, order: Order, old: OrderStatus, ts_venue_ns: int) -> None:
        """ORDER_STATE of a bot's order; it has its new status already."""
        account = self.account(_bot(order))
        if order.venue_order_id is not None:
            key = (order.instrument_id, order.venue_order_id)
            known = self._by_venue.get(key)
            # A venue that was wiped counts its ids anew: an ended order gives its id to the next.
            if known is None or (known is not order and known.status.is_terminal):
                self._by_venue[key] = order
                account.rejects = 0
                order.ts_venue_placed_ns = order.ts_venue_placed_ns or ts_venue_ns
        order.ts_venue_ns = max(order.ts_venue_ns, ts_venue_ns)
        if order.status.is_terminal and not old.is_terminal:
            self._end_streak(account, order.client_order_id)

    def book_fill(
        self,
        fill: Fill,
        order: Order,
        changes: Mapping[str, Decimal],
        instrument: Instrument | None,
    ) -> None:
        """FILL of a bot's order; `changes` are what it moved of each asset, fee included."""
        account = self.account(_bot(order))
        account.fills += 1
        self.fills.setdefault(order.client_order_id, []).append(fill)
        self._by_venue[fill.instrument_id, fill.venue_order_id] = order
        account.rejects = 0
        order.ts_venue_ns = max(order.ts_venue_ns, fill.ts_venue_ns)
        order.ts_venue_placed_ns = order.ts_venue_placed_ns or fill.ts_venue_ns
        for asset, change in changes.items():
            account.flows[asset] = account.flows.get(asset, ZERO) + change
        position = account.position(fill.instrument_id)
        gained = position.trade(fill.side, fill.qty, fill.price)
        if instrument is not None and fill.fee_asset == instrument.base:
            position.qty -= fill.fee
        fee = fill.fee if instrument is not None and fill.fee_asset == instrument.quote else ZERO
        position.fees_quote += fee
        position.realised -= fee
        if gained is not None:
            cid = order.client_order_id
            self.realised[cid] = self.realised.get(cid, ZERO) + gained - fee
            if order.status.is_terminal:
                self._end_streak(account, cid)

    def reject(self, order: Order, *, is_fault: bool) -> None:
        """ORDER_REJECT of a bot's order; the market's own refusals are no streak."""
        if is_fault:
            self.account(_bot(order)).rejects += 1

    def forget(self, order: Order) -> None:
        """The books no longer have the order."""
        ids = {fill.venue_order_id for fill in self.fills.pop(order.client_order_id, ())}
        self.realised.pop(order.client_order_id, None)
        own = (_bot(order), order.bot_order_id)
        if self._by_own.get(own) is order:
            del self._by_own[own]
        for venue_order_id in filter(None, {*ids, order.venue_order_id}):
            key = (order.instrument_id, venue_order_id)
            if self._by_venue.get(key) is order:
                del self._by_venue[key]

    def new_epoch(self) -> None:
        """The venue began anew: positions and flows start over."""
        for account in self.of.values():
            account.positions.clear()
            account.flows.clear()

    def _end_streak(self, account: BotAccount, client_order_id: ClientOrderId) -> None:
        realised = self.realised.pop(client_order_id, None)
        if realised is not None:
            account.losses = account.losses + 1 if realised < 0 else 0

    # ------------------------------------------------------------------ durable form
    def state(self) -> dict[str, Any]:
        """Plain JSON values; empty where no bot was ever heard of."""
        if not self.of:
            return {}
        return {
            "accounts": {bot: to_plain(one) for bot, one in sorted(self.of.items())},
            "fills": {cid: [to_plain(one) for one in fills] for cid, fills in self.fills.items()},
            "realised": to_plain(self.realised),
        }

    def restore(self, state: Mapping[str, Any], orders: Mapping[ClientOrderId, Order]) -> None:
        """Become what `state` describes; ids are told by the orders themselves."""
        accounts = state.get("accounts", {})
        self.of = {bot: from_plain(BotAccount, one) for bot, one in accounts.items()}
        self.fills = {
            ClientOrderId(cid): [from_plain(Fill, one) for one in fills]
            for cid, fills in state.get("fills", {}).items()
        }
        self.realised = {
            ClientOrderId(cid): Decimal(one) for cid, one in state.get("realised", {}).items()
        }
        self._by_own.clear()
        self._by_venue.clear()
        for order in orders.values():
            if order.bot_order_id:
                self.know(order)
                for fill in self.fills.get(order.client_order_id, ()):
                    self._by_venue[fill.instrument_id, fill.venue_order_id] = order


def _bot(order: Order) -> str:
    return bot_of(order.strategy_id) or ""
